"""Central's HTTP: every route, each a question to the `CentralService` and its answer as JSON."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from litestar import Litestar, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.schema import Schema
from litestar.params import SkipValidation

from evd.adapters.http.api import CHANGE_ERRORS, HTML, answers, json_api, json_response, taking
from evd.adapters.http.central_service import CentralService
from evd.adapters.http.errors import AnyRequest, Refused, error_response, read_object
from evd.adapters.http.metrics import CONTENT_TYPE
from evd.adapters.http.pages import html_response, network_page
from evd.adapters.http.parameters import (
    CP_ID_PATTERN,
    ID_PATTERN,
    Before,
    CpIdInPath,
    Days,
    Limit,
    OfCp,
    OfDriver,
    OfStatus,
    RequestIdInPath,
    SessionIdInPath,
    read_choice,
    read_days,
    read_limit,
)
from evd.adapters.http.replies import RETRY_AFTER_S, reply_response
from evd.adapters.http.schemas import (
    ChargeBody,
    ChargingPoints,
    CpTaken,
    Faults,
    HealthShown,
    History,
    Meters,
    MeterShown,
    RecoveryTaken,
    RequestTaken,
    Sessions,
    SessionShown,
    SessionTaken,
    Statistics,
    UnhealthyShown,
    render,
)
from evd.adapters.store.failures import StoreFailed, UnknownSession
from evd.core.central.events import (
    Asked,
    ChargeAsked,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    RecoveryAccepted,
    RequestEndAsked,
    SessionStopAsked,
)
from evd.core.central.rows import Request, SessionStatus
from evd.core.central.views import CpView
from evd.core.wire.fields import check_cp_id, check_id

SERVICE: Final = "evd-central"

DeskHere = NamedDependency[SkipValidation[CentralService]]


def central_app(desk: CentralService) -> Litestar:
    """The app that answers for the Central behind `desk`."""
    return json_api(
        title="Central of an EV charging network",
        description="Charging points, requests, sessions, faults. An error is"
        ' {"error": sentence, "field"?: name}. Lists are newest first.',
        routes=ROUTES,
        dependencies={"desk": desk},
        exception_handlers={StoreFailed: _answer_store_failed},
    )


def _answer_store_failed(_: AnyRequest, error: StoreFailed) -> Response[bytes]:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return error_response(503, f"the database does not answer: {error}", headers=headers)


async def _ask(
    desk: CentralService, make: Callable[[int], Asked], taken: object
) -> Response[bytes]:
    """Return `taken` where Central accepts; raise Refused where it does not."""
    return reply_response(await desk.ask(make), taken)


@get(
    "/",
    summary="The dashboard",
    media_type=HTML,
    responses=answers(200, str, "A page", media_type=HTML),
)
async def show_network(desk: DeskHere) -> Response[str]:
    """The network at a glance, loaded again by itself."""
    page = network_page(
        desk.charging_points(), desk.active_requests(), desk.unhealthy(), desk.central_id
    )
    return html_response(page)


@get(
    "/health",
    summary="Whether Central can serve requests",
    responses=answers(200, HealthShown, "It can")
    | answers(503, UnhealthyShown, "It can't: `error` says why"),
)
async def show_health(desk: DeskHere) -> Response[bytes]:
    """503 while the database or the broker is away."""
    uptime_s = round(desk.uptime_s, 3)
    reason = desk.unhealthy()
    if reason is None:
        return json_response(render(HealthShown("healthy", SERVICE, uptime_s, desk.central_id)))
    shown = UnhealthyShown("unhealthy", SERVICE, uptime_s, desk.central_id, reason)
    return json_response(render(shown), 503)


@get(
    "/cp",
    summary="All charging points",
    responses=answers(200, ChargingPoints, "Every charging point that is known"),
)
async def list_charging_points(desk: DeskHere) -> Response[bytes]:
    """Each with its state, its driver and its newest meter."""
    shown = ChargingPoints(list(desk.charging_points()), desk.active_requests())
    return json_response(render(shown))


@get(
    "/cp/{cp_id:str}",
    summary="One charging point",
    responses=answers(200, CpView, "The charging point", 400, 404),
)
async def show_charging_point(desk: DeskHere, cp_id: CpIdInPath) -> Response[bytes]:
    """Its state, its driver and its newest meter."""
    point = desk.charging_point(check_cp_id(cp_id, "cp_id"))
    if point is None:
        raise Refused(404, f"no charging point {cp_id} is known", field="cp_id")
    return json_response(render(point))


@post(
    "/cp/{cp_id:str}/stop",
    summary="Take a charging point out of service",
    status_code=202,
    responses=answers(202, CpTaken, "It is being stopped", 404, *CHANGE_ERRORS),
)
async def stop_charging_point(desk: DeskHere, cp_id: CpIdInPath) -> Response[bytes]:
    """A session that runs is ended first and billed."""
    check_cp_id(cp_id, "cp_id")
    return await _ask(desk, lambda call: CpStopAsked(call, cp_id), CpTaken(cp_id))


@post(
    "/cp/{cp_id:str}/resume",
    summary="Put a charging point back into service",
    status_code=202,
    responses=answers(202, CpTaken, "It is being resumed", 404, *CHANGE_ERRORS),
)
async def resume_charging_point(desk: DeskHere, cp_id: CpIdInPath) -> Response[bytes]:
    """After a stop by the operator."""
    check_cp_id(cp_id, "cp_id")
    return await _ask(desk, lambda call: CpResumeAsked(call, cp_id), CpTaken(cp_id))


@post(
    "/cp/{cp_id:str}/shutdown",
    summary="End a charging point's engine",
    status_code=202,
    responses=answers(202, CpTaken, "Its engine is being ended", 404, 409, *CHANGE_ERRORS),
)
async def shut_charging_point_down(desk: DeskHere, cp_id: CpIdInPath) -> Response[bytes]:
    """The engine that its monitor sees now, and no later one."""
    check_cp_id(cp_id, "cp_id")
    return await _ask(desk, lambda call: CpShutdownAsked(call, cp_id), CpTaken(cp_id))


@delete(
    "/cp/{cp_id:str}",
    summary="Take a charging point off the list",
    status_code=204,
    responses=answers(204, None, "It is off the list", 404, 409, *CHANGE_ERRORS),
)
async def remove_charging_point(desk: DeskHere, cp_id: CpIdInPath) -> None:
    """409 while it is connected, has an open session or unconfirmed records; its history stays."""
    check_cp_id(cp_id, "cp_id")
    await _ask(desk, lambda call: CpRemovalAsked(call, cp_id), None)


_OR_NULL = [OpenAPIType.STRING, OpenAPIType.NULL]
_CHARGE = taking(
    "Who asks, and where to charge; cp_id null, `any` or absent: at any charging point."
    " Without a request_id Central makes one.",
    {
        "driver_id": Schema(type=OpenAPIType.STRING, pattern=ID_PATTERN),
        "cp_id": Schema(type=_OR_NULL, pattern=CP_ID_PATTERN),
        "vehicle_id": Schema(type=_OR_NULL, pattern=ID_PATTERN),
        "request_id": Schema(type=_OR_NULL, pattern=ID_PATTERN),
    },
    "driver_id",
)


@post(
    "/request/charge",
    summary="Ask for a charge",
    status_code=202,
    operation_class=_CHARGE,
    responses=answers(202, RequestTaken, "The request is stored", 409, *CHANGE_ERRORS),
)
async def ask_for_charge(request: AnyRequest, desk: DeskHere) -> Response[bytes]:
    """The same request_id again is the same request; from another driver a 409."""
    body = ChargeBody.of(await read_object(request))
    request_id = body.request_id or desk.new_request_id()
    return await _ask(
        desk,
        lambda call: ChargeAsked(call, request_id, body.driver_id, body.cp_id),
        RequestTaken(request_id),
    )


@get(
    "/requests/{request_id:str}",
    summary="How a request goes",
    responses=answers(200, Request, "The request", 400, 404, 503),
)
async def show_request(desk: DeskHere, request_id: RequestIdInPath) -> Response[bytes]:
    """`status` is PENDING before the first answer."""
    row = await desk.store.request(check_id(request_id, "request_id"))
    if row is None:
        raise Refused(404, f"request_id {request_id} is not known", field="request_id")
    return json_response(render(row))


@delete(
    "/requests/{request_id:str}",
    summary="End a request",
    status_code=202,
    responses=answers(202, RequestTaken, "It is being ended", 404, 409, *CHANGE_ERRORS),
)
async def end_request(desk: DeskHere, request_id: RequestIdInPath) -> Response[bytes]:
    """It is cancelled, or its session stopped and billed; 409 for one that has ended."""
    check_id(request_id, "request_id")
    return await _ask(
        desk, lambda call: RequestEndAsked(call, request_id), RequestTaken(request_id)
    )


@get(
    "/sessions",
    summary="Sessions",
    responses=answers(200, Sessions, "Newest first", 400, 404, 503),
)
async def list_sessions(
    desk: DeskHere,
    cp_id: OfCp = None,
    driver_id: OfDriver = None,
    status: OfStatus = None,
    limit: Limit = None,
    before: Before = None,
) -> Response[bytes]:
    """The next page is what is `before` the last session of this one."""
    rows_max = read_limit(limit)
    of_cp = _optional_cp_id(cp_id)
    of_driver = None if driver_id is None else check_id(driver_id, "driver_id")
    of_status = read_choice(status, "status", SessionStatus)
    older_than = None if before is None else check_id(before, "before")
    try:
        rows = await desk.store.sessions(of_cp, of_driver, of_status, rows_max, older_than)
    except UnknownSession:
        raise Refused(404, f"session {before} is not known", field="before") from None
    return json_response(render(Sessions([SessionShown.of(row) for row in rows])))


@post(
    "/sessions/{session_id:str}/stop",
    summary="Stop a session",
    status_code=202,
    responses=answers(202, SessionTaken, "It is being stopped", 404, 409, *CHANGE_ERRORS),
)
async def stop_session(desk: DeskHere, session_id: SessionIdInPath) -> Response[bytes]:
    """It is billed for its reading; 409 for one that has ended."""
    check_id(session_id, "session_id")
    return await _ask(
        desk, lambda call: SessionStopAsked(call, session_id), SessionTaken(session_id)
    )


@get(
    "/telemetry",
    summary="The meters that run",
    responses=answers(200, Meters, "The newest of each supplying charging point"),
)
async def list_telemetry(desk: DeskHere) -> Response[bytes]:
    """As their engines sent them."""
    meters = [MeterShown.of(meter) for meter in desk.telemetry()]
    return json_response(render(Meters(meters)))


@get("/faults", summary="Faults", responses=answers(200, Faults, "Newest first", 400, 503))
async def list_faults(desk: DeskHere, cp_id: OfCp = None, limit: Limit = None) -> Response[bytes]:
    """Faults and recoveries of engines, connections lost and found again."""
    rows = await desk.store.faults(_optional_cp_id(cp_id), read_limit(limit))
    return json_response(render(Faults(list(rows))))


@get(
    "/faults/statistics",
    summary="How reliable each charging point is",
    responses=answers(200, Statistics, "One entry a charging point", 400, 503),
)
async def list_fault_statistics(
    desk: DeskHere, cp_id: OfCp = None, days: Days = None
) -> Response[bytes]:
    """Null where nothing can be said."""
    rows = await desk.store.fault_statistics(
        _optional_cp_id(cp_id), read_days(days), datetime.now(UTC)
    )
    return json_response(render(Statistics(list(rows))))


@get(
    "/health/history",
    summary="How charging points stood",
    responses=answers(200, History, "Newest first", 400, 503),
)
async def list_health_history(
    desk: DeskHere, cp_id: OfCp = None, limit: Limit = None
) -> Response[bytes]:
    """An entry at each change and every 60 s."""
    rows = await desk.store.health_history(_optional_cp_id(cp_id), read_limit(limit))
    return json_response(render(History(list(rows))))


@get(
    "/metrics",
    summary="Metrics for Prometheus",
    media_type="text/plain",
    responses=answers(200, str, "Prometheus' text format", media_type="text/plain"),
)
async def show_metrics(desk: DeskHere) -> Response[bytes]:
    """Counters and gauges of this Central."""
    # Litestar adds the charset of a text by itself.
    return Response(await desk.metrics(), media_type=CONTENT_TYPE.partition("; charset")[0])


@post(
    "/recovery/accept",
    summary="End the wait after a restore",
    status_code=202,
    responses=answers(202, RecoveryTaken, "Sessions may begin again", *CHANGE_ERRORS),
)
async def accept_recovery(desk: DeskHere) -> Response[bytes]:
    """The operator takes it that no more records of before will come."""
    return await _ask(desk, RecoveryAccepted, RecoveryTaken([]))


def _optional_cp_id(cp_id: str | None) -> str | None:
    return None if cp_id is None else check_cp_id(cp_id, "cp_id")


ROUTES: Final = (
    show_network,
    show_health,
    list_charging_points,
    show_charging_point,
    stop_charging_point,
    resume_charging_point,
    shut_charging_point_down,
    remove_charging_point,
    ask_for_charge,
    show_request,
    end_request,
    list_sessions,
    stop_session,
    list_telemetry,
    list_faults,
    list_fault_statistics,
    list_health_history,
    show_metrics,
    accept_recovery,
)
