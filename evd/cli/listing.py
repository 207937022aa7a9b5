"""Lists of what is past: their filters, their pages, their times."""

import argparse
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from evd.cli.command_line import Parser, value_of
from evd.cli.errors import ToolFailed
from evd.cli.names import cp_ids_from
from evd.cli.table import NOTHING
from evd.core.wire.fields import FieldError, check_id, format_time, parse_time
from evd.flags import Kind, whole

LIMIT: Final = whole(1, 100_000)
LIMIT_DEFAULT: Final = 40
# A page that Central gives at the most.
PAGE_ROWS: Final = 1000

_AGE: Final = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Filters = dict[str, str | int | None]


def add_span(parser: Parser) -> None:
    """Let the operator choose a span of time."""
    text = "then or later: 2026-01-31T12:00:00Z, or an age such as 90s, 30m, 2h, 7d"
    parser.add_argument("--since", type=moment, metavar="TIME", help=text)
    parser.add_argument("--until", type=moment, metavar="TIME", help="before then")


def add_limit(parser: Parser, what: str) -> None:
    """Let the operator choose how many of the newest are shown."""
    parser.add_argument(
        "--limit",
        type=value_of(LIMIT),
        default=LIMIT_DEFAULT,
        metavar="N",
        help=f"at most so many {what}, the newest (default {LIMIT_DEFAULT})",
    )


def add_cp(parser: Parser) -> None:
    """Let the operator choose a charging point."""
    parser.add_argument("--cp", metavar="N|ID", help="only of this charging point")


def cp_of(options: argparse.Namespace) -> str | None:
    """The charging point that was chosen; ToolFailed where it can't be one."""
    return None if options.cp is None else cp_ids_from([options.cp])[0]


def checked_id(value: str, name: str) -> str:
    """An id of a driver, request or session; ToolFailed where it can't be one."""
    try:
        return check_id(value, name)
    except FieldError as error:
        raise ToolFailed(f"{error}.", 2) from None


def _moment(text: str) -> str:
    """A time as Central takes it: `text` is one, or how long ago it was by this machine's clock."""
    if (age := _AGE.fullmatch(text)) is not None:
        ago = timedelta(seconds=int(age["count"]) * _UNITS_S[age["unit"]])
        return format_time(datetime.now(UTC) - ago)
    try:
        parse_time(text, "")
    except FieldError:
        raise ValueError(
            "must be a time such as 2026-01-31T12:00:00Z, or an age such as 2h"
        ) from None
    return text


moment: Final = value_of(Kind(_moment, "TIME"))


def newest(
    ask: Callable[..., list[dict[str, Any]]], id_name: str, limit: int, filters: Filters
) -> list[dict[str, Any]]:
    """The newest `limit` rows that `ask` finds, page by page; the newest last."""
    rows: list[dict[str, Any]] = []
    while len(rows) < limit:
        size = min(limit - len(rows), PAGE_ROWS)
        before = rows[-1][id_name] if rows else None
        page = ask(**filters, limit=size, before=before)
        rows += page
        if len(page) < size:
            break
    return rows[::-1]


def clock(row: Mapping[str, Any], name: str) -> str:
    """A time of a row by this machine's clock and time zone, a dash for none."""
    value = row.get(name)
    return local(datetime.fromisoformat(value) if value else None)


def local(when: datetime | None) -> str:
    """A time by this machine's clock and time zone, a dash for none."""
    return NOTHING if when is None else f"{when.astimezone():%Y-%m-%d %H:%M:%S}"
