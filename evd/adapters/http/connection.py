"""One client's HTTP/1.1 on h11: its requests to an ASGI app, and a bound on all that it may take.

The app sees each body whole, a HEAD as a GET, and no WebSocket.
"""

import contextlib
import http
import logging
import re
import time
from collections.abc import Awaitable
from typing import Any, Final, Protocol
from urllib.parse import unquote

import attrs
import h11
import trio

from evd.adapters.http.access.passes import Gate, OpenGate
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.refused import JSON, UNEXPECTED, Refused
from evd.adapters.tls import is_tls, transport_of

BODY_BYTES_MAX: Final = 65_536
HEAD_BYTES_MAX: Final = 16_384
SEND_BYTES: Final = 65_536
RECEIVE_BYTES: Final = 16_384
# Long enough to see in the socket that the client has closed its end.
LOOK_S: Final = 0.001
# Requests that change nothing: they are answered even if their client has left.
SAFE_METHODS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})

# They keep a browser from guessing types, telling others where it was, and showing old answers.
SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: Final = (b"cache-control", b"no-store")

_NOT_HTTP: Final = {
    400: "this is not HTTP: a request has one Host, plain ASCII in its path, and a valid length",
    414: f"the first line of a request may have at most {HEAD_BYTES_MAX} bytes",
    431: f"the head of a request may have at most {HEAD_BYTES_MAX} bytes",
    501: "a body comes with a Content-Length or in chunks, not in another transfer encoding",
}
_ORIGIN: Final = re.compile(rb"https?://([^/?]*)", re.IGNORECASE)
_REASONS: Final = {status.value: status.phrase.encode() for status in http.HTTPStatus}

Message = dict[str, Any]
Headers = list[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)


@attrs.frozen
class Bounds:
    """The most that clients may take; times in seconds.

    `idle_s`: until a request begins.
    `head_s`, `body_s`: for the whole of it.  `answer_s`: from there to the end of the answer; where
    the app sends it in parts, to the first one and from each to the next, and `stream_s` for all of
    them.  `send_s`: for each SEND_BYTES of an answer to be taken.  `linger_s`: how long a client is
    listened to after the last answer.  `stop_grace_s`: what a stop leaves to the requests at work.
    """

    connections_max: int = 256
    body_bytes_max: int = BODY_BYTES_MAX
    requests_max: int = 1000
    idle_s: float = 5.0
    head_s: float = 5.0
    body_s: float = 5.0
    answer_s: float = 30.0
    stream_s: float = 3600.0
    send_s: float = 5.0
    linger_s: float = 1.0
    stop_grace_s: float = 1.0

    @property
    def of_address_max(self) -> int:
        """The most connections of one address, loopback too."""
        return max(1, self.connections_max // 2)


METRICS_BOUNDS: Final = Bounds(connections_max=32)
OPEN_GATE: Final = OpenGate()


class App(Protocol):
    """An ASGI 3 application."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]:
        """Answer one request."""


class WebSockets(Protocol):
    """The part of a server that speaks WebSocket, where it does."""

    def check(self, scope: Message) -> None:
        """Raise Refused unless the handshake in `scope` may go on."""

    async def serve(self, handshake: "Handshake", stream: trio.abc.Stream) -> None:
        """Speak with a client whose handshake passed `check`, until one of the two ends it."""


@attrs.frozen
class Handshake:
    """The request of a client that wants a WebSocket: its bytes, with all that followed them.

    `until`: the monotonic time at which the handshake must be over.
    """

    scope: Message
    data: bytes
    until: float


class Connection:
    """One client's requests, one after the other.

    Each awaited call raises BrokenResourceError once the client has left or does not read.
    """

    def __init__(
        self,
        app: App,
        bounds: Bounds,
        hosts: Hosts,
        stream: trio.abc.Stream,
        websockets: WebSockets | None = None,
        gate: Gate = OPEN_GATE,
    ) -> None:
        self._app = app
        self._gate = gate
        self._websockets = websockets
        self._handshake: Handshake | None = None
        self._hosts = hosts
        self._bounds = bounds
        self._stream = stream
        self._is_stopping = False
        self._waiting = trio.CancelScope()
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._requests = 0
        self.is_head = False
        self.client, self._here = _ends(stream)

    async def serve(self) -> Handshake | None:
        """Answer until the client or one of the bounds ends it, or the client may have a WebSocket:
        then return its handshake, and leave the rest to others."""
        try:
            while await self._serve_next():
                self._h11.start_next_cycle()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            if status == 431 and b"\n" not in self._h11.trailing_data[0]:
                status = 414
            await self.refuse(Refused(status, _NOT_HTTP.get(status, _NOT_HTTP[400])))
        except Refused as refused:
            await self.refuse(refused)
        return self._handshake

    def stop(self) -> None:
        """End it at once where no request is at work, else after its answer."""
        self._is_stopping = True
        self._waiting.cancel()

    async def refuse(self, refused: Refused) -> None:
        """Send an error, and be done with this client."""
        body = refused.body
        headers = [(name.encode(), value.encode()) for name, value in refused.headers.items()]
        headers.append((b"content-type", JSON.encode()))
        headers.append((b"content-length", b"%d" % len(body)))
        data = self.head(refused.status, headers, is_last=True)
        data += self.part(refused.status, body) + self.encode(h11.EndOfMessage())
        await self.write(data)
        await self._linger()

    def head(self, status: int, headers: Headers, *, is_last: bool) -> bytes:
        """The head of an answer, with the headers that all answers have."""
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
        headers = [*headers, *SAFE_HEADERS, (b"date", date)]
        if all(name.lower() != NO_STORE[0] for name, _ in headers):
            headers.append(NO_STORE)
        if is_last or self._is_stopping:
            headers.append((b"connection", b"close"))
        reason = _REASONS.get(status, b"")
        return self.encode(h11.Response(status_code=status, headers=headers, reason=reason))

    def part(self, status: int, body: bytes) -> bytes:
        """A part of an answer's body, empty where the answer has none."""
        has_body = body and not self.is_head and status not in (204, 304)
        return self.encode(h11.Data(body)) if has_body else b""

    def encode(self, event: h11.Event) -> bytes:
        """The bytes of a part of an answer."""
        return self._h11.send(event) or b""

    async def read(self) -> None:
        """Take what the client sends next."""
        data = await self._stream.receive_some(RECEIVE_BYTES)
        if not data:
            raise trio.BrokenResourceError("the client has closed its end")
        # The bytes after the last request of a connection are ignored.
        if self._h11.their_state is not h11.MUST_CLOSE:
            self._h11.receive_data(bytes(data))

    async def read_ahead(self) -> None:
        """Read until the client leaves, which raises BrokenResourceError."""
        while len(self._h11.trailing_data[0]) < HEAD_BYTES_MAX:
            await self.read()
        # Read no more of a client that sends so much ahead, before its turn comes.
        await trio.sleep_forever()

    async def write(self, data: bytes) -> None:
        """Send it, each SEND_BYTES within `send_s`."""
        view = memoryview(data)
        for start in range(0, len(view), SEND_BYTES):
            try:
                with trio.fail_after(self._bounds.send_s):
                    await self._stream.send_all(view[start : start + SEND_BYTES])
            except trio.TooSlowError:
                raise trio.BrokenResourceError("the client does not read") from None

    async def _serve_next(self) -> bool:
        """Answer the next request; False where it was the last."""
        # Bytes that are no request are refused with a body, whatever was asked for before them.
        self.is_head = False
        request = await self._read_head()
        if request is None:
            return False
        self._requests += 1
        self.is_head = request.method == b"HEAD"
        scope = self._scope(request)
        # Before the body: a stranger has nothing read.
        await self._gate.admit(scope, self._stream)
        body = await self._read_body(request)
        if (b"upgrade", b"websocket") in ((name, value.lower()) for name, value in request.headers):
            return self._begin_websocket(scope, request)
        if request.method not in SAFE_METHODS:
            # A request that waited in the socket while this process stood still is not begun: its
            # client has left since, and would not learn that it was carried out.
            with trio.move_on_after(LOOK_S):
                await self.read_ahead()
        is_last = self._requests >= self._bounds.requests_max
        exchange = _Exchange(self, self._bounds, body, is_last=is_last)
        await self._answer(scope, exchange)
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            return True
        await self._linger()
        return False

    def _begin_websocket(self, scope: Message, request: h11.Request) -> bool:
        if self._websockets is None:
            raise Refused(404, "there is no WebSocket on this port")
        self._websockets.check(scope)
        again = h11.Connection(h11.CLIENT).send(request) or b""
        until = trio.current_time() + self._bounds.head_s
        self._handshake = Handshake(scope, again + self._h11.trailing_data[0], until)
        return False

    async def _answer(self, scope: Message, exchange: "_Exchange") -> None:
        with exchange.answering:
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except Exception as error:
                logger.error(
                    "%s %s failed: %r", scope["method"], scope["path"], error, exc_info=error
                )
        if exchange.has_ended and not exchange.is_broken:
            return
        if exchange.has_begun:
            # The client sees that its answer is not whole.
            raise trio.BrokenResourceError("the answer can't be ended")
        if exchange.answering.cancelled_caught:
            raise Refused(503, f"no answer within {self._bounds.answer_s:g} s")
        raise Refused(500, UNEXPECTED)

    async def _read_head(self) -> h11.Request | None:
        """The next request's head; None where none comes, or the server stops."""
        if self._is_stopping:
            return None
        has_begun = bool(self._h11.trailing_data[0])
        seconds = self._bounds.head_s if has_begun else self._bounds.idle_s
        with trio.move_on_after(seconds) as self._waiting:
            while True:
                event = self._h11.next_event()
                if isinstance(event, h11.Request):
                    return event
                await self.read()
                if not has_begun:
                    has_begun = True
                    self._waiting.deadline = trio.current_time() + self._bounds.head_s
        if has_begun and not self._is_stopping:
            raise Refused(408, f"the head did not come within {self._bounds.head_s:g} s")
        return None

    async def _read_body(self, request: h11.Request) -> bytes:
        bytes_max = self._bounds.body_bytes_max
        large = Refused(413, f"a body may have at most {bytes_max} bytes")
        if int(dict(request.headers).get(b"content-length", b"0")) > bytes_max:
            raise large
        body = bytearray()
        with trio.move_on_after(self._bounds.body_s):
            while True:
                event = self._h11.next_event()
                if isinstance(event, h11.EndOfMessage):
                    return bytes(body)
                if isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > bytes_max:
                        raise large
                    continue
                if self._h11.they_are_waiting_for_100_continue:
                    await self.write(
                        self.encode(h11.InformationalResponse(status_code=100, headers=[]))
                    )
                await self.read()
        raise Refused(408, f"the body did not come within {self._bounds.body_s:g} s")

    def _scope(self, request: h11.Request) -> Message:
        if not request.http_version.startswith(b"1."):
            raise Refused(505, "only HTTP/1.1 is spoken here")
        target = request.target
        self._hosts.check(dict(request.headers).get(b"host", b"").decode("latin-1"))
        if origin := _ORIGIN.match(target):
            self._hosts.check(origin[1].decode("latin-1"))
            target = target[origin.end() :]
        if not target.startswith(b"/"):
            raise Refused(400, "a request is for a path, which begins with /")
        path, _, query = target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.http_version.decode(),
            "method": "GET" if request.method == b"HEAD" else request.method.decode(),
            "scheme": "https" if is_tls(self._stream) else "http",
            "path": unquote(path.decode()),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(request.headers),
            "client": self.client,
            "server": self._here,
        }

    async def _linger(self) -> None:
        # Closing with unread bytes resets the connection, and the client may lose our answer.
        with trio.move_on_after(self._bounds.linger_s):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(RECEIVE_BYTES):
                pass


class _Exchange:
    """One request and its answer, as ASGI has them.

    An app that sends many parts learns from `receive` that nobody wants more of them.  Each part is
    sent before the next is asked for.
    """

    def __init__(
        self, connection: Connection, bounds: Bounds, body: bytes, *, is_last: bool
    ) -> None:
        self._connection = connection
        self._bounds = bounds
        self._body: bytes | None = body
        self._start: Message | None = None
        self._is_last = is_last
        self._is_stream = False
        self._began_s = trio.current_time()
        self._listening = trio.CancelScope()
        self.answering = trio.CancelScope(deadline=self._began_s + bounds.answer_s)
        self.is_broken = False
        self.has_begun = False
        self.has_ended = False

    async def receive(self) -> Message:
        """The whole body, then the client's leaving, or the end of its answer."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._is_over:
            left = contextlib.suppress(trio.BrokenResourceError)
            with trio.CancelScope() as self._listening, left:
                await self._connection.read_ahead()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the answer; the head goes out with the first part of the body."""
        if message["type"] == "http.response.start":
            if self.has_begun:
                raise RuntimeError("an answer has one beginning")
            self._start = message
            return
        if self._is_over and self._is_stream:
            await trio.lowlevel.checkpoint()
            return
        if self._start is None or self.has_ended:
            raise RuntimeError(f"no place for {message['type']} in this answer")
        is_part = message.get("more_body", False)
        self._is_stream |= is_part
        # The rest of a stream has no place in the answer to a HEAD.
        is_end = not is_part or self._connection.is_head
        await self._write(self._encoded(self._start, message.get("body", b""), is_end=is_end))
        # Not before: an app that hears of the end in `receive` may stop this very call.
        self.has_ended = is_end
        if self._is_over:
            self._listening.cancel()

    @property
    def _is_over(self) -> bool:
        return self.has_ended or self.is_broken

    def _encoded(self, start: Message, body: bytes, *, is_end: bool) -> bytes:
        connection, status, data = self._connection, start["status"], b""
        if not self.has_begun:
            self.has_begun = True
            data = connection.head(status, start["headers"], is_last=self._is_last)
        data += connection.part(status, body)
        if is_end:
            data += connection.encode(h11.EndOfMessage())
        return data

    async def _write(self, data: bytes) -> None:
        end_s = self._began_s + self._bounds.stream_s
        if self._is_stream:
            self.answering.deadline = end_s
        try:
            await self._connection.write(data)
        except trio.BrokenResourceError:
            # The app has done nothing wrong, and need not know.
            self.is_broken = True
            await trio.lowlevel.checkpoint()
        if self._is_stream:
            next_s = trio.current_time() + self._bounds.answer_s
            self.answering.deadline = min(next_s, end_s)


def _ends(stream: trio.abc.Stream) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """The addresses of the client and of ours, None where they have none."""
    transport = transport_of(stream)
    if not isinstance(transport, trio.SocketStream):
        return None, None
    try:
        there, here = transport.socket.getpeername(), transport.socket.getsockname()
    except OSError:
        raise trio.BrokenResourceError("the client has left") from None
    is_named = isinstance(there, tuple)
    return there[:2] if is_named else None, here[:2] if is_named else None
