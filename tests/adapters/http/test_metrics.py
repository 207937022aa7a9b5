"""The metrics server over real sockets: right answers to what is right, bounds for the rest."""

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator

import attrs
import h11
import orjson
import pytest
import trio

from evd.adapters.http.connection import HEAD_BYTES_MAX, METRICS_BOUNDS, Bounds
from evd.adapters.http.metrics import CONTENT_TYPE, Metrics
from evd.adapters.http.metrics_server import serve_metrics

BOUND_S = 10.0
QUICK = attrs.evolve(METRICS_BOUNDS, idle_s=0.2, head_s=0.2, send_s=0.2, linger_s=0.2)


class Server:
    """A running metrics server, its health, and requests to it."""

    def __init__(self, port: int, metrics: Metrics) -> None:
        self.port = port
        self.metrics = metrics
        self.reason: str | None = None

    def health(self) -> str | None:
        """Why the service is not healthy, None if it is."""
        return self.reason

    async def connect(self) -> trio.SocketStream:
        """A connection to it."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def exchange(self, request: bytes) -> "Response":
        """Send the bytes and read until the server closes."""
        async with await self.connect() as stream:
            await stream.send_all(request)
            return await read_response(stream, is_head=request.startswith(b"HEAD"))

    async def get(self, path: str, method: str = "GET") -> "Response":
        """The answer to a request for the path."""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return await self.exchange(head.encode())


class Response:
    """An answer as a client reads it."""

    def __init__(self, raw: bytes, *, is_head: bool) -> None:
        client = h11.Connection(h11.CLIENT)
        method = "HEAD" if is_head else "GET"
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(raw)
        head = client.next_event()
        assert isinstance(head, h11.Response), raw
        self.status = head.status_code
        self.headers = {name.decode(): value.decode() for name, value in head.headers}
        self.body = b""
        while isinstance(event := client.next_event(), h11.Data):
            self.body += event.data
        assert isinstance(event, h11.EndOfMessage)

    def json(self) -> object:
        """The body's JSON."""
        assert self.headers["content-type"] == "application/json"
        return orjson.loads(self.body)


async def read_response(stream: trio.SocketStream, *, is_head: bool = False) -> Response:
    """The whole of the server's answer, up to its end of the connection."""
    raw = b""
    while piece := await stream.receive_some():
        raw += piece
    return Response(raw, is_head=is_head)


@contextlib.asynccontextmanager
async def running(bounds: Bounds = METRICS_BOUNDS) -> AsyncIterator[Server]:
    """A server on a free port, that must answer each test within a bound."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(listeners[0].socket.getsockname()[1], Metrics())
    with trio.fail_after(BOUND_S):
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                await serve_metrics(
                    listeners,
                    service="evd-engine",
                    render=server.metrics.render,
                    health=server.health,
                    hosts=["x"],
                    bounds=bounds,
                )

            nursery.start_soon(serve)
            yield server
            nursery.cancel_scope.cancel()


async def test_metrics() -> None:
    """Proves: counters stand at 0 from the start, in Prometheus' own format."""
    async with running() as server:
        faults = server.metrics.counter("evd_faults_total", "Faults", {"reason": ["disk", "meter"]})
        server.metrics.gauge("evd_sessions_buffered", "Unconfirmed sessions")
        faults.labels("meter").inc()
        response = await server.get("/metrics")
    assert response.status == 200
    assert response.headers["content-type"] == CONTENT_TYPE
    lines = response.body.decode().splitlines()
    assert 'evd_faults_total{reason="disk"} 0.0' in lines
    assert 'evd_faults_total{reason="meter"} 1.0' in lines
    assert "evd_sessions_buffered 0.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


async def test_health_follows_the_service() -> None:
    """Proves: /health is 200 while the service can do its work, else 503 with the reason."""
    async with running() as server:
        healthy = await server.get("/health")
        server.reason = "no broker for 12 s"
        unhealthy = await server.get("/health?")
    assert healthy.status == 200
    assert healthy.json() == {"status": "healthy", "service": "evd-engine"}
    assert unhealthy.status == 503
    assert unhealthy.json() == {
        "status": "unhealthy",
        "service": "evd-engine",
        "error": "no broker for 12 s",
    }


async def test_head_has_no_body() -> None:
    """Proves: HEAD gives the head of the same answer."""
    async with running() as server:
        response = await server.get("/metrics", "HEAD")
    assert response.status == 200
    assert response.body == b""
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/nothing", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/health", 405),
        ("BREW", "/health", 405),
    ],
)
async def test_other_requests_get_an_error(method: str, path: str, status: int) -> None:
    """Proves: an unknown path or method is answered with a sentence in JSON."""
    async with running() as server:
        response = await server.get(path, method)
    assert response.status == status
    error = response.json()
    assert isinstance(error, dict)
    assert list(error) == ["error"]
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    "query", ["verbose=1", "verbose", "&verbose&a=b", "%76erbose=", "verbose=%ff"]
)
async def test_a_query_is_refused(query: str) -> None:
    """Proves: a query parameter, of which there is none here, is a 400 that names it, after what is
    wrong with the path and the method."""
    async with running() as server:
        for path in ("/metrics", "/health"):
            for method in ("GET", "HEAD"):
                response = await server.get(f"{path}?{query}", method)
                assert response.status == 400
            wrong = (await server.get(f"{path}?{query}")).json()
            assert wrong == {"error": "verbose is no parameter of this call", "field": "verbose"}
            assert (await server.get(f"{path}?{query}", "POST")).status == 405
        assert (await server.get(f"/?{query}")).status == 404


async def test_a_body_does_not_cost_the_answer() -> None:
    """Proves: a client that sends a body nobody reads still gets its 405, not a reset."""
    head = (
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\nConnection: close\r\n\r\n"
    )
    request = head + b"x" * 20000
    async with running() as server:
        response = await server.exchange(request)
    assert response.status == 405


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * HEAD_BYTES_MAX, 431),
    ],
)
async def test_bad_requests_get_an_error(request_bytes: bytes, status: int) -> None:
    """Proves: what is no HTTP, or has too long a head, is refused without holding it."""
    async with running() as server:
        response = await server.exchange(request_bytes)
        assert response.status == status
        assert (await server.get("/health")).status == 200


async def test_a_reader_that_stops_is_ended() -> None:
    """Proves: a client that does not read its answer is cut, and the others are served."""
    async with running(QUICK) as server:
        # More than the buffers of both ends hold.
        answer = b"x" * 50_000_000
        server.metrics.render = lambda: answer  # type: ignore[method-assign]
        async with await server.connect() as stream:
            stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
            await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await server.get("/health")).status == 200
            await trio.sleep(2 * QUICK.send_s)
            received = 0
            with contextlib.suppress(trio.BrokenResourceError):
                while piece := await stream.receive_some():
                    received += len(piece)
            assert received < len(answer)


async def test_a_client_that_leaves_ends_nothing() -> None:
    """Proves: a reset, before or during an answer, costs only that connection."""
    async with running() as server:
        for sent in (b"", b"GET", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
            stream = await server.connect()
            # Close with a reset instead of an end.
            stream.socket.setsockopt(
                trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            await stream.send_all(sent)
            await stream.aclose()
        assert (await server.get("/health")).status == 200


def test_metrics_have_our_prefix() -> None:
    """Proves: a metric that nobody would find under evd_ cannot be made."""
    with pytest.raises(ValueError, match="evd_"):
        Metrics().gauge("sessions", "Sessions")


def test_every_combination_of_labels_is_there() -> None:
    """Proves: a series exists before its first event, for all known values of its labels."""
    metrics = Metrics()
    labels = {"topic": ["cp.status", "cp.sessions"], "reason": ["json", "field"]}
    metrics.counter("evd_dead_letters_total", "Bad messages", labels)
    metrics.histogram("evd_commit_seconds", "Commits", [0.01, 0.1])
    text = metrics.render().decode()
    for topic in labels["topic"]:
        for reason in labels["reason"]:
            assert f'evd_dead_letters_total{{reason="{reason}",topic="{topic}"}} 0.0' in text
    assert 'evd_commit_seconds_bucket{le="0.1"} 0.0' in text
    assert "_created" not in text


def test_no_web_framework_is_needed() -> None:
    """Proves: a daemon that serves its metrics alone does not pay for a web framework's memory."""
    program = "import sys, evd.adapters.http.metrics_server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "evd.adapters.http.serving" in loaded
    assert not {"litestar", "msgspec", "httpx"} & set(loaded)
