"""A driver's dashboard: its HTTP, each route a question to the `DriverService` or to Central.

What the driver itself decides and knows is answered while Central is away too; what only Central
knows is then a 503, or shown OFFLINE.  Imported only where a dashboard is asked for.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Protocol

import attrs
from litestar import Litestar, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.schema import Schema
from litestar.params import Parameter, SkipValidation

from evd.adapters.files.notebook import NotSaved
from evd.adapters.http.api import CHANGE_ERRORS, HTML, answers, json_api, json_response, taking
from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.http.driver_central import DriverCentral, Occupancy, PointShown
from evd.adapters.http.driver_page import driver_page
from evd.adapters.http.errors import AnyRequest, Refused, error_response, read_object
from evd.adapters.http.pages import html_response
from evd.adapters.http.parameters import (
    Before,
    CpIdInPath,
    Limit,
    RequestIdInPath,
    SessionIdInPath,
    read_limit,
)
from evd.adapters.http.schemas import RequestTaken, SessionShown, SessionTaken, render
from evd.core.driver.events import (
    CancelWanted,
    CurrentSession,
    Obstacle,
    Refuse,
    StopWanted,
    Wanted,
)
from evd.core.driver.requests_file import ANY_CP
from evd.core.wire.fields import FieldError, check_cp_id, check_id
from evd.core.wire.messages import DriverUpdate

SERVICE: Final = "evd-driver"
RETRY_S: Final = 2

_STATUSES: Final = {Obstacle.UNKNOWN: 404, Obstacle.OVER: 409, Obstacle.FULL: 503}
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class DriverService(Protocol):
    """The driver, as its dashboard sees it."""

    @property
    def driver_id(self) -> str:
        """Whose dashboard this is."""

    def unhealthy(self) -> str | None:
        """Why the driver can't be served now; None while it can."""

    def current(self) -> CurrentSession | None:
        """The running session, as far as the driver knows."""

    def notifications(self) -> Sequence[DriverUpdate]:
        """What the driver was told, newest first."""

    async def ask(self, cp_id: str | None, vehicle_id: str | None) -> str | Refuse:
        """Ask for a charge; its request_id.  Raises NotSaved."""

    async def want(self, event: Wanted) -> Refuse | None:
        """Have the driver decide; None where it will be done.  Raises NotSaved."""


@attrs.frozen
class DriverHealth:
    """Whether the driver can be served; `error` says why not."""

    status: str
    service: str
    driver_id: str
    error: str | None = None


@attrs.frozen
class Notification:
    """What the driver was told of a request, and when; null where there is nothing to say."""

    request_id: str
    driver_id: str
    cp_id: str | None
    session_id: str | None
    status: str
    reason: str
    kw: float | None
    kwh: float | None
    euros: float | None
    ts: Any

    @classmethod
    def of(cls, update: DriverUpdate) -> "Notification":
        """An update as it is shown."""
        return cls(**{field.name: getattr(update, field.name) for field in attrs.fields(cls)})


DeskHere = NamedDependency[SkipValidation[DriverService]]
CentralHere = NamedDependency[SkipValidation[DriverCentral]]
DriverIdInPath = Annotated[str, Parameter(description="this dashboard's driver")]
OnlyAvailable = Annotated[
    str | None,
    Parameter(
        description="true: only those that are FREE",
        schema_extra={"type": OpenAPIType.BOOLEAN, "one_of": None},
    ),
]
MinPower = Annotated[
    str | None,
    Parameter(
        description="only those of at least so many kW",
        schema_extra={"type": OpenAPIType.NUMBER, "one_of": None, "minimum": 0},
    ),
]


def driver_app(desk: DriverService, central: DriverCentral) -> Litestar:
    """The app that answers for the driver behind `desk`."""
    return json_api(
        title=f"Dashboard of {desk.driver_id}",
        description="Charging points, requests, sessions and notifications of one driver.",
        routes=ROUTES,
        dependencies={"desk": desk, "central": central},
        exception_handlers={
            NotSaved: _answer_not_saved,
            CentralAway: _answer_central_away,
            CentralRefused: _answer_central_refused,
        },
    )


def _answer_not_saved(_: AnyRequest, error: NotSaved) -> Response[bytes]:
    return _unavailable(f"nothing was asked, because it could not be saved: {error}")


def _answer_central_away(_: AnyRequest, error: CentralAway) -> Response[bytes]:
    return _unavailable(str(error))


def _answer_central_refused(_: AnyRequest, error: CentralRefused) -> Response[bytes]:
    return error_response(error.status, str(error), field=error.field)


def _unavailable(sentence: str) -> Response[bytes]:
    return error_response(503, sentence, headers={"Retry-After": str(RETRY_S)})


@get("/", summary="The dashboard", media_type=HTML, responses=answers(200, str, "A page"))
async def show_dashboard(desk: DeskHere, central: CentralHere) -> Response[str]:
    """Charging points, the running session and what was told, loaded again by itself."""
    lost = ""
    try:
        points = await central.charging_points()
    except CentralAway as error:
        points, lost = central.known_points, str(error)
    page = driver_page(desk.driver_id, points, desk.current(), desk.notifications(), lost)
    return html_response(page)


@get(
    "/health",
    summary="Whether the driver can be served",
    responses=answers(200, DriverHealth, "It can")
    | answers(503, DriverHealth, "It can't: `error` says why"),
)
async def show_health(desk: DeskHere) -> Response[bytes]:
    """503 while the broker or Central is away, or the disk refuses."""
    reason = desk.unhealthy()
    body = {"service": SERVICE, "driver_id": desk.driver_id}
    if reason is None:
        return json_response(render({"status": "healthy", **body}))
    return json_response(render({"status": "unhealthy", **body, "error": reason}), 503)


@get(
    "/charging-points",
    summary="Charging points",
    responses=answers(200, list[PointShown], "In Central's order", 400, 503),
)
async def list_charging_points(
    central: CentralHere,
    only_available: OnlyAvailable = None,
    min_power_kw: MinPower = None,
) -> Response[bytes]:
    """While Central is away those that it showed last, OFFLINE; 503 where none can be told."""
    only_free = _read_flag(only_available, "only_available")
    kw_min = _read_kw(min_power_kw, "min_power_kw")
    try:
        points = await central.charging_points()
    except CentralAway:
        if only_free or not central.known_points:
            raise
        points = central.known_points
    shown = [
        point
        for point in points
        if (not only_free or point.status is Occupancy.FREE)
        and (kw_min is None or (point.kw_rate is not None and point.kw_rate >= kw_min))
    ]
    return json_response(render(shown))


@get(
    "/charging-points/{cp_id:str}",
    summary="One charging point",
    responses=answers(200, PointShown, "The charging point", 400, 404, 503),
)
async def show_charging_point(central: CentralHere, cp_id: CpIdInPath) -> Response[bytes]:
    """While Central is away OFFLINE, if it was ever shown here."""
    check_cp_id(cp_id, "cp_id")
    try:
        point: PointShown | None = await central.charging_point(cp_id)
    except CentralAway:
        known = [each for each in central.known_points if each.cp_id == cp_id]
        if not known:
            raise
        point = known[0]
    if point is None:
        raise Refused(404, f"no charging point {cp_id} is known", field="cp_id")
    return json_response(render(point))


_ASK = taking(
    f"Where to charge (null or '{ANY_CP}': Central chooses), and with which vehicle.",
    {
        "cp_id": Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL], max_length=32),
        "vehicle_id": Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL], max_length=64),
    },
    "cp_id",
)


@post(
    "/drivers/{driver_id:str}/requests",
    summary="Ask for a charge",
    status_code=202,
    operation_class=_ASK,
    responses=answers(202, RequestTaken, "It is saved and being asked", 404, *CHANGE_ERRORS),
)
async def ask_for_charge(
    request: AnyRequest, desk: DeskHere, driver_id: DriverIdInPath
) -> Response[bytes]:
    """Asked until Central answers; its end is told as a notification, in bounded time."""
    _check_driver(desk, driver_id)
    body = await read_object(request)
    if "cp_id" not in body:
        raise FieldError("cp_id", "is missing")
    wish, vehicle_id = body["cp_id"], body.get("vehicle_id")
    cp_id = None if wish in (None, ANY_CP) else check_cp_id(wish, "cp_id")
    if vehicle_id is not None:
        check_id(vehicle_id, "vehicle_id")
    request_id = _done(await desk.ask(cp_id, vehicle_id))
    return json_response(render(RequestTaken(request_id)), 202)


@delete(
    "/drivers/{driver_id:str}/requests/{request_id:str}",
    summary="End a request",
    status_code=204,
    responses=answers(204, None, "It is being ended", 404, 409, *CHANGE_ERRORS),
)
async def end_request(
    desk: DeskHere, driver_id: DriverIdInPath, request_id: RequestIdInPath
) -> None:
    """It is cancelled, or its session stopped and billed; 409 for one that has ended."""
    _check_driver(desk, driver_id)
    _done(await desk.want(CancelWanted(check_id(request_id, "request_id"))))


@get(
    "/drivers/{driver_id:str}/sessions/current",
    summary="The running session",
    responses=answers(200, CurrentSession | None, "The session, or null", 404),  # type: ignore[arg-type]
)
async def show_current_session(desk: DeskHere, driver_id: DriverIdInPath) -> Response[bytes]:
    """As the driver knows it, also while Central is away; its meter is null before a reading."""
    _check_driver(desk, driver_id)
    return json_response(render(desk.current()))


@post(
    "/drivers/{driver_id:str}/sessions/{session_id:str}/stop",
    summary="Stop the session",
    status_code=202,
    responses=answers(202, SessionTaken, "It is being stopped", 404, 409, *CHANGE_ERRORS),
)
async def stop_session(
    desk: DeskHere, driver_id: DriverIdInPath, session_id: SessionIdInPath
) -> Response[bytes]:
    """The driver has had enough: it is billed for its reading; 409 for one that has ended."""
    _check_driver(desk, driver_id)
    _done(await desk.want(StopWanted(check_id(session_id, "session_id"))))
    return json_response(render(SessionTaken(session_id)), 202)


@get(
    "/drivers/{driver_id:str}/sessions/history",
    summary="Sessions",
    responses=answers(200, list[SessionShown], "Newest first", 400, 404, 503),
)
async def list_sessions(
    desk: DeskHere,
    central: CentralHere,
    driver_id: DriverIdInPath,
    limit: Limit = None,
    before: Before = None,
) -> Response[bytes]:
    """As Central keeps them; the next page is what is `before` the last of this one."""
    _check_driver(desk, driver_id)
    older_than = None if before is None else check_id(before, "before")
    found = await central.sessions(driver_id=driver_id, limit=read_limit(limit), before=older_than)
    return json_response(render(found))


@get(
    "/drivers/{driver_id:str}/notifications",
    summary="What the driver was told",
    responses=answers(200, list[Notification], "Newest first", 400, 404),
)
async def list_notifications(
    desk: DeskHere, driver_id: DriverIdInPath, limit: Limit = None
) -> Response[bytes]:
    """The lines of its terminal, also while Central is away."""
    _check_driver(desk, driver_id)
    told = desk.notifications()[: read_limit(limit)]
    return json_response(render([Notification.of(update) for update in told]))


def _check_driver(desk: DriverService, driver_id: str) -> None:
    if driver_id != desk.driver_id:
        raise Refused(404, f"this is the dashboard of {desk.driver_id}", field="driver_id")


def _done(outcome: str | Refuse | None) -> str:
    if isinstance(outcome, Refuse):
        raise Refused(_STATUSES[outcome.obstacle], outcome.reason)
    return outcome or ""


def _read_flag(text: str | None, name: str) -> bool:
    if text not in (None, "true", "false"):
        raise FieldError(name, "must be true or false")
    return text == "true"


def _read_kw(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise FieldError(name, "must be a number of kW, such as 22 or 7.4")
    return float(text)


ROUTES: Final = (
    show_dashboard,
    show_health,
    list_charging_points,
    show_charging_point,
    ask_for_charge,
    end_request,
    show_current_session,
    stop_session,
    list_sessions,
    list_notifications,
)
