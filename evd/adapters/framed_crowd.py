"""Thousands of framed connections that one task dials, hears and speaks on.

One epoll object holds them all, and what is ready is read in one go: a task for each connection
costs five times as much.
"""

import contextlib
import select
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Final

import attrs
import trio

from evd.adapters.tcp import RECEIVE_BYTES_MAX, DialFailed
from evd.core.wire.framing import BadFrame, Deframer, encode

# Connections that are read in one go; others may run after so many.
READY_MAX: Final = 1_000

Frames = list[bytes | BadFrame]


@attrs.define(slots=True)
class _Link:
    name: str
    socket: socket.socket
    deframer: Deframer = attrs.Factory(Deframer)


class FramedCrowd:
    """Connections to one host and port, each with a name.  One task receives."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Link] = {}
        self._by_name: dict[str, _Link] = {}

    def __enter__(self) -> "FramedCrowd":
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Close every connection."""
        for name in list(self._by_name):
            self.hang_up(name)
        self._epoll.close()

    @property
    def count(self) -> int:
        """How many connections are open."""
        return len(self._by_name)

    async def dial(self, name: str, timeout_s: float) -> None:
        """Connect as `name`, in the place of an older connection of that name.

        Raises DialFailed.
        """
        self.hang_up(name)
        host, port = self._address
        try:
            with trio.fail_after(timeout_s):
                stream = await trio.open_tcp_stream(host, port)
        except (OSError, trio.TooSlowError) as error:
            raise DialFailed(f"{host}:{port}: {error}") from None
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw = socket.socket(fileno=stream.socket.detach())
        raw.setblocking(False)
        line = _Link(name, raw)
        self._by_fd[raw.fileno()] = self._by_name[name] = line
        self._epoll.register(raw.fileno(), select.EPOLLIN)

    def say(self, name: str, data: bytes) -> bool:
        """Send `data` as one frame; False where there is no such connection any more.

        One whose peer does not read is closed: what it missed can't be made good.
        """
        line = self._by_name.get(name)
        if line is None:
            return False
        frame = encode(data)
        with contextlib.suppress(OSError):
            if line.socket.send(frame) == len(frame):
                return True
        self.hang_up(name)
        return False

    def hang_up(self, name: str) -> None:
        """Close a connection, if it is open."""
        line = self._by_name.pop(name, None)
        if line is not None:
            del self._by_fd[line.socket.fileno()]
            line.socket.close()

    async def receive(self) -> list[tuple[str, Frames | None]]:
        """Wait for what comes in: by name the frames, None where the connection is over."""
        await trio.lowlevel.wait_readable(self._epoll.fileno())
        return list(self._read())

    def _read(self) -> Iterator[tuple[str, Frames | None]]:
        for fd, _ in self._epoll.poll(0, READY_MAX):
            line = self._by_fd[fd]
            chunk = b""
            try:
                chunk = line.socket.recv(RECEIVE_BYTES_MAX)
            except BlockingIOError:
                continue
            except OSError:
                # Broken: over, as one that its peer has closed.
                pass
            if not chunk:
                self.hang_up(line.name)
                yield line.name, None
            elif frames := line.deframer.feed(chunk):
                yield line.name, frames
