"""Framed TCP under Trio: DATA in, DATA out, and one exception for each way a connection ends.

A connection that is over raises one of `CONNECTION_OVER`, whichever end closed it and however.
"""

import contextlib
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import trio

from evd.adapters import tls
from evd.adapters.accepting import accept_each
from evd.core.wire.codec import BadMessage, load_object
from evd.core.wire.framing import BadFrame, Deframer, encode
from evd.logs import Repeats

RECEIVE_BYTES_MAX: Final = 65_536
SEND_TIMEOUT_S: Final = 5.0
CONNECTIONS_MAX: Final = 2000
# Between two lines on clients that could not begin, TLS or not.
NOT_BEGUN_LOG_S: Final = 60.0
# The shortage is over at this share of the bound: at the bound itself it would begin and end with
# each connection.
ROOM_SHARE: Final = 0.9

# A peer whose host vanished is given up after about 11 s, also by a reader that never sends: three
# probes, 2 s apart, after 5 s of silence.
KEEPALIVE: Final = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 2,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    # The kernel sends no probes while sent bytes wait for their ACK; this bounds that wait, in ms.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 10_000,
    (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
}
# connect() fails so for an address family that this host does not have, such as ::1 without IPv6.
_NO_SUCH_FAMILY: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

CONNECTION_OVER: Final = (
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.EndOfChannel,
)

SPEAKS_TLS: Final = "it speaks TLS, and this port does not"

logger = logging.getLogger(__name__)


class DialFailed(Exception):
    """A dial that failed; `reason` says why, for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DialRefused(DialFailed):
    """A dial that the host refused: nothing listens on the port."""


class FramedStream:
    """One connection that carries frames, over any stream of bytes.

    One task receives. Any number may send: a frame goes out whole before the next begins.
    """

    def __init__(
        self, stream: trio.abc.Stream, *, peer: str = "", send_timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        """Own `stream`; `peer` names its other end in the log."""
        self.peer = peer
        # Whether the peer has begun TLS on a port without it.
        self.spoke_tls = False
        self._is_begun = False
        self._stream = stream
        self._send_timeout_s = send_timeout_s
        self._sending = trio.Lock()
        self._deframer = Deframer()

    async def receive(self) -> list[bytes | BadFrame]:
        """Wait for frames; return at least one, good or bad, in order.

        Raises EndOfChannel when the peer has closed, in the middle of a frame or not,
        BrokenResourceError when the connection broke, ClosedResourceError when we closed it.
        """
        while True:
            chunk = await self._stream.receive_some(RECEIVE_BYTES_MAX)
            if not chunk:
                raise trio.EndOfChannel
            if not self._is_begun:
                self._is_begun, self.spoke_tls = True, tls.speaks_tls(chunk)
                if self.spoke_tls:
                    raise trio.BrokenResourceError("the peer speaks TLS, and this port does not")
            if found := self._deframer.feed(bytes(chunk)):
                return found

    async def send(self, data: bytes) -> None:
        """Send `data` as one frame.

        Raises FrameTooLong before anything is sent; BrokenResourceError when the connection broke,
        or the peer read too little within the time-out, which closes the connection;
        ClosedResourceError when we closed it.
        """
        frame = encode(data)
        with trio.move_on_after(self._send_timeout_s):
            async with self._sending:
                await self._stream.send_all(frame)
            return
        await self.aclose_forcefully()
        raise trio.BrokenResourceError(f"the peer did not read within {self._send_timeout_s:g} s")

    async def send_end(self) -> None:
        """Let the peer read that nothing more comes, and still receive what it sends.

        TLS has no such half: its peer goes by the last frame.
        """
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close; bytes that were sent still arrive."""
        await self._stream.aclose()

    async def aclose_forcefully(self) -> None:
        """Close at once, also in a cancelled scope; waiting calls of send and receive raise."""
        await trio.aclose_forcefully(self._stream)


Handler = Callable[[FramedStream], Awaitable[None]]


def decode_object(data: bytes) -> dict[str, Any] | BadFrame:
    """Return the JSON object that `data` is, or the bad frame that it makes."""
    try:
        return load_object(data)
    except BadMessage:
        return BadFrame("no JSON object")


async def serve_framed(
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    handler: Handler,
    *,
    connections_max: int = CONNECTIONS_MAX,
    task_status: trio.TaskStatus[
        list[trio.abc.Listener[trio.abc.Stream]]
    ] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run `handler` in a task of its own for each connection, until cancelled.

    The connection is closed when its handler returns. One of CONNECTION_OVER out of a handler,
    alone or out of its nursery, ends that connection only; anything else is raised. One over
    `connections_max` is closed at once. Closes the listeners at its end. For thousands of
    connections there is `FramedPort`.
    """
    server = _Server(handler, Places(connections_max))
    async with trio.open_nursery() as nursery:
        accept_framed(listeners, server.serve_one, nursery)
        task_status.started(list(listeners))


def accept_framed(
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    serve_one: Callable[[trio.abc.Stream], Awaitable[None]],
    nursery: trio.Nursery,
) -> None:
    """Begin to accept connections in `nursery`, each served in a task of its own."""
    accept = partial(accept_each, what="framed connections", logger=logger)
    for listener in listeners:
        nursery.start_soon(accept, listener, serve_one, nursery)


class Places:
    """The places for connections of one port.  That there are none is one line, until some are."""

    def __init__(self, places_max: int, on_full: Callable[[], None] = lambda: None) -> None:
        """Have so many; `on_full` is told of each connection that finds none."""
        self._places_max = places_max
        self._on_full = on_full
        self._taken = 0
        self._is_full_told = False
        self._repeats = Repeats(NOT_BEGUN_LOG_S, clock=trio.current_time)

    def take(self, peer: str) -> bool:
        """Take one, which must be given back; False where there is none."""
        if self._taken < self._places_max:
            self._taken += 1
            return True
        # Logged once until there is room for some again: the peers that are turned away come back.
        if not self._is_full_told:
            text = "%d connections are open: turning new ones away, such as from %s"
            logger.warning(text, self._taken, peer)
        self._is_full_told = True
        self._on_full()
        return False

    def give_back(self) -> None:
        """Let another connection have it."""
        self._taken -= 1
        if self._is_full_told and self._taken <= self._places_max * ROOM_SHARE:
            logger.info("New connections are taken again: %d are open", self._taken)
            self._is_full_told = False

    def tell_not_begun(self, peer: str, why: object) -> None:
        """Log a client that could not begin, one line for many."""
        text = "%s could not begin: %s"
        self._repeats.log(logger, logging.WARNING, "not begun", text, peer, why)


class _Server:
    """The connections of one port, each in a task of its own."""

    def __init__(self, handler: Handler, places: Places) -> None:
        self._handler = handler
        self._places = places

    async def serve_one(self, stream: trio.abc.Stream) -> None:
        """Serve a connection from its first byte to its last."""
        framed = framed_of(stream)
        has_place = self._places.take(framed.peer)
        try:
            if has_place:
                await talk_with(framed, stream, self._handler, self._places)
        finally:
            if has_place:
                self._places.give_back()
            await framed.aclose_forcefully()


async def talk_with(
    framed: FramedStream, stream: trio.abc.Stream, handler: Handler, places: Places
) -> None:
    """Run `handler` once the connection over `stream` has begun, until it is over."""
    try:
        await tls.begin(stream)
        await handler(framed)
    except* CONNECTION_OVER:
        pass
    except* tls.HandshakeFailed as group:
        places.tell_not_begun(framed.peer, group.exceptions[0])
    if framed.spoke_tls:
        places.tell_not_begun(framed.peer, SPEAKS_TLS)


async def dial_framed(
    host: str, port: int, timeout_s: float, side: tls.ClientSide | None = None
) -> FramedStream:
    """Connect to `host` and `port` within `timeout_s`, by TLS where there is a `side` for it.

    Raises DialRefused when every address of the host answers that nothing listens there, and
    DialFailed for anything else.
    """
    try:
        with trio.fail_after(timeout_s):
            stream = await trio.open_tcp_stream(host, port)
    except trio.TooSlowError:
        raise DialFailed(f"{host}:{port} did not answer within {timeout_s:g} s") from None
    # UnicodeError: no resolver can be asked for this name.
    except (OSError, UnicodeError) as error:
        raise _dial_error(host, port, error) from None
    if _is_own_echo(stream):
        await trio.aclose_forcefully(stream)
        raise DialRefused(f"nothing listens on {host}:{port}")
    if side is None:
        return framed_of(stream)
    try:
        return framed_of(await tls.connect(stream, side, host))
    except tls.HandshakeFailed as error:
        raise DialFailed(f"{host}:{port}: {error.reason}") from None


def _dial_error(host: str, port: int, error: Exception) -> DialFailed:
    # Trio raises one error whose cause is the group of the errors of all addresses.
    group = error.__cause__
    errors = group.exceptions if isinstance(group, ExceptionGroup) else (error,)
    numbers = {each.errno for each in errors if isinstance(each, OSError)}
    if errno.ECONNREFUSED in numbers and numbers <= {errno.ECONNREFUSED, *_NO_SUCH_FAMILY}:
        return DialRefused(f"nothing listens on {host}:{port}")
    reasons = {getattr(each, "strerror", None) or str(each) for each in errors}
    return DialFailed(f"{host}:{port}: {'; '.join(sorted(reasons))}")


def _is_own_echo(stream: trio.SocketStream) -> bool:
    """Whether the connection is to itself.

    The kernel may choose the dialed port itself as the local one, if nothing listens there and it
    is in the ephemeral range.  TCP then connects the socket to itself.
    """
    try:
        return bool(stream.socket.getsockname() == stream.socket.getpeername())
    except OSError:
        return False


def framed_of(stream: trio.abc.Stream) -> FramedStream:
    """Return the frames over a stream; where its peer's host vanishes, the kernel ends it."""
    peer = "a peer that is gone"
    transport = tls.transport_of(stream)
    # A connection that was reset already raises here; its first receive tells so.
    if isinstance(transport, trio.SocketStream):
        with contextlib.suppress(OSError):
            for (level, option), value in KEEPALIVE.items():
                transport.setsockopt(level, option, value)
            host, port = transport.socket.getpeername()[:2]
            peer = f"{host}:{port}"
    return FramedStream(stream, peer=peer)
