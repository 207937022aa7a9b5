"""A monitor's connection to the engine or to Central: one at a time, and no call of it waits."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from evd.adapters.tcp import CONNECTION_OVER, DialFailed, DialRefused, FramedStream
from evd.core.monitor.events import Connected, Event, Lost, Peer
from evd.core.wire.codec import BadMessage
from evd.core.wire.framing import BadFrame, BadFrameStreak
from evd.daemons.monitor.steps import received
from evd.logs import Repeats

MESSAGES_WAITING_MAX: Final = 16
REPEAT_S: Final = 30.0

logger = logging.getLogger(__name__)


class Connection:
    """The connection to `peer`; its events go to `tell`, with the number of their dial."""

    def __init__(
        self,
        nursery: trio.Nursery,
        dial: Callable[[str], Awaitable[FramedStream]],
        peer: Peer,
        tell: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._nursery = nursery
        self._dial = dial
        self._peer = peer
        self._tell = tell
        self._scope = trio.CancelScope()
        self._outbox, _ = trio.open_memory_channel[bytes](0)
        self._repeats = Repeats(REPEAT_S, clock=trio.current_time)

    def dial(self, connection: int, address: str) -> None:
        """Begin to connect; the connection before must be closed."""
        self._scope = trio.CancelScope()
        self._outbox, messages = trio.open_memory_channel[bytes](MESSAGES_WAITING_MAX)
        self._nursery.start_soon(self._live, connection, address, self._scope, messages)

    def send(self, data: bytes) -> None:
        """Queue a frame; a peer that takes none for long loses the connection."""
        try:
            self._outbox.send_nowait(data)
        except trio.WouldBlock:
            # The writer finds its queue closed, and ends the connection.
            self._outbox.close()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The connection is just ending, and its task tells so.
            pass

    def close(self) -> None:
        """Close at once; nothing more is told of this connection."""
        self._scope.cancel()

    async def _live(
        self,
        connection: int,
        address: str,
        scope: trio.CancelScope,
        messages: trio.MemoryReceiveChannel[bytes],
    ) -> None:
        with scope, messages:
            try:
                stream = await self._dial(address)
            except DialFailed as error:
                refused = isinstance(error, DialRefused)
                await self._tell(Lost(self._peer, connection, error.reason, refused))
                return
            try:
                await self._tell(Connected(self._peer, connection))
                reason = await self._talk(connection, stream, messages)
            finally:
                await stream.aclose_forcefully()
            await self._tell(Lost(self._peer, connection, reason))

    async def _talk(
        self,
        connection: int,
        stream: FramedStream,
        messages: trio.MemoryReceiveChannel[bytes],
    ) -> str:
        """Read and write until the connection ends; return the reason."""
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
                    event = received(self._peer, connection, frame)
                except BadMessage as error:
                    self._complain(str(error))
                    continue
                await self._tell(event)

    def _complain(self, why: str) -> None:
        self._repeats.log(
            logger, logging.WARNING, why, "Can't use what %s says: %s", self._peer, why
        )
