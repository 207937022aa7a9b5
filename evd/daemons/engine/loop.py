"""The loop of an engine: the core gets one event after the other, and Trio carries out its steps.

PINGs are answered beside that, so that a slow disk is no dead engine.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio

from evd.adapters.buffer import BufferFailed
from evd.core.effects import Note, Send
from evd.core.engine.core import Engine
from evd.core.engine.events import CentralNamed, Event, Exit, Save, Ticked
from evd.core.wire.control import Ping, Pong
from evd.core.wire.messages import Message, SessionRecord
from evd.daemons.clock import now
from evd.daemons.drive import drive
from evd.daemons.engine import steps
from evd.daemons.engine.metrics import Counts
from evd.daemons.engine.steps import DiskFailed, Found, Kept, Outcome, Read, Step
from evd.daemons.turn import Turn
from evd.logs import NoteLog

EVENTS_WAITING_MAX: Final = 100
TICK_S: Final = 0.25
# A core that has not been asked for so long is lost: a PING gets no answer.
SLOW_S: Final = 10.0

logger = logging.getLogger(__name__)


class Buffer(Protocol):
    """The disk of the sessions; every failure is a BufferFailed."""

    async def save(self, effect: Save) -> tuple[str, ...]:
        """Make `effect` durable; the ids of the records that were let go."""

    async def read(self, session_ids: Sequence[str]) -> list[SessionRecord]:
        """Those of the records that are there."""


class Loop:
    """The way of all events to `core`: `start` it, then `run` it to its end."""

    def __init__(
        self,
        core: Engine,
        buffer: Buffer,
        *,
        send: Callable[[str, str, Message], object],
        look: Callable[[], Ticked],
        counts: Counts,
    ) -> None:
        """`look` tells at each tick how the reader of commands is doing."""
        self.core = core
        self._buffer = buffer
        self._send = send
        self._look = look
        self._counts = counts
        self._put, self._events = trio.open_memory_channel[Event](EVENTS_WAITING_MAX)
        self._notes = NoteLog(logger, trio.current_time)
        self._finished = False
        self._turn = Turn()
        self._ticked_at_s = trio.current_time()

    async def put(self, event: Event) -> None:
        """Hand over an event; waits while too many are waiting."""
        await self._put.send(event)

    def pong(self, ping: Ping, peer: str, is_settled: bool) -> Pong | None:
        """The answer to a PING of `peer`, at once; None where the core no longer turns.

        `is_settled`: its connection has long been there.
        """
        if ping.central_id is not None and ping.central_id != self.core.central_id:
            # Where too much waits already, the next PING names it again.
            with contextlib.suppress(trio.WouldBlock):
                self._put.send_nowait(CentralNamed(ping.central_id, peer, is_settled))
        return None if self._is_slow() else self.core.pong(ping, now())

    def illness(self) -> str | None:
        """Why the engine can't do its work, or None."""
        return "engine does not turn" if self._is_slow() else self.core.health(now())

    def doing(self) -> str:
        """The state of its machine, and why it can't do its work, if so."""
        core, illness = self.core, self.illness()
        doing = str(core.state)
        if core.session_id is not None:
            doing += f", {core.session_id}"
        if core.unconfirmed_count:
            doing += f", {core.unconfirmed_count} records not confirmed"
        return doing if illness is None else f"{doing}: {illness}"

    def is_stuck(self) -> bool:
        """Whether the loop is better begun anew."""
        return self._turn.is_stuck()

    async def start(self) -> None:
        """Carry out the core's first effects."""
        await drive(steps.start(self.core, now), self._carry_out)

    async def run(self) -> None:
        """Handle one event after the other until the core has finished."""
        while not self._finished:
            event = await self._next_event()
            with self._turn.under_way():
                await drive(steps.handle(self.core, event, now), self._carry_out)

    def _is_slow(self) -> bool:
        return self._turn.took_s() > SLOW_S

    async def _next_event(self) -> Event:
        tick_at_s = min(self.core.wake_at_s, self._ticked_at_s + TICK_S)
        # However many events wait, the clock is looked at in time.
        if trio.current_time() < tick_at_s:
            with trio.move_on_at(tick_at_s):
                return await self._events.receive()
        await trio.lowlevel.checkpoint()
        self._ticked_at_s = trio.current_time()
        self._notes.log_rest()
        return self._look()

    async def _carry_out(self, step: Step) -> Outcome | None:
        match step:
            case Send(topic, key, message):
                self._send(topic, key, message)
            case Note():
                self._notes.log(step)
            case Exit():
                self._finished = True
            case _:
                return await self._use_disk(step)
        return None

    async def _use_disk(self, step: Save | Read) -> Outcome:
        try:
            if isinstance(step, Read):
                return Found(tuple(await self._buffer.read(step.session_ids)))
            gone = await self._buffer.save(step)
        except BufferFailed as error:
            self._counts.disk_failures += 1
            return DiskFailed(error.reason)
        self._counts.on_saved(step)
        return Kept(gone)
