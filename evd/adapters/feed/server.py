"""The feed's port: who may follow, and how a client that has gone silent is cut."""

import contextlib
from base64 import b64decode
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from evd.adapters.feed.metrics import Cut, FeedMetrics
from evd.adapters.feed.outlet import Outlet
from evd.adapters.feed.publisher import CLIENTS_AT_ONCE, Client, CpIds, Publisher
from evd.adapters.http.access.passes import KEY, NOT_VALID, Gate, Pass
from evd.adapters.http.access.tickets import TICKET
from evd.adapters.http.connection import OPEN_GATE, Bounds, Handshake
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.refused import JSON, NO_PARAMETER, Refused
from evd.adapters.http.serving import Listeners, serve_app
from evd.adapters.pieces import by_pieces
from evd.addresses import host_and_port
from evd.core.wire.fields import FieldError, check_cp_id

PATH: Final = "/feed"
FEED_BOUNDS: Final = Bounds(connections_max=4_000, stop_grace_s=1.5)
# A client has nothing to say: a message is read and dropped.
MESSAGE_BYTES_MAX: Final = 1_024
MESSAGES_WAITING_MAX: Final = 1
RECEIVE_BYTES: Final = 2_048

GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008
# Between two looks whether those who follow may still do so.
LOOK_S: Final = 0.5

_VERSION: Final = b"13"
_KEY_BYTES: Final = 16

Scope = dict[str, Any]
IsStill = Callable[[Pass], bool]


@attrs.frozen
class Patience:
    """Times in seconds that clients have.

    One is asked `ping_s` after its last answer, and has `pong_s` to answer; one that has read
    nothing for `silent_s` then is asked a last time, and cut after `last_s`: at the latest after
    the sum of the four.  `close_s`: to answer the end of the connection.
    """

    ping_s: float = 4.0
    pong_s: float = 4.0
    silent_s: float = 7.0
    last_s: float = 1.5
    close_s: float = 1.0


PATIENCE: Final = Patience()


class FeedServer:
    """Lets clients follow a `publisher`, pages of this host and of `origins` among them."""

    def __init__(
        self,
        publisher: Publisher,
        metrics: FeedMetrics,
        origins: tuple[str, ...] = (),
        patience: Patience = PATIENCE,
        is_still: IsStill | None = None,
    ) -> None:
        """`is_still` says whether one who passed may still follow; None: everybody may."""
        self._publisher = publisher
        self._metrics = metrics
        self._origins = origins
        self._patience = patience
        self._is_stopping = False
        self._is_still = is_still
        self._following: dict[trio.CancelScope, Pass] = {}
        self._turned_out: set[trio.CancelScope] = set()
        self.ended = trio.Event()

    async def run(
        self,
        listeners: Listeners,
        *,
        stopping: trio.Event,
        hosts: Hosts,
        bounds: Bounds = FEED_BOUNDS,
        gate: Gate = OPEN_GATE,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `stopping`; then every client is told that it ends, and is gone within the
        grace of `bounds`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_all, stopping)
            if self._is_still is not None:
                nursery.start_soon(self._turn_out, self._is_still)
            await serve_app(
                _answer_http,
                listeners,
                stopping=stopping,
                bounds=bounds,
                hosts=hosts,
                websockets=self,
                gate=gate,
                task_status=task_status,
            )
            nursery.cancel_scope.cancel()
        self.ended.set()

    async def _end_all(self, stopping: trio.Event) -> None:
        await stopping.wait()
        self._is_stopping = True
        for scope in self._following:
            scope.cancel()

    async def _turn_out(self, is_still: IsStill) -> None:
        """Cut those off whose login or token is not good any more."""
        while True:
            await trio.sleep(LOOK_S)
            async for piece in by_pieces([*self._following.items()], CLIENTS_AT_ONCE):
                for scope, caller in piece:
                    if scope in self._following and not is_still(caller):
                        self._turned_out.add(scope)
                        scope.cancel()

    def check(self, scope: Scope) -> None:
        """Raise Refused unless the handshake may go on."""
        headers = scope["headers"]
        host = next((value for name, value in headers if name == b"host"), b"").decode("latin-1")
        for name, value in headers:
            if name == b"origin" and not self._may_follow(value.decode("latin-1"), host):
                raise Refused(403, "a page of another host may not follow: see --feed-origins")
        if scope["path"] != PATH:
            raise _nothing_at(scope["path"])
        _check_handshake(scope)
        cp_ids_of(scope)

    def _may_follow(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            return bool(parts.netloc) and _name_of(parts.netloc) == _name_of(host)
        except ValueError:
            return False

    async def serve(self, handshake: Handshake, stream: trio.abc.Stream) -> None:
        """Speak with one client until it leaves, is cut, or Central stops."""
        try:
            async with trio.open_nursery() as nursery:
                outlet = Outlet(stream, handshake.data, nursery)
                try:
                    await self._serve(handshake, outlet, nursery)
                finally:
                    await outlet.aclose()
                nursery.cancel_scope.cancel()
        except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            # The client has left, which is its right at any moment.
            pass
        except* LocalProtocolError:
            # trio-websocket tries to answer a ping that comes while it closes, and can't.
            pass

    async def _serve(self, handshake: Handshake, outlet: Outlet, nursery: trio.Nursery) -> None:
        with trio.move_on_at(handshake.until) as opening:
            request = await wrap_server_stream(
                nursery,
                outlet,
                message_queue_size=MESSAGES_WAITING_MAX,
                max_message_size=MESSAGE_BYTES_MAX,
                receive_buffer_size=RECEIVE_BYTES,
            )
            connection = await request.accept()
        if opening.cancelled_caught:
            return
        caller: Pass = handshake.scope[KEY]
        client = Client(outlet, cp_ids_of(handshake.scope), caller.driver_id)
        code, why = GOING_AWAY, "Central stops"
        with trio.CancelScope() as following:
            self._following[following] = caller
            try:
                if self._is_stopping:
                    following.cancel()
                self._publisher.join(client)
                nursery.start_soon(self._keep_alive, connection, outlet, nursery.cancel_scope)
                await _drain(connection)
            finally:
                del self._following[following]
                if following in self._turned_out:
                    self._turned_out.remove(following)
                    code, why = POLICY_VIOLATION, NOT_VALID
                self._publisher.leave(client)
                if outlet.sends_too_much:
                    self._metrics.count_cut(Cut.TOO_MUCH)
        if following.cancelled_caught:
            with trio.move_on_after(self._patience.close_s):
                await connection.aclose(code, why)

    async def _keep_alive(
        self, connection: WebSocketConnection, outlet: Outlet, whole: trio.CancelScope
    ) -> None:
        """Cut the client where it has read nothing for too long."""
        patience = self._patience
        with contextlib.suppress(ConnectionClosed):
            while True:
                await trio.sleep(patience.ping_s)
                await _ask(connection, outlet, patience.pong_s)
                if not outlet.is_silent(patience.silent_s):
                    continue
                # Where Central itself stood still, the answer waits to be read.
                await _ask(connection, outlet, patience.last_s)
                if outlet.is_silent(patience.silent_s):
                    self._metrics.count_cut(Cut.SILENT)
                    whole.cancel()


async def _ask(connection: WebSocketConnection, outlet: Outlet, pong_s: float) -> None:
    """Ask whether the client reads, and wait for its answer."""
    with trio.move_on_after(pong_s):
        await connection.ping()
        outlet.read_s = trio.current_time()


async def _drain(connection: WebSocketConnection) -> None:
    """Read until the client has left: unread messages would hold up its pongs."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.get_message()


def cp_ids_of(scope: Scope) -> CpIds | None:
    """Return the charging points that a client follows, None for all; Refused names what is wrong
    in its query."""
    cp_ids = set()
    query = scope["query_string"].decode("latin-1")
    try:
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name == TICKET:
                # The gate has used it.
                continue
            if name != "cp_id":
                raise FieldError(name, NO_PARAMETER)
            cp_ids.add(check_cp_id(value))
    except FieldError as error:
        raise Refused(400, str(error), error.field) from None
    return frozenset(cp_ids) or None


def _check_handshake(scope: Scope) -> None:
    if scope["method"] != "GET":
        raise _only_get()
    headers = dict(scope["headers"])
    tokens = headers.get(b"connection", b"").lower().split(b",")
    if b"upgrade" not in (token.strip() for token in tokens):
        raise Refused(400, "a WebSocket handshake has the header Connection: Upgrade")
    if headers.get(b"sec-websocket-version", b"").strip() != _VERSION:
        versions = {"Sec-WebSocket-Version": _VERSION.decode()}
        raise Refused(426, "only version 13 of WebSocket is spoken here", headers=versions)
    try:
        key = b64decode(headers.get(b"sec-websocket-key", b""), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise Refused(400, "Sec-WebSocket-Key must be 16 bytes in base64")


def _name_of(authority: str) -> str:
    name, _ = host_and_port(authority.removesuffix(":"))
    return name.lower().removesuffix(".")


def _nothing_at(path: str) -> Refused:
    return Refused(404, f"there is nothing at {path[:80]}: the feed is at {PATH}")


def _only_get() -> Refused:
    return Refused(405, "only GET is possible here", headers={"Allow": "GET, HEAD"})


async def _answer_http(scope: Any, receive: Any, send: Any) -> None:
    """Answer a plain HTTP request: here is only the feed."""
    refused = Refused(426, "this is a WebSocket", headers={"Upgrade": "websocket"})
    if scope["path"] != PATH:
        refused = _nothing_at(scope["path"])
    elif scope["method"] != "GET":
        refused = _only_get()
    headers = [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    headers.append((b"content-type", JSON.encode()))
    headers.append((b"content-length", b"%d" % len(refused.body)))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": refused.body})
