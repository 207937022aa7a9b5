"""Serves an ASGI app over HTTP/1.1: who is let in, and how a stop ends.

A connection that fails is logged and dropped alone.  The app sees no `lifespan`.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

import trio

from evd.adapters import tls
from evd.adapters.accepting import accept_each
from evd.adapters.http.access.passes import Gate
from evd.adapters.http.connection import (
    OPEN_GATE,
    App,
    Bounds,
    Connection,
    Handshake,
    WebSockets,
)
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.refused import Refused
from evd.logs import Repeats

# Connections at a time that are told that there is no place for them; more are just closed.
TURNED_AWAY_MAX: Final = 64
# Between two accounts of connections that failed here, and of clients that could not begin.
FAILED_LOG_S: Final = 30.0
NOT_BEGUN_LOG_S: Final = 60.0
DEFAULT_BOUNDS: Final = Bounds()
DEFAULT_HOSTS: Final = Hosts()

_EVERYBODY: Final = "all clients"

Listeners = Sequence[trio.abc.Listener[trio.abc.Stream]]

logger = logging.getLogger(__name__)


async def serve_app(
    app: App,
    listeners: Listeners,
    *,
    stopping: trio.Event,
    bounds: Bounds = DEFAULT_BOUNDS,
    hosts: Hosts = DEFAULT_HOSTS,
    websockets: WebSockets | None = None,
    gate: Gate = OPEN_GATE,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on `listeners`, which are closed at the end, until `stopping` or a cancellation.

    After `stopping` nobody new is let in, a request at work may end within `bounds.stop_grace_s`,
    and the rest is cut off.  `websockets` speaks with those who ask for a WebSocket; None: there
    are none here.  `gate` says who may pass.
    """
    server = _Server(app, bounds, hosts, websockets, gate)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(server.accept, listener, connections)
            task_status.started()
            await stopping.wait()
            accepting.cancel_scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + bounds.stop_grace_s
        server.stop()


class _Server:
    """The connections of one app."""

    def __init__(
        self,
        app: App,
        bounds: Bounds,
        hosts: Hosts,
        websockets: WebSockets | None,
        gate: Gate,
    ) -> None:
        self._app = app
        self._gate = gate
        self._websockets = websockets
        self._bounds = bounds
        self._hosts = hosts
        self._connections: set[Connection] = set()
        self._turned_away = 0
        self._places = _Places(bounds)
        self._repeats = Repeats(FAILED_LOG_S, clock=trio.current_time)
        self._not_begun = Repeats(NOT_BEGUN_LOG_S, clock=trio.current_time)

    async def accept(
        self, listener: trio.abc.Listener[trio.abc.Stream], connections: trio.Nursery
    ) -> None:
        """Begin a task in `connections` for each client, until cancelled."""
        await accept_each(
            listener, self._handle, connections, what="HTTP connections", logger=logger
        )

    def stop(self) -> None:
        """Close the connections at which nothing is at work, and each other after its answer."""
        for connection in self._connections:
            connection.stop()

    async def _handle(self, stream: trio.abc.Stream) -> None:
        try:
            async with stream:
                await self._serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("A client left before it was answered")
        except tls.HandshakeFailed as error:
            text = "An HTTP client could not begin: %s"
            self._not_begun.log(logger, logging.WARNING, "not begun", text, error)
        except Exception as error:  # noqa: BLE001
            # No error that a client provokes in an HTTP library ends a daemon, or fills its log.
            self._repeats.log(
                logger, logging.ERROR, "failed", "An HTTP connection failed", error=error
            )

    async def _serve(self, stream: trio.abc.Stream) -> None:
        connection = Connection(
            self._app, self._bounds, self._hosts, stream, self._websockets, self._gate
        )
        address = connection.client[0] if connection.client else ""
        if self._places.take(address):
            try:
                await tls.begin(stream)
                handshake = await self._answer(connection)
                # A WebSocket lasts long, and needs the memory of its HTTP no more.
                del connection
                if handshake is not None and self._websockets is not None:
                    await self._websockets.serve(handshake, stream)
            finally:
                self._places.give_back(address)
        elif self._turned_away < TURNED_AWAY_MAX:
            self._turned_away += 1
            try:
                await tls.begin(stream)
                sentence = "too many connections; try again in some seconds"
                await connection.refuse(Refused(503, sentence, retry_s=self._bounds.idle_s))
            finally:
                self._turned_away -= 1

    async def _answer(self, connection: Connection) -> Handshake | None:
        self._connections.add(connection)
        try:
            return await connection.serve()
        finally:
            self._connections.remove(connection)


class _Places:
    """Counts connections, in all and of each address; logs where a shortage begins and ends."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._taken: Counter[str] = Counter()
        self._short: set[str] = set()

    def take(self, address: str) -> bool:
        """Take a place for one more from `address`; False where there is none."""
        for who in (_EVERYBODY, address):
            if self._taken[who] >= self._bound(who):
                if who not in self._short:
                    logger.warning(
                        "HTTP connections are turned away: %s has all of its %d places",
                        who,
                        self._bound(who),
                    )
                    self._short.add(who)
                return False
        self._taken.update((_EVERYBODY, address))
        return True

    def give_back(self, address: str) -> None:
        """The counterpart of `take`."""
        for who in (_EVERYBODY, address):
            self._taken[who] -= 1
            # At half of them: a client that comes and goes at the bound would fill the log.
            if who in self._short and self._taken[who] <= self._bound(who) // 2:
                logger.info("HTTP connections of %s are taken again", who)
                self._short.remove(who)
            if not self._taken[who]:
                del self._taken[who]

    def _bound(self, who: str) -> int:
        bounds = self._bounds
        return bounds.connections_max if who == _EVERYBODY else bounds.of_address_max
