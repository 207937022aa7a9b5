"""Answers as CSV: RFC 4180 with a header row, in UTF-8, and harmless in a spreadsheet.

A text that a spreadsheet would take for a formula gets an apostrophe before it.  Ids, numbers and
times never do.  None is an empty cell, a truth value is `true` or `false`, as in JSON.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, TypeAlias

import attrs
from litestar import Response
from litestar.datastructures.headers import Accept
from litestar.openapi.spec import OpenAPIResponse, Operation
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.media_type import OpenAPIMediaType
from litestar.openapi.spec.schema import Schema
from litestar.response import Stream

from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.refused import JSON
from evd.core.wire.fields import format_time

CSV: Final = "text/csv"

Cell: TypeAlias = str | float | bool | datetime | None

# The second row: the same signs in their wide form, which some spreadsheets take as well.
_FORMULA: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_BREAKS: Final = ("\t", "\r", "\n")
# A quality of 0 is a refusal; one in another form than that of RFC 9110 is none at all.
_UNWANTED: Final = re.compile(
    r";\s*q\s*=\s*(?!(?:0\.0{0,2}[1-9]\d{0,2}|1(?:\.0{0,3})?)\s*(?:;|$))", re.IGNORECASE
)


def wants_csv(request: AnyRequest, given: str | None) -> bool:
    """Whether the answer is CSV: the parameter `format` says so, or where it is not given, the
    Accept header prefers CSV to JSON."""
    if given is not None:
        return given == "csv"
    ranges = ",".join(request.headers.getall("accept", ())).split(",")
    wanted = ",".join(each for each in ranges if not _UNWANTED.search(each))
    return Accept(wanted).best_match([JSON, CSV], JSON) == CSV


def columns_of(kind: type[attrs.AttrsInstance]) -> tuple[str, ...]:
    """The header row of a table whose rows are of this class."""
    return tuple(field.name for field in attrs.fields(kind))


def csv_rows(rows: Iterable[attrs.AttrsInstance], columns: Sequence[str]) -> bytes:
    """Lines of a table with these columns, which are fields of the rows."""
    return csv_lines(map(attrgetter(*columns), rows))


def csv_lines(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Lines of a table, each with its line end."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerows([_WRITTEN[type(cell)](cell) for cell in row] for row in rows)
    return lines.getvalue().encode()


def csv_answer(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Response[Any]:
    """A small table; a browser saves it as `name`.csv."""
    return csv_whole(name, csv_lines([columns, *rows]))


def csv_whole(name: str, table: bytes) -> Response[Any]:
    """A table that is made already, its header row too."""
    return Response(table, media_type=CSV, headers=_saved_as(name))


def csv_stream(
    name: str, columns: Sequence[str], first: bytes, rest: AsyncIterator[bytes]
) -> Response[Any]:
    """A table that is sent while it is made: `first` and then `rest`, as `csv_lines` makes them."""
    parts = _Parts(csv_lines([columns]) + first, rest)
    return Stream(parts, media_type=CSV, headers=_saved_as(name))


@dataclass
class WithCsv(Operation):
    """The documentation of an operation whose good answer may be CSV too."""

    def __post_init__(self) -> None:
        good = (self.responses or {}).get("200")
        if isinstance(good, OpenAPIResponse) and good.content is not None:
            good.content[CSV] = OpenAPIMediaType(Schema(type=OpenAPIType.STRING))


@attrs.define
class _Parts:
    """`first`, then `rest`.  Left at any moment it needs no closing, as a generator would."""

    _first: bytes | None
    _rest: AsyncIterator[bytes]

    def __aiter__(self) -> "_Parts":
        return self

    async def __anext__(self) -> bytes:
        if self._first is None:
            return await anext(self._rest)
        first, self._first = self._first, None
        return first


def _saved_as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}


def _text(text: str) -> str:
    # Most texts are ids and words: they are done with at once.
    if text[:1].isalnum():
        return text
    if text.startswith(_BREAKS) or text.lstrip().startswith(_FORMULA):
        return f"'{text}"
    return text


def _number(number: float) -> str:
    text = repr(number)
    return format(Decimal(text), "f") if "e" in text else text


class _Written(dict[type, Callable[[Any], str]]):
    """How a cell of each type is written; a type that is missing is one of texts."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        if not issubclass(kind, str):
            raise TypeError(f"no cell can be a {kind.__name__}")
        self[kind] = _text
        return _text


_WRITTEN: Final = _Written(
    {
        bool: lambda value: "true" if value else "false",
        datetime: format_time,
        float: _number,
        int: str,
        type(None): lambda _: "",
    }
)
