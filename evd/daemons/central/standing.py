"""This Central among those on its database: alone, or one of several, of which one serves."""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import trio

from evd.adapters.store import Store, StoreFailed, StoreRefused
from evd.adapters.store.shared import SharedDatabase
from evd.core.standby.events import (
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
)
from evd.core.standby.lease import Lease, Phase
from evd.daemons.clock import now
from evd.flags import ConfigError
from evd.logs import NoteLog, Repeats

# The time that a stop has for the release of the lock.
LEAVE_S = 1.0
FAILING_LOG_S = 30.0
# A Central that stands by has no word from the database for longer than this only where it hangs.
UNANSWERED_S = 3.0
# The time in which whoever asks for a switch hears that it is done: then nothing is said any more.
ANSWERED_S = 0.25

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]

logger = logging.getLogger(__name__)


class Standing(Protocol):
    """Whether this Central serves, and may speak."""

    def watch(self, monitors: Callable[[], int]) -> None:
        """Take a function that returns how many monitors are connected here."""

    async def waits(self) -> bool:
        """Look at the database once; return whether this Central has to stand by."""

    def open_store(self) -> AbstractAsyncContextManager[Store]:
        """Open the database; one of several waits in it for its turn."""

    def may_speak(self) -> bool:
        """Return whether anything may be said now: asked before every single word."""

    async def hold(self) -> None:
        """Wait until it may speak again."""

    def on_committed(self, asked_s: float) -> None:
        """Note that the database has carried out what it was sent at `asked_s`."""

    def on_rest(self) -> None:
        """Note that all that was decided is stored and said."""

    def on_failed(self, reason: str) -> None:
        """Note that the database has failed."""

    def why_silent(self) -> str:
        """Return why nothing is answered now; empty when all is."""

    @property
    def stands_by(self) -> bool:
        """Whether another Central serves, and this one could take over."""

    def serves_soon(self) -> bool:
        """Return whether a monitor that comes before this Central serves is better kept."""

    def on_dialled(self, cp_id: str) -> None:
        """Note that a monitor wanted to be registered, while another Central serves."""

    @property
    def standbys(self) -> Sequence[Standby] | None:
        """The others that stand by; None where there can be none, or where this one serves not."""

    def hand_over(self) -> str:
        """Let another Central serve, soon after; return why not, or nothing."""

    async def leave(self) -> bool:
        """Let another Central serve at once, where this one ends; return whether the database has
        heard of it, or need not."""


class Alone:
    """A Central that has its database to itself: it may always speak."""

    def __init__(self, open_store: OpenStore) -> None:
        self._open_store = open_store

    def watch(self, monitors: Callable[[], int]) -> None:
        """Nobody has more of them."""

    async def waits(self) -> bool:
        """There is nobody to wait for."""
        return False

    def open_store(self) -> AbstractAsyncContextManager[Store]:
        """Open the database, or fail: nobody else is waited for."""
        return self._open_store()

    def may_speak(self) -> bool:
        """There is nobody else who could."""
        return True

    async def hold(self) -> None:
        """There is nothing to wait for."""

    def on_committed(self, asked_s: float) -> None:
        """Nothing hangs on it."""

    def on_rest(self) -> None:
        """Nobody waits for it."""

    def on_failed(self, reason: str) -> None:
        """The loop tries again by itself."""

    def why_silent(self) -> str:
        """It is silent for no reason of the others."""
        return ""

    @property
    def stands_by(self) -> bool:
        """There is nobody to stand by for."""
        return False

    def serves_soon(self) -> bool:
        """Nobody is kept: it does not know when its database can be opened."""
        return False

    def on_dialled(self, cp_id: str) -> None:
        """It turns no monitor away for another."""

    @property
    def standbys(self) -> None:
        """There can be no others."""

    def hand_over(self) -> str:
        """Refuse: there is nobody else."""
        return "its database is an SQLite file, which no other Central can share"

    async def leave(self) -> bool:
        """There is nobody to leave it to."""
        return True


class Member:
    """One of several Centrals: it stands by until it has the lock, and then serves by its lease.

    `is_sent` waits a moment until Kafka's client has sent everything, and says whether it has.
    """

    def __init__(
        self,
        shared: SharedDatabase,
        kafka_up: Callable[[], bool],
        is_sent: Callable[[], Awaitable[bool]],
    ) -> None:
        self._shared = shared
        self._kafka_up = kafka_up
        self._monitors: Callable[[], int] = lambda: 0
        self._is_sent = is_sent
        self._lease = Lease(now())
        self._asking: trio.MemorySendChannel[Effect]
        self._asking, self._asked = trio.open_memory_channel[Effect](8)
        # Set, and another one made, with each news of the lease.
        self._news = trio.Event()
        self._notes = NoteLog(logger, trio.current_time)
        self._why = ""
        # The end of its lease, once that is spent.
        self._end: End | None = None
        self._answered_s = -math.inf
        # The one that serves, as the log has it.
        self._told_holder = ""
        self._looked = trio.Event()
        self._repeats = Repeats(FAILING_LOG_S)
        self._hand_over_s = math.inf

    async def run(self) -> End:
        """Stand by and serve, until that is over for good; return why it is."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer_questions)
            while self._end is None:
                self._tell(Ticked(self._kafka_up(), self._monitors()))
                if trio.current_time() >= self._hand_over_s:
                    self._hand_over_s = math.inf
                    self._tell(HandOverAsked())
                with trio.move_on_at(self._lease.wake_at_s):
                    await self._news.wait()
            nursery.cancel_scope.cancel()
        return self._end

    def _tell(self, event: Event) -> None:
        phase = self._lease.phase
        for effect in self._lease.handle(event, now()):
            match effect:
                case Try() | Ask() | Release():
                    self._asking.send_nowait(effect)
                case Serve():
                    logger.info("Serves from now on")
                case End(reason):
                    self._end, self._why = effect, reason
                case _:
                    self._notes.log(effect)
        if phase is not self._lease.phase or isinstance(event, Answered):
            self._news.set()
            self._news = trio.Event()

    async def _answer_questions(self) -> None:
        """Put each question to the database, in its session, and hear the answer."""
        async for effect in self._asked:
            asked_s = now().mono_s
            try:
                match effect:
                    case Try():
                        found = await self._shared.attempt(effect)
                        held = (found.is_granted, found.pulse, found.is_released, found.holder)
                        self._why, self._answered_s = "", now().mono_s
                        self._tell(Tried(asked_s, *held))
                        self._tell_log(found.holder)
                        self._looked.set()
                    case Ask():
                        self._tell(Answered(asked_s, await self._shared.renew()))
                    case Release():
                        await self._shared.release(is_clean=await self._is_sent())
                        self._tell(Released())
            except StoreRefused as error:
                raise ConfigError(str(error)) from None
            except StoreFailed as error:
                self._why = f"the database fails: {error}"
                text = "Nothing is decided or said until it can be stored: %s"
                self._repeats.log(logger, logging.ERROR, "store", text, error)
                self._tell(SessionLost(self._why))
                self._looked.set()

    def _tell_log(self, holder: str) -> None:
        """Log for whom this one stands by, whenever that changes."""
        if self._lease.phase is Phase.STANDING_BY and holder and holder != self._told_holder:
            logger.info("Stands by for %s", holder)
            self._told_holder = holder

    def watch(self, monitors: Callable[[], int]) -> None:
        """Take a function that returns how many monitors are connected here."""
        self._monitors = monitors

    async def waits(self) -> bool:
        """Look at the database once; return whether this Central has to stand by."""
        await self._looked.wait()
        return self._lease.phase is not Phase.SERVING

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[Store]:
        """Wait until it is this Central's turn, and open the database then."""
        while self._lease.phase is not Phase.SERVING:
            await self._news.wait()
        async with self._shared.store() as store:
            yield store

    def may_speak(self) -> bool:
        """Return whether its lease holds."""
        return self._lease.may_speak(now().mono_s)

    async def hold(self) -> None:
        """Wait until the database has answered again."""
        while not self.may_speak():
            await self._news.wait()

    def on_committed(self, asked_s: float) -> None:
        """Note a proof of the lease."""
        self._tell(Answered(asked_s))

    def on_rest(self) -> None:
        """Hand over, if that is wanted."""
        if self._lease.wants_to_leave:
            self._tell(CameToRest())

    def on_failed(self, reason: str) -> None:
        """The session that failed had the lock."""
        self._tell(SessionLost(reason))

    def serves_soon(self) -> bool:
        """Return whether this Central has the lock, and serves in a moment."""
        return self._lease.serves_soon(now().mono_s)

    def on_dialled(self, cp_id: str) -> None:
        """Count the monitors that find their way here."""
        self._tell(MonitorDialled(cp_id))

    def hand_over(self) -> str:
        """Let another Central serve, once whoever asked is answered; return why not, or nothing."""
        why = self._lease.why_stay(now())
        if not why:
            self._hand_over_s = trio.current_time() + ANSWERED_S
        return why

    async def leave(self) -> bool:
        """Give the lock back, within LEAVE_S; return whether that is done."""
        self._tell(HandOverAsked())
        with trio.move_on_after(LEAVE_S):
            while self._holds:
                await self._news.wait()
        return not self._holds

    @property
    def _holds(self) -> bool:
        return self._lease.phase in (Phase.SERVING, Phase.LEAVING)

    @property
    def standbys(self) -> tuple[Standby, ...] | None:
        """The others that stand by; None where this one does not serve, which alone knows."""
        if not self.may_speak():
            return None
        return tuple(each for each in self._lease.standbys if each.is_there)

    @property
    def stands_by(self) -> bool:
        """Whether the database has said of late that another one has the lock."""
        return self._lease.phase is Phase.STANDING_BY and not self._why_unable()

    def why_silent(self) -> str:
        """Return who serves, or that the database does not answer."""
        holder = self._lease.holder
        match self._lease.phase:
            case Phase.SERVING:
                why = "the database does not answer: another Central may serve"
                return "" if self.may_speak() else why
            case Phase.STANDING_BY:
                here = f"standing by for {holder}" if holder else "standing by"
                return self._why_unable() or here
            case Phase.WAITING:
                return f"taking over from {holder}" if holder else "taking over"
            case Phase.LEAVING:
                return "handing over to another Central"
            case Phase.OVER:
                return self._why

    def _why_unable(self) -> str:
        """Return why a Central that stands by could not take over now."""
        if not self._why and now().mono_s - self._answered_s > UNANSWERED_S:
            return "the database does not answer"
        return self._why
