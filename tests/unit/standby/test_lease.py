"""When a Central may speak, when it takes the lock, and when it lets another serve."""

from datetime import UTC, datetime

import pytest

from evd.core.effects import Level, Note, Now
from evd.core.standby.dialled import DIALLED_MAX, ROUND_S, Dialled
from evd.core.standby.events import (
    REST_S,
    Answered,
    Ask,
    CameToRest,
    Effect,
    End,
    Event,
    HandOverAsked,
    MonitorDialled,
    Release,
    Released,
    Serve,
    SessionLost,
    Standby,
    Ticked,
    Tried,
    Try,
    may_take,
)
from evd.core.standby.lease import (
    FEWER_MONITORS_S,
    KAFKA_LOST_S,
    LEASE_S,
    MARGIN_S,
    SILENT_S,
    SOON_S,
    Lease,
)

WALL = datetime(2026, 1, 31, tzinfo=UTC)
PULSE = (1, 2, 3)
OTHER = Standby("b", "b:8000", kafka_up=True, monitors=0, seen_ago_s=0.1)


def at(mono_s: float) -> Now:
    """A moment."""
    return Now(mono_s, WALL)


class Played:
    """A lease whose time goes by in steps; the effects but for notes are gathered."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.lease = Lease(at(self.now_s))
        self.effects = self._told(self.lease.start(at(self.now_s)))

    def tell(self, event: Event) -> list[Effect]:
        """Hand in an event now."""
        effects = self._told(self.lease.handle(event, at(self.now_s)))
        self.effects += effects
        return effects

    def tick(
        self, after_s: float = 0.0, *, kafka_up: bool = True, monitors: int = 1
    ) -> list[Effect]:
        """Let time go by, and tell it."""
        self.now_s += after_s
        return self.tell(Ticked(kafka_up, monitors))

    def tried(
        self, *, granted: bool, released: bool = False, pulse: tuple[int, int, int] = PULSE
    ) -> None:
        """Answer the try at once."""
        self.tell(Tried(self.now_s, granted, pulse, released, "a:8000"))

    def serve(self, *standbys: Standby) -> "Played":
        """Take a lock that was released, and answer the first question."""
        self.tick()
        self.tried(granted=True, released=True)
        self.tick()
        assert Serve() in self.effects
        self.tell(Answered(self.now_s, standbys))
        return self

    def pass_time(
        self, seconds: float, *standbys: Standby, kafka_up: bool = True, monitors: int = 1
    ) -> None:
        """Let time go by, each question answered at once."""
        for _ in range(round(seconds / 0.25)):
            if Ask() in self.tick(0.25, kafka_up=kafka_up, monitors=monitors):
                self.tell(Answered(self.now_s, standbys))

    def may_speak(self) -> bool:
        """Whether it may speak now."""
        return self.lease.may_speak(self.now_s)

    @staticmethod
    def _told(effects: list[Effect]) -> list[Effect]:
        return [each for each in effects if not isinstance(each, Note)]


def test_a_standby_tries_each_half_second_and_never_twice_at_once() -> None:
    """Proves: a lock that is free is found soon, and a slow database is not asked on top."""
    played = Played()
    assert played.tick(monitors=3) == [Try(kafka_up=True, monitors=0)]
    assert played.tick(5.0) == []
    played.tried(granted=False)
    assert played.lease.holder == "a:8000"
    assert played.tick(0.25) == []
    assert played.tick(0.25, kafka_up=False) == [Try(kafka_up=False, monitors=0)]
    played.tell(SessionLost("cut off"))
    assert played.tick(0.5) == [Try(kafka_up=True, monitors=0)]
    assert not played.may_speak()


def test_a_lock_that_was_freed_early_is_waited_out() -> None:
    """Proves: the next one says nothing before the last one's lease is over, by its own clock."""
    played = Played()
    played.tick()
    played.tried(granted=False, pulse=(1, 1, 1))
    played.tick(1.0)
    played.tried(granted=True, pulse=(1, 1, 2))
    played.pass_time(LEASE_S + 0.25)
    assert Serve() not in played.effects
    assert not played.may_speak()
    assert played.lease.wake_at_s == pytest.approx(played.now_s + 0.25)
    assert played.tick(0.25) == [Serve()]
    assert played.may_speak()


def test_monitors_are_kept_for_the_last_moment_before_it_serves() -> None:
    """Proves: they are kept for less time than they wait for an answer, and only by a Central that
    has the lock."""
    played = Played()
    played.tick()
    played.tried(granted=False)
    assert not played.lease.serves_soon(played.now_s)
    played.tick(0.5)
    played.tried(granted=True, pulse=(1, 2, 4))
    assert not played.lease.serves_soon(played.now_s)
    played.pass_time(LEASE_S + MARGIN_S - SOON_S + 0.25)
    assert played.lease.serves_soon(played.now_s)
    played.pass_time(SOON_S)
    assert Serve() in played.effects
    assert played.lease.serves_soon(played.now_s)


def test_a_pulse_that_stood_still_is_not_waited_for_again() -> None:
    """Proves: after a host without power the five seconds of the server are enough."""
    played = Played()
    for _ in range(10):
        played.tick(0.5)
        played.tried(granted=False)
    played.tick(0.5)
    played.tried(granted=True)
    assert played.effects[-1] == Serve()
    assert played.tick() == [Ask()]


def test_a_lock_that_was_released_is_served_at_once() -> None:
    """Proves: a switch by hand costs no wait."""
    assert Played().serve().may_speak()


def test_the_lease_counts_from_the_moment_of_the_question() -> None:
    """Proves: an answer that was long on its way, or a process that was stopped, proves nothing."""
    played = Played().serve()
    asked_s = played.now_s
    assert played.tick(1.0) == [Ask()]
    assert played.tick(1.9) == []
    assert played.may_speak()
    played.tick(0.1)
    assert not played.may_speak()
    played.tell(Answered(asked_s + 1.0, ()))
    assert played.may_speak()
    played.tick(1.0)
    assert not played.may_speak()


def test_a_commit_proves_the_lease_as_a_question_does() -> None:
    """Proves: a database that is busy with our own commits silences nobody."""
    played = Played().serve()
    played.tick(2.0)
    played.tell(Answered(played.now_s))
    played.tick(2.9)
    assert played.may_speak()
    # The question of before is still under way.
    assert played.effects.count(Ask()) == 2


def test_a_lost_session_ends_it_for_good() -> None:
    """Proves: no answer that comes later makes a Central speak again that has lost the lock."""
    played = Played().serve()
    played.tick(1.0)
    assert played.tell(SessionLost("the server has let go")) == [End("the server has let go")]
    assert played.tell(Answered(played.now_s, ())) == []
    assert not played.may_speak()
    assert played.tick(1.0) == []


def test_a_lock_lost_while_it_is_waited_out_is_not_served() -> None:
    """Proves: a grant belongs to its session."""
    played = Played()
    played.tick()
    played.tried(granted=True)
    assert played.tell(SessionLost("cut off")) == [End("cut off")]
    played.tick(10.0)
    assert Serve() not in played.effects


def test_everything_stops_before_the_release() -> None:
    """Proves: by hand: what is decided is said first, and then nothing more, not even an ACK."""
    played = Played().serve(OTHER)
    assert played.lease.why_stay(at(played.now_s)) == ""
    assert played.tell(HandOverAsked()) == []
    assert played.lease.wants_to_leave
    assert played.may_speak()
    assert played.tell(CameToRest()) == [Release()]
    assert not played.may_speak()
    assert played.tick(1.0) == []
    assert played.tell(Released()) == [End("handed over", Level.INFO)]


def test_rest_alone_hands_nothing_over() -> None:
    """Proves: a Central that is idle goes on serving."""
    assert Played().serve(OTHER).tell(CameToRest()) == []


def test_nobody_hands_over_to_nobody() -> None:
    """Proves: the operator hears why a switch is refused."""
    played = Played()
    assert played.lease.why_stay(at(played.now_s)) == "this Central does not serve now"
    played.tell(HandOverAsked())
    assert not played.serve().lease.wants_to_leave
    assert played.lease.why_stay(at(played.now_s)) == "no other Central stands by"


@pytest.mark.parametrize("kafka_up", [True, False])
def test_a_central_without_kafka_lets_another_serve_that_has_it(kafka_up: bool) -> None:
    """Proves: a host that is cut off from Kafka alone leaves the network to the other one."""
    other = Standby("b", "b:8000", kafka_up=kafka_up, monitors=0, seen_ago_s=0.1)
    played = Played().serve(other)
    played.pass_time(KAFKA_LOST_S, other, kafka_up=False)
    assert not played.lease.wants_to_leave
    played.pass_time(0.5, other, kafka_up=False)
    assert played.lease.wants_to_leave is kafka_up


@pytest.mark.parametrize(("monitors", "leaves"), [(3, True), (2, False)])
def test_a_central_lets_another_serve_that_more_monitors_reach(monitors: int, leaves: bool) -> None:
    """Proves: a host whose way to the charging points is cut off leaves them to the other one."""
    other = Standby("b", "b:8000", kafka_up=True, monitors=monitors, seen_ago_s=0.1)
    played = Played().serve(other)
    played.pass_time(FEWER_MONITORS_S, other, monitors=2)
    assert not played.lease.wants_to_leave
    played.pass_time(0.5, other, monitors=2)
    assert played.lease.wants_to_leave is leaves


@pytest.mark.parametrize(
    "other",
    [
        Standby("b", "b:8000", kafka_up=True, monitors=9, seen_ago_s=2.5),
        Standby("b", "b:8000", kafka_up=True, monitors=9, seen_ago_s=0.1, released_ago_s=1.0),
    ],
)
def test_nobody_hands_over_by_itself_to_one_that_could_not_serve(other: Standby) -> None:
    """Proves: one that has gone, or that has itself just handed over, is no better."""
    played = Played().serve(other)
    played.pass_time(20.0, other, monitors=0, kafka_up=False)
    assert not played.lease.wants_to_leave


def test_a_silent_database_makes_nobody_hand_over() -> None:
    """Proves: what is known of the others counts only while the database answers."""
    other = Standby("b", "b:8000", kafka_up=True, monitors=9, seen_ago_s=0.1)
    played = Played().serve(other)
    for _ in range(50):
        played.tick(0.25, kafka_up=False, monitors=0)
    assert not played.lease.wants_to_leave


def test_a_standby_says_how_many_monitors_dialled_it() -> None:
    """Proves: each charging point counts once, for one round of the addresses."""
    played = Played()
    for cp_id in ("CP-1", "CP-2", "CP-1"):
        played.tell(MonitorDialled(cp_id))
    assert played.tick() == [Try(kafka_up=True, monitors=2)]
    played.tried(granted=False)
    played.now_s += ROUND_S - 1
    played.tell(MonitorDialled("CP-1"))
    assert played.tick(1.0) == [Try(kafka_up=True, monitors=1, ends_silent=True)]


def test_only_a_holder_that_was_silent_for_long_is_ended() -> None:
    """Proves: a standby has the database end a session that fell silent in mid-statement only once
    the pulse has stood still for longer than the server itself waits."""
    played = Played()
    for beat in range(20):
        assert played.tick(0.5) == [Try(kafka_up=True, monitors=0)]
        played.tried(granted=False, pulse=(1, 2, beat))
    played.now_s += SILENT_S
    assert played.tick(0.5) == [Try(kafka_up=True, monitors=0, ends_silent=True)]


def test_the_names_of_those_who_dialled_are_bounded() -> None:
    """Proves: nobody fills the memory by dialling with names that do not exist."""
    dialled = Dialled()
    for number in range(DIALLED_MAX + 10):
        dialled.note(f"CP-{number}", 0.0)
    assert dialled.count(0.0) == DIALLED_MAX


def test_one_that_handed_over_rests_only_while_another_could_take() -> None:
    """Proves: two switches by hand, one soon after the other, leave nobody only for moments."""
    rested = Standby("a", "a:8000", True, 0, 0.1, released_ago_s=1.0)
    other = Standby("b", "b:8000", True, 0, 0.1)
    assert not may_take("a", [rested, other])
    assert may_take("b", [rested, other])
    assert may_take("a", [rested])
    assert may_take("a", [rested, Standby("b", "b:8000", True, 0, 2.5)])
    assert may_take("a", [rested, Standby("b", "b:8000", True, 0, 0.1, released_ago_s=2.0)])
    assert may_take("a", [Standby("a", "a:8000", True, 0, 0.1, released_ago_s=REST_S), other])
    # The database's clock was set back after the release.
    assert may_take("a", [Standby("a", "a:8000", True, 0, 0.1, released_ago_s=-60.0), other])
    assert may_take("new", [other])


def test_the_one_that_most_monitors_reach_takes_the_lock() -> None:
    """Proves: a Central leaves a free lock to one that Kafka answers or that more monitors reach,
    for as long as that one is there and does not rest."""
    mine = Standby("a", "a:8000", True, 3, 0.1)
    assert may_take("a", [mine, Standby("b", "b:8000", True, 3, 0.1)])
    assert may_take("a", [mine, Standby("b", "b:8000", False, 9, 0.1)])
    for better in (
        Standby("b", "b:8000", True, 4, 0.1),
        Standby("b", "b:8000", True, 9, 0.1, released_ago_s=REST_S),
    ):
        assert not may_take("a", [mine, better])
        assert may_take("b", [mine, better])
    assert may_take("a", [mine, Standby("b", "b:8000", True, 9, 2.5)])
    assert may_take("a", [mine, Standby("b", "b:8000", True, 9, 0.1, released_ago_s=1.0)])
