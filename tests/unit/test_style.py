"""The sizes and names that keep the sources readable, held by a test."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
# A name that says nothing about what is inside gathers what belongs elsewhere.
EMPTY_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

SOURCES = sorted(path for part in ("evd", "tests") for path in (ROOT / part).rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's path in the checkout."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    """Proves: every function can be read at one look."""
    for node in functions(path):
        assert node.end_lineno is not None
        lines = node.end_lineno - node.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_are_short(path: Path) -> None:
    """Proves: every file is about one thing that fits into a head."""
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LINES_MAX, f"{lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_say_something(path: Path) -> None:
    """Proves: no module or package is a drawer for odds and ends."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    words = {word for part in parts for word in part.split("_")}
    assert not words & EMPTY_NAMES


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.name.startswith("test_")], ids=name_of
)
def test_every_test_says_what_it_proves(path: Path) -> None:
    """Proves: an engineer who breaks a test reads first which promise it holds."""
    for node in functions(path):
        if node.name.startswith("test_"):
            assert ast.get_docstring(node), node.name
