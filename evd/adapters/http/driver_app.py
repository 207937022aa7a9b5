"""A driver's dashboard: its HTTP, each route a question to the `DriverService` or to Central.

Answers that the driver knows itself need no Central; those that only Central knows are a 503, or
OFFLINE, while it is away.  Imported only where a dashboard is asked for.
"""

from typing import Final, cast

import attrs
from litestar import Litestar, Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response.base import ASGIResponse

from evd.adapters.files.notebook import NotSaved
from evd.adapters.http.access.driver_login_routes import routes as login_routes
from evd.adapters.http.access.driver_logins import DriverLogins, DriverLoginsHere
from evd.adapters.http.access.rights import PassHere, Paths
from evd.adapters.http.api import HTML, Routes, json_api, open_paths_of
from evd.adapters.http.body import Body
from evd.adapters.http.central_client import CentralAway
from evd.adapters.http.driver_central import DriverCentral, Occupancy, PointShown
from evd.adapters.http.driver_page import driver_page, service_worker
from evd.adapters.http.driver_service import DriverService, Notification
from evd.adapters.http.driver_stream import EVENT_STREAM, Streams
from evd.adapters.http.errors import AnyRequest, answering
from evd.adapters.http.json_response import JsonResponse
from evd.adapters.http.pages import PageAccess
from evd.adapters.http.parameters import (
    LIMIT_DEFAULT,
    Before,
    CpIdInPath,
    DriverIdInPath,
    Limit,
    MinPower,
    OnlyAvailable,
    RequestIdInPath,
    SessionIdInPath,
)
from evd.adapters.http.refused import Refused
from evd.adapters.http.schemas import RequestTaken, SessionShown, SessionTaken, shown
from evd.core.access.roles import Right
from evd.core.driver.events import (
    CancelWanted,
    CurrentRequest,
    CurrentSession,
    Obstacle,
    Refuse,
    StopWanted,
)
from evd.core.wire.fields import check_cp_id, check_id

SERVICE: Final = "evd-driver"
RETRY_S: Final = 2

_STATUSES: Final = {Obstacle.UNKNOWN: 404, Obstacle.OVER: 409, Obstacle.FULL: 503}


@attrs.frozen
class DriverHealth:
    """The driver can be served."""

    status: str
    service: str
    driver_id: str


@attrs.frozen
class DriverUnhealthy(DriverHealth):
    """The driver can't be served; `error` says why."""

    error: str


ServiceHere = NamedDependency[SkipValidation[DriverService]]
CentralHere = NamedDependency[SkipValidation[DriverCentral]]
StreamsHere = NamedDependency[SkipValidation[Streams]]

routes: Final = Routes()
routes.handlers.append(service_worker)


def driver_app(
    service: DriverService, central: DriverCentral, streams: Streams, logins: DriverLogins
) -> Litestar:
    """The app that answers for the driver behind `service`; its pages follow `streams`, and those
    who read them have `logins`."""
    return json_api(
        title=f"Dashboard of {service.driver_id}",
        description="Charging points, requests, sessions and notifications of one driver.",
        routes=Routes(routes, login_routes),
        dependencies={
            "service": service,
            "central": central,
            "streams": streams,
            "logins": logins,
        },
        exception_handlers={
            NotSaved: answering(_refuse_unsaved),
            CentralAway: answering(_refuse_without_central),
        },
    )


def driver_open_paths() -> Paths:
    """The paths of the app that strangers may call."""
    return open_paths_of(routes, login_routes)


def _refuse_unsaved(error: NotSaved) -> Refused:
    why = f"nothing was asked, because it could not be saved: {error}"
    return Refused(503, why, retry_s=RETRY_S)


def _refuse_without_central(error: CentralAway) -> Refused:
    return Refused(503, str(error), retry_s=RETRY_S)


@routes.get("/", "The dashboard", "A page", media_type=HTML, right=None)
async def show_dashboard(
    service: ServiceHere, logins: DriverLoginsHere, caller: PassHere
) -> Response[str]:
    """Charging points, the running session, the bills and what was told; made for a phone."""
    return driver_page(service.driver_id, PageAccess.of(logins.auth, caller))


@routes.get(
    "/health", "Whether the driver can be served", "It can", 503, unless=DriverUnhealthy, right=None
)
async def show_health(service: ServiceHere, caller: PassHere) -> Response[DriverHealth]:
    """503 while the broker or Central is away, or the disk refuses.  A stranger is told the
    `status` alone."""
    reason = service.unhealthy()
    if not caller.may(Right.SEE):
        status = "healthy" if reason is None else "unhealthy"
        code = 200 if reason is None else 503
        return JsonResponse(cast(DriverHealth, {"status": status}), status_code=code)
    if reason is None:
        return Response(DriverHealth("healthy", SERVICE, service.driver_id))
    unhealthy = DriverUnhealthy("unhealthy", SERVICE, service.driver_id, reason)
    return Response(unhealthy, status_code=503)


@routes.get("/charging-points", "Charging points", "In Central's order", 503, right=Right.SEE)
async def list_charging_points(
    central: CentralHere, only_available: OnlyAvailable = "false", min_power_kw: MinPower = 0.0
) -> list[PointShown]:
    """While Central is away those that it showed last, OFFLINE; 503 where none can be told."""
    only_free = only_available == "true"
    try:
        points = await central.charging_points()
    except CentralAway:
        if only_free or not central.known_points:
            raise
        points = central.known_points
    return [
        point
        for point in points
        if (not only_free or point.status is Occupancy.FREE)
        and (not min_power_kw or (point.kw_rate is not None and point.kw_rate >= min_power_kw))
    ]


@routes.get(
    "/charging-points/{cp_id:str}",
    "One charging point",
    "The charging point",
    404,
    503,
    right=Right.SEE,
)
async def show_charging_point(central: CentralHere, cp_id: CpIdInPath) -> PointShown:
    """While Central is away OFFLINE, if it was ever shown here."""
    try:
        point = await central.charging_point(cp_id)
    except CentralAway:
        point = next((each for each in central.known_points if each.cp_id == cp_id), None)
        if point is None:
            raise
    if point is None:
        raise Refused(404, f"no charging point {cp_id} is known", field="cp_id")
    return point


_ASK: Final = Body(
    "Where to charge (null or `any`: Central chooses), and with which vehicle.",
    "cp_id",
    or_null=True,
    cp_id=check_cp_id,
    vehicle_id=check_id,
)


@routes.post(
    "/drivers/{driver_id:str}/requests",
    "Ask for a charge",
    "It is saved and being asked",
    404,
    operation_class=_ASK.operation,
    right=Right.CHARGE,
)
async def ask_for_charge(
    request: AnyRequest, service: ServiceHere, driver_id: DriverIdInPath
) -> RequestTaken:
    """Asked until Central answers; its end is told as a notification, in bounded time."""
    _check_driver(service, driver_id)
    body = await _ASK.read(request)
    return RequestTaken(_done(await service.ask(body["cp_id"], body["vehicle_id"])))


@routes.get(
    "/drivers/{driver_id:str}/requests", "Open requests", "Newest first", 404, right=Right.SEE
)
async def list_requests(service: ServiceHere, driver_id: DriverIdInPath) -> list[CurrentRequest]:
    """Those that have not ended, as the driver knows them, also while Central is away."""
    _check_driver(service, driver_id)
    return list(reversed(service.requests()))


@routes.delete(
    "/drivers/{driver_id:str}/requests/{request_id:str}",
    "End a request",
    "It is being ended",
    404,
    409,
    right=Right.CHARGE,
)
async def end_request(
    service: ServiceHere, driver_id: DriverIdInPath, request_id: RequestIdInPath
) -> None:
    """It is cancelled, or its session stopped and billed; 409 for one that has ended."""
    _check_driver(service, driver_id)
    _done(await service.want(CancelWanted(request_id)))


@routes.get(
    "/drivers/{driver_id:str}/sessions/current",
    "The running session",
    "The session, or null",
    404,
    right=Right.SEE,
)
async def show_current_session(
    service: ServiceHere, driver_id: DriverIdInPath
) -> CurrentSession | None:
    """As the driver knows it, also while Central is away; its meter is null before a reading."""
    _check_driver(service, driver_id)
    return service.current()


@routes.post(
    "/drivers/{driver_id:str}/sessions/{session_id:str}/stop",
    "Stop the session",
    "It is being stopped",
    404,
    409,
    right=Right.CHARGE,
)
async def stop_session(
    service: ServiceHere, driver_id: DriverIdInPath, session_id: SessionIdInPath
) -> SessionTaken:
    """The driver has had enough: it is billed for its reading; 409 for one that has ended."""
    _check_driver(service, driver_id)
    _done(await service.want(StopWanted(session_id)))
    return SessionTaken(session_id)


@routes.get(
    "/drivers/{driver_id:str}/sessions/history",
    "Sessions",
    "Newest first",
    404,
    503,
    right=Right.SEE,
)
async def list_sessions(
    service: ServiceHere,
    central: CentralHere,
    driver_id: DriverIdInPath,
    limit: Limit = LIMIT_DEFAULT,
    before: Before = None,
) -> Response[list[SessionShown]]:
    """As Central keeps them; the next page is what is `before` the last of this one."""
    _check_driver(service, driver_id)
    found = await central.sessions(driver_id=driver_id, limit=limit, before=before)
    # Passed on as they are, so that fields of a newer Central get through.
    return Response(cast(list[SessionShown], found))


@routes.get(
    "/drivers/{driver_id:str}/sessions/{session_id:str}",
    "One session",
    "The session and its curve",
    404,
    503,
    right=Right.SEE,
)
async def show_session(
    service: ServiceHere,
    central: CentralHere,
    driver_id: DriverIdInPath,
    session_id: SessionIdInPath,
) -> Response[SessionShown]:
    """As Central keeps it; `curve` has points of seconds since the start, kW and kWh."""
    _check_driver(service, driver_id)
    found = await central.session(session_id)
    if found is None or found.get("driver_id") != driver_id:
        raise Refused(404, f"no session {session_id} of {driver_id}", field="session_id")
    return Response(cast(SessionShown, found))


@routes.get(
    "/drivers/{driver_id:str}/events",
    "All that changes, as it changes",
    "Server-Sent Events",
    404,
    503,
    media_type=EVENT_STREAM,
    right=Right.SEE,
)
async def follow(
    service: ServiceHere,
    streams: StreamsHere,
    logins: DriverLoginsHere,
    caller: PassHere,
    driver_id: DriverIdInPath,
) -> ASGIResponse:
    """A `snapshot` of everything, then an `update` with the keys that changed; `alive` at times."""
    _check_driver(service, driver_id)
    return streams.answer(lambda: logins.is_still(caller))


@routes.get(
    "/drivers/{driver_id:str}/notifications",
    "What the driver was told",
    "Newest first",
    404,
    right=Right.SEE,
)
async def list_notifications(
    service: ServiceHere, driver_id: DriverIdInPath, limit: Limit = LIMIT_DEFAULT
) -> list[Notification]:
    """The lines of its terminal, also while Central is away."""
    _check_driver(service, driver_id)
    return [shown(Notification, update) for update in service.notifications()[:limit]]


def _check_driver(service: DriverService, driver_id: str) -> None:
    if driver_id != service.driver_id:
        raise Refused(404, f"this is the dashboard of {service.driver_id}", field="driver_id")


def _done(outcome: str | Refuse | None) -> str:
    if isinstance(outcome, Refuse):
        raise Refused(_STATUSES[outcome.obstacle], outcome.reason)
    return outcome or ""
