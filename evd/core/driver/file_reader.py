"""The way through a requests file: line after line, to its end or around again."""

from collections.abc import Sequence

from evd.core.driver.requests_file import RequestLine
from evd.core.effects import Level, Note


class FileReader:
    """Read `lines` in order; where the file `repeats`, its first line follows its last."""

    def __init__(self, lines: Sequence[RequestLine], repeats: bool) -> None:
        self._lines = lines
        self._repeats = repeats
        self._end_noted = False

    def next_line(self, after: int) -> tuple[RequestLine | None, list[Note]]:
        """Return the line behind the line number `after`, None at the end, and what to log."""
        line = next((each for each in self._lines if each.line_number > after), None)
        if line is not None or not self._lines:
            return line, []
        if self._repeats:
            return self._lines[0], [Note(Level.INFO, "The requests file begins anew")]
        if self._end_noted:
            return None, []
        self._end_noted = True
        return None, [Note(Level.INFO, "The requests file is at its end")]
