"""The right of one Central to speak, among several on one database.

The lock of a database session says which one serves; every commit is made in that session, so the
others can store nothing.  A lock says nothing to a process that has lost it and does not know yet.
So the one that serves believes in it only for LEASE_S after a question that the database answered,
by its own clock, and the next one waits for longer than that.
"""

import math
from enum import Enum, auto

from evd.core.effects import Level, Note, Now
from evd.core.standby.dialled import Dialled
from evd.core.standby.events import (
    Answered,
    Ask,
    CameToRest,
    Effect,
    End,
    Event,
    HandOverAsked,
    MonitorDialled,
    Pulse,
    Release,
    Released,
    Serve,
    SessionLost,
    Standby,
    Ticked,
    Tried,
    Try,
)

TICK_S = 0.25
TRY_S = 0.5
ASK_S = 1.0
LEASE_S = 3.0
# The next one waits for so much longer than the lease: clocks do not run at quite one speed.
MARGIN_S = 0.5
# The server ends a silent session itself before that, but for one whose statement came half.
SILENT_S = 7.0
# A monitor waits for longer than this for its first answer.
SOON_S = 2.0
KAFKA_LOST_S = 8.0
FEWER_MONITORS_S = 6.0
_ASKED = "the operator asked for it"


class Phase(Enum):
    """How far a Central has come with the lock."""

    STANDING_BY = auto()
    # The lock is ours, and the one before may still believe in it.
    WAITING = auto()
    SERVING = auto()
    # Nothing is said any more, and the lock is on its way back.
    LEAVING = auto()
    OVER = auto()


class Lease:
    """One time of standing by and serving, as a machine: events in, effects out.

    After End it is spent: its shell makes another one.
    """

    def __init__(self, now: Now) -> None:
        self.phase = Phase.STANDING_BY
        # The address of the one that serves.
        self.holder = ""
        self._tick_s = self._next_s = self._serve_s = now.mono_s
        # The time at which the newest question that was answered had been sent.
        self._proved_s = -math.inf
        self._is_asking = False
        self._pulse: Pulse | None = None
        self._pulse_s = now.mono_s
        self._dialled = Dialled()
        self._standbys: tuple[Standby, ...] = ()
        self._kafka_s = self._enough_s = now.mono_s
        self._is_told_to_leave = False
        self._why_leave = ""

    @property
    def wake_at_s(self) -> float:
        """The monotonic time at which it wants its next Ticked."""
        due_s = self._serve_s if self.phase is Phase.WAITING else math.inf
        return min(self._tick_s + TICK_S, due_s)

    def start(self, now: Now) -> list[Effect]:
        """Return what must be done before the first event: nothing."""
        self._tick_s = now.mono_s
        return []

    def may_speak(self, now_s: float) -> bool:
        """Return whether anything may be said now: to be asked before every single word."""
        return self.phase is Phase.SERVING and self._is_proved(now_s)

    def serves_soon(self, now_s: float) -> bool:
        """Return whether monitors that come now are better kept than sent on: this Central has the
        lock, and they would only have to come back."""
        is_soon = self.phase is Phase.WAITING and self._serve_s - now_s < SOON_S
        return is_soon or self.phase is Phase.SERVING

    @property
    def wants_to_leave(self) -> bool:
        """Whether another Central is to serve as soon as all is said: it waits for CameToRest."""
        return self.phase is Phase.SERVING and bool(self._why_leave)

    @property
    def standbys(self) -> tuple[Standby, ...]:
        """The others that stand by, as the newest answer named them."""
        return self._standbys

    def why_stay(self, now: Now) -> str:
        """Return why this Central can't hand over now; empty when it can."""
        if not self.may_speak(now.mono_s):
            return "this Central does not serve now"
        if not any(each.is_there for each in self._standbys):
            return "no other Central stands by"
        return ""

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """Return what must be done about `event`."""
        if self.phase is Phase.OVER:
            return []
        now_s = now.mono_s
        match event:
            case Ticked():
                return self._on_tick(event, now_s)
            case Tried():
                return self._on_tried(event, now_s)
            case Answered():
                self._on_answered(event)
            case SessionLost():
                return self._on_session_lost(event.reason, now_s)
            case MonitorDialled():
                self._dialled.note(event.cp_id, now_s)
            case HandOverAsked():
                if self.phase is Phase.SERVING:
                    self._is_told_to_leave = True
                    self._why_leave = _ASKED
            case CameToRest():
                return self._on_rest(now_s)
            case Released():
                return self._end("handed over", Level.INFO)
        return []

    def _is_proved(self, now_s: float) -> bool:
        return now_s - self._proved_s < LEASE_S

    def _on_tick(self, event: Ticked, now_s: float) -> list[Effect]:
        self._tick_s = now_s
        effects: list[Effect] = []
        if self.phase is Phase.SERVING:
            self._why_leave = self._look_around(event, now_s)
        effects += self._begin_if_due(now_s)
        if self._is_asking or now_s < self._next_s or self.phase is Phase.LEAVING:
            return effects
        self._is_asking = True
        if self.phase is Phase.STANDING_BY:
            is_silent = now_s - self._pulse_s > SILENT_S
            return [*effects, Try(event.kafka_up, self._dialled.count(now_s), is_silent)]
        self._next_s = now_s + ASK_S
        return [*effects, Ask()]

    def _on_tried(self, event: Tried, now_s: float) -> list[Effect]:
        if self.phase is not Phase.STANDING_BY:
            return []
        self._is_asking, self.holder = False, event.holder
        if event.pulse != self._pulse:
            self._pulse, self._pulse_s = event.pulse, now_s
        if not event.is_granted:
            self._next_s = now_s + TRY_S
            return []
        self.phase, self._proved_s, self._next_s = Phase.WAITING, event.asked_s, now_s
        unmoved_s = self._pulse_s + LEASE_S + MARGIN_S
        self._serve_s = now_s if event.is_released else max(now_s, unmoved_s)
        note = Note(Level.INFO, f"Takes over in {self._serve_s - now_s:.1f} s")
        return [note, *self._begin_if_due(now_s)]

    def _begin_if_due(self, now_s: float) -> list[Effect]:
        if self.phase is not Phase.WAITING or now_s < self._serve_s:
            return []
        self.phase = Phase.SERVING
        self._kafka_s = self._enough_s = now_s
        return [Serve()]

    def _on_answered(self, event: Answered) -> None:
        self._proved_s = max(self._proved_s, event.asked_s)
        if event.standbys is not None:
            self._is_asking = False
            self._standbys = event.standbys

    def _on_session_lost(self, reason: str, now_s: float) -> list[Effect]:
        if self.phase is not Phase.STANDING_BY:
            return self._end(reason)
        self._is_asking, self._next_s = False, now_s + TRY_S
        return []

    def _end(self, reason: str, level: Level = Level.ERROR) -> list[Effect]:
        self.phase = Phase.OVER
        return [End(reason, level)]

    def _look_around(self, event: Ticked, now_s: float) -> str:
        """Return why another Central would serve better, if so."""
        others: list[Standby] = []
        if self._is_proved(now_s):
            others = [each for each in self._standbys if each.is_there and not each.is_resting]
        if event.kafka_up:
            self._kafka_s = now_s
        if not any(each.monitors > event.monitors for each in others):
            self._enough_s = now_s
        if self._is_told_to_leave:
            return _ASKED
        if now_s - self._kafka_s > KAFKA_LOST_S and any(each.kafka_up for each in others):
            return "Kafka does not answer here, and answers another Central"
        if now_s - self._enough_s > FEWER_MONITORS_S:
            return "more monitors reach another Central than this one"
        return ""

    def _on_rest(self, now_s: float) -> list[Effect]:
        if not (self.wants_to_leave and self.may_speak(now_s)):
            return []
        # From here on nothing is said: the answer to the release may be lost.
        self.phase = Phase.LEAVING
        return [Note(Level.WARNING, f"Hands over: {self._why_leave}"), Release()]
