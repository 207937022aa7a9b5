"""The file with a driver's wishes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.driver.requests_file import RequestLine, RequestsFileError, parse_requests


def test_lines_comments_and_any() -> None:
    """Proves: one request a line with its number; comments and blank lines are skipped."""
    text = "# Monday\r\n\r\nCP-001\r\n  CP-002  # the fast one\r\n\t\r\nany\r\n#any\r\nCP-999"
    assert parse_requests(text) == (
        RequestLine(3, "CP-001"),
        RequestLine(4, "CP-002"),
        RequestLine(6, None),
        RequestLine(8, "CP-999"),
    )


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing", b"\xef\xbb\xbf", b""])
def test_a_file_may_be_empty(content: str | bytes) -> None:
    """Proves: a file without requests is one that has been done, not an error."""
    assert parse_requests(content) == ()


def test_a_mark_at_the_beginning_is_no_part_of_the_first_id() -> None:
    """Proves: a file saved by an editor that writes a byte order mark works."""
    assert parse_requests(b"\xef\xbb\xbfCP-001\n") == (RequestLine(1, "CP-001"),)


@pytest.mark.parametrize(
    ("content", "line_number"),
    [
        ("CP 001", 1),
        ("CP-001\nCP-002,CP-003\n", 2),
        ("\n\n-CP\n", 3),
        ("any any", 1),
        ("a" * 33, 1),
        (b"CP-001\nCP-\xff\n", 2),
        (b"\xff", 1),
        ("CP\x00", 1),
    ],
)
def test_the_first_bad_line_is_named(content: str | bytes, line_number: int) -> None:
    """Proves: an error tells the number of the line that has to be corrected."""
    with pytest.raises(RequestsFileError) as caught:
        parse_requests(content)
    assert caught.value.line_number == line_number


@given(st.binary(max_size=200))
def test_any_bytes_are_requests_or_the_one_error(content: bytes) -> None:
    """Proves: no file gets a traceback, and the line that an error names is in the file."""
    lines = content.count(b"\n") + 1
    try:
        requests = parse_requests(content)
    except RequestsFileError as error:
        assert 1 <= error.line_number <= lines
    else:
        numbers = [request.line_number for request in requests]
        assert numbers == sorted(set(numbers))
