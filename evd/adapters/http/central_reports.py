"""Central's reports: energy, sessions and money by month, charging point or driver."""

from collections.abc import Sequence
from typing import Final, cast

import attrs
import orjson
from litestar import Response

from evd.adapters.http.access.driver_view import narrowed
from evd.adapters.http.access.rights import PassHere
from evd.adapters.http.api import Routes
from evd.adapters.http.central_service import ServiceHere
from evd.adapters.http.csv_reply import (
    WithCsv,
    columns_of,
    csv_lines,
    csv_rows,
    csv_whole,
    wants_csv,
)
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.parameters import By, Format, OfCp, OfDriver, Since, Until, parse_span
from evd.adapters.http.refused import JSON, Refused
from evd.adapters.http.schemas import Report, SumShown
from evd.adapters.store.page import SessionFilter
from evd.adapters.store.report import Grouping, ReportRow
from evd.core.access.roles import Right

# A report is whole or refused: sums of which some are left out mislead.
ROWS_MAX: Final = 50_000

_COLUMNS: Final = columns_of(SumShown)

routes: Final = Routes()


@routes.get(
    "/reports",
    "What was billed",
    "By key, ascending",
    503,
    operation_class=WithCsv,
    right=Right.SEE,
)
async def show_report(
    request: AnyRequest,
    service: ServiceHere,
    caller: PassHere,
    by: By = Grouping.MONTH,
    since: Since = None,
    until: Until = None,
    cp_id: OfCp = None,
    driver_id: OfDriver = None,
    format: Format = None,
) -> Response[Report]:
    """Sums of the sessions that began in the span and have their bill, whoever is to pay it.

    A session counts in the month of its start.  Those that nobody pays, the operator voided, or
    that have no bill yet are left out.
    """
    first, last = parse_span(since, until)
    driver_id = narrowed(driver_id, caller.driver_id)
    which = SessionFilter(cp_id, driver_id, since=first, until=last)
    is_csv = wants_csv(request, format)
    content = await service.store.report(by, which, ROWS_MAX + 1, _table if is_csv else _json)
    return (
        csv_whole("report", content) if is_csv else Response(cast(Report, content), media_type=JSON)
    )


def _json(rows: Sequence[ReportRow]) -> bytes:
    return orjson.dumps({"report": [attrs.asdict(SumShown.of(row)) for row in _bounded(rows)]})


def _table(rows: Sequence[ReportRow]) -> bytes:
    return csv_lines([_COLUMNS]) + csv_rows(map(SumShown.of, _bounded(rows)), _COLUMNS)


def _bounded(rows: Sequence[ReportRow]) -> Sequence[ReportRow]:
    if len(rows) > ROWS_MAX:
        raise Refused(
            400, f"the report would have more than {ROWS_MAX} rows: narrow the span", "by"
        )
    return rows
