"""One framed connection on a socket that never blocks, and the set of those that one task hears.

One epoll object holds them all, and each that is ready is read and answered without waiting: a
task for each connection costs five times as much.
"""

import contextlib
import select
import socket
from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import trio

from evd.adapters import tls
from evd.core.wire.framing import BadFrame, Deframer, encode

# The largest record of TLS: one that is read whole leaves nothing behind that epoll does not know.
READ_BYTES_MAX: Final = 16_384
# Connections that are read in one go; other tasks may run after so many.
READY_MAX: Final = 500

Frames = list[bytes | BadFrame]


class FramedSocket:
    """One connection that carries frames: each call takes one step, and none waits."""

    def __init__(self, raw: socket.socket, peer: str = "") -> None:
        """Own `raw`, which does not block, by TLS or without; `peer` names its other end."""
        self.peer = peer
        # Whether the peer has begun TLS on a port without it.
        self.spoke_tls = False
        self._is_begun = False
        self._socket = raw
        self._deframer = Deframer()
        self.is_finished = False
        # The frames, or the rest of one, that the peer has not taken.
        self._unsent = deque[bytes]()
        # The events that the epoll object waits for, where one holds this connection.
        self.awaited = 0

    def fileno(self) -> int:
        """The socket's number; -1 once it is closed."""
        return self._socket.fileno()

    @property
    def is_read(self) -> bool:
        """Whether it is waited for until it can be read."""
        return bool(self.awaited & select.EPOLLIN)

    @property
    def has_unsent(self) -> bool:
        """Whether the peer has yet to take what was sent."""
        return bool(self._unsent)

    def read(self) -> Frames | None:
        """Return the frames that have ended by now; None where the connection is over.

        Once it is finished the bytes are passed over.
        """
        try:
            chunk = self._socket.recv(READ_BYTES_MAX)
        except tls.NOTHING_TO_READ:
            return []
        except OSError:
            return None
        if self.is_finished:
            return [] if chunk else None
        if not self._is_begun:
            self._is_begun, self.spoke_tls = True, tls.speaks_tls(chunk)
        return self._deframer.feed(chunk) if chunk and not self.spoke_tls else None

    def send(self, data: bytes) -> bool:
        """Send `data` as one frame, or keep what the peer does not take now; False: it is over.

        Raises FrameTooLong.
        """
        self._unsent.append(encode(data))
        return len(self._unsent) > 1 or self.flush()

    def flush(self) -> bool:
        """Send what is kept, as far as the peer takes it; False where the connection is over."""
        while self._unsent:
            frame = self._unsent[0]
            try:
                sent = self._socket.send(frame)
            except tls.NO_ROOM_TO_SEND:
                break
            except OSError:
                return False
            if sent < len(frame):
                self._unsent[0] = frame[sent:]
                break
            self._unsent.popleft()
        return True

    def finish(self) -> None:
        """Let the peer read that nothing more comes.

        It may still send: bytes that nobody has read would make a close a reset, and the peer would
        lose what was said last.
        """
        self.is_finished = True
        # A connection that is over is met again by the next read.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close; bytes that were sent still arrive."""
        self._socket.close()


SocketT = TypeVar("SocketT", bound=FramedSocket)


class SocketSet(Generic[SocketT]):
    """Connections that one task waits for, all at once."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._by_fd: dict[int, SocketT] = {}

    def __len__(self) -> int:
        return len(self._by_fd)

    def __iter__(self) -> Iterator[SocketT]:
        return iter([*self._by_fd.values()])

    def add(self, each: SocketT) -> None:
        """Read of it from now on."""
        self._epoll.register(each.fileno(), select.EPOLLIN)
        self._by_fd[each.fileno()] = each
        each.awaited = select.EPOLLIN

    def drop(self, each: SocketT) -> None:
        """Close it, if it is open."""
        if self._by_fd.pop(each.fileno(), None) is not None:
            each.close()

    def await_of(self, each: SocketT, *, reads: bool, sends: bool) -> None:
        """Wait until it can be read, until it can be sent to, for both or only for its end."""
        wanted = (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if sends else 0)
        # One that was closed meanwhile has no number.
        if wanted != each.awaited and each.fileno() >= 0:
            self._epoll.modify(each.fileno(), wanted)
            each.awaited = wanted

    async def ready(self) -> Iterator[tuple[SocketT, bool]]:
        """Wait for some that are ready, READY_MAX at most; each with whether it can be sent to.

        Those that are dropped meanwhile are left out.
        """
        await trio.lowlevel.wait_readable(self._epoll.fileno())
        return self.polled()

    def polled(self) -> Iterator[tuple[SocketT, bool]]:
        """The same of those that are ready now."""
        for fd, events in self._epoll.poll(0, READY_MAX):
            each = self._by_fd.get(fd)
            if each is not None:
                yield each, bool(events & select.EPOLLOUT)

    def close(self) -> None:
        """Close all of them."""
        for each in self:
            self.drop(each)
        self._epoll.close()
