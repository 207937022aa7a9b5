"""The one place where an engine's core is told something, and where what it wants is done.

One event at a time, in order; a save's outcome comes before the next event.  PINGs are answered
beside that, so that a slow disk is no dead engine.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio

from evd.adapters.buffer import BufferFailed
from evd.core.effects import Note, Send
from evd.core.engine.core import Engine
from evd.core.engine.events import (
    CentralNamed,
    DiskFailed,
    Effect,
    Event,
    Exit,
    RecordsGone,
    Save,
    Saved,
    SendRecords,
    Ticked,
)
from evd.core.wire.control import Ping, Pong
from evd.core.wire.messages import SESSIONS, Message, SessionRecord
from evd.daemons.clock import now
from evd.daemons.engine.counts import Counts
from evd.logs import log_note

EVENTS_WAITING_MAX: Final = 100
TICK_S: Final = 0.25
# A core that has not been asked for so long is lost: whoever asks for its health gets no answer.
STUCK_S: Final = 10.0

logger = logging.getLogger(__name__)


class Buffer(Protocol):
    """Where sessions are kept; what fails raises BufferFailed."""

    async def save(self, effect: Save) -> tuple[str, ...]:
        """Make `effect` durable; the ids of the records that were let go."""

    async def read(self, session_ids: Sequence[str]) -> list[SessionRecord]:
        """Those of the records that are there."""


class Loop:
    """Feeds `core` and carries out its effects: `start` it, then `run` it to its end."""

    def __init__(
        self,
        core: Engine,
        buffer: Buffer,
        *,
        send: Callable[[str, str, Message], object],
        look: Callable[[], Ticked],
        counts: Counts,
    ) -> None:
        """`look`: how the reader of commands is doing, for whenever it is time."""
        self.core = core
        self._buffer = buffer
        self._send = send
        self._look = look
        self._counts = counts
        self._put, self._events = trio.open_memory_channel[Event](EVENTS_WAITING_MAX)
        # What the disk had to say of reading; for when the core waits for no save.
        self._of_reading: deque[Event] = deque()
        self._finished = False
        self._turned_at_s = self._ticked_at_s = trio.current_time()

    async def put(self, event: Event) -> None:
        """Hand over an event; waits while too many are waiting."""
        await self._put.send(event)

    def pong(self, ping: Ping) -> Pong | None:
        """The answer to a PING, at once; None where the core no longer turns."""
        if ping.central_id is not None and ping.central_id != self.core.central_id:
            # Where too much waits already, the next PING names it again.
            with contextlib.suppress(trio.WouldBlock):
                self._put.send_nowait(CentralNamed(ping.central_id))
        return None if self._is_stuck() else self.core.pong(ping, now())

    def illness(self) -> str | None:
        """Why the engine can't do its work, or None."""
        return "engine does not turn" if self._is_stuck() else self.core.health(now())

    async def start(self) -> None:
        """Carry out the core's first effects."""
        await self._carry_out(self.core.start(now()))

    async def run(self) -> None:
        """Handle one event after the other until the core has finished."""
        while not self._finished:
            self._turned_at_s = trio.current_time()
            await self._handle(await self._next_event())

    def _is_stuck(self) -> bool:
        return trio.current_time() - self._turned_at_s > STUCK_S

    async def _next_event(self) -> Event:
        if self._of_reading:
            return self._of_reading.popleft()
        tick_at_s = min(self.core.wake_at_s, self._ticked_at_s + TICK_S)
        # However many events wait, the clock is looked at in time.
        if trio.current_time() < tick_at_s:
            with trio.move_on_at(tick_at_s):
                return await self._events.receive()
        await trio.lowlevel.checkpoint()
        self._ticked_at_s = trio.current_time()
        return self._look()

    async def _handle(self, event: Event) -> None:
        await self._carry_out(self.core.handle(event, now()))

    async def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(topic, key, message):
                    self._send(topic, key, message)
                case Note():
                    log_note(logger, effect)
                case SendRecords():
                    await self._send_records(effect)
                case Exit():
                    self._finished = True
                case _:
                    await self._save(effect)

    async def _save(self, effect: Save) -> None:
        try:
            gone = await self._buffer.save(effect)
        except BufferFailed as error:
            self._counts.disk_failures += 1
            await self._handle(DiskFailed(effect, error.reason))
            return
        self._counts.saved(effect)
        await self._handle(Saved(effect))
        if gone:
            await self._handle(RecordsGone(gone))

    async def _send_records(self, effect: SendRecords) -> None:
        try:
            records = await self._buffer.read(effect.session_ids)
        except BufferFailed as error:
            self._counts.disk_failures += 1
            self._of_reading.append(DiskFailed(effect, error.reason))
            return
        for record in records:
            self._send(SESSIONS, record.cp_id, record)
        found = {record.session_id for record in records}
        gone = tuple(each for each in effect.session_ids if each not in found)
        if gone:
            self._of_reading.append(RecordsGone(gone))
