"""Any order of questions, answers, delays and lost sessions, and never two that may speak.

Nor is nobody left to speak, however often one is asked to let another serve.
"""

from datetime import UTC, datetime

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from evd.core.effects import Now
from evd.core.standby.events import (
    Answered,
    Ask,
    CameToRest,
    End,
    Event,
    HandOverAsked,
    Release,
    Released,
    SessionLost,
    Standby,
    Ticked,
    Tried,
    Try,
    may_take,
)
from evd.core.standby.lease import Lease

WALL = datetime(2026, 1, 31, tzinfo=UTC)
NUMBERS = st.sampled_from([0, 1, 2])
# The longest that nobody serves after a switch by hand: a try, and the ways there and back.
SWITCHED_S = 1.5
SETTINGS = settings(max_examples=200, stateful_step_count=30, deadline=None)


@attrs.define
class Member:
    """One Central: its lease, its session's number, and what is on its way there and back."""

    lease: Lease
    session: int = 0
    asked: list[tuple[int, Try | Ask | Release, float]] = attrs.Factory(list)
    answers: list[tuple[int, Event]] = attrs.Factory(list)


class Members(RuleBasedStateMachine):
    """Some Centrals and one database: hung, cut off one way or both, their sessions taken away."""

    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.now_s = 0.0
        self.members = [Member(Lease(self._now())) for _ in range(count)]
        # Each wrote of itself when it last tried, and when it last handed over.
        self.tried_s: dict[int, float] = {}
        self.released_s: dict[int, float] = {}
        self.pulse = 0
        self.is_released = False
        # The number of the Central that has the lock, and that of its session.
        self.lock: tuple[int, int] | None = None
        self.dead: set[tuple[int, int]] = set()
        # Until when a Central does nothing, its questions do not arrive, it hears no answer.
        self.hindered_s: dict[tuple[int, str], float] = {}

    def _now(self) -> Now:
        return Now(self.now_s, WALL)

    def _tell(self, number: int, event: Event) -> None:
        member = self.members[number]
        for effect in member.lease.handle(event, self._now()):
            if isinstance(effect, Try | Ask | Release):
                member.asked.append((member.session, effect, self.now_s))
            elif isinstance(effect, End):
                self._begin_anew(number)

    def _begin_anew(self, number: int) -> None:
        member = self.members[number]
        self._lose(number, member.session)
        self.members[number] = Member(Lease(self._now()), member.session + 1, member.asked)

    def _lose(self, number: int, session: int) -> None:
        self.dead.add((number, session))
        if self.lock == (number, session):
            self.lock = None

    @rule(turns=st.sampled_from([1, 2, 4, 16]))
    def pass_time(self, turns: int) -> None:
        """Everybody who can does its turn, four times a second."""
        for _ in range(turns):
            self.now_s += 0.25
            for number in range(len(self.members)):
                if not self._is("unheard", number):
                    self._reach_the_database(number)
                if not self._is("hung", number):
                    if not self._is("deaf", number):
                        self._hear(number)
                    self._tell(number, Ticked(kafka_up=True, monitors=0))
                    self._tell(number, CameToRest())
                self.at_most_one_may_speak()

    def _reach_the_database(self, number: int) -> None:
        member = self.members[number]
        for session, effect, asked_s in member.asked:
            member.answers.append((session, self._answer(number, session, effect, asked_s)))
        member.asked.clear()

    def _answer(
        self, number: int, session: int, effect: Try | Ask | Release, asked_s: float
    ) -> Event:
        if (number, session) in self.dead:
            return SessionLost("gone")
        if isinstance(effect, Ask):
            self.pulse += 1
            others = [each for each in self._standbys() if each.name != str(number)]
            return Answered(asked_s, tuple(others))
        if isinstance(effect, Release):
            self.is_released = True
            self.released_s[number] = self.now_s
            self._lose(number, session)
            return Released()
        self.tried_s[number] = self.now_s
        before = (0, 0, self.pulse), self.is_released
        is_granted = self.lock is None and may_take(str(number), self._standbys())
        if is_granted:
            self.lock, self.is_released = (number, session), False
        return Tried(asked_s, is_granted, *before)

    def _standbys(self) -> list[Standby]:
        return [
            Standby(
                *(str(number), str(number), True, 0, self.now_s - tried_s),
                self.now_s - self.released_s[number] if number in self.released_s else None,
            )
            for number, tried_s in self.tried_s.items()
        ]

    def _hear(self, number: int) -> None:
        """Read the answers of the present session; those of earlier ones are lost."""
        member = self.members[number]
        answers, member.answers = member.answers, []
        for session, event in answers:
            if session == self.members[number].session:
                self._tell(number, event)

    def _is(self, how: str, number: int) -> bool:
        return self.now_s < self.hindered_s.get((number, how), 0.0)

    @rule(
        number=NUMBERS,
        how=st.sampled_from(["hung", "unheard", "deaf"]),
        seconds=st.sampled_from([1.0, 3.0, 8.0]),
    )
    def hinder(self, number: int, how: str, seconds: float) -> None:
        """A Central hangs, or is cut off one way."""
        self.hindered_s[number, how] = self.now_s + seconds

    @rule(number=NUMBERS)
    def lose_the_session(self, number: int) -> None:
        """The server lets go of a session; its owner hears of it with its next question."""
        self._lose(number, self.members[number].session)

    @rule()
    def restart_the_server(self) -> None:
        """All sessions are over."""
        for number in range(len(self.members)):
            self.lose_the_session(number)

    @rule(number=NUMBERS)
    def start_anew(self, number: int) -> None:
        """A Central is killed and starts again, or a standby opens another session."""
        self._begin_anew(number)

    @rule(number=NUMBERS)
    def hand_over(self, number: int) -> None:
        """The operator asks for a switch."""
        self._tell(number, HandOverAsked())

    @invariant()
    def at_most_one_may_speak(self) -> None:
        """The promise of the lease."""
        speaking = [each for each in self.members if each.lease.may_speak(self.now_s)]
        assert len(speaking) <= 1


def test_at_most_one_may_speak() -> None:
    """Proves: however late a question or an answer comes, and whoever lost its session without
    knowing, at most one Central may speak."""
    run_state_machine_as_test(Members, settings=SETTINGS)


@given(
    pauses=st.lists(st.sampled_from([1, 3, 6, 16, 36, 44]), min_size=1, max_size=8),
    count=st.sampled_from([2, 3]),
)
@settings(deadline=None)
def test_switches_by_hand_leave_nobody_only_for_moments(pauses: list[int], count: int) -> None:
    """Proves: where every Central has handed over of late, one of them serves all the same."""
    members = Members(count)
    members.pass_time(16)
    for turns in pauses:
        for number in range(count):
            members.hand_over(number)
        silent_s = 0.0
        for _ in range(turns):
            members.pass_time(1)
            is_served = any(each.lease.may_speak(members.now_s) for each in members.members)
            silent_s = 0.0 if is_served else silent_s + 0.25
            assert silent_s <= SWITCHED_S


STANDBYS = st.lists(
    st.builds(
        Standby,
        name=st.sampled_from("abcde"),
        address=st.just("a:8000"),
        kafka_up=st.booleans(),
        monitors=NUMBERS,
        seen_ago_s=st.sampled_from([0.1, 2.5]),
        released_ago_s=st.sampled_from([None, 1.0, 20.0]),
    ),
    unique_by=lambda each: each.name,
    min_size=1,
)


@given(STANDBYS)
def test_a_free_lock_is_always_for_somebody(standbys: list[Standby]) -> None:
    """Proves: whatever the Centrals wrote, one of those that are there may take it."""
    present = [each.name for each in standbys if each.is_there]
    assert not present or any(may_take(name, standbys) for name in present)
