"""A status feed that a test says, on a loopback port."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from evd.adapters.feed.server import PATH

SINCE = "2026-01-31T12:00:00Z"


def a_point(cp_id: str, **fields: Any) -> dict[str, Any]:
    """A charging point as the feed tells of it: free, unless `fields` say more."""
    free = {
        "cp_id": cp_id,
        "state": "ON",
        "available": True,
        "unavailable_reason": "",
        "stopped": False,
        "engine_state": "ACTIVATED",
        "breaker": "CLOSED",
        "current_driver": None,
        "current_session": None,
        "location": None,
        "telemetry": None,
        "state_since": SINCE,
    }
    return free | fields


def snapshot(*points: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The first message of a connection."""
    network: dict[str, Any] = {
        "service": "healthy",
        "error": None,
        "kw": 22.5,
        "states": {"ON": len(points), "BROKEN": 0, "DISCONNECTED": 0},
        "today": {"date": "2026-01-31", "sessions": 3, "kwh": 1.5, "euros": 0.45},
        "alerts": [],
    }
    whole = {"type": "snapshot", "seq": 1, "active_requests": 2, "events": [], "network": network}
    return whole | {"charging_points": points} | fields


def update(*points: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A further message."""
    news = {"type": "update", "seq": 2, "removed": [], "active_requests": 2, "events": []}
    return news | {"charging_points": points} | fields


def an_event(kind: str, cp_id: str, text: str) -> dict[str, Any]:
    """Something that happened."""
    return {"kind": kind, "cp_id": cp_id, "text": text, "ts": SINCE}


@attrs.define
class FakeFeed:
    """The feed's server: `first` is said to each client, `say` says more to all that are there."""

    first: Any
    port: int = 0
    # The paths that clients asked for.
    asked: list[str] = attrs.field(factory=list)
    refusal: tuple[int, str] | None = None
    _token: trio.lowlevel.TrioToken | None = None
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _channels: list[trio.MemorySendChannel[str]] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{PATH}"

    def say(self, message: Any) -> None:
        """Say it to all clients that are connected."""
        text = message if isinstance(message, str) else json.dumps(message)
        self._run(lambda: [channel.send_nowait(text) for channel in self._channels])

    def _run(self, call: Any) -> None:
        assert self._token is not None
        self._token.run_sync_soon(call)

    async def _serve(self, started: threading.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            async with trio.open_nursery() as nursery:
                serve = partial(serve_websocket, self._tell, "127.0.0.1", self.port, None)
                server = await nursery.start(serve)
                self.port = server.port
                started.set()

    async def _tell(self, request: WebSocketRequest) -> None:
        self.asked.append(request.path)
        if self.refusal is not None:
            status, sentence = self.refusal
            await request.reject(status, body=json.dumps({"error": sentence}).encode())
            return
        connection = await request.accept()
        sending, told = trio.open_memory_channel[str](1000)
        sending.send_nowait(self.first if isinstance(self.first, str) else json.dumps(self.first))
        self._channels.append(sending)
        try:
            async for text in told:
                await connection.send_message(text)
        except ConnectionClosed:
            pass
        finally:
            self._channels.remove(sending)


@contextmanager
def telling(feed: FakeFeed) -> Iterator[FakeFeed]:
    """The feed is told until the end of the block, when its connections break off."""
    started = threading.Event()
    thread = threading.Thread(target=trio.run, args=(feed._serve, started), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield feed
    finally:
        feed._run(feed._scope.cancel)
        thread.join()
        feed._scope = trio.CancelScope()
