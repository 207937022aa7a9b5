"""`evd status` on a page and `evd watch` in a window: what a person finds there, and where."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus
from evd.cli.status import Snapshot, draw

NOT_CONNECTED = "its monitor is not connected"
BROKEN = "its engine is broken: nothing listens on 127.0.0.1:8002, though something did before"

COLUMNS = ["CP", "STATE", "ENGINE", "DRIVER", "kW", "kWh", "euros", "BREAKER"]


def a_point(
    number: int,
    state: str = "ON",
    reason: str = "",
    driver: str | None = None,
    *,
    breaker: str = "CLOSED",
) -> dict[str, Any]:
    """A charging point as Central shows it; with a driver it supplies."""
    meter = {"kw": 22.0, "kwh": 1.037, "euros": 0.41}
    return {
        "cp_id": f"CP-{number:03}",
        "state": state,
        "available": not reason,
        "unavailable_reason": reason,
        "engine_state": "SUPPLYING" if driver else "ACTIVATED",
        "current_driver": driver,
        "current_session": "session-1" if driver else None,
        "breaker": breaker,
        "telemetry": meter if driver else None,
    }


def a_process(name: str, state: ProcessState, detail: str = "") -> ProcessStatus:
    """A process that does not run."""
    return ProcessStatus(name, state, None, None, detail)


TROUBLED = [
    a_point(1),
    a_point(2, "DISCONNECTED", NOT_CONNECTED, "driver-alice"),
    a_point(3, "ON", "it is occupied by session-1", "driver-bob"),
    a_point(4, "BROKEN", BROKEN, breaker="HALF_OPEN"),
    a_point(5, "DISCONNECTED", NOT_CONNECTED),
]


def page(snapshot: Snapshot, width: int) -> list[str]:
    """The lines that `evd status` prints."""
    text = StringIO()
    Console(file=text, width=width, highlight=False).print(draw(snapshot))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def window(snapshot: Snapshot, width: int, height: int) -> list[str]:
    """The lines that `evd watch` shows."""
    text = StringIO()
    console = Console(
        file=text,
        width=width,
        height=height,
        force_terminal=True,
        color_system=None,
        legacy_windows=False,
    )
    with Live(draw(snapshot), console=console, screen=True, auto_refresh=False) as live:
        text.truncate(0)
        live.refresh()
        shown = text.getvalue()
    # Begins with the way to the window's corner.
    return [line.rstrip() for line in shown.partition("\x1b[H")[2].splitlines()]


def ids(lines: Sequence[str]) -> list[str]:
    """The charging points of the rows, in their order."""
    rows = lines[next(n for n, line in enumerate(lines) if line.startswith("CP ")) + 1 :]
    return [line.split()[0] for line in rows if line[6:7] == " "]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_row_is_one_line_at_any_width(width: int) -> None:
    """Proves: just when something is wrong each charging point has one line with its whole id, its
    state, driver and meter, and the reasons stand below it with its name."""
    lines = page(Snapshot(TROUBLED, 1, [], ()), width)
    assert all(len(line) <= width for line in lines)
    assert ids(lines[:6]) == ["CP-001", "CP-002", "CP-003", "CP-004", "CP-005"]
    assert lines[2].split()[:2] == ["CP-002", "DISCONNECTED"]
    assert {"driver-alice", "22.0", "1.037", "0.41"} <= set(lines[2].split())
    below = " ".join(lines[6:])
    assert below.startswith("5 charging points, 1 active requests CP-002, CP-005: its monitor is")
    assert f"CP-004: {BROKEN}" in below
    # Where a car charges and all is well there is nothing to say.
    assert "CP-003" not in below


def test_a_wide_window_has_every_column() -> None:
    """Proves: what a narrow window goes without is shown where there is room, 80 columns are."""
    for width in (80, 200):
        lines = page(Snapshot(TROUBLED, 1, [], ("Central can't be reached.",)), width)
        assert lines[0].split() == COLUMNS
        row = "CP-003 ON SUPPLYING driver-bob 22.0 1.037 0.41 CLOSED"
        assert lines[3].split() == row.split()
        assert lines[-1] == "Central can't be reached."
        assert lines[4].split()[-1] == "HALF_OPEN"


def test_the_longest_names_fit_into_a_narrow_window() -> None:
    """Proves: an id is never cut, nor the state; a driver's name is, where it can't be helped."""
    point = a_point(1, "DISCONNECTED", NOT_CONNECTED, "d" * 64) | {"cp_id": "C" * 32}
    lines = page(Snapshot([point], 1, [], ()), 60)
    cp_id, state, driver = lines[1].split()
    assert (cp_id, state) == ("C" * 32, "DISCONNECTED")
    assert driver.startswith("ddd") and driver.endswith("…")
    assert len(lines[1]) <= 60


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (ProcessState.STARTING, "evd-monitor:CP-001 is starting."),
        (ProcessState.STOPPED, "evd-monitor:CP-001 is stopped: evd up starts what is stopped."),
        (ProcessState.STOPPING, "evd-monitor:CP-001 is being stopped."),
        (
            ProcessState.FAILING,
            "evd-monitor:CP-001 is started again after a failure: evd doctor says more.",
        ),
        (
            ProcessState.GIVEN_UP,
            "evd-monitor:CP-001 is not started any more: evd doctor says more.",
        ),
    ],
)
@pytest.mark.parametrize("detail", ["", "Nov 21 06:52 PM"])
def test_a_process_that_does_not_run_is_a_sentence(
    state: ProcessState, sentence: str, detail: str
) -> None:
    """Proves: whatever the supervisor says of it, or does not, it is told in whole words."""
    snapshot = Snapshot([], 0, [a_process("evd-monitor:CP-001", state, detail)], ())
    assert page(snapshot, 200)[-1] == sentence
    assert not snapshot.is_well
    assert snapshot.as_json()["processes"][0]["state"] == state.value


def test_processes_in_one_state_are_one_sentence() -> None:
    """Proves: ten that start at once are not ten lines."""
    names = [f"evd-engine:CP-{number:03}" for number in range(10)]
    lame = [a_process(name, ProcessState.STARTING) for name in names]
    lines = page(Snapshot([], 0, lame, ()), 400)
    assert lines[1:] == [f"{', '.join(names)} are starting."]


def test_no_text_of_others_breaks_a_line() -> None:
    """Proves: a reason that came over the wire can't steer the terminal or forge a row."""
    lines = page(Snapshot([a_point(1, "BROKEN", "x\x1b[2J\ny")], 0, [], ()), 80)
    assert lines[-1] == "CP-001: x\\x1b[2J\\ny"


def test_a_window_begins_with_what_is_wrong() -> None:
    """Proves: of more charging points than lines, those that are not ON are seen, so is what could
    not be asked and what does not run; and what has no place is counted."""
    points = [a_point(number) for number in range(1, 41)]
    points[37] = a_point(38, "DISCONNECTED", NOT_CONNECTED)
    points[29] = a_point(30, "BROKEN", BROKEN)
    lame = [a_process("evd-monitor:CP-038", ProcessState.STOPPED)]
    lines = window(Snapshot(points, 2, lame, ("Kafka can't be reached.",)), 80, 24)
    assert len(lines) == 24
    assert lines[:2] == [
        "Kafka can't be reached.",
        "evd-monitor:CP-038 is stopped: evd up starts what is stopped.",
    ]
    assert f"CP-038: {NOT_CONNECTED}" in lines
    assert "40 charging points, 2 active requests" in lines
    shown = ids(lines)
    assert shown[:4] == ["CP-030", "CP-038", "CP-001", "CP-002"]
    assert lines[-1] == f"… and {40 - len(shown)} more"
    assert len(shown) > 10


def test_a_small_window_full_of_trouble() -> None:
    """Proves: however much is wrong, sentences and rows each have their share, and each says how
    much of it is not seen."""
    points = [a_point(number, "BROKEN", f"its engine is broken: {number}") for number in range(40)]
    trouble = tuple(f"Trouble {number}." for number in range(40))
    lines = window(Snapshot(points, 0, [], trouble), 60, 12)
    assert len(lines) == 12
    assert lines[0] == "Trouble 0."
    cut = next(line for line in lines if line.startswith("…"))
    assert cut == f"… and {80 - lines.index(cut)} more"
    shown = ids(lines)
    assert shown[0] == "CP-000"
    left = 40 - len(shown)
    assert lines[-1] == f"… and {left} more, {left} of them not ON"


def test_a_window_with_room_leaves_nothing_out() -> None:
    """Proves: where all has its place nothing is counted as missing, to the last line."""
    snapshot = Snapshot(TROUBLED, 1, [], ("Kafka can't be reached.",))
    full = window(snapshot, 200, 30)
    assert sorted(ids(full)) == ["CP-001", "CP-002", "CP-003", "CP-004", "CP-005"]
    needed = len([line for line in full if line])
    for height in (needed, needed + 1):
        assert not [line for line in window(snapshot, 200, height) if line.startswith("…")]
    assert "…" in window(snapshot, 200, needed - 1)[-1]


def test_the_page_names_the_feed() -> None:
    """Proves: who wants to follow the network finds the address of its feed in `evd status`, a
    script in its JSON; the live window does without."""
    snapshot = Snapshot([a_point(1)], 0, [], (), feed="ws://127.0.0.1:8765/feed")
    assert page(snapshot, 80)[-1] == "Status feed: ws://127.0.0.1:8765/feed"
    assert snapshot.as_json()["feed"] == "ws://127.0.0.1:8765/feed"
    assert not any("feed" in line for line in window(snapshot, 80, 20))
