"""Each way in holds for the inputs that a fuzzer begins from, and for each that once broke it."""

from collections.abc import Iterator

import pytest

from tests.fuzz.__main__ import CASES
from tests.fuzz.http_target import check_answers
from tests.fuzz.promises import Broken, check_sentence
from tests.fuzz.seeds import seeds, words
from tests.fuzz.targets import TARGETS


def kept() -> Iterator[tuple[str, bytes]]:
    """The inputs that once broke a target, with its name."""
    for path in sorted(CASES.glob("*/*")):
        yield path.parent.name, path.read_bytes()


@pytest.mark.parametrize("target", TARGETS)
def test_a_way_in_holds_for_good_inputs(target: str) -> None:
    """Proves: each way in takes what it is made for; a fuzzer begins from there."""
    assert seeds(target)
    assert words(target)
    for data in seeds(target):
        TARGETS[target](data)


@pytest.mark.parametrize(("target", "data"), [*kept()])
def test_a_kept_case_holds(target: str, data: bytes) -> None:
    """Proves: what a fuzzer has found once stays mended."""
    TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_no_input_is_an_error_and_no_crash(target: str) -> None:
    """Proves: nonsense of each kind gets its one error."""
    for data in (b"", b"\x00", b"\xff" * 100, b"{" * 2000, bytes(range(256)), b"\r\n" * 50):
        TARGETS[target](data)


@pytest.mark.parametrize(
    "answers",
    [
        b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
        b"Traceback",
        b'HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n{"error": ""}',
    ],
)
def test_an_answer_that_must_not_be_is_found(answers: bytes) -> None:
    """Proves: the check of answers can fail."""
    with pytest.raises(Broken):
        check_answers(answers)


@pytest.mark.parametrize("text", ["", "two\nlines", "\x1b[31mred"])
def test_what_is_no_sentence_is_found(text: str) -> None:
    """Proves: the check of sentences can fail."""
    with pytest.raises(Broken):
        check_sentence(text)
