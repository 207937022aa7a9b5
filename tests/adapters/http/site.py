"""An app that does what its paths say, and how a test reaches it over real sockets."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import httpx
import trio
import trio.testing

from evd.adapters.http.access.passes import Gate
from evd.adapters.http.connection import OPEN_GATE, Bounds
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.serving import DEFAULT_BOUNDS, serve_app

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# A test that waits longer than this has found a fault.
WAIT_S_MAX = 5.0
# More than the buffers of two sockets hold.
LARGE_BYTES = 32 * 1024 * 1024
# A part of a stream: some of them fill a client's buffers.
PART = b"x" * 1024 * 1024
QUICK = Bounds(
    idle_s=0.3, head_s=0.3, body_s=0.3, answer_s=0.5, send_s=0.3, linger_s=0.3, stop_grace_s=0.3
)
# The names that tests call this machine by.
HERE = Hosts(("here", "x"))
PATIENT = attrs.evolve(QUICK, send_s=60.0, answer_s=60.0)


@attrs.define
class Site:
    """An app that does what its paths say, and notes what it saw."""

    bodies: list[bytes] = attrs.Factory(list)
    begun: trio.Event = attrs.Factory(trio.Event)
    go: trio.Event = attrs.Factory(trio.Event)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Echo the body; other paths do what they are called."""
        self.bodies.append((await receive())["body"])
        self.begun.set()
        content = self.bodies[-1]
        if scope["path"] == "/large":
            content = b"x" * LARGE_BYTES
        elif scope["path"] == "/slow":
            await self.go.wait()
        elif scope["path"] == "/broken":
            raise RuntimeError("broken by a test")
        elif scope["path"] == "/wait":
            assert (await receive())["type"] == "http.disconnect"
            self.go.set()
        elif scope["path"] == "/stream":
            await self._stream(receive, send)
            return
        elif scope["path"] == "/parts":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for part in (b"one ", b"two "):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
            return
        headers = [
            (b"content-length", b"%d" % len(content)),
            (b"x-method", scope["method"].encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Send part after part until it is told that nobody takes them."""

        async def listen() -> None:
            assert (await receive())["type"] == "http.disconnect"
            self.go.set()
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": PART, "more_body": True})
                await trio.sleep(0.05)


@attrs.define
class Accepting(trio.abc.Listener[trio.abc.Stream]):
    """A listener whose accepts end as it is told, and then no more."""

    outcomes: list[Any]

    async def accept(self) -> trio.abc.Stream:
        if not self.outcomes:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        outcome: trio.abc.Stream | OSError = self.outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        """Nothing is open."""
        await trio.lowlevel.checkpoint()


@attrs.define
class Served:
    """A site and how to reach and stop it."""

    site: Site
    port: int
    stopping: trio.Event
    ended: trio.Event

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=WAIT_S_MAX)

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def exchange(self, request: bytes) -> bytes:
        """All that the server answers to `request` until it closes."""
        async with await self.connect() as stream:
            await stream.send_all(request)
            return await read_all(stream)


@contextlib.asynccontextmanager
async def served_at(
    app: Any,
    stopping: trio.Event | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    gate: Gate = OPEN_GATE,
) -> AsyncIterator[int]:
    """The free port at which an app is served until the end of the block cancels it, or until
    `stopping`."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        until = trio.Event() if stopping is None else stopping
        serve = partial(serve_app, app, listeners, stopping=until, bounds=bounds, gate=gate)
        nursery.start_soon(serve)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def serving(bounds: Bounds = QUICK, hosts: Hosts = HERE) -> AsyncIterator[Served]:
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
            hosts=hosts,
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


async def until_reset(stream: trio.SocketStream) -> None:
    """Return once the server has cut the connection off.  Other than reading, this notices it."""
    with trio.fail_after(WAIT_S_MAX):
        while not stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            try:
                await stream.send_all(b"x")
            except trio.BrokenResourceError:
                return
            await trio.sleep(0.02)


async def drip(stream: trio.SocketStream, part: bytes) -> None:
    """Send `part` again and again, as a slow client does."""
    while True:
        await stream.send_all(part)
        await trio.sleep(0.02)


def parsed(answer: bytes) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
