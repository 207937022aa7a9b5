"""Central's HTTP: how one session, one charging point and the network went over time."""

from datetime import UTC, datetime
from typing import Final

from litestar import Response

from evd.adapters.http.access.driver_view import is_hidden
from evd.adapters.http.access.passes import Pass
from evd.adapters.http.access.rights import PassHere
from evd.adapters.http.api import Routes
from evd.adapters.http.central_service import CentralService, ServiceHere
from evd.adapters.http.csv_reply import WithCsv, csv_answer, wants_csv
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.json_response import JsonResponse
from evd.adapters.http.parameters import (
    CPS_MAX,
    LIMIT_DEFAULT,
    BeforeEntry,
    Format,
    Limit,
    OfCp,
    SessionIdInPath,
    Since,
    TheseCps,
    Until,
    parse_past,
    parse_span,
)
from evd.adapters.http.refused import Refused
from evd.adapters.http.schemas import EntryShown, Power, SessionDetail, States, Timeline, shown
from evd.adapters.store.failures import UnknownRow
from evd.core.access.roles import Right
from evd.core.central.rows import Session, SessionCurve
from evd.core.wire.fields import FieldError, check_cp_id

CURVE_COLUMNS: Final = ("seconds", "kw", "kwh")

routes: Final = Routes()


@routes.get(
    "/sessions/{session_id:str}",
    "One session",
    "The session",
    404,
    503,
    operation_class=WithCsv,
    right=Right.SEE,
)
async def show_session(
    request: AnyRequest,
    service: ServiceHere,
    caller: PassHere,
    session_id: SessionIdInPath,
    format: Format = None,
) -> Response[SessionDetail]:
    """With the course of its power, of a running one so far; as CSV that course alone."""
    # Asked for first: a session that ends meanwhile has its stored one.
    so_far = service.curve(session_id)
    row, stored = await find_session(service, caller, session_id)
    curve = so_far if stored is None else stored.points
    if wants_csv(request, format):
        return csv_answer(session_id, CURVE_COLUMNS, curve)
    return JsonResponse(SessionDetail.of(row, curve=list(curve)))


async def find_session(
    service: CentralService, caller: Pass, session_id: str
) -> tuple[Session, SessionCurve | None]:
    """The session and its stored curve; raises Refused where the caller knows of none."""
    found = await service.store.session(session_id)
    if found is None or is_hidden(found[0].driver_id, caller.driver_id):
        raise Refused(404, f"session {session_id} is not known", field="session_id")
    return found


@routes.get(
    "/states",
    "The states of charging points over time",
    "Those of each",
    503,
    right=Right.SEE_HEALTH,
)
async def list_states(
    service: ServiceHere, cp_id: TheseCps, since: Since = None, until: Until = None
) -> States:
    """ON, BROKEN or DISCONNECTED, null while it is not known; by default of the last day."""
    cp_ids = [check_cp_id(each) for each in cp_id]
    if len(cp_ids) > CPS_MAX:
        raise FieldError("cp_id", f"must stand there {CPS_MAX} times at the most")
    span = parse_past(since, until, datetime.now(UTC))
    return States(list(await service.store.states(cp_ids, *span)))


@routes.get("/power", "The course of power", "Oldest first", 503, right=Right.SEE_HEALTH)
async def list_power(
    service: ServiceHere, cp_id: OfCp = None, since: Since = None, until: Until = None
) -> Power:
    """The mean of each minute of the network; of one charging point at each change and every 60 s.

    By default of the last day; at most 1500 points, where there are more of their means.
    """
    span = parse_past(since, until, datetime.now(UTC))
    return Power(list(await service.store.power(cp_id, *span)))


@routes.get(
    "/timeline",
    "The story of a charging point, or of all",
    "Newest first",
    404,
    503,
    right=Right.SEE_HEALTH,
)
async def show_timeline(
    service: ServiceHere,
    cp_id: OfCp = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = LIMIT_DEFAULT,
    before: BeforeEntry = None,
) -> Timeline:
    """Faults and recoveries, sessions, what the operator did, refused requests with the reason."""
    span = parse_span(since, until)
    try:
        found = await service.store.timeline(cp_id, limit, before, *span)
    except UnknownRow:
        raise Refused(404, "before is the id of no entry", field="before") from None
    return Timeline([shown(EntryShown, each.entry, id=each.id) for each in found])
