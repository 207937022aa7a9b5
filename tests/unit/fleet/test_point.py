"""A charging point that is played, against Central's own core."""

import attrs

from evd.core.central.events import MonitorSaid
from evd.core.central.views import CpView
from evd.core.effects import Send
from evd.core.fleet.events import Post
from evd.core.fleet.point import PlayedPoint
from evd.core.wire import codec
from evd.core.wire.messages import (
    COMMANDS,
    STATUS,
    TELEMETRY,
    Command,
    CpStatus,
    RequestStatus,
    Telemetry,
)
from tests.unit.central.network import Network

CP_ID = "CP-001"
SESSION_S = 10.0
CONNECTION = 7


class Scene:
    """A Central and one played point, which read what the other says at once."""

    def __init__(self) -> None:
        self.network = Network()
        self.point = PlayedPoint(CP_ID, "boot-1", SESSION_S, self.network.clock_s)
        self.sent: list[Send | Post] = []
        self.quiet = 0
        self._read = len(self.network.effects)
        self.network.tell(MonitorSaid(CONNECTION, self.point.register(self.network.clock_s)))

    def run(self, seconds: int) -> None:
        """Let time go by."""
        for turn in range(4 * seconds):
            self.network.run(0.25, beat=False)
            self._tell(self.point.tick(self.network.now))
            if turn % 4 == 0:
                self._beat()
            self._obey()

    def _beat(self) -> None:
        beat = self.point.heartbeat(self.network.clock_s)
        if self.network.core.acknowledge(CONNECTION, beat, self.network.now):
            self.quiet += 1
        else:
            self.network.tell(MonitorSaid(CONNECTION, beat))

    def _tell(self, sends: list[Send | Post]) -> None:
        self.sent += sends
        for send in sends:
            self.network.tell(send.message)  # type: ignore[arg-type]

    def _obey(self) -> None:
        new, self._read = self.network.effects[self._read :], len(self.network.effects)
        for effect in new:
            if isinstance(effect, Send) and effect.topic == COMMANDS:
                assert isinstance(effect.message, Command)
                self._tell(self.point.on_command(effect.message, self.network.now))

    @property
    def view(self) -> CpView:
        return self.network.view(CP_ID)


def test_a_played_point_is_one_for_central() -> None:
    """Proves: it is ON and available after its first report, stays so, and nearly all that its
    monitor says is no news."""
    scene = Scene()
    scene.run(60)
    assert (scene.view.state, scene.view.available) == ("ON", True)
    reports = [each.message for each in scene.sent if each.topic == STATUS]
    assert 29 <= len(reports) <= 31
    assert scene.quiet >= 58


def test_a_played_session_is_billed_like_any() -> None:
    """Proves: a request is ACCEPTED, metered each second, COMPLETED and billed without suspicion;
    its record is confirmed and the next driver can come."""
    scene = Scene()
    scene.run(3)
    for number in range(2):
        request_id = f"req-{number}"
        scene.network.ask(request_id)
        scene.run(2)
        assert scene.point.is_charging
        assert scene.network.request(request_id).status is RequestStatus.IN_PROGRESS
        scene.run(int(SESSION_S) + 2)
        assert scene.point.is_free
        assert scene.network.request(request_id).status is RequestStatus.COMPLETED
        row = scene.network.session(request_id)
        assert row.settled and not row.suspect and not row.estimated
        # 22 kW for 10 to 10.5 s at 0.30 euro/kWh.
        assert row.cost_cents == 2
    readings = [each.message for each in scene.sent if each.topic == TELEMETRY]
    assert all(isinstance(each, Telemetry) for each in readings)
    assert 2 * (SESSION_S - 1) <= len(readings) <= 2 * (SESSION_S + 1)


def test_a_stop_ends_a_played_session() -> None:
    """Proves: a session whose driver gives up ends at once, and its record is confirmed."""
    scene = Scene()
    scene.run(3)
    scene.network.ask()
    scene.run(4)
    scene.network.cancel()
    scene.run(4)
    assert scene.point.is_free
    assert scene.network.session().settled
    (last,) = [each.message for each in scene.sent if each.topic == STATUS][-1:]
    assert isinstance(last, CpStatus) and last.unconfirmed == 0


def test_a_quick_beat_is_a_heartbeat() -> None:
    """Proves: the message that is made unchecked says what a checked one says, in a session too."""
    scene = Scene()
    scene.run(3)
    for is_charging in (False, True):
        assert scene.point.is_charging is is_charging
        now_s = scene.network.clock_s
        seq, data = scene.point.beat(now_s)
        message = codec.structure_monitor(codec.load_object(data))
        assert message == attrs.evolve(scene.point.heartbeat(now_s), seq=seq)
        scene.network.ask()
        scene.run(2)
