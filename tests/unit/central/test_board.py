"""The board: charging points as they are go in, those that changed come out."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import attrs

from evd.core.central.board import Board
from evd.core.central.breaker import FAILURES_MAX, OPEN_S
from evd.core.central.events import CpResumeAsked, CpStopAsked
from evd.core.central.rows import ShownState
from evd.core.central.views import CpView, LiveMeter
from evd.core.wire.messages import CpState, Outcome
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


def test_an_equal_outline_is_an_equal_view() -> None:
    """Proves: the feed may leave out a charging point whose outline is as it was: whatever happens
    to one, its view changes only where its outline does."""
    network = ready("CP-001", "CP-002")

    def looked() -> tuple[tuple[object, ...], CpView]:
        view = attrs.evolve(network.view(), monitor_last_seen=None)
        return network.core.outline("CP-001", network.now), view

    def happen() -> Iterator[object]:
        yield network.heartbeat()
        yield network.ask()
        yield network.supplying(network.session())
        yield network.meter(network.session(), 0.001)
        yield network.record(network.session())
        yield network.status(state=CpState.STOPPED, reason="full", unconfirmed=100)
        yield network.tell(CpStopAsked(1, "CP-001"))
        yield network.tell(CpResumeAsked(2, "CP-001"))
        yield network.status()
        yield network.engine_gone()
        yield network.engine_back(boot_id="boot-2")
        for number in range(FAILURES_MAX):
            yield network.ask(f"req-f{number}", driver_id=f"driver-{number}")
            session = network.session(f"req-f{number}")
            yield network.record(session, outcome=Outcome.FAILED, fault=True)
        yield network.run(OPEN_S + 1)
        yield network.leave()

    before, changes = looked(), 0
    for _ in happen():
        after = looked()
        assert after[1] == before[1] or after[0] != before[0]
        changes += after[1] != before[1]
        before = after
    assert changes > 10
    assert network.view().state is ShownState.DISCONNECTED
