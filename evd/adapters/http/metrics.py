"""Prometheus' metrics of one process, in a registry of its own.

Names begin with `evd_`, labels have few values.  A series is there from the start: a counter that
first appears with its first event has no rate at that event.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

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

CONTENT_TYPE = CONTENT_TYPE_LATEST
NAME_PREFIX = "evd_"

# A second series for each counter, that tells only when this process began to count.
disable_created_metrics()  # type: ignore[no-untyped-call]

Labels = Mapping[str, Iterable[str]]
Metric = Counter | Gauge | Histogram


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

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._rendering = trio.Lock()
        # Memory, processor time and open files, read only when somebody asks.
        ProcessCollector(registry=self._registry)

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

    def render(self) -> bytes:
        """All of it in Prometheus' text format, for `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    async def render_aside(self) -> bytes:
        """`render` in a thread: for hundreds of charging points it takes longer than a request."""
        async with self._rendering:
            return await trio.to_thread.run_sync(self.render)


def _named(name: str) -> str:
    if not name.startswith(NAME_PREFIX):
        raise ValueError(f"metric {name!r} must begin with {NAME_PREFIX}")
    return name


def _start_series(metric: Metric, labels: Labels) -> None:
    if labels:
        for values in itertools.product(*labels.values()):
            metric.labels(*values)
