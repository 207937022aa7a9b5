"""A driver's dashboard, the driver and the Central behind it played by a test."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import httpx
import orjson
import trio

from evd.adapters.files.notebook import NotSaved
from evd.adapters.http.access.driver_logins import DriverLogins
from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.gate import HttpGate
from evd.adapters.http.access.rates import UNBOUNDED, Rates
from evd.adapters.http.driver_app import driver_app, driver_open_paths
from evd.adapters.http.driver_central import DriverCentral
from evd.adapters.http.driver_points import PointsWatch
from evd.adapters.http.driver_stream import Streams
from evd.core.access.roles import Auth
from evd.core.driver.events import CurrentRequest, CurrentSession, Refuse, Wanted
from evd.core.wire.messages import DriverUpdate, RequestStatus
from evd.daemons.clock import now
from tests.adapters.http.site import served_at

ALICE = "driver-alice"
WALL = datetime(2026, 1, 31, 12, tzinfo=UTC)
SESSION = {
    "session_id": "session-1",
    "request_id": "req-1",
    "cp_id": "CP-001",
    "driver_id": ALICE,
    "start_time": "2026-01-31T12:00:00Z",
    "end_time": None,
    "total_kwh": 0.5,
    "total_cost": None,
    "status": "ACTIVE",
    "reason": "",
    "estimated": False,
    "billable": True,
}
RATES = {"kw_rate": 22.0, "euro_rate": 0.3, "location": "<b>Main St</b>"}
POINTS = [
    {"cp_id": "CP-001", "state": "ON", "available": True, **RATES},
    {"cp_id": "CP-002", "state": "ON", "available": False, "current_session": "s", **RATES},
    {"cp_id": "CP-003", "state": "BROKEN", "available": False, **RATES, "kw_rate": 50},
    {"cp_id": "CP-004", "state": "ON", "available": False, **RATES, "kw_rate": None},
]
CURRENT = CurrentSession("session-1", "CP-001", 22.0, 0.061, 0.0183, WALL, ((1.0, 22.0, 0.061),))


@attrs.define
class FakeDriver:
    """A driver that remembers what it was asked."""

    driver_id: str = ALICE
    reason: str | None = None
    session: CurrentSession | None = CURRENT
    wanted: list[object] = attrs.field(factory=list)
    refusal: Refuse | None = None
    disk_fails: bool = False
    more_news: list[DriverUpdate] = attrs.field(factory=list)
    open_requests: Sequence[CurrentRequest] = (
        CurrentRequest("req-1", "CP-001", "session-1", RequestStatus.IN_PROGRESS, "", False),
        CurrentRequest("req-2", None, None, RequestStatus.PENDING, "", True),
    )

    def unhealthy(self) -> str | None:
        return self.reason

    def current(self) -> CurrentSession | None:
        return self.session

    def notifications(self) -> Sequence[DriverUpdate]:
        accepted = DriverUpdate("req-1", ALICE, "CP-001", RequestStatus.ACCEPTED, "", ts=WALL)
        denied = DriverUpdate("req-0", ALICE, None, RequestStatus.DENIED, "<i>none</i>", ts=WALL)
        return [*reversed(self.more_news), accepted, denied]

    def requests(self) -> Sequence[CurrentRequest]:
        return self.open_requests

    def news(self, since: int = 0) -> tuple[int, Sequence[DriverUpdate]]:
        news = self.notifications()
        return len(news), news[: len(news) - since]

    async def ask(self, cp_id: str | None, vehicle_id: str | None) -> str | Refuse:
        if self.disk_fails:
            raise NotSaved("no space left")
        self.wanted.append((cp_id, vehicle_id))
        return self.refusal or "req-1"

    async def want(self, event: Wanted) -> Refuse | None:
        self.wanted.append(event)
        return self.refusal


@attrs.define
class FakeCentral:
    """A server in Central's place: its answer to each path, and the query strings it saw."""

    answers: dict[str, tuple[int, Any]] = attrs.field(factory=dict)
    queries: list[str] = attrs.field(factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.queries.append(scope["query_string"].decode())
        unknown = (404, {"error": "no such path", "field": "cp_id"})
        status, body = self.answers.get(scope["path"], unknown)
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": raw})


@attrs.define
class Scene:
    """A dashboard, its client, and who stands behind it."""

    client: httpx.AsyncClient
    service: FakeDriver
    central: FakeCentral
    stop_central: trio.Event
    stopping: trio.Event
    port: int

    async def json(self, path: str, status: int = 200) -> Any:
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def central_leaves(self) -> None:
        """From now on nothing listens where Central was."""
        self.stop_central.set()
        with trio.fail_after(5):
            while (await self.client.get("/drivers/driver-alice/sessions/history")).is_success:
                await trio.sleep(0.02)


@contextlib.asynccontextmanager
async def dashboard(
    auth: Auth = Auth.OFF, token: Callable[[], str | None] = lambda: None
) -> AsyncIterator[Scene]:
    """A driver's dashboard on a free port, whose `token` lets in."""
    service, stop_central, stopping = FakeDriver(), trio.Event(), trio.Event()
    central = FakeCentral(
        {
            "/cp": (200, {"charging_points": POINTS, "active_requests": 0}),
            "/cp/CP-001": (200, POINTS[0]),
            "/sessions": (200, {"sessions": [SESSION]}),
            "/sessions/session-1": (200, {**SESSION, "curve": [[1.0, 22.0, 0.006]]}),
            "/sessions/session-2": (200, {**SESSION, "driver_id": "driver-bob"}),
        }
    )
    async with (
        served_at(central, stop_central) as central_port,
        trio.open_nursery() as nursery,
    ):
        asked = DriverCentral(f"http://127.0.0.1:{central_port}")
        watch = PointsWatch(asked)
        nursery.start_soon(watch.run)
        logins = DriverLogins(ALICE, auth, token, lambda shown: shown == token(), now)
        app = driver_app(service, asked, Streams(service, watch, stopping), logins)
        gate = HttpGate(
            *(auth, logins.find, Rates(UNBOUNDED, trio.current_time), Proxies(strict=False)),
            lambda caller: None,
            paths=driver_open_paths(),
        )
        async with (
            served_at(app, stopping, gate=gate) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20.0) as client,
        ):
            yield Scene(client, service, central, stop_central, stopping, port)
        nursery.cancel_scope.cancel()
