"""Serves an ASGI app: hypercorn's protocols, one connection at a time, over listeners of ours.

Hypercorn's own server has no bound on connections, lets one client that does not read hold up its
stop (it shields its sends from cancellation), and ends wholly if one connection fails in a way
that it did not foresee.  Here a client has one of so many places, and so many seconds for each
thing (`Bounds`); a connection that fails is logged and dropped alone.

The app sees no `lifespan`, no WebSocket, and each body whole.
"""

import logging
import math
import socket as stdlib_socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, cast

import attrs
import h11
import orjson
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, LifespanState

from evd.logs import Repeats

BODY_BYTES_MAX: Final = 65_536
HEAD_BYTES_MAX: Final = 16_384
SEND_BYTES: Final = 65_536
# Between two accounts of connections that failed here.
FAILED_LOG_S: Final = 30.0
# What changes nothing may be done for nobody.
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@attrs.frozen
class Bounds:
    """What clients may take, times in seconds.

    `idle_s`: from the opening, or the last answer, to the end of the next request's head.
    `body_s`: for the whole body.  `answer_s`: from there to the end of the answer.  `send_s`: for
    each SEND_BYTES of an answer to be taken.  `linger_s`: how long a client is still listened to
    whose body nobody will read.  `stop_grace_s`: what a stop leaves to the requests at work.
    """

    connections_max: int = 256
    idle_s: float = 5.0
    body_s: float = 5.0
    answer_s: float = 30.0
    send_s: float = 5.0
    linger_s: float = 1.0
    stop_grace_s: float = 1.0


# Where a browser would guess or tell too much; and nothing here may be shown from a cache.
SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: Final = (b"cache-control", b"no-store")

DEFAULT_BOUNDS: Final = Bounds()

_NOT_HTTP: Final = {
    400: "this is not HTTP: a request has one Host, plain ASCII in its path, and a valid length",
    431: f"the head of a request may have at most {HEAD_BYTES_MAX} bytes",
    501: "a body comes with a Content-Length or in chunks, not in another transfer encoding",
}

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger(__name__)


class App(Protocol):
    """An ASGI 3 application."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]:
        """Answer one request."""


async def serve_app(
    app: App,
    listeners: list[trio.SocketListener],
    *,
    stopping: trio.Event,
    bounds: Bounds = DEFAULT_BOUNDS,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on `listeners`, which are closed at the end, until `stopping` or a cancellation.

    After `stopping` nobody new is let in, what is at work may end within `bounds.stop_grace_s`,
    and the rest is cut off.
    """
    server = _Server(app, bounds)
    async with trio.open_nursery() as connections:
        try:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    _serve_listeners, server.handle, listeners, connections, name="HTTP listeners"
                )
                task_status.started()
                await stopping.wait()
                accepting.cancel_scope.cancel()
            await server.finish()
        finally:
            connections.cancel_scope.cancel()
            server.cut_off()


async def _serve_listeners(
    handle: Callable[[trio.SocketStream], Awaitable[None]],
    listeners: list[trio.SocketListener],
    nursery: trio.Nursery,
) -> None:
    await trio.serve_listeners(handle, listeners, handler_nursery=nursery)


class _Server:
    """The connections of one app."""

    def __init__(self, app: App, bounds: Bounds) -> None:
        self._bounds = bounds
        self._app = app
        self._config = _hypercorn_config(bounds)
        self._context = WorkerContext(None)
        self._streams: set[_BoundedStream] = set()
        self._all_gone = trio.Event()
        self._repeats = Repeats(FAILED_LOG_S, clock=trio.current_time)

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one client until it has gone."""
        async with stream:
            if len(self._streams) >= self._bounds.connections_max:
                # It fits into an empty send buffer: nobody waits here.
                await _turn_away(stream, self._bounds)
                return
            bounded = _BoundedStream(stream, self._bounds.send_s)
            self._streams.add(bounded)
            try:
                await self._speak(bounded)
            finally:
                self._streams.remove(bounded)
                if not self._streams:
                    self._all_gone.set()

    async def finish(self) -> None:
        """Let what is at work end, within the grace; idle connections close at once."""
        await self._context.terminated.set()
        self._all_gone = trio.Event()
        if self._streams:
            with trio.move_on_after(self._bounds.stop_grace_s):
                await self._all_gone.wait()

    def cut_off(self) -> None:
        """Close what is left, which also wakes a send that is shielded from cancellation."""
        for stream in self._streams:
            stream.socket.close()

    async def _speak(self, stream: "_BoundedStream") -> None:
        app = _BoundedApp(self._app, self._bounds, stream.left)
        wrapped = ASGIWrapper(cast("ASGIFramework", app))
        state = ConnectionState(LifespanState())
        try:
            # It asks of a stream only what a _BoundedStream has.
            await _Connection(wrapped, self._config, self._context, state, stream)  # type: ignore[arg-type]
        except* UnicodeError:
            # HTTP/2 with bytes in its head that are no ASCII; hypercorn lets them through.
            logger.debug("A client sent a head that is not ASCII")
        except* Exception as errors:  # noqa: BLE001
            # Whatever a client can provoke in an HTTP library must not end a daemon, or fill a log.
            self._repeats.log(
                logger, logging.ERROR, "failed", "An HTTP connection failed", error=errors
            )


class _Connection(TCPServer):
    """Hypercorn's connection, which ends when its client has left."""

    async def _read_data(self) -> None:
        plain = self.protocol.protocol
        if isinstance(plain, H11Protocol):
            self.protocol.protocol = _Http1(plain)
        await super()._read_data()
        # Else it keeps its place until its idle time is over.
        await self.idle_task.stop()


class _Http1(H11Protocol):
    """Hypercorn's HTTP/1, which refuses what is not HTTP with a sentence, as all is refused here.

    Hypercorn has no setting for it.
    """

    def __init__(self, plain: H11Protocol) -> None:
        super().__init__(
            plain.app,
            plain.config,
            plain.context,
            plain.task_group,
            plain.connection_state,
            plain.ssl,
            plain.client,
            plain.server,
            plain.send,
        )

    async def _send_error_response(self, status_code: int) -> None:
        body = orjson.dumps({"error": _NOT_HTTP.get(status_code, _NOT_HTTP[400])})
        headers = [*_json_headers(body), (b"connection", b"close"), *SAFE_HEADERS, NO_STORE]
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class _BoundedStream:
    """A client's stream, whose sends end: each SEND_BYTES within `send_s`."""

    def __init__(self, stream: trio.SocketStream, send_s: float) -> None:
        self._stream = stream
        self._send_s = send_s
        self.socket = stream.socket

    def left(self) -> bool:
        """Whether the client has closed its end."""
        try:
            with stdlib_socket.fromfd(self.socket.fileno(), 0, 0) as peeping:
                flags = stdlib_socket.MSG_PEEK | stdlib_socket.MSG_DONTWAIT
                return not peeping.recv(1, flags)
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, content: bytes) -> None:
        view = memoryview(content)
        for start in range(0, len(view), SEND_BYTES):
            try:
                with trio.fail_after(self._send_s):
                    await self._stream.send_all(view[start : start + SEND_BYTES])
            except trio.TooSlowError:
                self.socket.close()
                raise trio.BrokenResourceError("the client does not read") from None

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class _BoundedApp:
    """Hands the app each request with its whole body, within its bounds, a HEAD as a GET.

    What lay in the socket of a process that stood still, and whose client has left since, is not
    begun: nobody knows any more that it was asked for.
    """

    def __init__(self, app: App, bounds: Bounds, left: Callable[[], bool]) -> None:
        self._app = app
        self._bounds = bounds
        self._left = left

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await _refuse_websocket(receive, send)
            return
        bounds = self._bounds
        body: bytes | None = b""
        with trio.move_on_after(bounds.body_s) as reading:
            body = await _read_body(receive)
        if reading.cancelled_caught:
            late = f"the body did not come within {bounds.body_s:g} s"
            await _refuse(408, late, receive, send, bounds.linger_s)
        elif body is None or (scope["method"] not in SAFE_METHODS and self._left()):
            logger.debug("A client left before its request was complete")
        elif len(body) > BODY_BYTES_MAX:
            large = f"a body may have at most {BODY_BYTES_MAX} bytes"
            await _refuse(413, large, receive, send, bounds.linger_s)
        else:
            answer = _Answer(send)
            with trio.move_on_after(bounds.answer_s) as answering:
                await self._app(_as_get(scope), _replay(body, receive), answer)
            if answering.cancelled_caught and not answer.begun:
                late = f"no answer within {bounds.answer_s:g} s"
                await _refuse(503, late, receive, send, 0)


class _Answer:
    """Sends an answer's parts, its head with the headers that all answers have."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = [*message.get("headers", ()), *SAFE_HEADERS]
            if all(name.lower() != NO_STORE[0] for name, _ in headers):
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        await self._send(message)


def _hypercorn_config(bounds: Bounds) -> Config:
    config = Config()
    # Ours, so that it takes the way of all other lines; no line for each request.
    config.errorlog = logging.getLogger("hypercorn")
    config.accesslog = None
    config.include_server_header = False
    config.keep_alive_timeout = bounds.idle_s
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.h2_max_concurrent_streams = 16
    return config


async def _turn_away(stream: trio.SocketStream, bounds: Bounds) -> None:
    body = orjson.dumps({"error": "too many connections; try again in some seconds"})
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: {math.ceil(bounds.idle_s)}\r\n"
        "Connection: close\r\n\r\n"
    )
    try:
        await stream.send_all(head.encode() + body)
    except trio.BrokenResourceError:
        logger.debug("A client left before it was turned away")


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or more than BODY_BYTES_MAX of it; None if the client has gone."""
    body = b""
    while len(body) <= BODY_BYTES_MAX:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return parts.pop() if parts else await receive()

    return replayed


def _as_get(scope: Message) -> Message:
    # Hypercorn keeps the answer to a HEAD without its body.
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


async def _refuse(
    status: int, sentence: str, receive: Receive, send: Send, linger_s: float
) -> None:
    body = orjson.dumps({"error": sentence})
    start = {"type": "http.response.start", "status": status, "headers": _json_headers(body)}
    body_ended = trio.Event()
    async with trio.open_nursery() as nursery:
        # What hypercorn still queues of the body would otherwise block both ways.
        nursery.start_soon(_drain, receive, body_ended)
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": True})
        # Closing with unread bytes resets the connection, and the client may lose our answer.
        with trio.move_on_after(linger_s):
            await body_ended.wait()
        await send({"type": "http.response.body", "body": b""})
        nursery.cancel_scope.cancel()


async def _drain(receive: Receive, body_ended: trio.Event) -> None:
    message: Message = {"type": "http.request"}
    while message["type"] != "http.disconnect":
        message = await receive()
        if not message.get("more_body", False):
            body_ended.set()


async def _refuse_websocket(receive: Receive, send: Send) -> None:
    body = orjson.dumps({"error": "there is no WebSocket on this port"})
    await receive()
    start = {"type": "websocket.http.response.start", "status": 404, "headers": _json_headers(body)}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})


def _json_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
