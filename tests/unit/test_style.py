"""The sizes, names and words that keep the sources readable, held by a test."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import attrs
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


@attrs.frozen
class Source:
    """A file's path in the checkout, its text, and every node of its tree."""

    path: Path
    text: str
    nodes: list[ast.AST]


def parsed(text: str, path: Path = Path("made_up.py")) -> Source:
    """Parse a source, once for all rules."""
    return Source(path, text, list(ast.walk(ast.parse(text))))


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def docstrings(source: Source) -> Iterator[tuple[str, str]]:
    """Each docstring with the name that it stands at, `` for a module."""
    for node in source.nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield getattr(node, "name", ""), docstring


def comments(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Each comment with its first line's number and column; lines below each other are one."""
    if "#" not in text:
        return
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
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


def is_heading(text: str, line: int, comment: list[str]) -> bool:
    """Whether a comment is a banner: a drawn rule, or a title that stands alone."""
    if any(RULE.search(each) for each in comment):
        return True
    title = comment[0].lstrip("# ")
    is_title = title[:1].isupper() and not title.endswith(".")
    if len(comment) > 1 or not is_title or len(title.split()) > HEADING_WORDS_MAX:
        return False
    around = ["", *text.splitlines(), ""]
    return not around[line - 1].strip() and not around[line + 1].strip()


def long_functions(source: Source) -> Iterator[str]:
    """The functions that can't be read at one look."""
    for node in functions(source):
        assert node.end_lineno is not None
        lines = node.end_lineno - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{node.name} has {lines} lines"


def long_files(source: Source) -> Iterator[str]:
    """A file that does not fit into a head."""
    lines = len(source.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield f"{lines} lines"


def empty_names(source: Source) -> Iterator[str]:
    """The words of a path that say nothing about what is inside."""
    words = {word for part in source.path.with_suffix("").parts for word in part.split("_")}
    yield from sorted(words & EMPTY_NAMES)


def silent_tests(source: Source) -> Iterator[str]:
    """The tests that do not say what they prove."""
    if source.path.name.startswith("test_"):
        for node in functions(source):
            if node.name.startswith("test_") and not ast.get_docstring(node):
                yield f"{node.name} has no docstring"


def old_names(source: Source) -> Iterator[str]:
    """The classes with a name that stood for several things."""
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and node.name.lstrip("_") in OLD_NAMES:
            yield f"the class {node.name}"


def unclear_words(source: Source) -> Iterator[str]:
    """The docstrings and comments that break a rule, each with the rule."""
    for name, docstring in docstrings(source):
        if first_word(docstring) in FIRST_WORDS:
            yield f"{name or 'the module'} begins without its subject: {docstring!r}"
        if name and words_of(docstring) <= words_of(name):
            yield f"{name} says its name again: {docstring!r}"
    for line, _, comment in comments(source.text):
        if first_word(comment[0]) in FIRST_WORDS:
            yield f"line {line} begins without its subject: {comment[0]}"
        if is_heading(source.text, line, comment):
            yield f"line {line} heads a section: {comment[0]}"


Rule = Callable[[Source], Iterator[str]]
RULES: tuple[Rule, ...] = (
    *(long_functions, long_files, empty_names, silent_tests, old_names, unclear_words),
)


@pytest.fixture(scope="module")
def faults() -> dict[Rule, list[str]]:
    """All that breaks a rule; each file is read and parsed once, and its tree is let go."""
    found: dict[Rule, list[str]] = {rule: [] for rule in RULES}
    for path in SOURCES:
        source = parsed(path.read_text(), path.relative_to(ROOT))
        for rule, of_rule in found.items():
            of_rule += [f"{source.path}: {fault}" for fault in rule(source)]
    return found


def test_functions_are_short(faults: dict[Rule, list[str]]) -> None:
    """Proves: every function can be read at one look."""
    assert faults[long_functions] == []


def test_files_are_short(faults: dict[Rule, list[str]]) -> None:
    """Proves: every file is about one thing that fits into a head."""
    assert faults[long_files] == []


def test_names_say_something(faults: dict[Rule, list[str]]) -> None:
    """Proves: no module or package is a drawer for odds and ends."""
    assert faults[empty_names] == []


def test_every_test_says_what_it_proves(faults: dict[Rule, list[str]]) -> None:
    """Proves: an engineer who breaks a test reads first which promise it holds."""
    assert faults[silent_tests] == []


def test_words_are_understood_at_the_first_reading(faults: dict[Rule, list[str]]) -> None:
    """Proves: each comment and docstring begins with its subject, says more than the name beside
    it, and heads no section."""
    assert faults[unclear_words] == []


def test_old_names_are_gone(faults: dict[Rule, list[str]]) -> None:
    """Proves: no class has a name again that stood for several things."""
    assert faults[old_names] == []


def test_every_file_is_looked_at() -> None:
    """Proves: the rules hold for the package and its tests, and not for an empty list."""
    assert {ROOT / "evd" / "entry.py", Path(__file__)} <= set(SOURCES)


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (long_functions, "evd/a.py", "def f() -> None:\n" + 60 * "    x = 1\n"),
        (long_files, "evd/a.py", 501 * "x = 1\n"),
        (empty_names, "evd/http_utils.py", ""),
        (empty_names, "evd/common/http.py", ""),
        (silent_tests, "tests/test_a.py", "class A:\n    async def test_b(self) -> None: ..."),
        (old_names, "evd/a.py", "class _Desk: ..."),
    ],
)
def test_the_rules_about_shape_find_what_they_forbid(rule: Rule, path: str, text: str) -> None:
    """Proves: each rule about sizes and names can fail, and names what is wrong once."""
    assert len(list(rule(parsed(text, Path(path))))) == 1


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
def test_the_rules_about_words_find_what_they_forbid(source: str) -> None:
    """Proves: each rule about words can fail."""
    assert list(unclear_words(parsed(source)))


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
    assert list(unclear_words(parsed(source))) == []
