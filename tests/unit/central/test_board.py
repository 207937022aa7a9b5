"""The board: charging points as they are go in, those that changed come out."""

from datetime import timedelta
from typing import Any

import attrs

from evd.core.central.board import Board
from evd.core.central.rows import ShownState
from evd.core.central.views import CpView, LiveMeter
from tests.unit.central.network import START, begun, ready


def shown(**fields: Any) -> CpView:
    """CP-001, free, and then as `fields` say."""
    return attrs.evolve(ready().view(), **fields)


def test_only_changes_are_news() -> None:
    """Proves: a charging point is told first when it is new, and then only with a change; that its
    monitor was heard again is none."""
    board, view = Board(), shown()
    assert board.show([view]) == [view]
    assert board.show([view, attrs.evolve(view)]) == []
    later = START + timedelta(hours=1)
    assert board.show([attrs.evolve(view, monitor_last_seen=later)]) == []
    broken = attrs.evolve(view, state=ShownState.BROKEN)
    assert board.show([broken]) == [broken]


def test_states_and_power_add_up() -> None:
    """Proves: the sums are those of what is on the board, through every change and removal."""
    board, view = Board(), shown()
    meter = LiveMeter(22.5, 1.0, 0.3, "session-1", "driver-a", START)
    board.show([view, attrs.evolve(view, cp_id="CP-002", telemetry=meter)])
    assert board.states == {"ON": 2, "BROKEN": 0, "DISCONNECTED": 0}
    assert board.kw == 22.5
    board.show([attrs.evolve(view, state=ShownState.DISCONNECTED)])
    assert board.states == {"ON": 1, "BROKEN": 0, "DISCONNECTED": 1}
    assert board.remove(["CP-002", "CP-003"]) == ["CP-002"]
    assert board.states == {"ON": 0, "BROKEN": 0, "DISCONNECTED": 1}
    assert board.kw == 0.0
    assert board.cp_ids == ["CP-001"]


def test_a_charging_point_shows_the_records_of_its_engine() -> None:
    """Proves: `unconfirmed` is what the engine's own newest report says, and unknown before it."""
    network, session = begun()
    assert network.view().unconfirmed == 0
    network.status(unconfirmed=3, session_id=session.session_id)
    assert network.view().unconfirmed == 3
    network.register("CP-002")
    assert network.view("CP-002").unconfirmed is None
