"""`evd status` on a page: what a person finds there, and where."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus
from evd.cli.status import Snapshot, draw, lame_sentences

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


def test_a_window_names_a_few_processes() -> None:
    """Proves: of many processes in one state the window of `evd watch` names some and counts the
    others."""
    lame = [a_process(f"p-{number}", ProcessState.STOPPED) for number in range(8)]
    running = a_process("q", ProcessState.RUNNING)
    assert [sentence.plain for sentence in lame_sentences([*lame, running])] == [
        "p-0, p-1, p-2, p-3, p-4 and 3 more are stopped: evd up starts what is stopped."
    ]
