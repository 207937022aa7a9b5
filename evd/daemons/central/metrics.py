"""Central's metrics: counted as events come in and rows are stored, measured when asked."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from evd.adapters.http.metrics import Labels, Metrics
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
from evd.core.wire.control import FromCentral, Nack, NackCode
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
    """The metrics of Central.  `store_failures` and `turned_away` are for the loop to count."""

    def __init__(self, metrics: Metrics) -> None:
        counter, gauge = metrics.counter, metrics.gauge
        self._metrics = metrics
        self._messages = counter(
            "evd_messages_total", "Good messages read from Kafka", {"topic": READ_TOPICS}
        )
        self._dead_letters = counter(
            "evd_dead_letters_total", "Bad messages put aside", {"topic": READ_TOPICS}
        )
        self._recent_dead_letters = gauge(*metrics.RECENT_DEAD_LETTERS)
        self._connections = gauge("evd_monitor_connections", "Open connections of monitors")
        self._connections_max = gauge("evd_monitor_connections_max", "Places for monitors")
        self.turned_away = counter(
            "evd_monitors_turned_away_total", "Connections of monitors that found no place"
        )
        of_cp: Labels = {"cp_id": ()}
        self._cp_events = {
            EventType.FAULT: counter("evd_faults_total", "Faults of charging points", of_cp),
            EventType.RECOVERY: counter(
                "evd_recoveries_total", "Recoveries of charging points", of_cp
            ),
            EventType.DISCONNECTED: counter(
                "evd_disconnections_total", "Monitors lost from sight", of_cp
            ),
        }
        self._telemetry_refused = counter(
            "evd_telemetry_refused_total", "Readings that can't be, ignored", of_cp
        )
        self._requests = counter(
            "evd_requests_total", "Requests that got their final status", {"status": _FINAL}
        )
        self._sessions = counter("evd_sessions_total", "Sessions that ended", {"status": _ENDED})
        self._estimates = counter(
            "evd_sessions_estimated_total", "Sessions closed without their engine's record"
        )
        self._suspects = counter(
            "evd_sessions_suspect_total", "Sessions whose record can't be, left to the operator"
        )
        self._energy_wh = counter("evd_energy_wh_total", "Energy of settled sessions")
        self._nacks = counter(
            "evd_nacks_total",
            "Messages of monitors that were not taken",
            {"code": [code.value for code in NackCode]},
        )
        self._commits = counter("evd_commits_total", "Commits to the database")
        self.store_failures = counter("evd_store_failures_total", "Times the database failed")
        self._breaker = gauge("evd_breaker_state", "0 closed, 1 half open, 2 open", of_cp)
        self._up = gauge("evd_charging_point_up", "1 while a charging point is ON", of_cp)
        self._states = gauge(
            "evd_charging_points",
            "Charging points by the state that is shown",
            {"state": [state.value for state in ShownState]},
        )
        self._active = gauge("evd_active_requests", "Open requests")
        self._healthy = gauge("evd_central_healthy", "1 while Central serves requests")
        self._cp_ids: set[str] = set()

    def watch(self, connections: Callable[[], int], connections_max: int) -> None:
        """Measure the `connections` of monitors, of which there may be `connections_max`."""
        self._connections.set_function(connections)
        self._connections_max.set(connections_max)

    def watch_dead_letters(self, recent: Callable[[], int]) -> None:
        """Measure the `recent` bad messages."""
        self._recent_dead_letters.set_function(recent)

    def count_dead_letter(self, topic: str) -> None:
        """Count a bad message that was put aside."""
        self._dead_letters.labels(topic).inc()

    def count_answer(self, answer: FromCentral) -> None:
        """Count an answer to a monitor, if it is a NACK."""
        if isinstance(answer, Nack) and answer.code is not None:
            self._nacks.labels(answer.code).inc()

    def count_refused_telemetry(self, cp_id: str) -> None:
        """Count a reading that can't be."""
        self._telemetry_refused.labels(cp_id).inc()

    def count_events(self, events: Iterable[Event]) -> None:
        """Count the messages among the events that were handled."""
        topics = Counter(_TOPIC_OF[type(event)] for event in events if type(event) in _TOPIC_OF)
        for topic, count in topics.items():
            self._messages.labels(topic).inc(count)

    def count_rows(self, rows: Sequence[Row]) -> None:
        """Count one commit, of these rows."""
        self._commits.inc()
        for row in rows:
            match row:
                case FaultEvent() if row.event_type in self._cp_events:
                    self._cp_events[row.event_type].labels(row.cp_id).inc()
                case Session() if row.status is not SessionStatus.ACTIVE:
                    self._count_ended(row)
                case Request() if row.status.final:
                    self._requests.labels(row.status.value).inc()

    def _count_ended(self, row: Session) -> None:
        if row.suspect:
            self._suspects.inc()
        elif row.estimated:
            self._estimates.inc()
        else:
            self._sessions.labels(row.status.value).inc()
        if row.settled:
            self._energy_wh.inc(row.energy_mwh / 1000)

    async def render(self, views: Sequence[CpView], active_requests: int, healthy: bool) -> bytes:
        """Return everything as it stands now, in Prometheus' text format."""
        shown = dict.fromkeys(ShownState, 0)
        for view in views:
            shown[view.state] += 1
            self._breaker.labels(view.cp_id).set(_BREAKER_NUMBERS[view.breaker])
            self._up.labels(view.cp_id).set(view.state is ShownState.ON)
            if view.cp_id not in self._cp_ids:
                # A series starts at 0, or its first event would have no rate.
                for counter in (self._telemetry_refused, *self._cp_events.values()):
                    counter.labels(view.cp_id)
        for gone in self._cp_ids - {view.cp_id for view in views}:
            counters = (self._telemetry_refused, *self._cp_events.values())
            for metric in (self._breaker, self._up, *counters):
                metric.remove(gone)
        self._cp_ids = {view.cp_id for view in views}
        for state, count in shown.items():
            self._states.labels(state.value).set(count)
        self._active.set(active_requests)
        self._healthy.set(healthy)
        return await self._metrics.render_aside()
