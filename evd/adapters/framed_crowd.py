"""Thousands of framed connections that one task dials, hears and speaks on."""

import socket
from types import TracebackType

import trio

from evd.adapters.framed_socket import FramedSocket, Frames, SocketSet
from evd.adapters.tcp import DialFailed


class _Named(FramedSocket):
    def __init__(self, name: str, raw: socket.socket) -> None:
        super().__init__(raw)
        self.name = name


class FramedCrowd:
    """Connections to one host and port, each with a name.  One task receives."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._sockets = SocketSet[_Named]()
        self._by_name: dict[str, _Named] = {}

    def __enter__(self) -> "FramedCrowd":
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Close every connection."""
        self._by_name.clear()
        self._sockets.close()

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
        each = self._by_name[name] = _Named(name, raw)
        self._sockets.add(each)

    def say(self, name: str, data: bytes) -> bool:
        """Send `data` as one frame; False where there is no such connection any more.

        One whose peer does not read is closed: what it missed can't be made good.
        """
        each = self._by_name.get(name)
        if each is None:
            return False
        if each.send(data) and not each.has_unsent:
            return True
        self.hang_up(name)
        return False

    def hang_up(self, name: str) -> None:
        """Close a connection, if it is open."""
        each = self._by_name.pop(name, None)
        if each is not None:
            self._sockets.drop(each)

    async def receive(self) -> list[tuple[str, Frames | None]]:
        """Wait for what comes in: by name the frames, None where the connection is over."""
        found: list[tuple[str, Frames | None]] = []
        for each, _ in await self._sockets.ready():
            frames = each.read()
            if frames is None:
                self.hang_up(each.name)
            if frames is None or frames:
                found.append((each.name, frames))
        return found
