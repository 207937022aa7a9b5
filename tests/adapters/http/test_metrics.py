"""The metrics of a daemon, and the server for those that have no other HTTP.

How that server bounds its clients is proven of its one server, in test_serving and test_connection.
"""

import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from evd.adapters.http.metrics import CONTENT_TYPE, Metrics
from evd.adapters.http.metrics_server import MetricsPort, serve_metrics


class Server(httpx.AsyncClient):
    """A client of a running metrics server, and what the server shows."""

    def __init__(self, port: int) -> None:
        super().__init__(base_url=f"http://127.0.0.1:{port}")
        self.metrics = Metrics()
        self.reason: str | None = None
        self.wanted: str | None = None

    def may_read(self, shown: str | None) -> bool:
        """Whether a caller has shown what is wanted."""
        return self.wanted in (None, shown)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server on a free port."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with (
        Server(listeners[0].socket.getsockname()[1]) as server,
        trio.open_nursery() as nursery,
    ):

        async def serve() -> None:
            await serve_metrics(
                MetricsPort(listeners, ["x"], may_read=server.may_read),
                service="evd-engine",
                render=server.metrics.render,
                health=lambda: server.reason,
            )

        nursery.start_soon(serve)
        yield server
        nursery.cancel_scope.cancel()


async def test_metrics(server: Server) -> None:
    """Proves: counters stand at 0 from the start, in Prometheus' own format."""
    faults = server.metrics.counter("evd_faults_total", "Faults", {"reason": ["disk", "meter"]})
    server.metrics.gauge("evd_sessions_buffered", "Unconfirmed sessions")
    faults.labels("meter").inc()
    response = await server.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == CONTENT_TYPE
    lines = response.text.splitlines()
    assert 'evd_faults_total{reason="disk"} 0.0' in lines
    assert 'evd_faults_total{reason="meter"} 1.0' in lines
    assert "evd_sessions_buffered 0.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


async def test_health_follows_the_service(server: Server) -> None:
    """Proves: /health is 200 while the service can do its work, else 503 with the reason."""
    healthy = {"status": "healthy", "service": "evd-engine"}
    for reason, status, body in (
        (None, 200, healthy),
        ("no broker", 503, healthy | {"status": "unhealthy", "error": "no broker"}),
    ):
        server.reason = reason
        response = await server.get("/health?")
        assert (response.status_code, response.json()) == (status, body)
        assert response.headers["content-type"] == "application/json"


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
async def test_other_requests_get_an_error(
    server: Server, method: str, path: str, status: int
) -> None:
    """Proves: an unknown path or method is answered with a sentence in JSON, not with a reset, also
    where a body came with it that nobody reads."""
    response = await server.request(method, path, content=b"x" * 20_000)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    "query", ["verbose=1", "verbose", "&verbose&a=b", "%76erbose=", "verbose=%ff"]
)
async def test_a_query_is_refused(server: Server, query: str) -> None:
    """Proves: a query parameter, of which there is none here, is a 400 that names it, after what is
    wrong with the path and the method."""
    wrong = {"error": "verbose is no parameter of this call", "field": "verbose"}
    for path in ("/metrics", "/health"):
        assert (await server.head(f"{path}?{query}")).status_code == 400
        response = await server.get(f"{path}?{query}")
        assert (response.status_code, response.json()) == (400, wrong)
        assert (await server.post(f"{path}?{query}")).status_code == 405
    assert (await server.get(f"/?{query}")).status_code == 404


async def test_a_stranger_learns_nothing_but_the_status(server: Server) -> None:
    """Proves: where a token is wanted nobody else gets metrics, a reason, or even to know which
    paths there are; whether the program is well everybody may know."""
    server.wanted, server.reason = "sesame", "no broker"
    for shown in (None, "Bearer wrong", "Basic sesame", "Bearer", "sesame", "Bearer sesame x"):
        headers = {} if shown is None else {"Authorization": shown}
        for method, path in (("GET", "/metrics"), ("GET", "/nothing"), ("POST", "/health")):
            response = await server.request(method, path, headers=headers)
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
            assert list(response.json()) == ["error"]
        response = await server.get("/health", headers=headers)
        assert (response.status_code, response.json()) == (503, {"status": "unhealthy"})
    right = {"Authorization": "bearer  sesame"}
    assert (await server.get("/metrics", headers=right)).status_code == 200
    assert (await server.get("/health", headers=right)).json()["error"] == "no broker"
    assert (await server.get("/nothing", headers=right)).status_code == 404
    server.reason = None
    assert (await server.get("/health")).json() == {"status": "healthy"}


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


@pytest.mark.parametrize("daemon", ["driver", "engine", "monitor"])
def test_no_server_of_http_is_loaded_before_it_is_asked_for(daemon: str) -> None:
    """Proves: a daemon that serves no metrics does not pay for HTTP at its start."""
    program = f"import sys, evd.daemons.{daemon}.program; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = done.stdout.split()
    assert f"evd.daemons.{daemon}.loop" in loaded
    assert not {"h11", "evd.adapters.http.serving", "evd.adapters.http.connection"} & set(loaded)
