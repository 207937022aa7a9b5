"""Prometheus' metrics of one process, in a registry of its own.

Names begin with `evd_`, labels have few values.  A series is there from the start: a counter that
first appears with its first event has no rate at that event.
"""

import functools
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs
import trio
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from evd.version import VERSION

CONTENT_TYPE = CONTENT_TYPE_LATEST
NAME_PREFIX = "evd_"
# Series that are written in one go.
SERIES_AT_ONCE = 500

# A second series for each counter, that tells only when this process began to count.
disable_created_metrics()  # type: ignore[no-untyped-call]

Labels = Mapping[str, Iterable[str]]
Metric = Counter | Gauge | Histogram


@attrs.frozen
class Family:
    """One metric whose series are written by us: with ten thousand charging points the library's
    objects take a second to write and tens of megabytes to keep.

    `series`: the labels of each as they are written, such as `cp_id="CP-001"`, and its value.
    """

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    series: Iterable[tuple[str, float]]

    def pieces(self) -> Iterator[str]:
        """The family in Prometheus' text format, SERIES_AT_ONCE of its series in a piece."""
        name, left = _named(self.name), iter(self.series)
        yield f"# HELP {name} {self.text}\n# TYPE {name} {self.kind}\n"
        while some := [*itertools.islice(left, SERIES_AT_ONCE)]:
            yield "".join(f"{name}{{{labels}}} {value}\n" for labels, value in some)


class Metrics:
    """The metrics of this process.

    `labels` names each label and the values that are known from the start (none where only time
    will tell); all combinations of them stand at 0 at once.
    """

    # Name and text of the gauge by which doctor sees that bad messages come in.
    RECENT_DEAD_LETTERS = (
        "evd_dead_letters_recent",
        "Bad messages put aside within the last 10 minutes",
    )
    WOULD_REFUSE = (
        "evd_auth_would_refuse_total",
        "Those that were taken and would not be with --auth required",
    )

    def __init__(self, state_dir: Path | None = None) -> None:
        """`state_dir`: the directory of which the room is shown, if the program has one."""
        self._registry = CollectorRegistry()
        # Memory, processor time and open files, read only when somebody asks.
        ProcessCollector(registry=self._registry)
        info = self.gauge("evd_build_info", "Always 1; the version of the program", {"version": ()})
        info.labels(VERSION).set(1)
        if state_dir is not None:
            self._watch_disk(state_dir)

    def counter(self, name: str, text: str, labels: Labels | None = None) -> Counter:
        """A counter, which only rises; `name` ends in `_total`."""
        labels = labels or {}
        made = Counter(_named(name), text, tuple(labels), registry=self._registry)
        _start_series(made, labels)
        return made

    def gauge(self, name: str, text: str, labels: Labels | None = None) -> Gauge:
        """A gauge, which rises and falls."""
        labels = labels or {}
        made = Gauge(_named(name), text, tuple(labels), registry=self._registry)
        _start_series(made, labels)
        return made

    def histogram(
        self, name: str, text: str, buckets: Sequence[float], labels: Labels | None = None
    ) -> Histogram:
        """How often which size; `buckets` are upper bounds in the unit that ends the name."""
        labels = labels or {}
        made = Histogram(
            _named(name), text, tuple(labels), registry=self._registry, buckets=buckets
        )
        _start_series(made, labels)
        return made

    def watch_health(self, unhealthy: Callable[[], str | None]) -> None:
        """Show whether the program can do its work; `unhealthy` tells why it can't."""
        healthy = self.gauge("evd_healthy", "1 while /health answers 200, else 0")
        healthy.set_function(lambda: unhealthy() is None)

    def _watch_disk(self, state_dir: Path) -> None:
        for name, text, measure in (
            ("free", "Room that is left", lambda found: found.f_bavail * found.f_frsize),
            ("size", "Room in all", lambda found: found.f_blocks * found.f_frsize),
        ):
            gauge = self.gauge(
                f"evd_state_dir_{name}_bytes", f"{text} on the file system of the state directory"
            )
            gauge.set_function(functools.partial(_measured, state_dir, measure))

    def render(self) -> bytes:
        """All of it in Prometheus' text format, for `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    async def render_with(self, families: Iterable[Family]) -> bytes:
        """`render`, and `families`, in pieces between which others have their turn.

        A thread would be no help: it leaves the interpreter to nobody for longer than a heartbeat
        takes, at each word that is read or sent meanwhile.
        """
        written = [self.render()]
        for piece in itertools.chain.from_iterable(family.pieces() for family in families):
            written.append(piece.encode())
            await trio.lowlevel.checkpoint()
        return b"".join(written)


def _measured(state_dir: Path, measure: Callable[[os.statvfs_result], int]) -> float:
    """A size in bytes, NaN while nobody can tell it."""
    try:
        return measure(os.statvfs(state_dir))
    except OSError:
        return math.nan


def _named(name: str) -> str:
    if not name.startswith(NAME_PREFIX):
        raise ValueError(f"metric {name!r} must begin with {NAME_PREFIX}")
    return name


def _start_series(metric: Metric, labels: Labels) -> None:
    if labels:
        for values in itertools.product(*labels.values()):
            metric.labels(*values)
