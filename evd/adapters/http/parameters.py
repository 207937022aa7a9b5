"""What stands in a path or a query: its form, how the documentation shows it, its one error.

All come in as text and are checked here and not by Litestar, so that every wrong value, wherever
it stands, is refused with the same sentence.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Parameter

from evd.core.central.rows import SessionStatus
from evd.core.wire.fields import CP_ID_FORM, ID_FORM, FieldError

LIMIT_MAX: Final = 1000
LIMIT_DEFAULT: Final = 100
DAYS_MAX: Final = 3650
DAYS_DEFAULT: Final = 30
_DIGITS_MAX: Final = 9

E = TypeVar("E", bound=StrEnum)


def _text(description: str, **form: Any) -> Any:
    return Parameter(
        description=description, schema_extra={"type": OpenAPIType.STRING, "one_of": None, **form}
    )


def _whole(description: str, maximum: int, default: int) -> Any:
    form = {"minimum": 1, "maximum": maximum, "default": default}
    return _text(description, **form | {"type": OpenAPIType.INTEGER})


CP_ID_PATTERN: Final = f"^{CP_ID_FORM.pattern}$"
ID_PATTERN: Final = f"^{ID_FORM.pattern}$"

CpIdInPath = Annotated[str, _text("the charging point", pattern=CP_ID_PATTERN)]
RequestIdInPath = Annotated[str, _text("the request", pattern=ID_PATTERN)]
SessionIdInPath = Annotated[str, _text("the session", pattern=ID_PATTERN)]
OfCp = Annotated[str | None, _text("only of this charging point", pattern=CP_ID_PATTERN)]
OfDriver = Annotated[str | None, _text("only of this driver", pattern=ID_PATTERN)]
OfStatus = Annotated[
    str | None, _text("only with this status", enum=[each.value for each in SessionStatus])
]
Before = Annotated[str | None, _text("only what is older than this session", pattern=ID_PATTERN)]
Limit = Annotated[str | None, _whole("at most so many", LIMIT_MAX, LIMIT_DEFAULT)]
Days = Annotated[str | None, _whole("over so many days until now", DAYS_MAX, DAYS_DEFAULT)]


def read_limit(text: str | None) -> int:
    """How many rows a list may have; FieldError outside 1 to LIMIT_MAX."""
    return read_whole(text, "limit", LIMIT_DEFAULT, LIMIT_MAX)


def read_days(text: str | None) -> int:
    """How many days to look back; FieldError outside 1 to DAYS_MAX."""
    return read_whole(text, "days", DAYS_DEFAULT, DAYS_MAX)


def read_whole(text: str | None, name: str, default: int, maximum: int) -> int:
    """A whole number from 1 to `maximum`, or `default` where there is none."""
    if text is None:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not is_number or not 1 <= int(text) <= maximum:
        raise FieldError(name, f"must be a whole number from 1 to {maximum}")
    return int(text)


def read_choice(text: str | None, name: str, kind: type[E]) -> E | None:
    """One of the values of `kind`, or None where there is none."""
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise FieldError(name, f"must be one of {', '.join(kind)}") from None
