"""Parameters of a path or a query as types: Litestar checks, converts and documents them.

`title` ends the sentence `<name> must be ...` that a wrong value is answered with.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.schema import Schema
from litestar.params import Parameter, QueryParameter

from evd.adapters.store.report import Grouping
from evd.core.central.rows import SessionStatus
from evd.core.wire.fields import COUNT_MAX, CP_ID_FORM, ID_FORM, YEAR_MIN, FieldError, parse_time

LIMIT_MAX: Final = 1000
LIMIT_DEFAULT: Final = 100
DAYS_MAX: Final = 3650
DAYS_DEFAULT: Final = 30
KW_MAX: Final = 1e9
# How many charging points one question names at the most.
CPS_MAX: Final = 100
SPAN_DEFAULT: Final = timedelta(days=1)
_LEAP_YEAR: Final = 1972

CP_ID_PATTERN: Final = f"^{CP_ID_FORM.pattern}$"
ID_PATTERN: Final = f"^{ID_FORM.pattern}$"


def _id(form: str, chars_max: int, description: str) -> Any:
    title = f"1 to {chars_max} letters, digits, '_', '.' or '-', the first a letter or digit"
    # Python's $ takes a line's end before it; a documentation's, which is JavaScript's, does not.
    pattern = rf"\A{form}\Z"
    shown = {"type": OpenAPIType.STRING, "one_of": None, "pattern": f"^{form}$"}
    return Parameter(title=title, description=description, pattern=pattern, schema_extra=shown)


def _cp_id(description: str) -> Any:
    return _id(CP_ID_FORM.pattern, 32, description)


def _other_id(description: str) -> Any:
    return _id(ID_FORM.pattern, 64, description)


def _whole(maximum: int, description: str) -> Any:
    title = f"a whole number from 1 to {maximum}"
    # A bound of Litestar's own is shown as 1000.0.
    shown = {"type": OpenAPIType.INTEGER, "one_of": None, "minimum": 1, "maximum": maximum}
    return Parameter(title=title, description=description, ge=1, le=maximum, schema_extra=shown)


def _time(description: str) -> Any:
    shown = {"type": OpenAPIType.STRING, "one_of": None, "format": "date-time"}
    return Parameter(
        title="a time such as 2026-01-31T12:00:00Z", description=description, schema_extra=shown
    )


def _choice(description: str, *values: str) -> Any:
    shown = {"type": OpenAPIType.STRING, "one_of": None, "enum": list(values)}
    title = f"one of {', '.join(values)}"
    return Parameter(title=title, description=description, schema_extra=shown)


CpIdInPath = Annotated[str, _cp_id("the charging point")]
RequestIdInPath = Annotated[str, _other_id("the request")]
SessionIdInPath = Annotated[str, _other_id("the session")]
UserInPath = Annotated[str, _other_id("the user")]
TokenInPath = Annotated[str, _other_id("the token")]
AnyDriverInPath = Annotated[str, _other_id("the driver")]
DriverIdInPath = Annotated[str, _other_id("this dashboard's driver")]
OfCp = Annotated[str | None, _cp_id("only of this charging point")]
# A query must have these ids.
TheseCps = Annotated[
    list[str],
    QueryParameter(
        title=f"1 to {CPS_MAX} ids of charging points",
        description="of these charging points: it may stand there several times",
        schema_extra={
            "min_items": 1,
            "max_items": CPS_MAX,
            "items": Schema(type=OpenAPIType.STRING, pattern=CP_ID_PATTERN),
        },
    ),
]
OfDriver = Annotated[str | None, _other_id("only of this driver")]
OfStatus = Annotated[SessionStatus | None, _choice("only with this status", *SessionStatus)]
Before = Annotated[str | None, _other_id("only what stands behind this session in the list")]
BeforeEntry = Annotated[
    str | None,
    Parameter(
        title="the id of an entry of the list",
        description="only what stands behind this entry in the list",
        schema_extra={"type": OpenAPIType.STRING, "one_of": None},
    ),
]
BeforeRow = Annotated[int | None, _whole(COUNT_MAX, "only what stands behind this id in the list")]
Since = Annotated[str | None, _time("only what was then or later")]
Until = Annotated[str | None, _time("only what was before then")]
Format = Annotated[
    Literal["json", "csv"] | None,
    _choice("of the answer; else the Accept header decides, json before csv", "json", "csv"),
]
Limit = Annotated[int, _whole(LIMIT_MAX, "at most so many")]
By = Annotated[Grouping, _choice("a row for each of these; months are of UTC", *Grouping)]
Days = Annotated[int, _whole(DAYS_MAX, "over so many days until now")]
OnlyAvailable = Annotated[
    Literal["true", "false"], _choice("true: only those that are FREE", "true", "false")
]
MinPower = Annotated[
    float,
    Parameter(
        title="a number of kW, such as 22 or 7.4",
        description="only those of at least so many kW",
        ge=0,
        le=KW_MAX,
    ),
]


def _parse_edge(text: str, name: str) -> datetime:
    """A span's edge: some programs write the year 1 where they mean no time at all."""
    if text[:4].isdecimal() and int(text[:4]) < YEAR_MIN:
        # A leap year stands for all of those.
        parse_time(f"{_LEAP_YEAR}{text[4:]}", name)
        return datetime(YEAR_MIN, 1, 1, tzinfo=UTC)
    return parse_time(text, name)


def parse_span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The times that a call's `since` and `until` stand for; FieldError where they end before they
    begin."""
    first = None if since is None else _parse_edge(since, "since")
    last = None if until is None else _parse_edge(until, "until")
    if first is not None and last is not None and first > last:
        raise FieldError("since", "must not be after until")
    return first, last


def parse_past(since: str | None, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The span that a call is about, which ends `now` at the latest: by default the last day."""
    first, last = parse_span(since, until)
    last = now if last is None else min(last, now)
    if first is None:
        # No time is earlier than the year 1.
        first = last - min(SPAN_DEFAULT, last - datetime.min.replace(tzinfo=UTC))
    return min(first, last), last
