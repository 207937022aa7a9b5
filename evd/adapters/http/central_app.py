"""Central's HTTP: every route, each a question to the `CentralService` and its answer as JSON."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar, cast

import attrs
from litestar import Litestar, Response

from evd.adapters.http.access.access_routes import routes as access_routes
from evd.adapters.http.access.driver_view import is_hidden, narrowed, veiled
from evd.adapters.http.access.login_routes import routes as login_routes
from evd.adapters.http.access.logins import Logins, LoginsHere
from evd.adapters.http.access.passes import Pass
from evd.adapters.http.access.people_routes import routes as people_routes
from evd.adapters.http.access.rights import PassHere, Paths
from evd.adapters.http.api import HTML, Routes, json_api, open_paths_of
from evd.adapters.http.body import Body
from evd.adapters.http.central_history import find_session
from evd.adapters.http.central_history import routes as history_routes
from evd.adapters.http.central_lists import routes as list_routes
from evd.adapters.http.central_page import central_page
from evd.adapters.http.central_reports import routes as report_routes
from evd.adapters.http.central_service import CentralService, ServiceHere
from evd.adapters.http.errors import AnyRequest, answering
from evd.adapters.http.json_response import JsonResponse, in_pieces
from evd.adapters.http.metrics import CONTENT_TYPE
from evd.adapters.http.pages import PageAccess
from evd.adapters.http.parameters import (
    DAYS_DEFAULT,
    CpIdInPath,
    Days,
    OfCp,
    RequestIdInPath,
    SessionIdInPath,
)
from evd.adapters.http.refused import STANDING_BY, Refused
from evd.adapters.http.replies import RETRY_S, check_accepted
from evd.adapters.http.schemas import (
    ChargingPoints,
    CpTaken,
    HandoverTaken,
    HealthShown,
    Meters,
    MeterShown,
    RecoveryTaken,
    RequestTaken,
    SessionTaken,
    StandbyShown,
    Statistics,
    UnhealthyShown,
    shown,
)
from evd.adapters.store.failures import StoreFailed
from evd.core.access.events import CallNoted
from evd.core.access.roles import Auth, Right
from evd.core.access.rows import Outcome
from evd.core.central.events import (
    Asked,
    ChargeAsked,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    JudgementAsked,
    RecoveryAccepted,
    RequestEndAsked,
    SessionStopAsked,
)
from evd.core.central.rows import Request
from evd.core.central.views import CpView
from evd.core.wire.fields import check_cp_id, check_id

SERVICE: Final = "evd-central"

T = TypeVar("T")

routes: Final = Routes()


def central_app(service: CentralService, logins: Logins) -> Litestar:
    """The app that answers for the Central behind `service`; `logins` lets people in."""
    return json_api(
        title="Central of an EV charging network",
        description="Charging points, requests, sessions, faults. An error is"
        ' {"error": sentence, "field"?: name}. Lists are newest first.',
        routes=_all_routes(),
        dependencies={"service": service, "logins": logins},
        exception_handlers={StoreFailed: answering(_refuse_without_store)},
        on_lacking=logins.on_lacking,
    )


def _all_routes() -> Routes:
    return Routes(
        *(routes, list_routes, report_routes, history_routes),
        *(login_routes, people_routes, access_routes),
    )


def central_open_paths() -> Paths:
    """The paths of the app that strangers may call."""
    return open_paths_of(_all_routes())


def _refuse_without_store(error: StoreFailed) -> Refused:
    return Refused(503, f"the database does not answer: {error}", retry_s=RETRY_S)


async def _ask(service: CentralService, make: Callable[[int], Asked], taken: T) -> T:
    """Return `taken` where Central accepts; raise Refused where it does not."""
    check_accepted(await service.ask(make))
    return taken


@routes.get("/", "The dashboard", "A page", media_type=HTML, right=None)
async def show_network(
    request: AnyRequest, service: ServiceHere, logins: LoginsHere, caller: PassHere
) -> Response[str]:
    """The network at a glance, kept up to date by the status feed."""
    access = PageAccess.of(logins.auth, caller)
    return central_page(request.headers.get("host", ""), service.feed_port, access)


@routes.get(
    "/health",
    "Whether Central can serve requests",
    "It can",
    503,
    unless=UnhealthyShown,
    right=None,
)
async def show_health(
    service: ServiceHere, logins: LoginsHere, caller: PassHere
) -> Response[HealthShown]:
    """503 while the database or the broker is away, or another Central serves.  A stranger is told
    the `status` alone; of one that stands by also who serves, as each other path tells."""
    health = _health(service)
    told = {
        name: value
        for name, value in attrs.asdict(health).items()
        if value is not None or name not in ("standbys", "code")
    }
    if not caller.may(Right.SEE_HEALTH):
        # One that stands by has read no token: it knows nobody.
        shown_names = ("status", "error", "code") if "code" in told else ("status",)
        told = {name: told[name] for name in shown_names}
    elif logins.auth is not Auth.OFF:
        told["auth"] = logins.auth
    status_code = 503 if isinstance(health, UnhealthyShown) else 200
    return JsonResponse(cast(HealthShown, told), status_code=status_code)


def _health(service: CentralService) -> HealthShown:
    about = (SERVICE, round(service.uptime_s, 3), service.central_id, service.unreadable)
    others = service.standbys
    standbys = None if others is None else [shown(StandbyShown, each) for each in others]
    if (reason := service.unhealthy()) is None:
        return HealthShown("healthy", *about, standbys=standbys)
    code = STANDING_BY if service.stands_by else None
    return UnhealthyShown("unhealthy", *about, reason, standbys=standbys, code=code)


@routes.get("/cp", "All charging points", "Every charging point that is known", right=Right.SEE)
async def list_charging_points(service: ServiceHere, caller: PassHere) -> Response[ChargingPoints]:
    """Each with its state, its driver and its newest meter; a driver sees those of its own."""
    points = await service.charging_points()
    if caller.driver_id is not None:
        points = [veiled(point, caller.driver_id) for point in points]
    return await in_pieces(ChargingPoints(list(points), service.active_requests()))


@routes.get("/cp/{cp_id:str}", "One charging point", "The charging point", 404, right=Right.SEE)
async def show_charging_point(service: ServiceHere, caller: PassHere, cp_id: CpIdInPath) -> CpView:
    """Its state, its driver and its newest meter; a driver sees those of its own."""
    point = service.charging_point(cp_id)
    if point is None:
        raise Refused(404, f"no charging point {cp_id} is known", field="cp_id")
    return veiled(point, caller.driver_id)


@routes.post(
    "/cp/{cp_id:str}/stop",
    "Take a charging point out of service",
    "It is being stopped",
    404,
    right=Right.OPERATE,
)
async def stop_charging_point(service: ServiceHere, caller: PassHere, cp_id: CpIdInPath) -> CpTaken:
    """A session that runs is ended first and billed."""
    return await _ask(service, lambda call: CpStopAsked(call, cp_id, caller.by), CpTaken(cp_id))


@routes.post(
    "/cp/{cp_id:str}/resume",
    "Put a charging point back into service",
    "It is being resumed",
    404,
    right=Right.OPERATE,
)
async def resume_charging_point(
    service: ServiceHere, caller: PassHere, cp_id: CpIdInPath
) -> CpTaken:
    """After a stop by the operator."""
    return await _ask(service, lambda call: CpResumeAsked(call, cp_id, caller.by), CpTaken(cp_id))


@routes.post(
    "/cp/{cp_id:str}/shutdown",
    "End a charging point's engine",
    "Its engine is being ended",
    404,
    409,
    right=Right.OPERATE,
)
async def shut_charging_point_down(
    service: ServiceHere, caller: PassHere, cp_id: CpIdInPath
) -> CpTaken:
    """The engine that its monitor sees now, and no later one."""
    return await _ask(service, lambda call: CpShutdownAsked(call, cp_id, caller.by), CpTaken(cp_id))


@routes.delete(
    "/cp/{cp_id:str}",
    "Take a charging point off the list",
    "It is off the list",
    404,
    409,
    right=Right.ADMINISTER,
)
async def remove_charging_point(service: ServiceHere, caller: PassHere, cp_id: CpIdInPath) -> None:
    """409 while it is connected, has an open session or unconfirmed records; its history stays."""
    await _ask(service, lambda call: CpRemovalAsked(call, cp_id, caller.by), None)


_CHARGE: Final = Body(
    "Who asks, and where to charge; cp_id null, `any` or absent: at any charging point."
    " Without a request_id Central makes one.",
    "driver_id",
    driver_id=check_id,
    cp_id=check_cp_id,
    vehicle_id=check_id,
    request_id=check_id,
)


@routes.post(
    "/request/charge",
    "Ask for a charge",
    "The request is stored",
    409,
    operation_class=_CHARGE.operation,
    right=Right.CHARGE,
)
async def ask_for_charge(
    request: AnyRequest, service: ServiceHere, caller: PassHere
) -> RequestTaken:
    """The same request_id again is the same request; from another driver a 409."""
    body = await _CHARGE.read(request)
    request_id = body["request_id"] or service.new_request_id()
    driver_id, cp_id = body["driver_id"], body["cp_id"]
    narrowed(driver_id, caller.driver_id)
    return await _ask(
        service,
        lambda call: ChargeAsked(call, request_id, driver_id, cp_id, caller.by),
        RequestTaken(request_id),
    )


@routes.get(
    "/requests/{request_id:str}", "How a request goes", "The request", 404, 503, right=Right.SEE
)
async def show_request(
    service: ServiceHere, caller: PassHere, request_id: RequestIdInPath
) -> Request:
    """`status` is PENDING before the first answer; a driver sees its own."""
    return await _find_request(service, caller, request_id)


async def _find_request(service: CentralService, caller: Pass, request_id: str) -> Request:
    row = await service.store.request(request_id)
    if row is None or is_hidden(row.driver_id, caller.driver_id):
        raise Refused(404, f"request_id {request_id} is not known", field="request_id")
    return row


@routes.delete(
    "/requests/{request_id:str}",
    "End a request",
    "It is being ended",
    404,
    409,
    status_code=202,
    right=Right.CHARGE,
)
async def end_request(
    service: ServiceHere, caller: PassHere, request_id: RequestIdInPath
) -> RequestTaken:
    """It is cancelled, or its session stopped and billed; 409 for one that has ended."""
    if caller.driver_id is not None:
        await _find_request(service, caller, request_id)
    return await _ask(
        service,
        lambda call: RequestEndAsked(call, request_id, caller.by),
        RequestTaken(request_id),
    )


@routes.post(
    "/sessions/{session_id:str}/stop",
    "Stop a session",
    "It is being stopped",
    404,
    409,
    right=Right.CHARGE,
)
async def stop_session(
    service: ServiceHere, caller: PassHere, session_id: SessionIdInPath
) -> SessionTaken:
    """It is billed for its reading; 409 for one that has ended."""
    if caller.driver_id is not None:
        await find_session(service, caller, session_id)
    return await _ask(
        service,
        lambda call: SessionStopAsked(call, session_id, caller.by),
        SessionTaken(session_id),
    )


@routes.post(
    "/sessions/{session_id:str}/accept",
    "Bill a suspect session",
    "It is billed",
    404,
    409,
    right=Right.ADMINISTER,
)
async def accept_session(
    service: ServiceHere, caller: PassHere, session_id: SessionIdInPath
) -> SessionTaken:
    """As it was recorded, once and for good; 409 for one that is not suspect, or was judged."""
    return await _judge(service, caller, session_id, accept=True)


@routes.post(
    "/sessions/{session_id:str}/void",
    "Bill a suspect session at 0",
    "It costs nothing",
    404,
    409,
    right=Right.ADMINISTER,
)
async def void_session(
    service: ServiceHere, caller: PassHere, session_id: SessionIdInPath
) -> SessionTaken:
    """Once and for good; 409 for one that is not suspect, or was judged."""
    return await _judge(service, caller, session_id, accept=False)


async def _judge(
    service: CentralService, caller: Pass, session_id: str, *, accept: bool
) -> SessionTaken:
    taken = SessionTaken(session_id)
    return await _ask(
        service, lambda call: JudgementAsked(call, session_id, accept, caller.by), taken
    )


@routes.get(
    "/telemetry",
    "The meters that run",
    "The newest of each supplying charging point",
    right=Right.SEE,
)
async def list_telemetry(service: ServiceHere, caller: PassHere) -> Meters:
    """As their engines sent them; a driver sees that of its own session."""
    meters = [
        each for each in service.telemetry() if not is_hidden(each.driver_id, caller.driver_id)
    ]
    return Meters([shown(MeterShown, meter) for meter in meters])


@routes.get(
    "/faults/statistics",
    "How reliable each charging point is",
    "One entry a charging point",
    503,
    right=Right.SEE_HEALTH,
)
async def list_fault_statistics(
    service: ServiceHere, cp_id: OfCp = None, days: Days = DAYS_DEFAULT
) -> Statistics:
    """Null where nothing can be said."""
    return Statistics(list(await service.store.fault_statistics(cp_id, days, datetime.now(UTC))))


@routes.get(
    "/metrics",
    "Metrics for Prometheus",
    "Prometheus' text format",
    media_type="text/plain",
    right=Right.SEE_HEALTH,
)
async def show_metrics(service: ServiceHere) -> Response[bytes]:
    """Counters and gauges of this Central."""
    # Litestar adds the charset of a text by itself.
    return Response(await service.metrics(), media_type=CONTENT_TYPE.partition("; charset")[0])


@routes.post(
    "/central/handover",
    "Let another Central serve",
    "Another one takes over within seconds",
    409,
    right=Right.ADMINISTER,
)
async def hand_over(service: ServiceHere, caller: PassHere) -> HandoverTaken:
    """409 where no other Central stands by on the same database."""
    standbys = [each.address for each in service.standbys or ()]
    why = service.hand_over()
    outcome = Outcome.REFUSED if why else Outcome.DONE
    await service.tell(CallNoted(caller.by, "central handover", ",".join(standbys), outcome))
    if why:
        raise Refused(409, why)
    return HandoverTaken(standbys)


@routes.post(
    "/recovery/accept",
    "End the wait after a restore",
    "Sessions may begin again",
    right=Right.ADMINISTER,
)
async def accept_recovery(service: ServiceHere, caller: PassHere) -> RecoveryTaken:
    """The operator takes it that no more records of before will come."""
    return await _ask(service, lambda call: RecoveryAccepted(call, caller.by), RecoveryTaken([]))
