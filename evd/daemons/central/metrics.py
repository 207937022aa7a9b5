"""Central's metrics: counted as events come in and rows are stored, measured when asked."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs
import trio

from evd.adapters.http.metrics import Family, Metrics
from evd.core.central.events import ChargeAsked, Event
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
    Action,
    CpStatus,
    DriverRequest,
    RequestStatus,
    SessionRecord,
    Telemetry,
)
from evd.daemons.timings import ANSWER_BUCKETS_S, Timings

READ_TOPICS = (REQUESTS, STATUS, TELEMETRY, SESSIONS)
# A monitor's REGISTER, a call, a client of the feed.
WOULD_REFUSE = ("monitor", "http", "feed")
_TOPIC_OF: dict[type, str] = {
    DriverRequest: REQUESTS,
    CpStatus: STATUS,
    Telemetry: TELEMETRY,
    SessionRecord: SESSIONS,
}
_BREAKER_NUMBERS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
_FINAL = [status.value for status in RequestStatus if status.final]
_ENDED = [status.value for status in SessionStatus if status is not SessionStatus.ACTIVE]
_COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
JOULES_PER_MWH = 3.6
# Counted for each charging point: name and text.
_CP_COUNTERS = {
    EventType.FAULT: ("evd_faults_total", "Faults of charging points"),
    EventType.RECOVERY: ("evd_recoveries_total", "Recoveries of charging points"),
    EventType.DISCONNECTED: ("evd_disconnections_total", "Monitors lost from sight"),
    "telemetry refused": ("evd_telemetry_refused_total", "Readings that can't be, ignored"),
}


@attrs.frozen
class Gauged:
    """Central as it stands now.

    `views` is None while it has no core; `unhealthy` says why it can't serve requests, if so.
    `awaited`: the charging points whose records it waits for after a restore.  `standbys`: how many
    other Centrals stand by.
    """

    views: Sequence[CpView] | None
    active_requests: int = 0
    active_sessions: int = 0
    awaited: int = 0
    broker_up: bool = True
    unhealthy: str | None = None
    epoch: int = 0
    standbys: int = 0


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
        self._of_cp: dict[str, Counter[str]] = {kind: Counter() for kind in _CP_COUNTERS}
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
        self._energy = counter("evd_energy_joules_total", "Energy of settled sessions")
        self._nacks = counter(
            "evd_nacks_total",
            "Messages of monitors that were not taken",
            {"code": [code.value for code in NackCode]},
        )
        self._would_refuse = counter(*metrics.WOULD_REFUSE, {"what": WOULD_REFUSE})
        self._commit_s = metrics.histogram(
            "evd_commit_seconds", "Commits to the database, by their duration", _COMMIT_BUCKETS_S
        )
        self._accepted_s = metrics.histogram(
            "evd_request_accepted_seconds",
            "Requests that were ACCEPTED, by the time since they came in",
            ANSWER_BUCKETS_S,
        )
        self._asked = Timings()
        self.store_failures = counter("evd_store_failures_total", "Times the database failed")
        self._states = gauge(
            "evd_charging_points",
            "Charging points by the state that is shown",
            {"state": [state.value for state in ShownState]},
        )
        self._active = gauge("evd_active_requests", "Open requests")
        self._charging = gauge("evd_active_sessions", "Sessions that run, or whose end is awaited")
        self._awaited = gauge(
            "evd_awaited_charging_points",
            "Charging points whose records a restored Central awaits before it begins sessions",
        )
        self._database_up = gauge("evd_database_up", "1 while the database stores")
        self._broker_up = gauge("evd_broker_up", "1 while Kafka answers")
        self._unhealthy: str | None = "Central is starting"
        metrics.watch_health(lambda: self._unhealthy)
        self._count_centrals(metrics)

    def _count_centrals(self, metrics: Metrics) -> None:
        gauge = metrics.gauge
        self._serving = gauge(
            "evd_central_active", "1 while this Central serves; one that stands by answers nothing"
        )
        self._epoch = gauge(
            "evd_central_epoch", "The number of the start that serves: it rises with each"
        )
        self._standbys = gauge(
            "evd_central_standbys", "Other Centrals that stand by on the same database"
        )

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

    def count_would_refuse(self, what: str) -> None:
        """Count one that was taken, and would not be with --auth required."""
        self._would_refuse.labels(what).inc()

    def count_refused_telemetry(self, cp_id: str) -> None:
        """Count a reading that can't be."""
        self._of_cp["telemetry refused"][cp_id] += 1

    def note_requests(self, events: Iterable[Event]) -> None:
        """Note when the requests among the events came in; again is not later."""
        for event in events:
            match event:
                case DriverRequest(action=Action.START) | ChargeAsked():
                    self._asked.ask(event.request_id, trio.current_time())

    def count_events(self, events: Iterable[Event]) -> None:
        """Count the messages among the events that were handled."""
        topics = Counter(_TOPIC_OF[type(event)] for event in events if type(event) in _TOPIC_OF)
        for topic, count in topics.items():
            self._messages.labels(topic).inc(count)

    def count_commit(self, rows: Sequence[Row], duration_s: float) -> None:
        """Count one commit, of these rows."""
        self._commit_s.observe(duration_s)
        for row in rows:
            match row:
                case FaultEvent() if row.event_type in self._of_cp:
                    self._of_cp[row.event_type][row.cp_id] += 1
                case Session() if row.status is not SessionStatus.ACTIVE:
                    self._count_ended(row)
                case Request() if row.status is not RequestStatus.PENDING:
                    self._count_request(row)

    def _count_request(self, row: Request) -> None:
        waited_s = self._asked.end(row.request_id, trio.current_time())
        if row.status is RequestStatus.ACCEPTED and waited_s is not None:
            self._accepted_s.observe(waited_s)
        if row.status.final:
            self._requests.labels(row.status.value).inc()

    def _count_ended(self, row: Session) -> None:
        if row.suspect:
            self._suspects.inc()
        elif row.estimated:
            self._estimates.inc()
        else:
            self._sessions.labels(row.status.value).inc()
        if row.settled:
            self._energy.inc(row.energy_mwh * JOULES_PER_MWH)

    async def render(self, gauged: Gauged) -> bytes:
        """Return everything as it stands now, in Prometheus' text format."""
        views = gauged.views or ()
        shown = Counter(view.state for view in views)
        for state in ShownState:
            self._states.labels(state.value).set(shown[state])
        self._active.set(gauged.active_requests)
        self._charging.set(gauged.active_sessions)
        self._awaited.set(gauged.awaited)
        self._serving.set(gauged.views is not None)
        self._epoch.set(gauged.epoch)
        self._standbys.set(gauged.standbys)
        self._database_up.set(gauged.views is not None)
        self._broker_up.set(gauged.broker_up)
        self._unhealthy = gauged.unhealthy
        if gauged.views is not None:
            self._forget_all_but({view.cp_id for view in views})
        # Others count on while they are written.
        counts = {kind: counter.copy() for kind, counter in self._of_cp.items()}
        families = itertools.chain(_counted(views, counts), _measured(views))
        return await self._metrics.render_with(families)

    def _forget_all_but(self, cp_ids: set[str]) -> None:
        for counts in self._of_cp.values():
            for gone in counts.keys() - cp_ids:
                del counts[gone]


def _counted(views: Sequence[CpView], counts: Mapping[str, Counter[str]]) -> Iterator[Family]:
    # A series starts at 0, or its first event would have no rate.
    zeros = dict.fromkeys((view.cp_id for view in views), 0)
    for kind, (name, text) in _CP_COUNTERS.items():
        found = zeros | counts[kind]
        series = ((f'cp_id="{cp_id}"', count) for cp_id, count in found.items())
        yield Family(name, "counter", text, series)


def _measured(views: Sequence[CpView]) -> Iterator[Family]:
    yield Family(
        "evd_charging_point_state",
        "gauge",
        "1 for the state of the charging point that is shown, 0 for the others",
        (
            (f'cp_id="{view.cp_id}",state="{state}"', int(view.state is state))
            for view in views
            for state in ShownState
        ),
    )
    yield Family(
        "evd_breaker_state",
        "gauge",
        "The circuit breaker of the charging point: 0 closed, 1 half open, 2 open",
        ((f'cp_id="{view.cp_id}"', _BREAKER_NUMBERS[view.breaker]) for view in views),
    )
    yield Family(
        "evd_charging_point_power_watts",
        "gauge",
        "Power that the charging point supplies, by its newest telemetry",
        (
            (f'cp_id="{view.cp_id}"', 1000 * view.telemetry.kw if view.telemetry else 0)
            for view in views
        ),
    )
