"""The network as the status feed tells it, and the part of it that the operator chose to see."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs
import orjson

EVENTS_MAX: Final = 100
TEXT_CHARS_MAX: Final = 40
# A charging point that is not as it should be comes before those that are.
_RANKS: Final = {"BROKEN": 0, "DISCONNECTED": 1}

Point = Mapping[str, Any]


class NoFeed(Exception):
    """A message that is none of the status feed."""


def _rank(point: Point) -> tuple[int, str]:
    rank = _RANKS.get(point["state"], 2)
    if rank == 2 and point["breaker"] == "CLOSED":
        rank = 3 if point["current_session"] is None else 4
    return rank, point["cp_id"]


def _kw(point: Point) -> tuple[float, str]:
    return -float((point["telemetry"] or {}).get("kw") or 0.0), point["cp_id"]


def _driver(point: Point) -> tuple[bool, str, str]:
    driver_id = point["current_driver"]
    return driver_id is None, driver_id or "", point["cp_id"]


def _since(point: Point) -> tuple[bool, float, str]:
    since = point.get("state_since")
    at_s = datetime.fromisoformat(since).timestamp() if since else 0.0
    return not since, -at_s, point["cp_id"]


def _is_lame(point: Point) -> bool:
    return bool(point["state"] != "ON" or point["breaker"] != "CLOSED")


# The orders and the choices, through which a key goes one after the other.
SORTS: Final[Sequence[tuple[str, Callable[[Point], Any]]]] = (
    ("what is wrong", _rank),
    ("CP", lambda point: point["cp_id"]),
    ("kW", _kw),
    ("driver", _driver),
    ("newest state", _since),
)
CHOICES: Final[Sequence[tuple[str, Callable[[Point], bool]]]] = (
    ("all", lambda _: True),
    ("not as it should be", _is_lame),
    ("charging", lambda point: point["current_session"] is not None),
)


@attrs.define
class Board:
    """Knows every charging point, the newest events, and how many rows a page has."""

    points: dict[str, Point] = attrs.field(factory=dict)
    events: deque[Mapping[str, Any]] = attrs.field(factory=lambda: deque(maxlen=EVENTS_MAX))
    network: Mapping[str, Any] = attrs.field(factory=dict)
    active_requests: int = 0
    # Why the feed can't be followed; None while it is.
    away: str | None = "connecting"
    sort: int = 0
    is_reversed: bool = False
    choice: int = 0
    text: str = ""
    is_typing: bool = False
    first: int = 0
    page_rows: int = 1
    _shown: list[Point] | None = None

    def take(self, message: str) -> None:
        """Take a message of the feed; NoFeed where it is none."""
        try:
            fields = orjson.loads(message)
            if fields["type"] == "snapshot":
                self.points = {}
                self.events.clear()
            for cp_id in fields.get("removed", ()):
                self.points.pop(cp_id, None)
            self.points.update({point["cp_id"]: point for point in fields["charging_points"]})
            self.events.extend(fields.get("events", ()))
            self.network = fields.get("network") or self.network
            self.active_requests = fields["active_requests"]
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
            raise NoFeed(f"no message of a status feed: {error!r}") from None
        self.away = None
        self._shown = None

    @property
    def shown(self) -> Sequence[Point]:
        """The charging points that were chosen, in their order."""
        if self._shown is None:
            is_chosen, text = CHOICES[self.choice][1], self.text.casefold()
            found = [
                point
                for point in self.points.values()
                if is_chosen(point) and (not text or text in _searched(point))
            ]
            self._shown = sorted(found, key=SORTS[self.sort][1], reverse=self.is_reversed)
        return self._shown

    def page(self, rows: int) -> Sequence[Point]:
        """The charging points on a page of so many rows."""
        self.page_rows = max(rows, 1)
        self.first = max(0, min(self.first, len(self.shown) - self.page_rows))
        return self.shown[self.first : self.first + self.page_rows]

    def on_key(self, key: str) -> bool:
        """Do what a key asks; False where it asks for the end."""
        self._shown = None
        if self.is_typing:
            self._type(key)
            return True
        match key:
            case "q":
                return False
            case "s":
                self.sort = (self.sort + 1) % len(SORTS)
            case "r":
                self.is_reversed = not self.is_reversed
            case "f":
                self.choice = (self.choice + 1) % len(CHOICES)
            case "/":
                self.is_typing = True
            case "escape":
                self.text, self.choice = "", 0
            case _:
                self._scroll(key)
        return True

    def _type(self, key: str) -> None:
        match key:
            case "enter":
                self.is_typing = False
            case "escape":
                self.is_typing, self.text = False, ""
            case "backspace":
                self.text = self.text[:-1]
            case _ if len(key) == 1 and key.isprintable():
                self.text = (self.text + key)[:TEXT_CHARS_MAX]

    def _scroll(self, key: str) -> None:
        page = self.page_rows
        ways = {"up": -1, "k": -1, "down": 1, "j": 1, "page_up": -page, "page_down": page}
        if key in ("home", "g"):
            self.first = 0
        elif key in ("end", "G"):
            self.first = len(self.points)
        else:
            self.first += ways.get(key, page if key == " " else 0)


def _searched(point: Point) -> str:
    """The words of a charging point in which a text is looked for."""
    names = ("cp_id", "state", "current_driver", "current_session", "location", "engine_state")
    return " ".join(str(point.get(name) or "") for name in names).casefold()
