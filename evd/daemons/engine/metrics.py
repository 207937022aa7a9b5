"""An engine's counts, and how its metrics show them.

Counts are plain numbers: the library of metrics takes three megabytes, so an engine loads it only
where it is told to serve metrics.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs

from evd.core.engine.core import Engine
from evd.core.engine.events import Save, SaveRecord
from evd.core.wire.messages import BEACONS, COMMANDS, CpState, Outcome

if TYPE_CHECKING:
    from evd.adapters.http.metrics import Metrics

READ_TOPICS = (BEACONS, COMMANDS)
JOULES_PER_KWH = 3_600_000


@attrs.define
class Counts:
    """Each only rises, from 0.  `energy_joules` is that of the sessions that ended."""

    sessions: dict[Outcome, int] = attrs.field(factory=lambda: dict.fromkeys(Outcome, 0))
    dead_letters: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(READ_TOPICS, 0))
    energy_joules: float = 0.0
    disk_failures: int = 0
    bad_frames: int = 0
    wrong_tokens: int = 0

    def on_dead_letter(self, topic: str) -> None:
        """Count a bad message that was put aside."""
        self.dead_letters[topic] += 1

    def on_saved(self, save: Save) -> None:
        """Count the session whose record is on disk."""
        if isinstance(save, SaveRecord):
            self.sessions[save.record.outcome] += 1
            self.energy_joules += save.record.kwh * JOULES_PER_KWH


class EngineMetrics:
    """The metrics of `counts` and `core`, as they are when somebody asks."""

    def __init__(
        self,
        metrics: "Metrics",
        counts: Counts,
        core: Engine,
        recent: Callable[[], int],
        unhealthy: Callable[[], str | None],
    ) -> None:
        """`recent`: the bad messages of the last minutes; `unhealthy`: why it can't work, if so."""
        metrics.watch_health(unhealthy)
        self._metrics = metrics
        self._counts = counts
        self._core = core
        info = metrics.gauge(
            "evd_engine_info", "Always 1; the charging point of the engine", {"cp_id": ()}
        )
        info.labels(core.cp_id).set(1)
        metrics.gauge(*metrics.RECENT_DEAD_LETTERS).set_function(recent)
        self._buffered = metrics.gauge(
            "evd_sessions_buffered", "Ended sessions that Central has not confirmed"
        )
        self._unreadable = metrics.gauge(
            "evd_sessions_unreadable",
            "Ended sessions whose record can't be read, found since its start",
        )
        self._states = metrics.gauge(
            "evd_engine_state",
            "1 for the state of the machine, 0 for the others",
            {"state": [state.value for state in CpState]},
        )
        sessions = metrics.counter(
            "evd_engine_sessions_total",
            "Sessions that ended",
            {"outcome": [outcome.value for outcome in Outcome]},
        )
        dead_letters = metrics.counter(
            "evd_dead_letters_total", "Bad messages put aside", {"topic": READ_TOPICS}
        )
        # In the order of `_values`.
        self._counters = (
            *(sessions.labels(outcome.value) for outcome in Outcome),
            *(dead_letters.labels(topic) for topic in READ_TOPICS),
            metrics.counter("evd_engine_energy_joules_total", "Energy of sessions that ended"),
            metrics.counter(
                "evd_engine_disk_failures_total", "Times the disk did not do what it was told"
            ),
            metrics.counter(
                "evd_bad_frames_total", "Bad frames, or frames of no use, on the health port"
            ),
            metrics.counter(
                "evd_engine_wrong_tokens_total",
                "Connections to the health port that were closed for their token",
            ),
            metrics.counter(
                "evd_undated_orders_total", "STOP_CP and RESUME_CP of the release before, obeyed"
            ),
        )
        self._shown = [0.0] * len(self._counters)

    def _values(self) -> Iterator[float]:
        counts = self._counts
        yield from (counts.sessions[outcome] for outcome in Outcome)
        yield from (counts.dead_letters[topic] for topic in READ_TOPICS)
        yield from (counts.energy_joules, counts.disk_failures, counts.bad_frames)
        yield from (counts.wrong_tokens, self._core.undated_count)

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        self._buffered.set(self._core.unconfirmed_count)
        self._unreadable.set(self._core.unreadable_count)
        for state in CpState:
            self._states.labels(state.value).set(self._core.state is state)
        values = [*self._values()]
        for counter, value, shown in zip(self._counters, values, self._shown, strict=True):
            counter.inc(value - shown)
        self._shown = values
        return self._metrics.render()
