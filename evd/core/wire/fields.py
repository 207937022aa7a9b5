"""The forms that identifiers, times and amounts have on every wire, and the one error for all else.

A value outside its form raises `FieldError`, which names the field.  The checks are attrs
validators, so they hold when a message is read and when one is made.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import attrs

CP_ID_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
ID_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
TEXT_CHARS_MAX = 1000
# 2**53: beyond it a JSON number is no longer exact.
COUNT_MAX = 9_007_199_254_740_992

# More than any charging point delivers or costs; beyond it whole units would not fit a database.
AMOUNT_MAX = 1e9
# The dearest session that these allow, and three days more of a stopped process, is below it.
KW_MIN = 0.001
KW_MAX = 10_000.0
EURO_RATE_MAX = 1_000.0
SESSION_S_MAX = 86_400.0
LOCATION_CHARS_MAX = 200
KWH_DECIMALS = 6
EUROS_DECIMALS = 4
YEAR_MIN = 1970

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


class FieldError(ValueError):
    """A value outside its form.

    `field` is the dotted name of the field, `why` a sentence part such as `is not a number`.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field
        self.why = why


def check_cp_id(value: object, name: str = "cp_id") -> str:
    """The id of a charging point, or `FieldError`."""
    if not isinstance(value, str) or CP_ID_FORM.fullmatch(value) is None:
        raise FieldError(
            name, "must be 1 to 32 letters, digits, '_', '.' or '-', the first a letter or digit"
        )
    return value


def check_id(value: object, name: str) -> str:
    """Any other id (driver, request, session, vehicle, message, boot, instance, central)."""
    if not isinstance(value, str) or ID_FORM.fullmatch(value) is None:
        raise FieldError(
            name, "must be 1 to 64 letters, digits, '_', '.' or '-', the first a letter or digit"
        )
    return value


def check_text(value: object, name: str) -> str:
    """A sentence for a person: any string of at most TEXT_CHARS_MAX characters."""
    if not isinstance(value, str):
        raise FieldError(name, "must be a string")
    if len(value) > TEXT_CHARS_MAX:
        raise FieldError(name, f"must have at most {TEXT_CHARS_MAX} characters")
    return value


def check_location(value: object, name: str) -> str:
    """A place in words: 1 to LOCATION_CHARS_MAX characters that can be printed."""
    if not isinstance(value, str):
        raise FieldError(name, "must be a string")
    if not 1 <= len(value) <= LOCATION_CHARS_MAX or not value.isprintable():
        raise FieldError(name, f"must have 1 to {LOCATION_CHARS_MAX} printable characters")
    return value


def clip(text: str) -> str:
    """A sentence put together from parts, cut to what a field takes."""
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def printable(text: str) -> str:
    """`text` on one line, as it may be logged and printed.

    What comes from outside can then neither forge a line of its own nor steer a terminal.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _shown(value: object) -> object:
    """A sentence as it may be shown; its length is judged as it came."""
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        return value
    return clip(printable(value))


def check_number(value: object, name: str) -> float:
    """A finite number of at least 0; true and false are no numbers."""
    if type(value) is not float and type(value) is not int:
        raise FieldError(name, "must be a number")
    if not 0 <= value < math.inf:
        raise FieldError(name, "must be finite and at least 0")
    return value


def why_outside(number: float, low: float, high: float, unit: str) -> str:
    """Why a number is no good that is to be within bounds; empty where it is good."""
    if low <= number <= high:
        return ""
    # As many digits as a bound has, and never an exponent in their place.
    return f"must be from {low:.15g} to {high:.15g} {unit}".rstrip()


def _within(low: float, high: float, unit: str) -> Callable[[object, str], float]:
    def check(value: object, name: str) -> float:
        number = check_number(value, name)
        if why := why_outside(number, low, high, unit):
            raise FieldError(name, why)
        return number

    return check


check_kw = _within(0.0, AMOUNT_MAX, "kW")
check_kw_rate = _within(KW_MIN, KW_MAX, "kW")
check_euro_rate = _within(0.0, EURO_RATE_MAX, "euro/kWh")


def check_count(value: object, name: str) -> int:
    """A whole number from 0 to COUNT_MAX."""
    if type(value) is not int:
        raise FieldError(name, "must be a whole number")
    if not 0 <= value <= COUNT_MAX:
        raise FieldError(name, "must be at least 0 and at most 2^53")
    return value


def check_flag(value: object, name: str) -> bool:
    """True or false, and nothing that merely looks like it."""
    if type(value) is not bool:
        raise FieldError(name, "must be true or false")
    return value


def check_time(value: object, name: str) -> datetime:
    """A time with an offset, as UTC."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise FieldError(name, "must be a time with an offset, such as 2026-01-31T12:00:00Z")
    when = value if value.tzinfo is UTC else value.astimezone(UTC)
    # A clock that was never set begins there; earlier years are not written alike everywhere.
    if when.year < YEAR_MIN:
        raise FieldError(name, f"must not be before the year {YEAR_MIN}")
    return when


def parse_time(text: object, name: str) -> datetime:
    """The time that RFC 3339 `text` stands for, in UTC; a time without an offset is refused."""
    if not isinstance(text, str) or len(text) > 40 or "T" not in text.upper():
        raise FieldError(name, "must be a time such as 2026-01-31T12:00:00Z")
    try:
        return check_time(datetime.fromisoformat(text), name)
    except FieldError:
        raise
    except (ValueError, OverflowError):
        raise FieldError(name, "must be a time such as 2026-01-31T12:00:00Z") from None


def format_time(when: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as in `2026-01-31T12:00:00.123456Z`."""
    utc = when if when.tzinfo is UTC else when.astimezone(UTC)
    return utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _nullable(check: Callable[[Any, str], object], null: bool) -> Validator:
    def validate(_: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is not None or not null:
            check(value, attribute.name)

    return validate


def _field(
    check: Callable[[Any, str], object],
    null: bool,
    optional: bool,
    converter: Callable[[Any], Any] | None = None,
    *,
    is_secret: bool = False,
) -> Any:
    """An attrs field.  `null`: may be null.  `optional`: may be absent, but then not null."""
    if optional:
        return attrs.field(
            default=None,
            kw_only=True,
            repr=not is_secret,
            converter=converter,
            validator=_nullable(check, True),
            metadata={"optional": True},
        )
    return attrs.field(repr=not is_secret, converter=converter, validator=_nullable(check, null))


def cp_id_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for the id of a charging point."""
    return _field(check_cp_id, null, optional)


def id_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for any other id."""
    return _field(check_id, null, optional)


def text_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for a sentence; control and bidi characters become their escapes.

    They are not refused: a bill must not be lost for the words beside it.
    """
    return _field(check_text, null, optional, _shown)


def secret_field(*, optional: bool = False) -> Any:
    """A field for a token, which is never shown."""
    return _field(check_text, False, optional, is_secret=True)


def location_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for the place of a charging point."""
    return _field(check_location, null, optional)


def kw_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for a measured power in kW."""
    return _field(check_kw, null, optional)


def kw_rate_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for the power that a charging point supplies, in kW."""
    return _field(check_kw_rate, null, optional)


def euro_rate_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for a price in euros a kWh."""
    return _field(check_euro_rate, null, optional)


def number_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for seconds."""
    return _field(check_number, null, optional)


def count_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for a whole number."""
    return _field(check_count, null, optional)


def flag_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for true or false."""
    return _field(check_flag, null, optional)


def time_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field that takes RFC 3339 with an offset."""
    return _field(check_time, null, optional)


def choice_field(kind: type[Enum], *, null: bool = False, optional: bool = False) -> Any:
    """A field for one of the values of `kind`."""

    def check(value: object, name: str) -> object:
        if not isinstance(value, kind):
            raise FieldError(name, f"must be one of {', '.join(str(m.value) for m in kind)}")
        return value

    return _field(check, null, optional)


def object_field(kind: Any, *, optional: bool = False) -> Any:
    """A field for a nested message of class `kind` (or of one of a union)."""

    def check(value: object, name: str) -> object:
        if not isinstance(value, kind):
            raise FieldError(name, "must be an object")
        return value

    return _field(check, False, optional)


def _with_decimals(decimals: int) -> Callable[[Any, str], float]:
    def check(value: object, name: str) -> float:
        number = check_number(value, name)
        if number > AMOUNT_MAX:
            raise FieldError(name, f"must be at most {AMOUNT_MAX:.15g}")
        if round(number, decimals) != number:
            raise FieldError(name, f"must have at most {decimals} decimals")
        return number

    return check


check_kwh = _with_decimals(KWH_DECIMALS)
check_euros = _with_decimals(EUROS_DECIMALS)
check_bill = _with_decimals(2)


def kwh_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for energy in kWh, at most 6 decimals."""
    return _field(check_kwh, null, optional)


def euros_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for a running amount in euros, at most 4 decimals."""
    return _field(check_euros, null, optional)


def bill_field(*, null: bool = False, optional: bool = False) -> Any:
    """A field for a final amount in euros, at most 2 decimals."""
    return _field(check_bill, null, optional)
