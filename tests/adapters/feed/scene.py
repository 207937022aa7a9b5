"""A feed that a test publishes to, on a loopback port, and clients of it."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import attrs
import trio
from trio_websocket import ConnectionRejected, WebSocketConnection, open_websocket_url

from evd.adapters.feed.metrics import FeedMetrics
from evd.adapters.feed.publisher import Publisher, Update
from evd.adapters.feed.server import FEED_BOUNDS, PATIENCE, FeedServer, IsStill, Patience
from evd.adapters.http.access.passes import Gate
from evd.adapters.http.connection import OPEN_GATE, Bounds
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.metrics import Metrics
from evd.adapters.http.serving import Listeners
from evd.adapters.tls import TlsListener, load_server
from evd.core.central.overview import DayTotals, EventKind, FeedEvent, Network
from evd.core.central.point import Point
from evd.core.central.rows import ChargingPoint
from evd.core.central.views import CpView
from tests.network.certificates import Certificates
from tests.network.followers import connected

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
# A client that was refused is listened to for less long.
BOUNDS = attrs.evolve(FEED_BOUNDS, linger_s=0.05)
# A test that waits longer than this has found a fault.
WAIT_S_MAX = 5.0
# More than the kernel keeps for a client by TLS: who has taken so much has proved that it reads.
LITTLE_BYTES = 131_072
SLOW_S = 0.05

Message = dict[str, Any]


def network(**fields: Any) -> Network:
    """A network in which nothing is the matter."""
    calm = Network("healthy", None, "central-1", None, 0.0, {}, DayTotals(date(2026, 1, 31)), [], 0)
    return attrs.evolve(calm, **fields)


def view(cp_id: str, **fields: Any) -> CpView:
    """A charging point of which little is known."""
    return attrs.evolve(Point(ChargingPoint(cp_id), 0.0).view(None, 0.0), **fields)


def event(cp_id: str | None, text: str = "it happened") -> FeedEvent:
    """Something that happened at a charging point."""
    return FeedEvent(EventKind.FAULT, cp_id, text, NOON)


def update(
    *charging_points: CpView,
    removed: Sequence[str] = (),
    active_requests: int = 0,
    events: Sequence[FeedEvent] = (),
    whole: Network | None = None,
) -> Update:
    """The news of these charging points, and of the `whole` network."""
    return Update(charging_points, charging_points, removed, active_requests, events, whole)


@attrs.define
class Scene:
    """A feed, its port, and how a test stops it."""

    publisher: Publisher
    metrics: Metrics
    port: int
    stopping: trio.Event
    certificates: Certificates | None = None

    def url(self, query: str = "", path: str = "/feed") -> str:
        scheme = "ws" if self.certificates is None else "wss"
        return f"{scheme}://127.0.0.1:{self.port}{path}{query}"

    @contextlib.asynccontextmanager
    async def client(
        self, query: str = "", origin: str = "", token: str = ""
    ) -> AsyncIterator[WebSocketConnection]:
        """A client that has shaken hands; its messages are its test's to read."""
        headers = [(b"origin", origin.encode())] if origin else []
        if token:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        context = None if self.certificates is None else self.certificates.trusting()
        async with connected(self.url(query), headers, context) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def raw(self) -> AsyncIterator[trio.SocketStream]:
        """A bare connection to the port."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            yield stream

    @contextlib.asynccontextmanager
    async def bytes_of(self) -> AsyncIterator[trio.abc.Stream]:
        """A connection to the port that carries bytes, by TLS where the port speaks it."""
        async with self.raw() as stream:
            if self.certificates is None:
                yield stream
            else:
                context = self.certificates.trusting()
                secure = trio.SSLStream(stream, context, server_hostname="127.0.0.1")
                await secure.do_handshake()
                yield secure

    async def refusal(self, query: str = "", path: str = "/feed", **headers: str) -> Message:
        """The status and the JSON of the answer to a handshake that is refused."""
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            async with open_websocket_url(self.url(query, path), extra_headers=given):
                raise AssertionError("it was not refused")
        except ConnectionRejected as error:
            assert error.body is not None
            return {"status": error.status_code, **json.loads(error.body)}

    async def exchange(self, request: str) -> bytes:
        """All that is answered to a request until the server closes, which it must."""
        async with self.raw() as stream:
            await stream.send_all(request.encode())
            answer = b""
            with trio.fail_after(WAIT_S_MAX):
                while data := await stream.receive_some():
                    answer += data
            return answer

    def metric(self, series: str) -> float:
        """The value of one of the feed's metrics."""
        lines = self.metrics.render().decode().splitlines()
        (value,) = [line.split()[-1] for line in lines if line.startswith(f"{series} ")]
        return float(value)


async def read(connection: WebSocketConnection) -> Message:
    """The next message."""
    with trio.fail_after(WAIT_S_MAX):
        message: Message = json.loads(await connection.get_message())
    return message


async def take_slowly(stream: trio.abc.Stream, for_s: float) -> int:
    """Take a little of what comes, again and again, for so long; how many bytes that were."""
    taken, end_s = 0, trio.current_time() + for_s
    with trio.fail_after(for_s + WAIT_S_MAX):
        while trio.current_time() < end_s:
            due = taken + LITTLE_BYTES
            while taken < due:
                data = await stream.receive_some(LITTLE_BYTES)
                if not data:
                    return taken
                taken += len(data)
            await trio.sleep(SLOW_S)
    return taken


@contextlib.asynccontextmanager
async def feed(
    *charging_points: CpView,
    origins: tuple[str, ...] = (),
    bounds: Bounds = BOUNDS,
    patience: Patience = PATIENCE,
    gate: Gate = OPEN_GATE,
    is_still: IsStill | None = None,
    certificates: Certificates | None = None,
) -> AsyncIterator[Scene]:
    """A feed that is live with these charging points, served until the end of the block, by TLS
    where there are certificates."""
    registry = Metrics()
    metrics = FeedMetrics(registry)
    publisher = Publisher(metrics)
    await publisher.publish(update(*charging_points, whole=network()))
    publisher.go_live()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    scene = Scene(publisher, registry, port, trio.Event(), certificates)
    ports: Listeners = listeners
    if certificates is not None:
        side = load_server(certificates.cert, certificates.key)
        ports = [TlsListener(each, lambda: side) for each in listeners]
    server = FeedServer(publisher, metrics, origins, patience, is_still)
    hosts = Hosts(("here",))
    async with trio.open_nursery() as nursery:
        run = partial(server.run, ports, stopping=scene.stopping, hosts=hosts)
        nursery.start_soon(partial(run, bounds=bounds, gate=gate))
        yield scene
        scene.stopping.set()


async def wait_until(condition: Any, within_s: float = WAIT_S_MAX) -> None:
    """Look until `condition` holds; TooSlowError after `within_s`."""
    with trio.fail_after(within_s):
        while not condition():
            await trio.sleep(0.01)
