"""Answers as CSV: the form of their lines, who is given them, and how they are documented."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Response

from evd.adapters.http.access.passes import KEY, OPEN_PASS
from evd.adapters.http.api import Routes, json_api
from evd.adapters.http.csv_reply import (
    WithCsv,
    columns_of,
    csv_answer,
    csv_lines,
    csv_stream,
    wants_csv,
)
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.parameters import Format
from evd.core.central.rows import SessionStatus
from tests.adapters.http.fake_central import NOON, NOON_TEXT

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A",
)


@attrs.frozen
class Row:
    """A row of the app of these tests."""

    name: str
    count: int


ROWS = (Row("a", 1), Row("=b", -2))


class Pages:
    """Two pages of lines, one after the other."""

    def __init__(self) -> None:
        self._left = [csv_lines([("c", 3)]), csv_lines([("d", 4)])]

    def __aiter__(self) -> "Pages":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


def table_app() -> Litestar:
    """An app that answers with ROWS, as JSON or CSV, whole or in pages."""
    routes = Routes()

    @routes.get("/rows", "Rows", "All rows", right=None, operation_class=WithCsv)
    async def rows(request: AnyRequest, format: Format = None) -> Response[list[Row]]:
        """In whichever form is asked for."""
        if wants_csv(request, format):
            return csv_answer("rows", columns_of(Row), [attrs.astuple(row) for row in ROWS])
        return Response(list(ROWS))

    @routes.get("/pages", "Pages", "All pages", right=None, operation_class=WithCsv)
    async def pages() -> Response[list[Row]]:
        """As a stream."""
        first = csv_lines([attrs.astuple(row) for row in ROWS])
        return csv_stream("pages", columns_of(Row), first, Pages())

    return json_api(
        title="Rows", description="", routes=routes, dependencies={}, exception_handlers={}
    )


async def asked(path: str, headers: Sequence[tuple[str, str]] = ()) -> httpx.Response:
    """The answer of `table_app`."""
    app = table_app()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        scope[KEY] = OPEN_PASS
        await app(scope, receive, send)

    transport = httpx.ASGITransport(app=answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        # httpx has an Accept of its own, which takes all.
        del client.headers["accept"]
        return await client.get(path, headers=list(headers))


def cells_of(lines: bytes) -> list[list[str]]:
    """The cells, as any reader of RFC 4180 has them."""
    return list(csv.reader(io.StringIO(lines.decode(), newline="")))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_each_text_comes_back(texts: list[str]) -> None:
    """Proves: commas, quotes and line ends in a text are read back as they were; what is changed is
    an apostrophe before what a spreadsheet would take for a formula, and nothing else."""
    (row,) = cells_of(csv_lines([["id", *texts]]))
    for text, cell in zip(texts, row[1:], strict=True):
        assert cell in (text, f"'{text}")
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
        if text[:1].isalnum():
            assert cell == text


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_text_is_a_formula(formula: str) -> None:
    """Proves: a text that begins like a formula gets an apostrophe before it."""
    assert cells_of(csv_lines([[formula, "x"]])) == [[f"'{formula}", "x"]]


def test_each_kind_of_cell_has_its_form() -> None:
    """Proves: numbers stay numbers in plain decimals, a negative one too; times, truth and nothing
    are written as in JSON; lines end with CR LF, a text with a comma is quoted."""
    cells = (-1, 0.061111, 1e-06, 1e16, True, False, None, NOON, SessionStatus.ACTIVE, "a,b")
    times = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert csv_lines([cells, [times]]).decode() == (
        "-1,0.061111,0.000001,10000000000000000,true,false,,"
        f'{NOON_TEXT},ACTIVE,"a,b"\r\n2026-01-31T12:00:00.000000Z\r\n'
    )


def test_a_cell_of_another_kind_is_a_mistake() -> None:
    """Proves: nothing is written in a form that nobody chose."""
    with pytest.raises(TypeError, match="no cell can be a list"):
        csv_lines([[["x"]]])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("query", "accept", "is_csv"),
    [
        ("", [], False),
        ("", ["*/*"], False),
        ("", ["text/csv"], True),
        ("", ["TEXT/CSV; charset=utf-8"], True),
        ("", ["text/*"], True),
        ("", ["text/csv, */*"], True),
        ("", ["text/html,application/xhtml+xml,*/*;q=0.8"], False),
        ("", ["text/csv;q=0.5, application/json"], False),
        ("", ["text/csv;q=0.5, application/json;q=0.4"], True),
        ("", ["application/json;q=0.4", "text/csv;q=0.5"], True),
        ("", ["text/csv;q=0"], False),
        ("", ["text/csv; q=0.000, image/png"], False),
        ("", ["text/csv;q=inf"], False),
        ("", ["text/csv;q=1e999"], False),
        ("", ["image/png"], False),
        ("", [""], False),
        ("?format=csv", ["application/json"], True),
        ("?format=json", ["text/csv"], False),
    ],
)
async def test_the_call_chooses_the_form(query: str, accept: list[str], is_csv: bool) -> None:
    """Proves: `format` decides, and without it the Accept header by its qualities; where CSV is not
    preferred the answer is JSON."""
    answer = await asked(f"/rows{query}", [("accept", each) for each in accept])
    assert answer.status_code == 200
    if is_csv:
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="rows.csv"'
        assert answer.content == b"name,count\r\na,1\r\n'=b,-2\r\n"
    else:
        assert answer.json() == [{"name": "a", "count": 1}, {"name": "=b", "count": -2}]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
async def test_no_accept_header_is_an_error(accept: str) -> None:
    """Proves: whatever a client accepts, it is given one of the two."""
    answer = await asked("/rows", [("accept", f"text/csv;{accept}")])
    assert answer.status_code == 200


async def test_another_form_is_refused() -> None:
    """Proves: a format that there is not is a 400 that names the parameter and both forms."""
    answer = await asked("/rows?format=xml")
    assert answer.status_code == 400
    assert answer.json() == {"error": "format must be one of json, csv", "field": "format"}


async def test_a_table_is_sent_in_parts() -> None:
    """Proves: a stream is the header row, its first part, and then each other."""
    answer = await asked("/pages")
    assert answer.content == b"name,count\r\na,1\r\n'=b,-2\r\nc,3\r\nd,4\r\n"
    assert answer.headers["content-disposition"] == 'attachment; filename="pages.csv"'


async def test_csv_is_documented() -> None:
    """Proves: the OpenAPI document names both forms of a good answer."""
    document: dict[str, Any] = (await asked("/openapi.json")).json()
    content = document["paths"]["/rows"]["get"]["responses"]["200"]["content"]
    assert content["text/csv"] == {"schema": {"type": "string"}}
    assert set(content) == {"application/json", "text/csv"}
