"""A Central that says what a test has put into it, and notes what it was asked; its HTTP calls."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import attrs
import httpx
from litestar import Litestar

from evd.adapters.http.access.logins import Logins
from evd.adapters.http.access.passes import KEY, OPEN_PASS, Pass
from evd.adapters.http.central_app import central_app
from evd.adapters.http.central_service import CentralService
from evd.adapters.store import Page, SessionFilter
from evd.adapters.store.failures import UnknownRow
from evd.adapters.store.history_queries import TimelineEntry
from evd.adapters.store.report import Grouping, ReportRow
from evd.core.access.access import Access
from evd.core.access.events import AccessAsked, CallNoted
from evd.core.access.roles import Auth
from evd.core.access.rows import AuditEntry, Outcome
from evd.core.access.unready import Unready
from evd.core.central.access_calls import AccessCalls
from evd.core.central.events import Accepted, Asked, Reply
from evd.core.central.point import Point
from evd.core.central.power import PowerPoint
from evd.core.central.recovery import Recovery
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    Request,
    Session,
    SessionCurve,
    SessionStatus,
    ShownState,
)
from evd.core.central.spans import CpStates, StateSpan
from evd.core.central.state import State
from evd.core.central.statistics import FaultStatistics
from evd.core.central.timeline import entry_of_end
from evd.core.central.views import CpView, LiveMeter
from evd.core.curve import CurvePoint
from evd.core.effects import Now
from evd.core.standby.events import Standby
from evd.core.wire.control import EngineStatus
from evd.core.wire.messages import CpState, RequestStatus, Telemetry
from evd.daemons.clock import now

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
NOON_TEXT = "2026-01-31T12:00:00.123456Z"

METER = LiveMeter(22.0, 1.5, 0.45, "session-1", "driver-alice", NOON)
SUPPLYING = CpView(
    cp_id="CP-001",
    state=ShownState.ON,
    state_since=NOON,
    available=False,
    unavailable_reason="it is occupied by session-1",
    stopped=False,
    engine_state=CpState.SUPPLYING,
    engine_status=EngineStatus.OK,
    monitor_status=EngineStatus.OK,
    breaker=BreakerState.CLOSED,
    unconfirmed=0,
    current_driver="driver-alice",
    current_session="session-1",
    kw_rate=22.0,
    euro_rate=0.3,
    location="Main Street 1",
    last_update=NOON,
    monitor_last_seen=NOON,
    telemetry=METER,
)
NEVER_SEEN = Point(ChargingPoint("CP-002"), 0.0).view(None, 0.0)
ENDED = Session(
    session_id="session-1",
    request_id="req-1",
    cp_id="CP-001",
    driver_id="driver-alice",
    start_time=NOON,
    end_time=NOON,
    energy_mwh=61_111,
    cost_cents=2,
    status=SessionStatus.COMPLETED,
    settled=True,
)
RUNNING = Session(
    session_id="session-2",
    request_id="req-2",
    cp_id="CP-001",
    driver_id="driver-bob",
    start_time=NOON,
    energy_mwh=1_500_000,
)


@attrs.define
class _Memory:
    """The part of Central's core in which its calls about access work."""

    access: Access = attrs.Factory(Access)
    now: Now = attrs.Factory(now)
    # Its monitors were heard: an import makes nobody wait.
    speaks: bool = True
    points: dict[str, Point] = attrs.Factory(dict)


@attrs.define
class FakeCentral:
    """The CentralService of the tests: what it answers are its fields.

    People, tokens and logins are those of a real core.
    """

    central_id: str = "central-1"
    uptime_s: float = 12.3456
    feed_port: int = 8765
    unreadable: list[str] = attrs.Factory(lambda: ["session session-7"])
    reason: str | None = None
    points: list[CpView] = attrs.Factory(lambda: [SUPPLYING, NEVER_SEEN])
    reply: Reply = attrs.Factory(lambda: Reply(1, Accepted()))
    failure: Exception | None = None
    sums: list[ReportRow] = attrs.Factory(
        lambda: [ReportRow("2026-01", 2, 1_561_111, 47), ReportRow("2026-02", 1, 0, 0)]
    )
    asked: list[Asked] = attrs.Factory(list)
    queries: list[tuple[Any, ...]] = attrs.Factory(list)
    told: list[CallNoted] = attrs.Factory(list)
    # Those that stand by here, and why none of them can serve.
    others: list[Standby] | None = None
    refuses_switch: str = ""
    stands_by: bool = False
    would_refuse: list[str] = attrs.Factory(list)
    memory: _Memory = attrs.Factory(_Memory)

    def unhealthy(self) -> str | None:
        return self.reason

    async def charging_points(self) -> Sequence[CpView]:
        self._fail()
        return self.points

    def charging_point(self, cp_id: str) -> CpView | None:
        return next((point for point in self.points if point.cp_id == cp_id), None)

    def active_requests(self) -> int:
        return 3

    def telemetry(self) -> Sequence[Telemetry]:
        return [
            Telemetry(
                "CP-001",
                "boot-1",
                "session-1",
                "driver-alice",
                22.0,
                1.5,
                0.45,
                ts=NOON,
                message_id="message-1",
            )
        ]

    def curve(self, session_id: str) -> tuple[CurvePoint, ...]:
        return ((1.0, 22.0, 0.006111), (2.5, 21.5, 0.015)) if session_id == "session-2" else ()

    def new_request_id(self) -> str:
        return "req-new"

    async def metrics(self) -> bytes:
        return b"# TYPE evd_faults_total counter\nevd_faults_total 0.0\n"

    async def ask(self, make: Callable[[int], Asked]) -> Reply:
        event = make(7)
        self.asked.append(event)
        if isinstance(event, AccessAsked):
            self.memory.now = now()
            state = cast(State, self.memory)
            effects = AccessCalls(state, Recovery(state)).on_asked(event)
            return next(each for each in effects if isinstance(each, Reply))
        return self.reply

    @property
    def access(self) -> Access:
        self._fail()
        return self.memory.access

    @property
    def standbys(self) -> Sequence[Standby] | None:
        return self.others

    def hand_over(self) -> str:
        return self.refuses_switch

    async def tell(self, event: CallNoted) -> None:
        self.told.append(event)

    def unready(self) -> Sequence[Unready]:
        return self.memory.access.unready(now())

    @property
    def store(self) -> "FakeCentral":
        return self

    async def request(self, request_id: str) -> Request | None:
        self._note("request", request_id)
        if request_id != "req-1":
            return None
        return Request("req-1", "driver-alice", None, None, RequestStatus.PENDING, "", NOON, NOON)

    async def session(self, session_id: str) -> tuple[Session, SessionCurve | None] | None:
        self._note("session", session_id)
        curve = SessionCurve("session-1", ((0.5, 22.0, 0.003055),))
        return {"session-1": (ENDED, curve), "session-2": (RUNNING, None)}.get(session_id)

    async def sessions(
        self,
        cp_id: str | None,
        driver_id: str | None,
        status: SessionStatus | None,
        limit: int,
        before: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Sequence[Session]:
        self._note("sessions", cp_id, driver_id, status, limit, before, since, until)
        return [RUNNING, ENDED]

    async def all_sessions(
        self,
        which: SessionFilter,
        shape: Callable[[Sequence[Session]], bytes],
        limit: int | None,
    ) -> AsyncIterator[bytes]:
        self._note("all_sessions", which, limit)
        for row in (RUNNING, ENDED):
            yield shape([row])

    async def report(
        self,
        by: Grouping,
        which: SessionFilter,
        rows_max: int,
        shape: Callable[[Sequence[ReportRow]], bytes],
    ) -> bytes:
        self._note("report", by, which)
        return shape(self.sums[:rows_max])

    async def faults(self, cp_id: str | None, page: Page) -> Mapping[int, FaultEvent]:
        self._note("faults", cp_id, page)
        return {12: FaultEvent("CP-001", EventType.FAULT, "refused", NOON)}

    async def audit(self, cp_id: str | None, page: Page) -> Mapping[int, AuditEntry]:
        self._note("audit", cp_id, page)
        where = "192.0.2.1"
        return {7: AuditEntry(NOON, "alice", "admin", where, "cp stop", "CP-001", Outcome.DONE)}

    async def states(
        self, cp_ids: Sequence[str], since: datetime, until: datetime
    ) -> Sequence[CpStates]:
        self._note("states", list(cp_ids), since, until)
        spans = [StateSpan(None, since, NOON), StateSpan(ShownState.ON, NOON, until)]
        return [CpStates(cp_id, spans) for cp_id in cp_ids]

    async def power(
        self, cp_id: str | None, since: datetime, until: datetime
    ) -> Sequence[PowerPoint]:
        self._note("power", cp_id, since, until)
        return [PowerPoint(NOON, 44.0)]

    async def timeline(
        self,
        cp_id: str | None,
        limit: int,
        before: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Sequence[TimelineEntry]:
        self._note("timeline", cp_id, limit, before, since, until)
        if before == "nothing":
            raise UnknownRow(before)
        return [TimelineEntry("1e-session-1", entry_of_end(ENDED))]

    async def fault_statistics(
        self, cp_id: str | None, days: int, now: datetime
    ) -> Sequence[FaultStatistics]:
        self._note("fault_statistics", cp_id, days)
        return [FaultStatistics("CP-001", 1, 1, 0, None, 2.0, 0.5)]

    async def health_history(self, cp_id: str | None, page: Page) -> Mapping[int, HealthSnapshot]:
        self._note("health_history", cp_id, page)
        return {
            34: HealthSnapshot("CP-001", ShownState.ON, None, False, "", BreakerState.CLOSED, NOON)
        }

    def _note(self, *query: Any) -> None:
        self._fail()
        self.queries.append(query)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class _Asked:
    """The service of the client whose call is being answered."""

    current: ContextVar[FakeCentral] = ContextVar("current")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current.get(), name)


@cache
def shared(auth: Auth = Auth.OFF) -> tuple[Litestar, Logins]:
    """One app for all tests, and its logins: to make one takes longer than a test's calls of it.

    It answers for the Central that `serve_for` names.
    """
    service = cast(FakeCentral, _Asked())
    logins = logins_of(service, auth)
    return central_app(cast(CentralService, service), logins), logins


def serve_for(service: FakeCentral) -> None:
    """Have the shared app answer for this Central, in this task and those that it begins."""
    _Asked.current.set(service)


def app_of(service: FakeCentral) -> Litestar:
    """An app of its own for `service`."""
    return central_app(cast(CentralService, service), logins_of(service, Auth.OFF))


def logins_of(service: FakeCentral, auth: Auth) -> Logins:
    """The logins of `service`."""
    return Logins(
        cast(CentralService, service), auth, now, lambda what: service.would_refuse.append(what)
    )


class Client(httpx.AsyncClient):
    """A client of the app behind which `service` stands, whose calls come with `caller`."""

    def __init__(self, service: FakeCentral, caller: Pass = OPEN_PASS) -> None:
        self.service = service
        self.caller = caller
        transport = httpx.ASGITransport(app=self._answer)
        super().__init__(transport=transport, base_url="http://central.example:8000")

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        serve_for(self.service)
        scope[KEY] = self.caller
        app, _ = shared()
        await app(scope, receive, send)


def assert_error(answer: httpx.Response, status: int, field: str | None = None) -> str:
    """That the answer has the one shape of an error; returns its sentence."""
    body = answer.json()
    assert answer.status_code == status, body
    assert answer.headers["content-type"] == "application/json"
    assert set(body) == {"error"} | ({"field"} if field is not None else set())
    assert body.get("field") == field
    assert "Traceback" not in body["error"]
    sentence = body["error"]
    assert isinstance(sentence, str)
    assert sentence
    return sentence
