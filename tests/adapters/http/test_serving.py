"""The HTTP server over real sockets: what a client may cost, and how the server stops."""

import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection

from evd.adapters.http.serving import BODY_BYTES_MAX, Bounds, serve_app

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# A test that waits longer than this has found a fault.
WAIT_S_MAX = 5.0
# More than the buffers of two sockets hold.
LARGE_BYTES = 32 * 1024 * 1024
QUICK = Bounds(idle_s=0.3, body_s=0.3, answer_s=0.5, send_s=0.3, linger_s=0.3, stop_grace_s=0.3)
PATIENT = attrs.evolve(QUICK, send_s=60.0, answer_s=60.0)


@attrs.define
class Site:
    """An app that does what its paths say, and notes what it saw."""

    bodies: list[bytes] = attrs.Factory(list)
    begun: trio.Event = attrs.Factory(trio.Event)
    go: trio.Event = attrs.Factory(trio.Event)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Echo the body; /large, /slow and /broken are what they are called."""
        self.bodies.append((await receive())["body"])
        self.begun.set()
        content = self.bodies[-1]
        if scope["path"] == "/large":
            content = b"x" * LARGE_BYTES
        elif scope["path"] == "/slow":
            await self.go.wait()
        elif scope["path"] == "/broken":
            raise RuntimeError("broken by a test")
        headers = [
            (b"content-length", b"%d" % len(content)),
            (b"x-method", scope["method"].encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


@attrs.define
class Served:
    """A site and how to reach and stop it."""

    site: Site
    port: int
    stopping: trio.Event
    ended: trio.Event

    def client(self) -> httpx.AsyncClient:
        """A client of its own."""
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=WAIT_S_MAX)

    async def connect(self) -> trio.SocketStream:
        """A bare connection."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)


@asynccontextmanager
async def serving(bounds: Bounds = QUICK) -> AsyncIterator[Served]:
    """Serve a new site on a free port."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    served = Served(Site(), port, trio.Event(), trio.Event())

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        await serve_app(
            served.site,
            listeners,
            stopping=served.stopping,
            bounds=bounds,
            task_status=task_status,
        )
        served.ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        with trio.fail_after(4 * WAIT_S_MAX):
            yield served
        served.stopping.set()
        with trio.fail_after(WAIT_S_MAX):
            await served.ended.wait()


async def read_all(stream: trio.SocketStream) -> bytes:
    """Everything until the server closes."""
    received = b""
    with trio.fail_after(WAIT_S_MAX):
        try:
            async for part in stream:
                received += part
        except trio.BrokenResourceError:
            received += b"(reset)"
    return received


def parsed(answer: bytes) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_what_lay_in_a_socket_is_not_begun(method: str) -> None:
    """Proves: a change that was asked of a process that stood still is not made once it goes on,
    where the one who asked has left; to look at something for nobody does no harm."""
    async with serving() as served:
        # All before the server's loop turns again.
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        async with served.client() as later:
            assert (await later.get("/", params={"q": "x"})).status_code == 200
        assert len(served.site.bodies) == (2 if method == "GET" else 1)


async def test_a_head_that_is_not_ascii_costs_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Proves: what hypercorn does not foresee in HTTP/2 ends that connection, and fills no log."""
    settings = H2Configuration(header_encoding=None, validate_outbound_headers=False)
    client = H2Connection(settings)
    client.initiate_connection()
    head: list[tuple[bytes | str, bytes | str]] = [
        (":method", "GET"),
        (":path", b"/\xff"),
        (":scheme", "http"),
        (":authority", "x"),
    ]
    client.send_headers(1, head, end_stream=True)
    async with serving() as served:
        stream = await served.connect()
        await stream.send_all(client.data_to_send())
        await read_all(stream)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_an_answer_carries_the_safe_headers() -> None:
    """Proves: no answer is kept by a cache or guessed at, and none tells which server this is."""
    async with serving() as served, served.client() as client:
        answer = await client.post("/", content=b"hello")
        assert (answer.status_code, answer.content) == (200, b"hello")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


async def test_a_head_is_a_get_without_a_body() -> None:
    """Proves: HEAD is possible wherever GET is, and sends no body."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(b"HEAD / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        head, _, body = (await read_all(stream)).partition(b"\r\n\r\n")
        assert b"x-method: GET" in head
        assert body == b""


async def test_a_body_at_the_bound_is_taken_and_one_above_is_refused() -> None:
    """Proves: a body may have 64 KiB; of more the client hears a 413, even if it only sends."""
    async with serving() as served, served.client() as client:
        whole = b"x" * BODY_BYTES_MAX
        assert (await client.post("/", content=whole)).content == whole
        answer = await client.post("/", content=b"x" * (4 * 1024 * 1024))
        assert answer.status_code == 413
        assert str(BODY_BYTES_MAX) in answer.json()["error"]
        assert served.site.bodies == [whole]


async def test_a_body_in_chunks_is_bounded_too() -> None:
    """Proves: a body without a length can't grow beyond the bound."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 4096

    async with serving() as served, served.client() as client:
        assert (await client.post("/", content=chunks())).status_code == 413
        assert served.site.bodies == []


async def test_a_body_that_does_not_come_is_not_awaited() -> None:
    """Proves: a client that drips its body holds its place for seconds only."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx")
        status, body = parsed(await read_all(stream))
        assert status == 408
        assert "body" in body["error"]


@pytest.mark.parametrize("start", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nX-Slow: "])
async def test_a_client_without_a_whole_request_is_dropped(start: bytes) -> None:
    """Proves: who connects and says nothing, or drips its headers, is dropped."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(start)
        with trio.move_on_after(WAIT_S_MAX), trio.CancelScope() as dripping:
            async with trio.open_nursery() as nursery:

                async def drip() -> None:
                    while start:
                        try:
                            await stream.send_all(b"x")
                        except trio.BrokenResourceError:
                            return
                        await trio.sleep(0.05)

                nursery.start_soon(drip)
                assert await read_all(stream) in (b"", b"(reset)")
                dripping.cancel()


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: here\r\nContent-Length: -5\r\n\r\n", 400),
        ("GET /straße HTTP/1.1\r\nHost: here\r\n\r\n".encode(), 400),
        (b"GET / HTTP/1.1\r\nHost: here\r\nX-Large: " + b"x" * 20_000, 431),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    ],
    ids=["nonsense", "no Host", "length", "path", "endless head", "encoding", "chunk"],
)
async def test_what_is_no_http_is_refused_in_json(request_bytes: bytes, expected: int) -> None:
    """Proves: what breaks HTTP's own rules, in its head or its body, gets an error as all others
    are, with the headers that all answers have, and costs its own connection alone."""
    async with serving() as served, served.client() as client:
        async with await served.connect() as stream:
            await stream.send_all(request_bytes)
            answer = await read_all(stream)
            status, body = parsed(answer)
            assert (status, list(body)) == (expected, ["error"])
            head = answer.lower().partition(b"\r\n\r\n")[0]
            assert b"\r\ncontent-type: application/json\r\n" in head
            assert b"\r\nx-content-type-options: nosniff\r\n" in head
            assert b"\r\nconnection: close" in head
        assert (await client.get("/")).status_code == 200


async def test_an_app_that_fails_costs_one_request(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: an error in an app is logged, and the server goes on."""
    async with serving() as served, served.client() as client:
        with caplog.at_level(logging.ERROR):
            assert (await client.get("/broken")).status_code == 500
        assert "broken by a test" in caplog.text
        assert (await client.get("/")).status_code == 200


async def test_an_app_that_does_not_answer_is_not_awaited() -> None:
    """Proves: no client waits for ever for an answer that does not come."""
    async with serving() as served, served.client() as client:
        answer = await client.get("/slow")
        assert answer.status_code == 503
        assert "0.5 s" in answer.json()["error"]


async def test_a_client_that_does_not_read_is_dropped() -> None:
    """Proves: an answer that nobody takes does not stay in memory."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        with trio.fail_after(WAIT_S_MAX):
            await served.site.begun.wait()
            # Other than reading, this notices the reset.
            while not stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                try:
                    await stream.send_all(b"x")
                except trio.BrokenResourceError:
                    break
                await trio.sleep(0.02)


async def test_beyond_the_last_place_clients_are_turned_away() -> None:
    """Proves: connections are bounded, who comes too late is told so, and places come back."""
    async with serving(attrs.evolve(QUICK, connections_max=2, idle_s=60.0)) as served:
        first, second = await served.connect(), await served.connect()
        async with first, second, await served.connect() as third:
            status, body = parsed(await read_all(third))
            assert status == 503
            assert "too many connections" in body["error"]
        async with served.client() as client:
            with trio.fail_after(WAIT_S_MAX):
                while (await client.get("/")).status_code != 200:
                    await trio.sleep(0.02)


async def test_a_websocket_is_refused_in_json() -> None:
    """Proves: a WebSocket on the wrong port gets an error that a person understands."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(
            b"GET /feed HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        status, body = parsed(await read_all(stream))
        assert status == 404
        assert "WebSocket" in body["error"]


async def test_a_stop_lets_the_work_at_hand_end() -> None:
    """Proves: a clean stop answers what it has begun, lets nobody new in, and drops the idle."""
    async with serving(attrs.evolve(QUICK, idle_s=60.0, stop_grace_s=60.0)) as served:
        answers: list[int] = []

        async def ask() -> None:
            async with served.client() as client:
                answers.append((await client.get("/slow")).status_code)

        async with await served.connect() as idle, trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await served.site.begun.wait()
            served.stopping.set()
            assert await read_all(idle) == b""
            with pytest.raises(OSError, match=r".*"):
                await served.connect()
            served.site.go.set()
        assert answers == [200]
        with trio.fail_after(WAIT_S_MAX):
            await served.ended.wait()


@pytest.mark.parametrize("path", ["/large", "/slow"])
async def test_a_stop_does_not_wait_for_a_client(path: str) -> None:
    """Proves: neither a client that does not read nor an answer that does not come holds a stop."""
    async with serving(PATIENT) as served, await served.connect() as stream:
        await stream.send_all(b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n" % path.encode())
        await served.site.begun.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        served.stopping.set()
        with trio.fail_after(PATIENT.stop_grace_s + 0.5):
            await served.ended.wait()


async def test_a_cancellation_ends_it_at_once() -> None:
    """Proves: what cancels a daemon is not held up by a client that does not read."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    site = Site()
    with trio.fail_after(WAIT_S_MAX):
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                await serve_app(site, listeners, stopping=trio.Event(), bounds=PATIENT)

            nursery.start_soon(serve)
            port = listeners[0].socket.getsockname()[1]
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
                await site.begun.wait()
                nursery.cancel_scope.cancel()
    with pytest.raises(OSError, match=r".*"):
        await trio.open_tcp_stream("127.0.0.1", port)
