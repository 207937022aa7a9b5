"""The monitors of a played fleet: they dial, register, beat and come back as real ones do."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Final

import attrs

from evd.core.fleet.events import Dial, Effect, HangUp, Say
from evd.core.fleet.point import PlayedPoint
from evd.core.fleet.waits import Waits
from evd.core.fleet.wheel import Wheel
from evd.core.wire import codec
from evd.core.wire.control import LASTING_REFUSALS, Ack, FromCentral, NackCode

# As a real monitor by default.
HEARTBEAT_S: Final = 1.0
HEARTBEAT_SHARE: Final = 0.9
DELAY_S_MIN: Final = 0.2
DELAY_S_MAX: Final = 2.0
UNANSWERED_MAX: Final = 3


class Link(Enum):
    """Where a monitor's connection stands."""

    CLOSED = auto()
    DIALING = auto()
    REGISTERING = auto()
    REGISTERED = auto()
    LEAVING = auto()
    LEFT = auto()


@attrs.define(slots=True)
class _Monitor:
    point: PlayedPoint
    # From 0 to 1, another for each: by it their times are spread.
    phase: float
    token: str | None
    link: Link = Link.CLOSED
    heartbeat_s: float = HEARTBEAT_S
    tries: int = 0
    # The messages without an answer: when each was sent, by its `seq`.
    unanswered: dict[int, float] = attrs.Factory(dict)


class Monitors:
    """All monitors, by the ids of their charging points.  Times are monotonic seconds."""

    def __init__(self, points: Mapping[str, PlayedPoint], tokens: Mapping[str, str]) -> None:
        """`tokens`: what each shows to Central, of those that have one."""
        self._all = {
            cp_id: _Monitor(point, number / len(points), tokens.get(cp_id))
            for number, (cp_id, point) in enumerate(points.items())
        }
        self._timers = Wheel[str]()
        self._counts = Counter[Link]({Link.CLOSED: len(points)})
        self._away_since_s: float | None = None
        self.answered = Waits()
        # Due heartbeats that this fleet itself sent late.
        self.late = Waits()
        # The monitors that Central refused, by the code of its NACK.
        self._refused: dict[str, set[str]] = {}
        self.lost_count = 0
        self.said_count = 0
        # The time at which all were registered for the first time.
        self.complete_s: float | None = None
        # The longest time, in seconds, until all were there again after one was lost.
        self.away_s = 0.0

    def begin(self) -> None:
        """Measure from now on."""
        self.answered, self.late = Waits(), Waits()
        self.lost_count = self.said_count = 0
        self.away_s = 0.0

    @property
    def registered_count(self) -> int:
        """How many are registered."""
        return self._counts[Link.REGISTERED]

    @property
    def left_count(self) -> int:
        """How many have said BYE, or have no connection to say it on."""
        return self._counts[Link.LEFT]

    @property
    def refused(self) -> dict[str, int]:
        """How many were refused at least once, by the code of the NACK."""
        return {code: len(cp_ids) for code, cp_ids in self._refused.items()}

    def is_registered(self, cp_id: str) -> bool:
        """Whether the monitor of this charging point is registered."""
        return self._all[cp_id].link is Link.REGISTERED

    def dial(self, cp_ids: Iterable[str]) -> list[Effect]:
        """Have these dial now."""
        return [self._dial(cp_id) for cp_id in cp_ids]

    def _dial(self, cp_id: str) -> Dial:
        self._set(self._all[cp_id], Link.DIALING)
        return Dial(cp_id)

    def on_dialed(self, cp_id: str, now_s: float) -> list[Effect]:
        """A connection stands."""
        monitor = self._all[cp_id]
        if monitor.link is not Link.DIALING:
            return [HangUp(cp_id)]
        self._set(monitor, Link.REGISTERING)
        self._timers.set(cp_id, now_s + UNANSWERED_MAX * HEARTBEAT_S)
        message = attrs.evolve(monitor.point.register(now_s), token=monitor.token)
        return [Say(cp_id, codec.encode_control(message))]

    def on_answer(self, cp_id: str, answer: FromCentral, now_s: float) -> list[Effect]:
        """Central has answered one of its messages."""
        monitor = self._all[cp_id]
        if not isinstance(answer, Ack):
            self._refused.setdefault(answer.code or "no code", set()).add(cp_id)
            with contextlib.suppress(ValueError):
                if NackCode(answer.code or "") in LASTING_REFUSALS:
                    monitor.tries = 99
            return [HangUp(cp_id), *self.on_lost(cp_id, now_s)]
        if monitor.link is Link.LEAVING:
            self._set(monitor, Link.LEFT)
            self._timers.forget(cp_id)
            return [HangUp(cp_id)]
        if monitor.link is Link.REGISTERING:
            self._on_registered(monitor, answer, now_s)
        else:
            self.on_beat_answered(cp_id, answer.seq, now_s)
        return []

    def on_beat_answered(self, cp_id: str, seq: int, now_s: float) -> bool:
        """Central has acknowledged a heartbeat; False where none with `seq` waits for it."""
        sent_s = self._all[cp_id].unanswered.pop(seq, None)
        if sent_s is None:
            return False
        self.answered.add(now_s - sent_s)
        return True

    def _on_registered(self, monitor: _Monitor, answer: Ack, now_s: float) -> None:
        self._set(monitor, Link.REGISTERED)
        monitor.tries = 0
        monitor.unanswered.clear()
        monitor.heartbeat_s = (answer.heartbeat_s or HEARTBEAT_S) * HEARTBEAT_SHARE
        # Spread: those that register together do not beat together for ever.
        self._timers.set(monitor.point.cp_id, now_s + monitor.phase * monitor.heartbeat_s)
        if self.registered_count < len(self._all):
            return
        if self.complete_s is None:
            self.complete_s = now_s
        if self._away_since_s is not None:
            self.away_s = max(self.away_s, now_s - self._away_since_s)
            self._away_since_s = None

    def on_lost(self, cp_id: str, now_s: float) -> list[Effect]:
        """Its connection is over, or could not be had."""
        monitor = self._all[cp_id]
        if monitor.link in (Link.CLOSED, Link.LEFT):
            return []
        if monitor.link is Link.LEAVING:
            self._set(monitor, Link.LEFT)
            self._timers.forget(cp_id)
            return []
        if monitor.link is Link.REGISTERED:
            self.lost_count += 1
            if self._away_since_s is None:
                self._away_since_s = now_s
        self._set(monitor, Link.CLOSED)
        upper_s = min(2 * DELAY_S_MIN * 2 ** min(monitor.tries, 9), DELAY_S_MAX)
        monitor.tries += 1
        self._timers.set(cp_id, now_s + upper_s * (1 + monitor.phase) / 2)
        return []

    def leave(self) -> list[Effect]:
        """Have all say BYE."""
        effects: list[Effect] = []
        for cp_id, monitor in self._all.items():
            self._timers.forget(cp_id)
            if monitor.link is Link.REGISTERED:
                self._set(monitor, Link.LEAVING)
                bye = monitor.point.bye("the fleet is over")
                effects.append(Say(cp_id, codec.encode_control(bye)))
            elif monitor.link is not Link.LEFT:
                self._set(monitor, Link.LEFT)
                effects.append(HangUp(cp_id))
        return effects

    def tick(self, now_s: float, count_max: int) -> list[Effect]:
        """Do what is due by now, `count_max` at the most."""
        effects: list[Effect] = []
        for cp_id, due_s in self._timers.due(now_s, count_max):
            monitor = self._all[cp_id]
            if monitor.link is Link.REGISTERED and len(monitor.unanswered) < UNANSWERED_MAX:
                effects.append(self._beat(monitor, due_s, now_s))
            elif monitor.link is Link.CLOSED:
                effects.append(self._dial(cp_id))
            else:
                effects += [HangUp(cp_id), *self.on_lost(cp_id, now_s)]
        return effects

    @property
    def wake_at_s(self) -> float:
        """The time at which something is due."""
        return self._timers.next_s

    def _beat(self, monitor: _Monitor, due_s: float, now_s: float) -> Say:
        self.late.add(now_s - due_s)
        seq, beat = monitor.point.beat(now_s)
        monitor.unanswered[seq] = now_s
        self.said_count += 1
        # From its own time on, so that a late beat does not make them fewer; none is made up for.
        next_s = due_s + monitor.heartbeat_s
        cp_id = monitor.point.cp_id
        self._timers.set(cp_id, next_s if next_s > now_s else now_s + monitor.heartbeat_s)
        return Say(cp_id, beat)

    def _set(self, monitor: _Monitor, link: Link) -> None:
        self._counts[monitor.link] -= 1
        self._counts[link] += 1
        monitor.link = link
