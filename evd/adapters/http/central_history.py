"""Central's HTTP: how one session, one charging point and the network went over time."""

from typing import Final

from litestar import Response

from evd.adapters.http.api import Routes
from evd.adapters.http.central_service import ServiceHere
from evd.adapters.http.csv_reply import WithCsv, csv_answer, wants_csv
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.parameters import Format, SessionIdInPath
from evd.adapters.http.refused import Refused
from evd.adapters.http.schemas import SessionDetail

CURVE_COLUMNS: Final = ("seconds", "kw", "kwh")

routes: Final = Routes()


@routes.get(
    "/sessions/{session_id:str}",
    "One session",
    "The session",
    404,
    503,
    operation_class=WithCsv,
)
async def show_session(
    request: AnyRequest,
    service: ServiceHere,
    session_id: SessionIdInPath,
    format: Format = None,
) -> Response[SessionDetail]:
    """With the course of its power, of a running one so far; as CSV that course alone."""
    # Asked for first: a session that ends meanwhile has its stored one.
    so_far = service.curve(session_id)
    found = await service.store.session(session_id)
    if found is None:
        raise Refused(404, f"session {session_id} is not known", field="session_id")
    row, stored = found
    curve = so_far if stored is None else stored.points
    if wants_csv(request, format):
        return csv_answer(session_id, CURVE_COLUMNS, curve)
    return Response(SessionDetail.of(row, curve=list(curve)))
