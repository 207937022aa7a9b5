"""An engine's metrics: what it counted, and how it stands, at the moment when somebody asks."""

from evd.adapters.http.metrics import Metrics
from evd.core.engine.core import Engine
from evd.core.wire.messages import CpState, Outcome
from evd.daemons.engine.counts import READ_TOPICS, Counts


class EngineMetrics:
    """Shows `counts` and the state of `core`."""

    def __init__(self, metrics: Metrics, counts: Counts, core: Engine) -> None:
        self._metrics = metrics
        self._counts = counts
        self._core = core
        self._shown = Counts()
        self._buffered = metrics.gauge(
            "evd_sessions_buffered", "Ended sessions that Central has not confirmed"
        )
        self._states = metrics.gauge(
            "evd_engine_state",
            "1 for the state of the machine, 0 for the others",
            {"state": [state.value for state in CpState]},
        )
        self._sessions = metrics.counter(
            "evd_sessions_total",
            "Sessions that ended",
            {"outcome": [outcome.value for outcome in Outcome]},
        )
        self._dead_letters = metrics.counter(
            "evd_dead_letters_total", "Bad messages put aside", {"topic": READ_TOPICS}
        )
        self._energy = metrics.counter("evd_energy_wh_total", "Energy of sessions that ended")
        self._disk_failures = metrics.counter(
            "evd_engine_disk_failures_total", "Times the disk did not do what it was told"
        )
        self._bad_frames = metrics.counter(
            "evd_bad_frames_total", "Bad frames, or frames of no use, on the health port"
        )

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        counts, shown = self._counts, self._shown
        self._buffered.set(self._core.unconfirmed_count)
        for state in CpState:
            self._states.labels(state.value).set(self._core.state is state)
        for outcome, count in counts.sessions.items():
            self._sessions.labels(outcome.value).inc(count - shown.sessions[outcome])
            shown.sessions[outcome] = count
        for topic, count in counts.dead_letters.items():
            self._dead_letters.labels(topic).inc(count - shown.dead_letters[topic])
            shown.dead_letters[topic] = count
        self._energy.inc(counts.energy_wh - shown.energy_wh)
        self._disk_failures.inc(counts.disk_failures - shown.disk_failures)
        self._bad_frames.inc(counts.bad_frames - shown.bad_frames)
        shown.energy_wh = counts.energy_wh
        shown.disk_failures, shown.bad_frames = counts.disk_failures, counts.bad_frames
        return self._metrics.render()
