"""A whole played fleet against Central's own core."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import attrs
import pytest

from evd.core.central.events import Answer, MonitorLeft, MonitorSaid
from evd.core.effects import Send
from evd.core.fleet.events import Dial, Effect, HangUp, Post, Progress, Say
from evd.core.fleet.fleet import Fleet
from evd.core.fleet.plan import plan_of
from evd.core.fleet.report import Looked, Report, report_of
from evd.core.wire import codec
from evd.core.wire.control import FromMonitor
from evd.core.wire.messages import UPDATES, Beacon, Command, DriverUpdate, Message
from tests.unit.central.network import Network

CPS = 10
TURN_S = 0.25
LOOKED = Looked(cores=0.1, resident_mb=80.0, disconnected=0, broken=0, not_on=0, list_ms=5.0)


class Scene:
    """A Central and a fleet of ten, of which four charge for eight seconds each."""

    def __init__(self) -> None:
        self.network = Network()
        plan = plan_of("FLEET-", CPS, 0.4, 0.5)
        self.fleet = Fleet(plan, "run", {}, self.network.now)
        self.numbers = {cp_id: number for number, cp_id in enumerate(plan.cp_ids)}
        self._read = len(self.network.effects)

    def run(self, seconds: float) -> None:
        """Let time go by."""
        for _ in range(int(seconds / TURN_S)):
            self.network.run(TURN_S, beat=False)
            self.do(self.fleet.tick(self.network.now, 1_000))
            self._listen()

    def do(self, effects: Sequence[Effect]) -> None:
        """Carry out what the fleet decided."""
        for effect in effects:
            now = self.network.now
            match effect:
                case Send() | Post():
                    self.network.tell(effect.message)  # type: ignore[arg-type]
                case Dial(cp_id):
                    self.do(self.fleet.on_dialed(cp_id, now))
                case Say(cp_id, data):
                    said = cast(FromMonitor, codec.structure_monitor(codec.load_object(data)))
                    self.network.tell(MonitorSaid(self.numbers[cp_id], said))
                case HangUp(cp_id):
                    self.network.tell(MonitorLeft(self.numbers[cp_id]))
        self._listen()

    def _listen(self) -> None:
        new, self._read = self.network.effects[self._read :], len(self.network.effects)
        cp_ids = list(self.numbers)
        for effect in new:
            now = self.network.now
            match effect:
                case Send(_, _, Beacon() | Command() | DriverUpdate() as message):
                    self.do(self.fleet.on_message(_read(message), now))
                case Answer(connection, message):
                    self.do(self.fleet.on_answer(cp_ids[connection], message, now))

    def report(self, seconds: float) -> Report:
        """The figures, with a Central that shows nothing wrong."""
        report = report_of(self.fleet, registered_s=0.1, seconds=seconds, charging=4, own_cores=0.1)
        return attrs.evolve(report, central=LOOKED)


def _read(message: Message) -> Message | Progress:
    """A message as the loop reads it."""
    if isinstance(message, DriverUpdate):
        progress = codec.peek_progress(codec.encode(message, datetime.now(UTC), "message-1"))
        if progress is not None:
            return Progress(*progress)
    return message


@pytest.fixture(scope="module")
def played() -> Scene:
    """A fleet that has stood for a minute, and was measured for half of it."""
    scene = Scene()
    scene.do(scene.fleet.begin(1))
    scene.run(1)
    scene.do(scene.fleet.begin())
    scene.run(3)
    scene.fleet.warm_up(scene.network.now.mono_s)
    scene.run(26)
    scene.fleet.measure()
    scene.run(30)
    return scene


def test_a_fleet_stands(played: Scene) -> None:
    """Proves: all are ON; about as many charge as are to; Central keeps up, and the report has no
    figure without a value."""
    views = [played.network.view(cp_id) for cp_id in played.fleet.plan.cp_ids]
    assert {view.state for view in views} == {"ON"}
    assert len(views) == len(played.fleet.known) == CPS
    assert 3 <= played.fleet.charging_count <= 6
    report = played.report(30.0)
    assert report.shortfalls == []
    assert report.kept_up
    for spread in (report.accepted, report.shown, report.acked, report.late):
        assert spread is not None
    # A request each two seconds, of which none is asked twice before its answer.
    assert report.finals.keys() == {"COMPLETED"}
    assert 13 <= report.finals["COMPLETED"] <= 17
    assert report.acked is not None and 320 <= report.acked.count <= 345
    assert (report.given_up, report.unasked, report.lost) == (0, 0, 0)


def test_a_fleet_leaves_nothing_behind() -> None:
    """Proves: at its end each session is billed and confirmed, no request is open, and Central lets
    each charging point be removed."""
    scene = Scene()
    scene.do(scene.fleet.begin())
    scene.run(3)
    scene.fleet.warm_up(scene.network.now.mono_s)
    scene.run(8)
    assert scene.fleet.charging_count
    scene.do(scene.fleet.wind_down(scene.network.now))
    scene.run(5)
    assert scene.fleet.is_quiet
    assert scene.fleet.charging_count == 0
    scene.do(scene.fleet.leave())
    assert scene.fleet.monitors.left_count == CPS
    for cp_id in scene.fleet.plan.cp_ids:
        view = scene.network.view(cp_id)
        assert (view.state, view.current_session) == ("DISCONNECTED", None)
        point = scene.network.core._state.points[cp_id]
        assert point.report is not None and point.report.unconfirmed == 0


def test_what_is_not_for_this_fleet_changes_nothing(played: Scene) -> None:
    """Proves: commands and updates of the charging points that are really there are passed over."""
    sent = [x.message for x in played.network.effects if isinstance(x, Send) and x.topic == UPDATES]
    for message in sent:
        assert isinstance(message, DriverUpdate)
        strange = attrs.evolve(message, request_id="req-of-a-person", cp_id="CP-001")
        before = (played.fleet.read_count, played.fleet.figures.finals)
        assert played.fleet.on_message(_read(strange), played.network.now) == []
        assert (played.fleet.read_count, played.fleet.figures.finals) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"registered": 8}, "2 of 10 monitors are not registered"),
        ({"nacks": {"full": 2}}, "2 monitors were refused: full"),
        ({"lost": 1}, "1 connections of monitors were lost"),
        (
            {"central": attrs.evolve(LOOKED, disconnected=3)},
            "3 times a charging point was shown DISCONNECTED",
        ),
        ({"central": attrs.evolve(LOOKED, not_on=1)}, "1 charging points were not ON at the end"),
        ({"central": attrs.evolve(LOOKED, cores=0.97)}, "it used 0.97 of a core"),
        ({"finals": {"COMPLETED": 5, "FAILED": 1}}, "1 requests ended FAILED"),
        ({"given_up": 4}, "4 requests had no answer within 10 s"),
    ],
)
def test_each_shortfall_is_told(played: Scene, change: dict[str, object], told: str) -> None:
    """Proves: a Central that does not keep up is told so, in the one thing in which it does not."""
    report = attrs.evolve(played.report(30.0), **change)  # type: ignore[arg-type]
    (found,) = report.shortfalls
    assert found.startswith(told)
    assert not report.kept_up


def test_long_waits_are_told(played: Scene) -> None:
    """Proves: waits that a person feels count as not keeping up, and beats that this fleet itself
    sent late are told apart from them."""
    report = played.report(30.0)
    assert report.accepted is not None
    slow = attrs.evolve(report.accepted, p99_ms=1_200.0)
    late = attrs.evolve(report, accepted=slow, shown=slow, acked=slow, late=slow)
    assert len(late.shortfalls) == 3
    assert late.is_late
    on_time = attrs.evolve(report, late=attrs.evolve(slow, p99_ms=20.0))
    assert on_time.kept_up and not on_time.is_late
