"""The window of `evd watch`: what stands where, in a terminal of any size."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from evd.cli.faults import EVENT_COLORS
from evd.cli.status import BREAKER_COLORS, STATE_COLORS
from evd.cli.table import NOTHING, Columns, Row, amount
from evd.cli.watch_board import CHOICES, SORTS, Board, Point
from evd.core.wire.fields import printable

_COLUMNS: Final = Columns(
    ("CP", "STATE", "SINCE", "DRIVER", "kW", "kWh", "euros", "BREAKER", "SESSION"),
    amounts=frozenset({"SINCE", "kW", "kWh", "euros"}),
    spare=("SESSION", "BREAKER", "SINCE", "kWh", "euros", "kW", "DRIVER"),
    squeezed="DRIVER",
)
_KEYS: Final = "q quit  s sort  r reverse  f choose  / search  Esc all  ↑ ↓ PgUp PgDn Home End"
_TYPING: Final = "Enter done  Esc none"
_AWAY_LINES_MAX: Final = 2
# The least that the table of charging points has, with its heads.
_TABLE_LINES_MIN: Final = 4


@attrs.define
class Window:
    """The board as it is drawn, and the sentences about processes that do not run."""

    board: Board
    sentences: Sequence[Text] = ()
    # The widest cell of each column so far: the columns stand still while rows change.
    _widest: dict[str, Text] = attrs.field(factory=dict)

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.max_height
        for line in self._lines(width, height):
            if isinstance(line, Text):
                line.truncate(width, overflow="ellipsis")
                line.no_wrap = True
            yield line

    def _lines(self, width: int, height: int) -> Iterator[RenderableType]:
        head, foot = self._head(width), self._foot()
        room = height - len(head) - len(foot) - _TABLE_LINES_MIN
        alerts = _counted([*self._alerts(), *self.sentences], max(0, min(room, height // 4)))
        events = [*self.board.events][-max(1, min(room - len(alerts), height // 4)) :]
        if room - len(alerts) <= 0:
            events = []
        yield from head
        yield from alerts
        rows = height - len(head) - len(foot) - len(alerts) - len(events) - 1
        points = self.board.page(rows)
        yield from self._table(points, width)
        for _ in range(rows - len(points)):
            yield Text()
        yield from (_event(event) for event in events)
        yield from foot

    def _head(self, width: int) -> list[Text]:
        board, network = self.board, self.board.network
        states, today = network.get("states") or {}, network.get("today")
        now = [f"{state} {count}" for state, count in states.items()]
        now += [f"{network['kw']:.1f} kW"] if "kw" in network else []
        now.append(f"{board.active_requests} open requests")
        parts = ["  ".join(now)]
        if today:
            ended = f"{today['sessions']} sessions, {today['kwh']:.1f} kWh"
            parts.append(f"today {ended}, {today['euros']:.2f} euros")
        whole = "  ".join(parts)
        lines = [Text(part) for part in ([whole] if len(whole) <= width else parts)]
        if board.away is not None:
            told = textwrap.wrap(f"connection lost: {printable(board.away)}", width)
            lines[:0] = [Text(line, "bold red") for line in told[:_AWAY_LINES_MAX]]
        return lines

    def _alerts(self) -> Iterator[Text]:
        network = self.board.network
        alerts = network.get("alerts") or ()
        for alert in alerts:
            told = f"{alert['text']} {alert['advice']}"
            yield Text(f"{_clock(alert['since'])} {printable(told)}", "red")
        if left := network.get("alerts_left_out"):
            yield Text(f"… and {left} alerts more", "red")

    def _table(self, points: Sequence[Point], width: int) -> Iterator[RenderableType]:
        now = datetime.now(UTC)
        rows = [_row(point, now) for point in points]
        for row in rows:
            for name, cell in row.items():
                if cell.cell_len > self._widest.get(name, Text()).cell_len:
                    self._widest[name] = cell
        widest = {name: self._widest.get(name, Text()) for name in _COLUMNS.names}
        table = _COLUMNS.table(rows, [widest], width)
        if self.board.away is not None:
            table.style = "dim"
        yield table

    def _foot(self) -> list[Text]:
        board = self.board
        order = f"by {SORTS[board.sort][0]}{', reversed' if board.is_reversed else ''}"
        parts = [f"{CHOICES[board.choice][0]}, {order}"]
        if board.text or board.is_typing:
            parts.append(f"search: {board.text}{'▏' if board.is_typing else ''}")
        last = min(board.first + board.page_rows, len(board.shown))
        place = f"{board.first + 1 if last else 0}-{last} of {len(board.shown)}"
        keys = _TYPING if board.is_typing else _KEYS
        return [Text(f"{place}: {'  '.join(parts)}", "dim"), Text(keys, "dim")]


def _row(point: Point, now: datetime) -> Row:
    meter = point.get("telemetry") or {}
    state, breaker = str(point["state"]), str(point["breaker"])
    return {
        "CP": Text(point["cp_id"]),
        "STATE": Text(state, STATE_COLORS.get(state, "")),
        "SINCE": Text(_age(point.get("state_since"), now)),
        "DRIVER": Text(point["current_driver"] or NOTHING),
        "kW": amount(meter.get("kw"), 1),
        "kWh": amount(meter.get("kwh"), 3),
        "euros": amount(meter.get("euros"), 2),
        "BREAKER": Text(breaker, BREAKER_COLORS.get(breaker, "")),
        "SESSION": Text(point["current_session"] or NOTHING),
    }


def _age(since: str | None, now: datetime) -> str:
    """How long ago a time was, in the two largest units; a dash for none."""
    if not since:
        return NOTHING
    total_s = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    minutes, seconds = divmod(total_s, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s"


def _event(event: Mapping[str, Any]) -> Text:
    kind = str(event["kind"])
    return Text.assemble(
        (_clock(event["ts"]), "dim"),
        f" {kind:<16}",
        printable(str(event["text"])),
        style=EVENT_COLORS.get(kind, ""),
    )


def _clock(when: str) -> str:
    """The time of day of a time, by this machine's clock and time zone."""
    return f"{datetime.fromisoformat(when).astimezone():%H:%M:%S}"


def _counted(lines: Sequence[Text], room: int) -> list[Text]:
    """As many lines as there is room for; the last one counts the others."""
    if len(lines) <= room:
        return list(lines)
    if not room:
        return []
    left = len(lines) - room + 1
    return [*lines[: room - 1], Text(f"… and {left} more", "red")]
