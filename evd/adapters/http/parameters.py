"""Parameters of a path or a query as types: Litestar checks, converts and documents them.

`title` ends the sentence `<name> must be ...` that a wrong value is answered with.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Parameter

from evd.adapters.store.report import Grouping
from evd.core.central.rows import SessionStatus
from evd.core.wire.fields import COUNT_MAX, CP_ID_FORM, ID_FORM, FieldError, parse_time

LIMIT_MAX: Final = 1000
LIMIT_DEFAULT: Final = 100
DAYS_MAX: Final = 3650
DAYS_DEFAULT: Final = 30
KW_MAX: Final = 1e9

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
DriverIdInPath = Annotated[str, _other_id("this dashboard's driver")]
OfCp = Annotated[str | None, _cp_id("only of this charging point")]
OfDriver = Annotated[str | None, _other_id("only of this driver")]
OfStatus = Annotated[SessionStatus | None, _choice("only with this status", *SessionStatus)]
Before = Annotated[str | None, _other_id("only what stands behind this session in the list")]
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


def parse_span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The times that a call's `since` and `until` stand for; FieldError where they end before they
    begin."""
    first = None if since is None else parse_time(since, "since")
    last = None if until is None else parse_time(until, "until")
    if first is not None and last is not None and first > last:
        raise FieldError("since", "must not be after until")
    return first, last
