"""A monitor's line to the engine or to Central: one connection at a time, never in the way.

Whoever dials again is through with the connection before: nothing more is heard of it.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from evd.adapters.tcp import CONNECTION_OVER, DialFailed, DialRefused, FramedStream
from evd.core.wire.codec import BadMessage
from evd.core.wire.framing import BadFrame, BadFrameStreak
from evd.logs import Repeats

MESSAGES_WAITING_MAX: Final = 16
REPEAT_S: Final = 30.0

logger = logging.getLogger(__name__)


class Side(Protocol):
    """Who is told what happens on a line."""

    name: str

    async def connected(self, connection: int) -> None:
        """The dial succeeded."""

    async def lost(self, connection: int, reason: str, refused: bool) -> None:
        """The dial failed, or the connection is over; `refused`: nothing listens there."""

    async def received(self, connection: int, data: bytes) -> None:
        """A good frame came; raises BadMessage where it can't be used."""


class Connection:
    """Dials, sends and closes at once; what comes of it is told to `side`."""

    def __init__(
        self, nursery: trio.Nursery, dial: Callable[[], Awaitable[FramedStream]], side: Side
    ) -> None:
        self._nursery = nursery
        self._dial = dial
        self._side = side
        self._scope = trio.CancelScope()
        self._outbox, _ = trio.open_memory_channel[bytes](0)
        self._repeats = Repeats(REPEAT_S, clock=trio.current_time)

    def dial(self, connection: int) -> None:
        """Close what there is, and connect."""
        self.close()
        self._scope = trio.CancelScope()
        self._outbox, messages = trio.open_memory_channel[bytes](MESSAGES_WAITING_MAX)
        self._nursery.start_soon(self._live, connection, self._scope, messages)

    def send(self, data: bytes) -> None:
        """Queue a frame; a peer that takes none for long loses the connection."""
        try:
            self._outbox.send_nowait(data)
        except trio.WouldBlock:
            # The writer finds the end of its queue, and the connection ends with it.
            self._outbox.close()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The connection is just ending; the side is told by its task.
            pass

    def close(self) -> None:
        """Close at once."""
        self._scope.cancel()

    async def _live(
        self,
        connection: int,
        scope: trio.CancelScope,
        messages: trio.MemoryReceiveChannel[bytes],
    ) -> None:
        with scope, messages:
            try:
                stream = await self._dial()
            except DialFailed as error:
                refused = isinstance(error, DialRefused)
                await self._side.lost(connection, error.reason, refused)
                return
            try:
                await self._side.connected(connection)
                reason = await self._talk(connection, stream, messages)
            finally:
                await stream.aclose_forcefully()
            await self._side.lost(connection, reason, False)

    async def _talk(
        self,
        connection: int,
        stream: FramedStream,
        messages: trio.MemoryReceiveChannel[bytes],
    ) -> str:
        """Read and write until the connection is over; why it is."""
        reason = "it reads nothing"
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, stream, messages, nursery.cancel_scope)
                await self._read(connection, stream)
                reason = "it sends nothing but bad frames"
                nursery.cancel_scope.cancel()
        except* trio.EndOfChannel:
            reason = "connection closed by the other end"
        except* CONNECTION_OVER:
            reason = "connection broken"
        return reason

    async def _write(
        self,
        stream: FramedStream,
        messages: trio.MemoryReceiveChannel[bytes],
        scope: trio.CancelScope,
    ) -> None:
        async for data in messages:
            await stream.send(data)
        scope.cancel()

    async def _read(self, connection: int, stream: FramedStream) -> None:
        streak = BadFrameStreak()
        while True:
            for frame in await stream.receive():
                if isinstance(frame, BadFrame):
                    self._complain(f"bad frame: {frame.reason}")
                    if streak.bad():
                        return
                    continue
                streak.good()
                try:
                    await self._side.received(connection, frame)
                except BadMessage as error:
                    self._complain(str(error))

    def _complain(self, why: str) -> None:
        self._repeats.log(
            logger, logging.WARNING, why, "Can't use what %s says: %s", self._side.name, why
        )
