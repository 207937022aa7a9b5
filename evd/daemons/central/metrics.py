"""Central's metrics: counted as events come in and rows are stored, measured when asked."""

from collections.abc import Iterable, Sequence

from evd.adapters.http.metrics import Metrics
from evd.core.central.events import Event
from evd.core.central.rows import (
    BreakerState,
    EventType,
    FaultEvent,
    Request,
    Row,
    Session,
    SessionStatus,
    ShownState,
)
from evd.core.central.views import CpView
from evd.core.wire.messages import (
    REQUESTS,
    SESSIONS,
    STATUS,
    TELEMETRY,
    CpStatus,
    DriverRequest,
    RequestStatus,
    SessionRecord,
    Telemetry,
)

READ_TOPICS = (REQUESTS, STATUS, TELEMETRY, SESSIONS)
_TOPIC_OF: dict[type, str] = {
    DriverRequest: REQUESTS,
    CpStatus: STATUS,
    Telemetry: TELEMETRY,
    SessionRecord: SESSIONS,
}
_BREAKER_NUMBERS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
_FINAL = [status.value for status in RequestStatus if status.final]
_ENDED = [status.value for status in SessionStatus if status is not SessionStatus.ACTIVE]


class CentralMetrics:
    """The metrics of Central."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._messages = metrics.counter(
            "evd_messages_total", "Good messages read from Kafka", {"topic": READ_TOPICS}
        )
        self._dead = metrics.counter(
            "evd_dead_letters_total", "Bad messages put aside", {"topic": READ_TOPICS}
        )
        self._faults = metrics.counter(
            "evd_faults_total", "Faults of charging points", {"cp_id": ()}
        )
        self._recoveries = metrics.counter(
            "evd_recoveries_total", "Recoveries of charging points", {"cp_id": ()}
        )
        self._disconnections = metrics.counter(
            "evd_disconnections_total", "Monitors lost from sight", {"cp_id": ()}
        )
        self._by_cp = (self._faults, self._recoveries, self._disconnections)
        self._requests = metrics.counter(
            "evd_requests_total", "Requests that got their final status", {"status": _FINAL}
        )
        self._sessions = metrics.counter(
            "evd_sessions_total", "Sessions that ended", {"status": _ENDED}
        )
        self._estimates = metrics.counter(
            "evd_sessions_estimated_total", "Sessions closed without their engine's record"
        )
        self._energy = metrics.counter("evd_energy_wh_total", "Energy of settled sessions")
        self._commits = metrics.counter("evd_commits_total", "Commits to the database")
        self._store_failures = metrics.counter(
            "evd_store_failures_total", "Times the database failed"
        )
        self._breaker = metrics.gauge(
            "evd_breaker_state", "0 closed, 1 half open, 2 open", {"cp_id": ()}
        )
        self._up = metrics.gauge(
            "evd_charging_point_up", "1 while a charging point is ON", {"cp_id": ()}
        )
        self._states = metrics.gauge(
            "evd_charging_points",
            "Charging points by the state that is shown",
            {"state": [state.value for state in ShownState]},
        )
        self._active = metrics.gauge("evd_active_requests", "Open requests")
        self._healthy = metrics.gauge("evd_central_healthy", "1 while Central serves requests")
        self._cp_ids: set[str] = set()

    def dead_letter(self, topic: str) -> None:
        """A bad message was put aside."""
        self._dead.labels(topic).inc()

    def store_failed(self) -> None:
        """The database failed."""
        self._store_failures.inc()

    def took(self, events: Iterable[Event]) -> None:
        """Events were handled."""
        counts: dict[str, int] = {}
        for event in events:
            topic = _TOPIC_OF.get(type(event))
            if topic is not None:
                counts[topic] = counts.get(topic, 0) + 1
        for topic, count in counts.items():
            self._messages.labels(topic).inc(count)

    def saved(self, rows: Sequence[Row]) -> None:
        """Rows were stored."""
        self._commits.inc()
        for row in rows:
            if isinstance(row, FaultEvent):
                self._event(row)
            elif isinstance(row, Session):
                self._session(row)
            elif isinstance(row, Request) and row.status.final:
                self._requests.labels(row.status.value).inc()

    def _session(self, row: Session) -> None:
        if row.status is SessionStatus.ACTIVE:
            return
        if row.estimated:
            self._estimates.inc()
        else:
            self._sessions.labels(row.status.value).inc()
        if row.settled:
            self._energy.inc(row.energy_mwh / 1000)

    def _event(self, row: FaultEvent) -> None:
        counter = {
            EventType.FAULT: self._faults,
            EventType.RECOVERY: self._recoveries,
            EventType.DISCONNECTED: self._disconnections,
        }.get(row.event_type)
        if counter is not None:
            counter.labels(row.cp_id).inc()

    async def render(self, views: Sequence[CpView], active_requests: int, healthy: bool) -> bytes:
        """All of it as it stands now, in Prometheus' text format."""
        shown = dict.fromkeys(ShownState, 0)
        for view in views:
            shown[view.state] += 1
            self._breaker.labels(view.cp_id).set(_BREAKER_NUMBERS[view.breaker])
            self._up.labels(view.cp_id).set(view.state is ShownState.ON)
            if view.cp_id not in self._cp_ids:
                # From the first look on each of its counters is there, at 0.
                for counter in self._by_cp:
                    counter.labels(view.cp_id)
        for gone in self._cp_ids - {view.cp_id for view in views}:
            for metric in (self._breaker, self._up, *self._by_cp):
                metric.remove(gone)
        self._cp_ids = {view.cp_id for view in views}
        for state, count in shown.items():
            self._states.labels(state.value).set(count)
        self._active.set(active_requests)
        self._healthy.set(healthy)
        return await self._metrics.render_aside()
