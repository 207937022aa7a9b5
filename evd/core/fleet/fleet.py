"""A fleet that is played against one Central: its monitors, its engines, its drivers."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final

from evd.core.effects import Now, Send
from evd.core.fleet.drivers import Drivers
from evd.core.fleet.events import Effect, Metered, Post, Progress
from evd.core.fleet.figures import Figures
from evd.core.fleet.monitors import Monitors
from evd.core.fleet.plan import SESSION_S_MIN, Plan
from evd.core.fleet.point import REPORT_S, PlayedPoint
from evd.core.fleet.wheel import Wheel
from evd.core.wire.control import FromCentral
from evd.core.wire.messages import Beacon, Command, DriverUpdate, Message

# At the beginning sessions are begun so fast at the most, and over so many seconds at least.
RAMP_A_S_MAX: Final = 100.0
RAMP_S_MIN: Final = 5.0
# Charging points that are looked at for one that is free.
LOOKED_AT_MAX: Final = 200
# A fleet that was stopped for longer does not make up for what it did not ask.
BEHIND_S_MAX: Final = 1.0


class Fleet:
    """All of it.  The effects of a call are to be carried out in their order."""

    def __init__(self, plan: Plan, run_id: str, tokens: Mapping[str, str], now: Now) -> None:
        """Play nothing yet.  `run_id` is another one for each run."""
        self.plan = plan
        self.figures = Figures()
        self._points = {
            cp_id: PlayedPoint(cp_id, f"boot-{run_id}-{number}", plan.session_s, now.mono_s)
            for number, cp_id in enumerate(plan.cp_ids)
        }
        self.monitors = Monitors(self._points, tokens)
        self.drivers = Drivers(run_id, self.figures)
        self._engines = Wheel[str]()
        # Those that were never registered: their engines say nothing yet.
        self._silent = set(self._points)
        self._ring = deque(self._points)
        self._ramp_left = 0
        self._ask_due_s: float | None = None
        self._is_ending = False
        self.sent = Counter[str]()
        self.read_count = 0
        # Requests that were due where no charging point was found free.
        self.unasked_count = 0

    @property
    def known(self) -> list[str]:
        """The charging points that Central has met."""
        return [cp_id for cp_id in self._points if cp_id not in self._silent]

    @property
    def charging_count(self) -> int:
        """How many charge now."""
        return sum(point.is_charging for point in self._points.values())

    @property
    def is_warm(self) -> bool:
        """Whether as many charge, or have been asked for, as are to charge."""
        return self._ask_due_s is not None and not self._ramp_left

    @property
    def is_quiet(self) -> bool:
        """Whether no session runs, none of their records waits, and no request is open."""
        return not self.drivers.open_count and all(x.is_free for x in self._points.values())

    def begin(self, count: int | None = None) -> list[Effect]:
        """Have the first `count` that have not begun dial; all without it."""
        begun = [cp_id for cp_id in self._points if cp_id in self._silent][:count]
        return self.monitors.dial(begun)

    def warm_up(self, now_s: float) -> None:
        """Have drivers ask from now on, at first faster, until as many charge as are to."""
        if self.plan.target:
            self._ramp_left, self._ask_due_s = self.plan.target, now_s

    def measure(self) -> None:
        """Count from now on."""
        self.figures.begin()
        self.monitors.begin()
        self.sent.clear()
        self.read_count = self.unasked_count = self.drivers.given_up_count = 0

    def wind_down(self, now: Now) -> list[Effect]:
        """Ask no more, and end all sessions."""
        self._ask_due_s, self._ramp_left, self._is_ending = None, 0, True
        effects: list[Effect] = []
        for point in self._points.values():
            effects += self._said(point, point.end(now, "the fleet is over"), now)
        return effects

    def on_dialed(self, cp_id: str, now: Now) -> list[Effect]:
        """A connection stands."""
        return self.monitors.on_dialed(cp_id, now.mono_s)

    def on_lost(self, cp_id: str, now: Now) -> list[Effect]:
        """A connection is over, or could not be had."""
        return self.monitors.on_lost(cp_id, now.mono_s)

    def on_answer(self, cp_id: str, answer: FromCentral, now: Now) -> list[Effect]:
        """Central has answered a monitor."""
        self.read_count += 1
        effects = self.monitors.on_answer(cp_id, answer, now.mono_s)
        if cp_id in self._silent and self.monitors.is_registered(cp_id):
            self._silent.discard(cp_id)
            number = len(self._points) - len(self._silent)
            phase = number / len(self._points)
            self._engines.set(cp_id, now.mono_s + phase * REPORT_S)
        return effects

    def on_beat_answered(self, cp_id: str, seq: int, now: Now) -> bool:
        """Central has acknowledged a heartbeat; False where it was none that waits: `on_answer`."""
        is_one = self.monitors.on_beat_answered(cp_id, seq, now.mono_s)
        self.read_count += is_one
        return is_one

    def on_message(self, message: Message | Progress, now: Now) -> Sequence[Effect]:
        """A message on Kafka; those that are not for this fleet change nothing."""
        match message:
            case Progress():
                self.read_count += self.drivers.on_progress(message, now.mono_s)
            case Beacon():
                self.drivers.on_beacon(message)
            case DriverUpdate():
                self.read_count += self.drivers.on_update(message, now.mono_s)
            case Command() if (point := self._points.get(message.cp_id)) is not None:
                self.read_count += 1
                sends = point.on_command(message, now)
                if self._is_ending:
                    sends += point.end(now, "the fleet is over")
                return self._said(point, sends, now)
        return []

    def tick(self, now: Now, count_max: int) -> list[Effect]:
        """Do what is due by now, `count_max` things of each kind at the most."""
        effects = self.monitors.tick(now.mono_s, count_max)
        for cp_id, _ in self._engines.due(now.mono_s, count_max):
            point = self._points[cp_id]
            effects += self._said(point, point.tick(now), now)
        effects += self._counted(self.drivers.tick(now.mono_s, count_max))
        if self._ask_due_s is not None:
            effects += self._ask(self._ask_due_s, now.mono_s)
        return effects

    def is_due(self, now_s: float) -> bool:
        """Whether there is something to do by now."""
        due_s = (self.monitors.wake_at_s, self._engines.next_s, self.drivers.wake_at_s)
        return min(due_s) <= now_s

    def leave(self) -> list[Effect]:
        """Have all monitors say BYE, and all engines fall silent."""
        self._engines = Wheel()
        return self.monitors.leave()

    def _said(self, point: PlayedPoint, sends: Sequence[Send | Post], now: Now) -> Sequence[Effect]:
        self._engines.set(point.cp_id, point.wake_at_s)
        for send in sends:
            if isinstance(send, Metered):
                self.figures.on_metered(send.session_id, send.kwh, now.mono_s)
        return self._counted(sends)

    def _counted(self, sends: Sequence[Send | Post]) -> Sequence[Effect]:
        for send in sends:
            self.sent[send.topic] += 1
        return sends

    def _ask(self, due_s: float, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        due_s = max(due_s, now_s - BEHIND_S_MAX)
        while due_s <= now_s:
            effects += self._ask_one(now_s)
            due_s += 1 / self._requests_s
        self._ask_due_s = due_s
        return effects

    @property
    def _requests_s(self) -> float:
        plan = self.plan
        if not self._ramp_left:
            return plan.requests_s
        return max(2 * plan.requests_s, min(RAMP_A_S_MAX, plan.target / RAMP_S_MIN))

    def _ask_one(self, now_s: float) -> Sequence[Effect]:
        point = self._free_point()
        if point is None:
            self.unasked_count += 1
            return []
        point.session_s = self._session_s()
        asked = self._counted(self.drivers.ask(point.cp_id, now_s))
        if asked:
            self._ramp_left = max(0, self._ramp_left - 1)
        return asked

    def _session_s(self) -> float:
        """Return the length of the next session: the first ones end one after the other."""
        plan, left = self.plan, self._ramp_left
        if not left:
            return plan.session_s
        after_ramp_s = plan.session_s * (plan.target - left + 1) / plan.target
        return max(SESSION_S_MIN, after_ramp_s) + left / self._requests_s

    def _free_point(self) -> PlayedPoint | None:
        for _ in range(min(LOOKED_AT_MAX, len(self._ring))):
            cp_id = self._ring[0]
            self._ring.rotate(-1)
            is_here = self.monitors.is_registered(cp_id) and not self.drivers.is_busy(cp_id)
            if is_here and self._points[cp_id].is_free:
                return self._points[cp_id]
        return None
