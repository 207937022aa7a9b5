"""One heap of events, one clock, one source of chance: a seed replays exactly.

A supervisor starts each `Process`; it can die before any single effect, hang, and be held down.
Its disk (`disks`) outlives it, and its words go over `links` and the `broker`, never straight to
another process.
"""

import heapq
import random
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from evd.core.effects import Now
from tests.sim.story import Story

EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)
CRASH_CHANCE = 0.004
# The delay of a healthy link, or of a loop that is not busy.
SOON_S = (0.001, 0.02)
# The time until a process that was woken takes up what has come meanwhile.
WAKE_S = 0.001
# The time until it has done all that was due meanwhile.
CATCH_UP_S = 0.5


@attrs.frozen
class Mix:
    """The kinds of faults of a run, how often they happen, and what is scaled for it.

    `long_share` of the engines' lives run long sessions.  `lost_after_s` stands for the 15 minutes
    of `session-lost-after`, and `delay_share` of all messages are late if `delay` is a kind.
    `guarded`: Central runs with --auth required.  `members`: so many Centrals on one database
    server; 0: one Central that has its database alone.
    """

    name: str
    kinds: tuple[str, ...]
    every_s: float = 2.2
    long_share: float = 0.1
    lost_after_s: float = 30.0
    points: int = 2
    delay_share: float = 0.02
    guarded: bool = False
    members: int = 0


@attrs.frozen
class Violation:
    """A broken invariant: its number, a sentence, and the ids that it is about."""

    invariant: int
    text: str
    ids: tuple[str, ...]
    at_s: float


class Crashed(Exception):
    """The process dies now, between two of its effects."""


class World:
    """Time, chance, links that are cut, and what was seen to go wrong."""

    def __init__(self, seed: int, mix: Mix) -> None:
        self.seed = seed
        self.mix = mix
        self.rng = random.Random(f"{mix.name} {seed}")
        self.t_s = 0.0
        self.steps = 0
        self.stormy = True
        self.over = False
        self.faults: Counter[str] = Counter()
        self.story = Story()
        self.violations: list[Violation] = []
        # Races that no protocol can prevent, counted by kind.
        self.allowed: dict[str, int] = defaultdict(int)
        self.skew_s: dict[str, float] = defaultdict(float)
        self.uptime_s: dict[str, float] = {}
        self.cut: set[tuple[str, str]] = set()
        # The time at which each way was last cut.
        self.cut_at_s: dict[tuple[str, str], float] = {}
        # The time until which a host's connections are too slow for those who wait at them.
        self.slow_until_s: dict[str, float] = defaultdict(float)
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, delay_s: float, action: Callable[..., None], *args: Any) -> None:
        """Do something after `delay_s`."""
        self.at_time(self.t_s + delay_s, action, *args)

    def at_time(self, time_s: float, action: Callable[..., None], *args: Any) -> None:
        """Do something at `time_s`, behind what is already to be done then."""
        self._count += 1
        heapq.heappush(self._heap, (time_s, self._count, action, args))

    def run_until(self, end_s: float) -> None:
        """Let time go by until `end_s`, or until `over` is set."""
        heap = self._heap
        while heap and heap[0][0] <= end_s and not self.over:
            self.t_s, _, action, args = heapq.heappop(heap)
            self.steps += 1
            action(*args)

    def has(self, kind: str) -> bool:
        """Return whether a kind of fault belongs to this run, and the storm still blows."""
        return self.stormy and kind in self.mix.kinds

    def chance(self, share: float) -> bool:
        """Return whether something happens now that in a storm happens in `share` of all cases."""
        return self.stormy and self.rng.random() < share

    def soon_s(self) -> float:
        """Return the delay of a message, in seconds: seldom a long one."""
        if self.has("delay") and self.rng.random() < self.mix.delay_share:
            self.faults["delay"] += 1
            return self.rng.uniform(0.1, 6.0)
        return self.rng.uniform(*SOON_S)

    def passes(self, source: str, target: str) -> bool:
        """Return whether anything gets from one host to another now."""
        return source == target or (source, target) not in self.cut

    def mono_s(self, host: str) -> float:
        """Return a host's own monotonic clock, in seconds."""
        if host not in self.uptime_s:
            self.uptime_s[host] = round(self.rng.uniform(10, 1e6), 3)
        return self.uptime_s[host] + self.t_s

    def now(self, host: str) -> Now:
        """Return both clocks of a host."""
        wall = EPOCH + timedelta(seconds=self.t_s + self.skew_s[host])
        return Now(self.mono_s(host), wall)

    def tell(self, who: str, what: str, *ids: str | None) -> None:
        """Add a line to the story."""
        self.story.add(self.t_s, who, what, ids)

    def violate(self, invariant: int, text: str, *ids: str | None) -> None:
        """Report a broken invariant."""
        known = tuple(each for each in ids if each is not None)
        self.violations.append(Violation(invariant, text, known, self.t_s))
        self.tell("!!", f"invariant {invariant}: {text}", *known)

    def allow(self, kind: str) -> None:
        """Count a race that no protocol closes."""
        self.allowed[kind] += 1


class Process:
    """A supervised process."""

    def __init__(self, world: World, name: str, host: str) -> None:
        self.world = world
        self.name = name
        self.host = host
        self.alive = False
        self.life = 0
        self.wakes_at_s = 0.0
        self.held_until_s = 0.0
        self.retired = False
        self.died_at_s = 0.0
        # The time at which it was last stopped.
        self.hung_at_s: float | None = None
        # Called when it dies, with whether its last words are lost too.
        self.on_death: list[Callable[[bool], None]] = []

    def boot(self) -> None:
        """Do the first things of a process that starts."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, as its supervisor does, unless it runs or is held down."""
        if self.alive or self.retired:
            return
        if self.world.t_s < self.held_until_s:
            self.world.at(self.held_until_s - self.world.t_s + 0.01, self.start)
            return
        self.alive, self.life, self.wakes_at_s, self.hung_at_s = True, self.life + 1, 0.0, None
        self.world.tell(self.name, f"starts, life {self.life}")
        self.later(0.0, self.boot)

    def crash(self, why: str, away_s: float | None = None, *, silent: bool = False) -> None:
        """Let it die.  `silent`: its host dies too, so no connection is closed for it."""
        if not self.alive:
            return
        self.alive = False
        self.died_at_s = self.world.t_s
        self.world.tell(self.name, f"DIES: {why}")
        on_death, self.on_death = self.on_death, []
        for each in on_death:
            each(silent)
        self.died()
        if away_s is None:
            away_s = self.world.rng.uniform(0.2, 4.0) if self.world.stormy else 0.5
        self.world.at(away_s, self.start)

    def died(self) -> None:
        """Let the world see its death."""

    def retire(self) -> None:
        """Stop it for good."""
        self.retired = True
        self.crash("is stopped for good")

    def hang(self, duration_s: float) -> None:
        """Stop it for a while, as SIGSTOP and SIGCONT do."""
        if not self.alive:
            return
        if self.hung_at_s is None or self.world.t_s >= self.wakes_at_s:
            self.hung_at_s = self.world.t_s
        self.wakes_at_s = max(self.wakes_at_s, self.world.t_s + duration_s)
        self.world.tell(self.name, f"HANGS for {duration_s:.1f} s")

    @property
    def hung(self) -> bool:
        """Whether it is stopped at this moment."""
        return self.world.t_s < self.wakes_at_s

    @property
    def awake_s(self) -> float:
        """The last moment at which it could do something, up to now."""
        is_back = self.world.t_s >= self.wakes_at_s + CATCH_UP_S
        return self.world.t_s if is_back or self.hung_at_s is None else self.hung_at_s

    def later(self, delay_s: float, action: Callable[..., None], *args: Any) -> None:
        """Do something in this life, when it is not stopped."""
        self.world.at(delay_s, self.act, self.life, action, args)

    def act(self, life: int, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        """Do something in the life number `life` of this process, if that is not over."""
        if not self.alive or life != self.life:
            return
        world = self.world
        if world.t_s < self.wakes_at_s + WAKE_S:
            # Up to then all of it waits, so that nothing overtakes what came before.
            world.at_time(self.wakes_at_s + WAKE_S, self.act, life, action, args)
            return
        try:
            action(*args)
        except Crashed:
            self.world.faults["crash between two effects"] += 1
            self.crash("between two effects")
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            # A core must never raise, or its supervisor would restart it without end.
            world.violate(8, f"{self.name} raised: {traceback.format_exc(limit=-3)}")
            self.crash("raised an error")

    def risk(self) -> None:
        """Raise Crashed, seldom: called before each effect, for a crash between two of them."""
        if self.world.has("crash") and self.world.rng.random() < CRASH_CHANCE:
            raise Crashed

    def now(self) -> Now:
        """Both clocks of its host."""
        return self.world.now(self.host)

    def note(self, text: str, *ids: str | None) -> None:
        """A line of its log."""
        self.world.tell(self.name, text, *ids)
