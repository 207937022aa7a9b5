"""The window of `evd watch`: what the feed and the keys make of it, at any size."""

import json
from collections.abc import Iterable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from evd.cli.keys import keys_in
from evd.cli.watch_board import Board, NoFeed
from evd.cli.watch_view import Window
from tests.network.feeds import a_point, an_event, snapshot, update

METER = {"kw": 22.0, "kwh": 1.037, "euros": 0.41}
BUSY = a_point("CP-002", current_driver="driver-bob", current_session="session-1", telemetry=METER)
POINTS = [
    a_point("CP-001"),
    BUSY,
    a_point("CP-003", state="DISCONNECTED", state_since=None),
    a_point("CP-004", state="BROKEN", location="Pier 10"),
    a_point("CP-005", breaker="OPEN"),
]


def board_of(*messages: dict[str, Any]) -> Board:
    """A board that was told these messages."""
    board = Board()
    for message in messages:
        board.take(json.dumps(message))
    return board


def ids(points: Iterable[Any]) -> list[str]:
    """Their ids, in their order."""
    return [point["cp_id"] for point in points]


def press(board: Board, keys: str) -> None:
    """Press these keys, none of which ends it."""
    for key in keys_in(keys.encode()):
        assert board.on_key(key)


def drawn(board: Board, width: int, height: int, *sentences: str) -> list[str]:
    """The lines of the window."""
    text = StringIO()
    console = Console(file=text, width=width, height=height, highlight=False)
    console.print(Window(board, [Text(each) for each in sentences]))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_updates_change_what_the_snapshot_said() -> None:
    """Proves: a board has each charging point as it was last told, none that was removed, and the
    newest events; a new snapshot is all there is."""
    board = board_of(
        snapshot(*POINTS, events=[an_event("FAULT", "CP-004", "first")]),
        update(a_point("CP-001", state="BROKEN"), removed=["CP-002"], active_requests=7),
        update(events=[an_event("REFUSED", "CP-004", str(number)) for number in range(99)]),
        update(events=[an_event("REFUSED", "CP-004", "last")], network={"kw": 1.0}),
    )
    assert ids(board.points.values()) == ["CP-001", "CP-003", "CP-004", "CP-005"]
    assert board.points["CP-001"]["state"] == "BROKEN"
    assert [len(board.events), board.events[0]["text"], board.events[-1]["text"]] == [
        100,
        "0",
        "last",
    ]
    assert (board.active_requests, board.network) == (2, {"kw": 1.0})
    board.take(json.dumps(snapshot(BUSY)))
    assert (ids(board.shown), len(board.events), board.away) == (["CP-002"], 0, None)


@pytest.mark.parametrize("message", ["x", "[]", "{}", '{"type": "update", "charging_points": [1]}'])
def test_what_is_no_message_of_a_feed(message: str) -> None:
    """Proves: another server's words are a refusal, and no exception of their own."""
    with pytest.raises(NoFeed):
        Board().take(message)


def test_what_is_wrong_comes_first() -> None:
    """Proves: without a wish of the operator's, what is broken or away stands on top, then an open
    breaker, then what is free and what charges; `s` goes through the other orders and `r` turns
    them round."""
    board = board_of(snapshot(*POINTS))
    assert ids(board.shown) == ["CP-004", "CP-003", "CP-005", "CP-001", "CP-002"]
    press(board, "s")
    assert ids(board.shown) == ["CP-001", "CP-002", "CP-003", "CP-004", "CP-005"]
    press(board, "r")
    assert ids(board.shown) == ["CP-005", "CP-004", "CP-003", "CP-002", "CP-001"]
    press(board, "rs")
    assert ids(board.shown)[:2] == ["CP-002", "CP-001"]
    press(board, "s")
    assert ids(board.shown)[:2] == ["CP-002", "CP-001"]
    board.take(json.dumps(update(a_point("CP-005", state_since="2026-02-01T00:00:00Z"))))
    press(board, "s")
    assert (ids(board.shown)[0], ids(board.shown)[-1]) == ("CP-005", "CP-003")
    press(board, "s")
    assert ids(board.shown)[0] == "CP-004"


def test_choosing_and_searching() -> None:
    """Proves: `f` goes through all, what is not as it should be, and what charges; `/` finds by id,
    driver, place or state in any case while it is typed; Escape brings all back."""
    board = board_of(snapshot(*POINTS))
    press(board, "f")
    assert ids(board.shown) == ["CP-004", "CP-003", "CP-005"]
    press(board, "f")
    assert ids(board.shown) == ["CP-002"]
    press(board, "f/piER 1")
    assert ids(board.shown) == ["CP-004"]
    press(board, "\x7f\x7f\x7f\x7f\x7f\x7fBOB\r")
    assert (ids(board.shown), board.is_typing) == (["CP-002"], False)
    press(board, "/q\x1b")
    assert (len(board.shown), board.text) == (5, "")
    press(board, "/zzz\r")
    assert ids(board.shown) == []
    press(board, "\x1b")
    assert len(board.shown) == 5
    assert not board.on_key("q")


def test_ten_thousand_charging_points_scroll() -> None:
    """Proves: a page shows so many rows as there are lines, moves by lines, pages and to the ends,
    never beyond them, and stays within what is left when charging points go."""
    points = [a_point(f"CP-{number:05}") for number in range(10_000)]
    board = board_of(snapshot(*points))
    assert ids(board.page(20)) == [f"CP-{number:05}" for number in range(20)]
    for keys, first in (
        ("\x1b[B", 1),
        ("jj", 3),
        ("\x1b[6~", 23),
        (" ", 43),
        ("\x1b[5~", 23),
        ("kk\x1b[A", 20),
        ("\x1b[F", 9980),
        ("\x1b[6~", 9980),
        ("\x1bOH", 0),
        ("\x1b[A", 0),
        ("G", 9980),
    ):
        press(board, keys)
        board.page(20)
        assert board.first == first, repr(keys)
    board.take(json.dumps(update(removed=[f"CP-{number:05}" for number in range(50, 10_000)])))
    assert ids(board.page(20))[-1] == "CP-00049"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 12), (200, 60), (40, 8)])
def test_the_window_fills_the_terminal(width: int, height: int) -> None:
    """Proves: at any size there is one screen of lines, none of them too wide, with the totals on
    top, the table, and the keys at the bottom."""
    alerts = [
        {"text": f"CP-{n} is broken.", "advice": "Look.", "since": "2026-01-31T12:00:00Z"}
        for n in range(30)
    ]
    whole = snapshot(*[a_point(f"CP-{number:03}") for number in range(100)])
    whole["network"]["alerts"] = alerts
    whole["events"] = [an_event("FAULT", "CP-1", f"event {number}") for number in range(50)]
    lines = drawn(board_of(whole), width, height, "evd-engine:CP-001 is stopped.")
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("ON 100")
    assert lines[-1].startswith("q quit")
    assert "1-" in lines[-2] and "of 100" in lines[-2]
    heads = next(n for n, line in enumerate(lines) if line.startswith("CP "))
    assert lines[heads + 1].startswith("CP-000")
    assert lines[heads + 3].startswith("CP-002")


def test_a_row_tells_what_a_person_looks_for() -> None:
    """Proves: a charging point's line has its state in words, its age, driver, meter, breaker and,
    where there is room, its session; alerts and events have their local time."""
    whole = snapshot(BUSY)
    since = "2026-01-31T12:00:00Z"
    whole["network"]["alerts"] = [{"text": "CP-9 is broken.", "advice": "Look.", "since": since}]
    whole["events"] = [an_event("FAULT", "CP-9", "CP-9 has\x1b[2J\na fault")]
    lines = drawn(board_of(whole), 200, 24)
    assert lines[0] == (
        "ON 1  BROKEN 0  DISCONNECTED 0  22.5 kW  2 open requests"
        "  today 3 sessions, 1.5 kWh, 0.45 euros"
    )
    assert lines[1].endswith(":00:00 CP-9 is broken. Look.")
    row = next(line for line in lines if line.startswith("CP-002")).split()
    assert row[:2] + row[4:] == [
        *("CP-002", "ON", "driver-bob", "22.0", "1.037", "0.41", "CLOSED", "session-1")
    ]
    assert row[2].endswith("d")
    assert [line for line in lines if line.endswith("CP-9 has\\x1b[2J\\na fault")]


def test_a_lost_connection_is_said() -> None:
    """Proves: while the feed can't be followed the window says so on top, with why, beside what was
    known last."""
    board = Board()
    assert drawn(board, 80, 24)[0] == "connection lost: connecting"
    board.take(json.dumps(snapshot(BUSY)))
    assert not drawn(board, 80, 24)[0].startswith("connection lost")
    board.away = "the feed has ended; trying again"
    lines = drawn(board, 80, 24)
    assert lines[0] == "connection lost: the feed has ended; trying again"
    assert [line for line in lines if line.startswith("CP-002")]


def test_keys_of_all_terminals() -> None:
    """Proves: a terminal's sequences are keys by name, characters are themselves, and a sequence
    without a meaning here is nothing."""
    data = b"q\x1b[A\x1bOB\x1b[5~\x1b[1~\x1b[4~\x1b\r\x7f\x1b[15~\x1b[1;5C\xc3\xa9 "
    assert list(keys_in(data)) == [
        *("q", "up", "down", "page_up", "home", "end", "escape", "enter", "backspace", "é", " ")
    ]
