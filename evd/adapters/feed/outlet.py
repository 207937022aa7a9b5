"""A client's stream whose writes never wait: one client that does not read holds up nobody."""

import os
from collections import deque
from collections.abc import Sequence

import trio

from evd.adapters.tls import transport_of

# Bytes of ours that the kernel keeps for one client; it takes twice as much.
SEND_BUFFER_BYTES = 131_072
# Under TLS nobody says whether the kernel had room at once.  Once it has taken more than it keeps,
# the client has read; with a smaller buffer that is known sooner.
TLS_SEND_BUFFER_BYTES = 32_768
SEND_BYTES = 65_536
# A client has nothing to say but answers to pings: one that sends more within PERIOD_S is cut.
RECEIVED_BYTES_MAX = 16_384
PERIOD_S = 10.0


class Outlet(trio.abc.Stream):
    """A stream, with what was written to it and not yet taken by the kernel.

    `first` are bytes that the client sent before.  What can't be sent at once is sent by a task in
    `nursery`, which is cancelled when the client has left.
    """

    def __init__(self, stream: trio.abc.Stream, first: bytes, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._first = first
        self._nursery = nursery
        self._parts: deque[memoryview] = deque()
        self._socket: trio.socket.SocketType | None = None
        transport = transport_of(stream)
        if isinstance(transport, trio.SocketStream):
            is_plain = stream is transport
            self._socket = transport.socket if is_plain else None
            kept = SEND_BUFFER_BYTES if is_plain else TLS_SEND_BUFFER_BYTES
            transport.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, kept)
        # The bytes that the kernel has taken since the client last proved that it reads.
        self._unproved = 0
        # The last time at which the client has proved that it reads.
        self.read_s = trio.current_time()
        self.sends_too_much = False
        self._period_s = self.read_s
        self._received = 0

    @property
    def is_clear(self) -> bool:
        """Whether the kernel has taken all that was written."""
        return not self._parts

    def is_silent(self, silent_s: float) -> bool:
        """Return whether the client has read nothing for so long, as far as it has proved."""
        return trio.current_time() - self.read_s > silent_s

    def write(self, *parts: bytes) -> None:
        """Send as much as the kernel takes at once, and the rest in time.

        BrokenResourceError where the client has left.
        """
        taken, was_clear = 0, not self._parts
        if was_clear and self._socket is not None:
            taken = _write_now(self._socket, parts)
            if taken == sum(map(len, parts)):
                return
        self._parts.extend(memoryview(part) for part in parts)
        self._take(taken)
        if was_clear:
            self._nursery.start_soon(self._send_rest)

    def _take(self, taken: int) -> None:
        while taken:
            part = self._parts.popleft()
            if taken < len(part):
                self._parts.appendleft(part[taken:])
            taken = max(0, taken - len(part))

    async def _send_rest(self) -> None:
        try:
            while self._parts:
                part = self._parts[0][:SEND_BYTES]
                await self._stream.send_all(part)
                self._take(len(part))
                self._unproved += len(part)
                # A kernel that had no room before has some again: the client reads.
                if self._socket is not None or self._unproved > 2 * TLS_SEND_BUFFER_BYTES:
                    self.read_s = trio.current_time()
                    self._unproved = 0
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._nursery.cancel_scope.cancel()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write behind what was written before, without waiting until it is taken."""
        await trio.lowlevel.checkpoint()
        self.write(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once: writes never wait."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what the client sends; BrokenResourceError where that is too much."""
        if self._first:
            await trio.lowlevel.checkpoint()
            data, self._first = self._first, b""
            return data
        data = bytes(await self._stream.receive_some(max_bytes))
        now_s = trio.current_time()
        if now_s - self._period_s > PERIOD_S:
            self._period_s, self._received = now_s, 0
        self._received += len(data)
        if self._received > RECEIVED_BYTES_MAX:
            self.sends_too_much = True
            raise trio.BrokenResourceError("the client sends too much")
        return data

    async def aclose(self) -> None:
        """Close it, and send nothing more."""
        await trio.aclose_forcefully(self._stream)


def _write_now(socket: trio.socket.SocketType, parts: Sequence[bytes]) -> int:
    """Return how many bytes the kernel takes at once."""
    try:
        # The socket never blocks; once it is closed it has no number, and this fails.
        return os.writev(socket.fileno(), parts)
    except BlockingIOError:
        return 0
    except OSError as error:
        raise trio.BrokenResourceError("the client has left") from error
