"""The story of a run: all events in order, or those that concern one session or request."""

import re
from collections.abc import Iterable

import attrs

from evd.core.central.ledger import session_id_for

SESSION_LINES_MAX = 400


@attrs.frozen(slots=True)
class Entry:
    """One line; `ids` are the requests, sessions, drivers and charging points in it."""

    at_s: float
    who: str
    what: str
    ids: tuple[str | None, ...]

    def text(self) -> str:
        """Return the line as it is printed."""
        return f"{self.at_s:9.3f}  {self.who:<12} {self.what}"


class Story:
    """Every line of one run."""

    def __init__(self) -> None:
        self.lines: list[Entry] = []

    def add(self, at_s: float, who: str, what: str, ids: tuple[str | None, ...]) -> None:
        """Append a line."""
        self.lines.append(Entry(at_s, who, what, ids))

    def whole(self) -> str:
        """Return all lines."""
        return "\n".join(line.text() for line in self.lines)

    def about(self, ids: Iterable[str]) -> str:
        """Return the lines about these ids (a request's session is one of them), and all faults."""
        wanted = set(ids)
        wanted |= {session_id_for(each) for each in wanted}
        wanted |= {
            each
            for line in self.lines
            for each in line.ids
            if each is not None and session_id_for(each) in wanted
        }
        pattern = re.compile("|".join(map(re.escape, sorted(wanted)))) if wanted else None
        chosen = [line for line in self.lines if _is_fault(line) or _about(line, wanted, pattern)]
        return "\n".join(line.text() for line in chosen[-SESSION_LINES_MAX:])


def _is_fault(line: Entry) -> bool:
    return line.who in ("fault", "world", "!!") or line.what.startswith(("DIES", "HANGS", "starts"))


def _about(line: Entry, wanted: set[str], pattern: re.Pattern[str] | None) -> bool:
    if not wanted.isdisjoint(line.ids):
        return True
    return pattern is not None and pattern.search(line.what) is not None
