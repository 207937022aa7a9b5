"""The sizes, names and words that keep the sources readable, held by a test."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
# A name that says nothing about what is inside gathers what belongs elsewhere.
EMPTY_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

# A sentence that begins with one of these keeps its subject for later.
FIRST_WORDS = {"What", "Who", "Whoever", "Whose", "Of", "Else"}
# They had several meanings each.
OLD_NAMES = {"Attendant", "Desk", "Life", "Line", "Mail", "Presence", "Witness"}
# They say nothing beside a name.
SMALL_WORDS = {"a", "an", "and", "are", "be", "for", "is", "it", "its", "of", "that", "the", "to"}
HEADING_WORDS_MAX = 5
DIRECTIVE = re.compile(r"#(!| ?(fmt|mypy|noqa|pragma|ruff|type):)")
RULE = re.compile(r"[-=*#~_]{3,}")

SOURCES = sorted(path for part in ("evd", "tests") for path in (ROOT / part).rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's path in the checkout."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """Each docstring with the name that it stands at, `` for a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield getattr(node, "name", ""), docstring


def comments(source: str) -> Iterator[tuple[int, int, list[str]]]:
    """Each comment with its first line's number and column; lines below each other are one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [each for each in tokens if each.type == tokenize.COMMENT]
    found = [each for each in found if not DIRECTIVE.match(each.string)]
    lines = enumerate(found)
    # Neighbours have the same column, and the same distance from their number in the list.
    for (column, _), group in groupby(lines, lambda at: (at[1].start[1], at[1].start[0] - at[0])):
        one = [each for _, each in group]
        yield one[0].start[0], column, [each.string for each in one]


def first_word(text: str) -> str:
    """The first word of a text, or nothing."""
    found = re.search(r"\w+", text)
    return found[0] if found else ""


def words_of(text: str) -> set[str]:
    """The words of a name or a sentence that say something, without their endings."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).replace("_", " ").lower()
    words = set(re.findall(r"\w+", apart)) - SMALL_WORDS
    return {re.sub(r"(ies|es|s|y|ed|ing|d)$", "", word) for word in words}


def is_heading(source: str, line: int, comment: list[str]) -> bool:
    """Whether a comment is a banner: a drawn rule, or a title that stands alone."""
    if any(RULE.search(each) for each in comment):
        return True
    around = ["", *source.splitlines(), ""]
    alone = not around[line - 1].strip() and not around[line + len(comment)].strip()
    text = comment[0].lstrip("# ")
    is_title = text[:1].isupper() and not text.endswith(".")
    return len(comment) == 1 and alone and is_title and len(text.split()) <= HEADING_WORDS_MAX


def faults_of(source: str) -> list[str]:
    """The docstrings and comments of a source that break a rule, each with the rule."""
    found = []
    for name, docstring in docstrings(source):
        if first_word(docstring) in FIRST_WORDS:
            found.append(f"{name or 'the module'} begins without its subject: {docstring!r}")
        if name and words_of(docstring) <= words_of(name):
            found.append(f"{name} says its name again: {docstring!r}")
    for line, _, comment in comments(source):
        if first_word(comment[0]) in FIRST_WORDS:
            found.append(f"line {line} begins without its subject: {comment[0]}")
        if is_heading(source, line, comment):
            found.append(f"line {line} heads a section: {comment[0]}")
    return found


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


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_words_are_understood_at_the_first_reading(path: Path) -> None:
    """Proves: each comment and docstring begins with its subject, says more than the name beside
    it, and heads no section."""
    assert faults_of(path.read_text()) == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_old_names_are_gone(path: Path) -> None:
    """Proves: no class has a name again that stood for several things."""
    nodes = ast.walk(ast.parse(path.read_bytes()))
    assert not {each.name.lstrip("_") for each in nodes if type(each) is ast.ClassDef} & OLD_NAMES


@pytest.mark.parametrize(
    "source",
    [
        '"""What is kept."""',
        'def read() -> None:\n    """Of all the oldest."""',
        "x = 1  # Who reads it",
        "# Whoever comes last\n# waits.",
        "class A:\n    x = 1\n\n    # What is shown\n\n    y = 2",
        "class A:\n    x = 1\n\n    # Sessions\n\n    y = 2",
        "# ---- Sessions ----",
        'def send_all(messages: str) -> None:\n    """Send all."""',
        'class RequestsFile:\n    """The file of requests."""',
    ],
)
def test_the_rules_find_what_they_forbid(source: str) -> None:
    """Proves: each rule about words can fail."""
    assert faults_of(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""Kept until it is confirmed.  What is kept longer is evicted."""',
        "# Saved before sent: Central may confirm.\n# Who asks again is answered again.\nx = 1",
        "x = 1\n\n# Half the limit.\n\ny = 2",
        'def close() -> None:\n    """Leave the broker."""',
        "# noqa: What",
    ],
)
def test_the_rules_allow_what_is_good(source: str) -> None:
    """Proves: a good comment is left alone, and so is a second line or sentence."""
    assert not faults_of(source)
