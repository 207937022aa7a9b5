"""Central's work grows with what changes, and what it keeps for that is always true."""

import random
import sys
from types import FrameType
from typing import Any

import attrs
import pytest

from evd.core.central.events import CpRemovalAsked, CpResumeAsked, CpStopAsked, Ticked
from evd.core.central.point import Point
from evd.core.central.point_index import finds_its_place, is_back
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    Image,
    Meta,
    Reading,
    Session,
    SessionStatus,
)
from evd.core.central.state import State
from evd.core.central.views import CpView
from evd.core.wire.control import KoCause
from evd.core.wire.messages import CpState
from tests.unit.central.network import CENTRAL_ID, Network, begun, ready, saved

CP_IDS = [f"CP-{number:03d}" for number in range(6)]
DRIVERS = [f"driver-{number}" for number in range(4)]


def calls_of_a_tick(count: int) -> int:
    """How many functions a tick calls while so many charging points are as they were, the half of
    them charging."""
    cp_ids = [f"CP-{number:03d}" for number in range(count)]
    network = ready(*cp_ids)
    for number, cp_id in enumerate(cp_ids[::2]):
        network.ask(f"req-{number}", cp_id, f"driver-{number}")
        network.supplying(network.session(f"req-{number}"))
    network.run(1.0)
    calls, least = 0, sys.maxsize

    def count_call(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        calls += event == "call"

    for _ in range(3):
        network.clock_s += 0.25
        before, calls = sys.getprofile(), 0
        sys.setprofile(count_call)
        try:
            network.core.missing([Ticked(True)])
            network.core.handle(Ticked(True), network.now)
        finally:
            sys.setprofile(before)
        least = min(least, calls)
    return least


def test_a_tick_costs_nothing_for_those_that_are_as_they_were() -> None:
    """Proves: a tick calls as many functions with two hundred charging points as with ten."""
    assert calls_of_a_tick(200) == calls_of_a_tick(10)


def test_a_meter_is_one_row_a_commit() -> None:
    """Proves: a meter that moves three times between two commits is one row, its newest; one that
    has not moved is none."""
    network, session = begun()
    network.clock_s += 60.0
    rows = saved(network.meter(session, 0.2), Reading)
    assert rows == [Reading(session.session_id, 200_000)]
    assert saved(network.meter(session, 0.2), Reading) == []
    core = network.core
    for kwh in (210_000, 220_000, 230_000):
        core._state.ledger.meter(session.session_id, kwh)
    assert saved(network.tell(), Reading) == [Reading(session.session_id, 230_000)]


class Story:
    """A network to which anything happens; each step may be of no use."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.network = Network()
        self.count = 0

    def step(self) -> None:
        network, cp_id = self.network, self.rng.choice(CP_IDS)
        is_here, sessions = cp_id in network.connections, self.sessions()
        session = self.rng.choice(sessions) if sessions else None
        self.count += 1
        match self.rng.randrange(13):
            case 0 | 1 if not is_here:
                network.register(cp_id)
            case 2 if is_here:
                network.leave(cp_id)
            case 3 if is_here:
                network.engine_gone(cp_id, self.rng.choice(list(KoCause)))
            case 4 if is_here:
                network.engine_back(cp_id, self.rng.choice(("", f"boot-{self.count}")))
            case 5 | 6:
                state = self.rng.choice((CpState.ACTIVATED, CpState.STOPPED, CpState.DISCONNECTED))
                network.status(cp_id, state=state)
            case 7 if session is not None:
                network.supplying(session, self.rng.choice(("", "", cp_id)))
            case 8 if session is not None:
                network.record(session)
            case 9:
                place = self.rng.choice((None, cp_id))
                network.ask(f"req-{self.count}", place, self.rng.choice(DRIVERS))
            case 10 if session is not None:
                network.cancel(session.request_id, session.driver_id)
            case 11:
                asked = self.rng.choice((CpStopAsked, CpResumeAsked, CpRemovalAsked))
                network.call(asked(self.count, cp_id))
            case _:
                network.run(self.rng.choice((0.25, 1.0, 4.0)), beat=self.rng.random() < 0.7)

    def sessions(self) -> list[Session]:
        """All sessions, those that ended too."""
        return [row for (kind, _), row in self.network.rows.items() if kind is Session]


def is_stray(state: State, point: Point) -> bool:
    """Whether its engine runs a session that is not open there."""
    session = state.ledger.sessions.get(point.supplies or "")
    if session is None or session.cp_id != point.cp_id:
        return point.supplies is not None
    return session.status is not SessionStatus.ACTIVE


def assigned(state: State, point: Point) -> str | None:
    """The session that is open there."""
    session = state.ledger.active_at(point.cp_id)
    return session.session_id if session is not None else None


@pytest.mark.parametrize("seed", range(4))
def test_each_change_of_what_is_shown_is_told(seed: int) -> None:
    """Proves: a charging point that is shown otherwise than before, by any word or by time alone,
    is among those that changed, or is the one that a report or a meter has just named."""
    story, shown = Story(seed), dict[str, CpView]()
    for _ in range(150):
        story.step()
        network = story.network
        changed = network.core.take_changed()
        views = {
            # The feed looks at those too of which a message is heard.
            view.cp_id: attrs.evolve(view, monitor_last_seen=None, telemetry=None, unconfirmed=None)
            for view in network.core.views(network.now)
        }
        differ = {each for each in views.keys() | shown if views.get(each) != shown.get(each)}
        assert differ <= {*changed}
        shown = views


def test_a_breaker_that_lets_through_again_is_told() -> None:
    """Proves: a breaker that turns by time alone is a change of its charging point."""
    point = ChargingPoint("CP-001", 22.0, 0.3, breaker=BreakerState.OPEN)
    network = Network(Image(Meta(CENTRAL_ID, 2), charging_points=(point,)))
    while network.view().breaker is BreakerState.OPEN:
        network.core.take_changed()
        network.run(0.25)
    assert network.core.take_changed() == ["CP-001"]


@pytest.mark.parametrize("seed", range(12))
def test_the_index_agrees_with_a_look_at_all(seed: int) -> None:
    """Proves: whatever happens, each question to the index has the answer of all charging points
    taken one by one, and no session of which something is wanted is left out of a tick."""
    story = Story(seed)
    for _ in range(120):
        story.step()
        state = story.network.core._state
        points, ledger = list(state.points.values()), state.ledger
        index = state.index
        assert set(index.strays()) == {each for each in points if is_stray(state, each)}
        assert set(index.supplying()) == {each for each in points if each.supplies}
        assert index.all_are_back() is all(map(is_back, points))
        assert index.some_find_their_place() is any(map(finds_its_place, points))
        for driver_id in DRIVERS:
            assert set(index.of_driver(driver_id)) == {
                each
                for each in points
                if each.report and each.report.session_id and each.report.driver_id == driver_id
            }
        assert {each.cp_id for each in index.free()} == {
            each.cp_id for each in points if not each.hindered(assigned(state, each))
        }
        core = story.network.core
        watched = core._sessions._open.keys() | state._sessions_changed.keys()
        for session in ledger.active():
            is_watched = session.session_id in watched or session.cp_id in state._points_changed
            assert is_watched or core._sessions._goes_well(session)
        assert ledger.open_count == sum(not row.status.final for row in ledger.requests.values())
