"""The requests file: one charging point a line, `any` for Central's choice, `#` comments."""

import attrs

from evd.core.wire.fields import FieldError, check_cp_id

ANY_CP = "any"
COMMENT = "#"


class RequestsFileError(ValueError):
    """A line that is no request; `line_number` counts from 1, `why` is the reason."""

    def __init__(self, line_number: int, why: str) -> None:
        super().__init__(f"line {line_number}: {why}")
        self.line_number = line_number
        self.why = why


@attrs.frozen
class RequestLine:
    """One request: the charging point asked for, None where Central may choose."""

    line_number: int
    cp_id: str | None


def parse_requests(content: bytes | str) -> tuple[RequestLine, ...]:
    """Return the requests of a file, in its order; raises RequestsFileError for a bad line.

    Blank lines and what follows a `#` are skipped.  Bytes must be UTF-8, with or without a mark.
    """
    text = content if isinstance(content, str) else _decoded(content)
    lines = text.removeprefix("\ufeff").split("\n")
    requests = (_request(number, line) for number, line in enumerate(lines, start=1))
    return tuple(request for request in requests if request is not None)


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line_number = content.count(b"\n", 0, error.start) + 1
        raise RequestsFileError(line_number, "is not UTF-8") from None


def _request(line_number: int, line: str) -> RequestLine | None:
    wish = line.partition(COMMENT)[0].strip()
    if not wish:
        return None
    if wish == ANY_CP:
        return RequestLine(line_number, None)
    try:
        return RequestLine(line_number, check_cp_id(wish))
    except FieldError as error:
        raise RequestsFileError(line_number, f"cp_id {error.why}") from None
