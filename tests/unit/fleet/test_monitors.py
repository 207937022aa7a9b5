"""The monitors of a played fleet, with a Central that answers as the test says."""

from evd.core.fleet.events import Dial, Effect, HangUp, Say
from evd.core.fleet.monitors import DELAY_S_MAX, Monitors
from evd.core.fleet.point import PlayedPoint
from evd.core.wire import codec
from evd.core.wire.control import Ack, Bye, Heartbeat, Nack, NackCode, Register

NAMES = ("A", "B")


class Scene:
    """Two monitors; `said`: their messages in order."""

    def __init__(self, **tokens: str) -> None:
        points = {name: PlayedPoint(name, f"boot-{name}", 10.0, 0.0) for name in NAMES}
        self.monitors = Monitors(points, tokens)
        self.said: list[Register | Heartbeat | Bye] = []
        self.dialed: list[str] = []
        self.hung_up: list[str] = []

    def do(self, effects: list[Effect]) -> None:
        """Note what is done."""
        for effect in effects:
            match effect:
                case Say(_, data):
                    message = codec.structure_monitor(codec.load_object(data))
                    assert isinstance(message, Register | Heartbeat | Bye)
                    self.said.append(message)
                case Dial(cp_id):
                    self.dialed.append(cp_id)
                case HangUp(cp_id):
                    self.hung_up.append(cp_id)

    def answer(self, now_s: float, heartbeat_s: float | None = None) -> None:
        """Central takes the newest message."""
        last = self.said[-1]
        ack = Ack(last.seq, "central-1", heartbeat_s=heartbeat_s)
        self.do(self.monitors.on_answer(last.cp_id, ack, now_s))

    def register(self, now_s: float = 0.0) -> None:
        """Have both registered."""
        self.do(self.monitors.dial(NAMES))
        for name in NAMES:
            self.do(self.monitors.on_dialed(name, now_s))
            self.answer(now_s, 1.0)


def test_they_register_and_beat_as_often_as_central_wants() -> None:
    """Proves: each shows its token, beats at nine tenths of the time that Central gives, the two
    apart from each other, and the time to each ACK is measured."""
    scene = Scene(A="evd_monitor_x")
    scene.register()
    assert scene.monitors.registered_count == 2
    first = scene.said[0]
    assert isinstance(first, Register)
    assert (first.token, first.instance_id) == ("evd_monitor_x", "played-A")
    beats: dict[str, list[int]] = {name: [] for name in NAMES}
    for tick in range(300):
        now_s = tick / 100
        before = len(scene.said)
        scene.do(scene.monitors.tick(now_s, 100))
        for message in scene.said[before:]:
            beats[message.cp_id].append(tick)
            ack = Ack(message.seq, "central-1")
            scene.do(scene.monitors.on_answer(message.cp_id, ack, now_s + 0.02))
    assert beats == {"A": [0, 90, 180, 270], "B": [45, 135, 225]}
    answered = scene.monitors.answered.spread
    assert answered is not None
    assert (answered.count, answered.p99_ms) == (7, 20.0)


def test_a_refused_monitor_is_counted_once_and_comes_back_seldom() -> None:
    """Proves: `full` is told by its code, once for a monitor however often it tries, which it does
    at its longest delay; another refusal is tried again soon."""
    for code, soonest_s in ((NackCode.FULL, DELAY_S_MAX / 2), (NackCode.STANDING_BY, 0.2)):
        scene = Scene()
        for tries in range(2):
            scene.do(scene.monitors.dial(["A"]))
            scene.do(scene.monitors.on_dialed("A", 0.0))
            nack = Nack(scene.said[-1].seq, "no", code=code)
            scene.do(scene.monitors.on_answer("A", nack, 0.0))
            assert scene.hung_up == ["A"] * (tries + 1)
            if not tries:
                assert scene.monitors.wake_at_s == soonest_s
        assert scene.monitors.refused == {code: 1}
        assert scene.monitors.registered_count == 0


def test_a_lost_connection_is_dialed_again_and_timed() -> None:
    """Proves: all come back by themselves, and the time is told from the first that was lost until
    the last is registered again."""
    scene = Scene()
    scene.register()
    for name, now_s in (("A", 10.0), ("B", 10.5)):
        scene.do(scene.monitors.on_lost(name, now_s))
    # Told twice, by the peer and by a send that failed: it counts once.
    scene.do(scene.monitors.on_lost("A", 10.5))
    assert scene.monitors.lost_count == 2
    scene.dialed.clear()
    scene.do(scene.monitors.tick(10.6, 100))
    assert scene.dialed == ["A"]
    scene.do(scene.monitors.on_lost("A", 10.6))
    scene.do(scene.monitors.tick(12.0, 100))
    assert sorted(scene.dialed) == ["A", "A", "B"]
    for name in NAMES:
        scene.do(scene.monitors.on_dialed(name, 12.0))
        scene.answer(12.5)
    assert scene.monitors.registered_count == 2
    assert scene.monitors.away_s == 2.5


def test_a_central_that_does_not_answer_is_given_up() -> None:
    """Proves: three heartbeats without an ACK end a connection, as a real monitor ends it; so does
    a REGISTER without an answer."""
    scene = Scene()
    scene.register()
    for tick in range(40):
        scene.do(scene.monitors.tick(tick / 10, 100))
    assert sorted(scene.hung_up) == ["A", "B"]
    assert scene.monitors.lost_count == 2
    silent = Scene()
    silent.do(silent.monitors.dial(["A"]))
    silent.do(silent.monitors.on_dialed("A", 0.0))
    silent.do(silent.monitors.tick(3.1, 100))
    assert silent.hung_up == ["A"]


def test_all_say_bye() -> None:
    """Proves: the registered say BYE, hang up at its ACK and never come back; the others just do
    not come back."""
    scene = Scene()
    scene.do(scene.monitors.dial(NAMES))
    scene.do(scene.monitors.on_dialed("A", 0.0))
    scene.answer(0.0)
    scene.do(scene.monitors.leave())
    assert isinstance(scene.said[-1], Bye)
    assert scene.hung_up == ["B"]
    assert scene.monitors.left_count == 1
    scene.answer(1.1)
    assert scene.hung_up == ["B", "A"]
    assert scene.monitors.left_count == 2
    scene.do(scene.monitors.on_lost("A", 1.2))
    # Its dial was under way: it is not kept.
    scene.do(scene.monitors.on_dialed("B", 1.2))
    assert scene.hung_up == ["B", "A", "B"]
    scene.dialed.clear()
    scene.do(scene.monitors.tick(99.0, 100))
    assert (scene.dialed, scene.monitors.left_count) == ([], 2)
