"""Central's lists of what is stored: sessions, faults, and how charging points stood."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from litestar import Response

from evd.adapters.http.access.driver_view import narrowed
from evd.adapters.http.access.rights import PassHere
from evd.adapters.http.api import Routes
from evd.adapters.http.central_service import ServiceHere
from evd.adapters.http.csv_reply import (
    WithCsv,
    columns_of,
    csv_rows,
    csv_stream,
    wants_csv,
)
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.json_response import JsonResponse
from evd.adapters.http.parameters import (
    LIMIT_DEFAULT,
    Before,
    BeforeRow,
    Format,
    Limit,
    OfCp,
    OfDriver,
    OfStatus,
    Since,
    Until,
    parse_span,
)
from evd.adapters.http.refused import Refused
from evd.adapters.http.schemas import (
    Faults,
    FaultShown,
    History,
    Sessions,
    SessionShown,
    SnapshotShown,
    shown,
)
from evd.adapters.store.failures import UnknownRow
from evd.adapters.store.page import Page, SessionFilter
from evd.core.access.roles import Right
from evd.core.central.rows import Session

_SESSION_COLUMNS: Final = columns_of(SessionShown)

routes: Final = Routes()


@contextmanager
def _behind(before: str | int | None, what: str) -> Iterator[None]:
    """Refuse a `before` that is no entry of the list."""
    try:
        yield
    except UnknownRow:
        raise Refused(404, f"{what} {before} is not known", field="before") from None


@routes.get(
    "/sessions", "Sessions", "Newest first", 404, 503, operation_class=WithCsv, right=Right.SEE
)
async def list_sessions(
    request: AnyRequest,
    service: ServiceHere,
    caller: PassHere,
    cp_id: OfCp = None,
    driver_id: OfDriver = None,
    status: OfStatus = None,
    limit: Limit = LIMIT_DEFAULT,
    before: Before = None,
    since: Since = None,
    until: Until = None,
    format: Format = None,
) -> Response[Sessions]:
    """By start, then by id; the next page is what is `before` the last session of this one.

    As CSV all of them: `limit` has no default there.
    """
    span = parse_span(since, until)
    driver_id = narrowed(driver_id, caller.driver_id)
    with _behind(before, "session"):
        if wants_csv(request, format):
            which = SessionFilter(cp_id, driver_id, status, before, *span)
            limit_given = limit if "limit" in request.query_params else None
            pages = service.store.all_sessions(which, _session_lines, limit_given)
            # The first page is read before the answer begins: it may be a refusal.
            return csv_stream("sessions", _SESSION_COLUMNS, await anext(pages), pages)
        rows = await service.store.sessions(cp_id, driver_id, status, limit, before, *span)
    return JsonResponse(Sessions([SessionShown.of(row) for row in rows]))


def _session_lines(rows: Sequence[Session]) -> bytes:
    return csv_rows(map(SessionShown.of, rows), _SESSION_COLUMNS)


@routes.get("/faults", "Faults", "Newest first", 404, 503, right=Right.SEE_HEALTH)
async def list_faults(
    service: ServiceHere,
    cp_id: OfCp = None,
    limit: Limit = LIMIT_DEFAULT,
    before: BeforeRow = None,
    since: Since = None,
    until: Until = None,
) -> Faults:
    """Faults and recoveries of engines, connections lost and found again: by time, then by id."""
    page = Page(limit, before, *parse_span(since, until))
    with _behind(before, "fault"):
        rows = await service.store.faults(cp_id, page)
    return Faults([shown(FaultShown, row, id=number) for number, row in rows.items()])


@routes.get(
    "/health/history", "How charging points stood", "Newest first", 404, 503, right=Right.SEE_HEALTH
)
async def list_health_history(
    service: ServiceHere,
    cp_id: OfCp = None,
    limit: Limit = LIMIT_DEFAULT,
    before: BeforeRow = None,
    since: Since = None,
    until: Until = None,
) -> History:
    """An entry at each change and every 60 s: by time, then by id."""
    page = Page(limit, before, *parse_span(since, until))
    with _behind(before, "entry"):
        rows = await service.store.health_history(cp_id, page)
    return History([shown(SnapshotShown, row, id=number) for number, row in rows.items()])
