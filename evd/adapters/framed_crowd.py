"""Thousands of framed connections that one task hears and speaks on."""

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
    """Connections to one address, a number, and port, each with a name."""

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
        # One address, so none of what a stream does to find the best of several.
        dialing = trio.socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            with trio.fail_after(timeout_s):
                await dialing.connect(self._address)
        except (OSError, trio.TooSlowError) as error:
            dialing.close()
            raise DialFailed(f"{host}:{port}: {error}") from None
        dialing.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw = socket.socket(fileno=dialing.detach())
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

    def receive(self) -> list[tuple[str, Frames | None]]:
        """Return what has come in: by name the frames, None where the connection is over.

        It never waits: who has thousands finds some whenever it looks, and a wait costs more than
        the look.
        """
        found: list[tuple[str, Frames | None]] = []
        for each, _ in self._sockets.polled():
            frames = each.read()
            if frames is None:
                self.hang_up(each.name)
            if frames is None or frames:
                found.append((each.name, frames))
        return found
