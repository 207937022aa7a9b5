"""The status feed as a client follows it: the operator's tool."""

import contextlib
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, NoReturn
from urllib.parse import urlencode, urlsplit

import attrs
import h11
import orjson
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    open_websocket_url,
)

from evd.adapters import tls
from evd.adapters.http.turn import Turn
from evd.adapters.trust import Context
from evd.addresses import bracketed

CONNECT_S_MAX: Final = 5.0
CLOSE_S_MAX: Final = 0.5
# After so long without a message Central is asked for a sign of life.
QUIET_S: Final = 5.0
PONG_S_MAX: Final = 5.0
# A snapshot of thousands of charging points fits.
MESSAGE_BYTES_MAX: Final = 64_000_000
# Messages that come while a pong is awaited; beyond them no pong would be read.
MESSAGES_WAITING_MAX: Final = 64
RECEIVE_BYTES: Final = 65_536
RETRY_S: Final = 0.5
HTTPS_PORT: Final = 443
RETRY_S_MAX: Final = 2.0


class FeedAway(Exception):
    """The feed can't be followed now; the text says why, without a full stop."""


class FeedRefused(Exception):
    """Central lets nobody follow the feed so; the text is its own sentence."""


@attrs.frozen
class Ticket:
    """A ticket for one connection, and the port of the feed where Central tells it."""

    text: str = attrs.field(repr=False)
    port: int | None = None


@attrs.frozen
class FeedWay:
    """How a feed is reached: `url` is such as ws://host:8765/feed, `query` the charging points.

    `ticket` gets one from Central for each connection, in a thread, and raises FeedAway and
    FeedRefused; None of a Central that wants none. `context` makes the TLS of a wss:// address, and
    raises OSError.
    """

    url: str
    query: tuple[tuple[str, str], ...] = ()
    ticket: Callable[[], Ticket | None] | None = None
    context: Callable[[], Context] | None = None

    async def address(self) -> str:
        """The address for one connection."""
        url, query = self.url, [*self.query]
        if self.ticket is not None:
            ticket = await trio.to_thread.run_sync(self.ticket, abandon_on_cancel=True)
            if ticket is not None:
                query.append(("ticket", ticket.text))
                url = url if ticket.port is None else _at_port(url, ticket.port)
        return f"{url}?{urlencode(query)}" if query else url


class Feed:
    """A feed that is being followed; `open_feed` opens it."""

    def __init__(self, url: str, connection: WebSocketConnection) -> None:
        self._url = url
        self._connection = connection

    async def message(self) -> str:
        """The next message; FeedAway where Central has gone or hangs."""
        while True:
            try:
                with trio.move_on_after(QUIET_S):
                    return str(await self._connection.get_message())
                with trio.move_on_after(PONG_S_MAX) as asking:
                    await self._connection.ping()
            except ConnectionClosed:
                raise FeedAway(f"the feed at {self._url} has ended") from None
            if asking.cancelled_caught:
                raise FeedAway(f"the feed at {self._url} gives no sign of life")


@contextmanager
def ending_stray_cancels() -> Iterator[None]:
    """Let a Cancelled that nobody asked for end here; one of a scope outside goes on.

    trio-websocket fails to answer a ping that comes while it closes, and its own gets out.
    """
    with trio.CancelScope() as scope:
        try:
            yield
        except trio.Cancelled:
            scope.cancel()
            raise


@asynccontextmanager
async def open_feed(way: FeedWay) -> AsyncIterator[Feed]:
    """The feed there; raises FeedAway and FeedRefused."""
    # The charging points that are asked for make it long, and a ticket is a secret.
    shown = way.url
    try:
        url = await way.address()
        context = None if way.context is None else way.context()
    except OSError as error:
        raise FeedAway(f"the feed at {shown} can't be trusted: {error}") from None
    try:
        # The library's own bound of a handshake that hangs would leave its reader waiting.
        with trio.move_on_after(CONNECT_S_MAX) as opening, ending_stray_cancels():
            if context is not None:
                await _check_trust(url.partition("?")[0], context)
            async with open_websocket_url(
                url,
                context,
                message_queue_size=MESSAGES_WAITING_MAX,
                max_message_size=MESSAGE_BYTES_MAX,
                receive_buffer_size=RECEIVE_BYTES,
                connect_timeout=math.inf,
                disconnect_timeout=CLOSE_S_MAX,
            ) as connection:
                opening.deadline = math.inf
                yield Feed(shown, connection)
        if opening.cancelled_caught:
            raise FeedAway(f"the feed at {shown} does not answer within {CONNECT_S_MAX:g} s")
    except ConnectionRejected as error:
        raise _refusal(shown, error) from None
    except HandshakeError as error:
        raise FeedAway(f"the feed at {shown} can't be reached: {_why(error)}") from None
    except h11.ProtocolError:
        # trio-websocket tries to answer what is no HTTP, and can't.
        raise FeedAway(f"what answers at {shown} speaks no HTTP") from None


def _at_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{bracketed(parts.hostname or '')}:{port}").geturl()


async def _check_trust(url: str, context: Context) -> None:
    """Raise FeedAway where TLS can't be begun.

    The library would wait for a server that it does not trust as for one that is silent.
    """
    parts = urlsplit(url)
    host, side = parts.hostname or "", tls.ClientSide(context, None)
    try:
        plain = await trio.open_tcp_stream(host, parts.port or HTTPS_PORT)
        await trio.aclose_forcefully(await tls.connect(plain, side, host))
    except tls.HandshakeFailed as error:
        raise FeedAway(f"the feed at {url} can't be trusted: {error}") from None
    except OSError as error:
        raise FeedAway(f"the feed at {url} can't be reached: {_why(error)}") from None


def _why(error: BaseException) -> str:
    """The system's words on a connection that could not be made, wherever they stand."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            # One for each address; the last is as good as the others.
            cause = cause.exceptions[-1]
        if isinstance(cause, OSError) and cause.errno:
            # A host without an address has a negative number, which no system has words for.
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return "what answers there is no WebSocket"


def _refusal(url: str, error: ConnectionRejected) -> FeedAway | FeedRefused:
    """A refusal of Central's; FeedAway where it is one for now, or another server's."""
    with contextlib.suppress(orjson.JSONDecodeError):
        fields = orjson.loads(error.body or b"")
        if isinstance(fields, dict) and isinstance(sentence := fields.get("error"), str):
            return FeedRefused(sentence) if error.status_code < 500 else FeedAway(sentence)
    return FeedAway(f"what answers at {url} is not Central (status {error.status_code})")


async def follow(
    ways: Sequence[FeedWay],
    take: Callable[[str], Awaitable[None]],
    on_away: Callable[[str], None],
) -> NoReturn:
    """Hand each message to `take`, over any number of connections; raises FeedRefused.

    Several ways are tried in turn, first the one that served last. Each connection begins with a
    snapshot. `on_away` is told why none could be made, or the last one ended.
    """
    retry_s, turn = RETRY_S, Turn(ways)
    while True:
        said: list[str] = []
        for way in turn:
            try:
                async with open_feed(way) as feed:
                    while True:
                        await take(await feed.message())
                        retry_s = RETRY_S
                        turn.served(way)
                        said.clear()
            except FeedAway as error:
                said.append(str(error))
        on_away("; ".join(said))
        await trio.sleep(retry_s)
        retry_s = min(2 * retry_s, RETRY_S_MAX)
