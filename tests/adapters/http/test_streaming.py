"""Answers in parts over real sockets: sent as fast as a client reads, and to nobody else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import httpx
import pytest
import trio
from litestar import Response

from evd.adapters.http.api import Routes, json_api
from evd.adapters.http.connection import Bounds
from evd.adapters.http.csv_reply import csv_stream
from tests.adapters.http.site import QUICK, WAIT_S_MAX, served_at, until_reset

PART = b"x" * 65_536
# So many parts do not fit into the buffers of two sockets.
MANY = 1_000
BOUNDS = attrs.evolve(QUICK, idle_s=WAIT_S_MAX)
GET = b"GET /parts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@attrs.define
class Parts:
    """Parts of an answer, each after a pause, then an error if there is one; and who asks."""

    count: int
    pause_s: float = 0.0
    error: Exception | None = None
    given: int = 0
    asking: int = 0

    def __aiter__(self) -> "Parts":
        return self

    async def __anext__(self) -> bytes:
        self.asking += 1
        try:
            await trio.sleep(self.pause_s)
        finally:
            self.asking -= 1
        if self.given == self.count:
            raise self.error or StopAsyncIteration
        self.given += 1
        return PART


@asynccontextmanager
async def streaming(parts: Parts, bounds: Bounds = BOUNDS) -> AsyncIterator[int]:
    """The port at which GET /parts answers with `parts`."""
    routes = Routes()

    @routes.get("/parts", "Parts", "All parts", right=None)
    async def show() -> Response[str]:
        """As a stream."""
        return csv_stream("parts", ["x"], b"", parts)

    app = json_api(
        title="Parts", description="", routes=routes, dependencies={}, exception_handlers={}
    )
    with trio.fail_after(4 * WAIT_S_MAX):
        async with served_at(app, bounds=bounds) as port:
            yield port


async def until_nobody_asks(parts: Parts) -> None:
    """Return once no more parts have been asked for in a while; fail where that does not end."""
    with trio.fail_after(WAIT_S_MAX):
        given = -1
        while parts.asking or parts.given != given:
            given = parts.given
            await trio.sleep(0.1)


async def test_a_long_stream_is_whole_and_its_connection_goes_on() -> None:
    """Proves: an answer in parts may take longer than an answer at once; after it the connection
    answers the next call without a wait."""
    parts = Parts(8, pause_s=BOUNDS.answer_s / 4)
    async with (
        streaming(parts) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S_MAX) as client,
    ):
        answer = await client.get("/parts")
        assert answer.content == b"x\r\n" + 8 * PART
        assert answer.headers["transfer-encoding"] == "chunked"
        stream = answer.extensions["network_stream"].get_extra_info("socket").getsockname()
        began_s = trio.current_time()
        parts.count, parts.given, parts.pause_s = 1, 0, 0.0
        again = await client.get("/parts")
        assert again.content == b"x\r\n" + PART
        assert again.extensions["network_stream"].get_extra_info("socket").getsockname() == stream
        assert trio.current_time() - began_s < BOUNDS.answer_s


async def test_a_client_that_does_not_read_a_stream_is_dropped() -> None:
    """Proves: no part is made before the one before it was taken; who takes none is cut off within
    the bound, and then no part is made for it at all."""
    parts = Parts(MANY)
    async with streaming(parts) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(GET)
        await until_reset(stream)
        await until_nobody_asks(parts)
        assert 0 < parts.given < MANY


async def test_a_client_that_leaves_a_stream_costs_no_more() -> None:
    """Proves: once a client has left, no part is made for it."""
    parts = Parts(MANY, pause_s=0.02)
    async with streaming(parts) as port:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(GET)
            await stream.receive_some()
        await until_nobody_asks(parts)
        assert parts.given < MANY


async def test_a_head_of_a_stream_makes_no_parts() -> None:
    """Proves: a HEAD costs what the head costs, and the connection goes on."""
    parts = Parts(MANY, pause_s=0.05)
    async with (
        streaming(parts) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S_MAX) as client,
    ):
        for _ in range(2):
            answer = await client.head("/parts")
            assert (answer.status_code, answer.content) == (200, b"")
        await until_nobody_asks(parts)
        assert parts.given <= 2


@pytest.mark.parametrize(
    ("parts", "bounds"),
    [
        (Parts(3, error=RuntimeError("broken by a test")), BOUNDS),
        (Parts(3, pause_s=60.0), BOUNDS),
        (Parts(MANY, pause_s=0.02), attrs.evolve(BOUNDS, stream_s=0.3)),
    ],
    ids=["fails", "hangs", "takes too long"],
)
async def test_a_stream_that_ends_early_is_no_whole_answer(parts: Parts, bounds: Bounds) -> None:
    """Proves: where a part can't be made, is not made in time, or all take too long, the answer is
    cut off, and its client sees that it is not whole."""
    async with streaming(parts, bounds) as port, httpx.AsyncClient(timeout=WAIT_S_MAX) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/parts")
        await until_nobody_asks(parts)
