"""Clients of the status feed, each in a thread of its own, so that a test may wait for others."""

import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from evd.adapters.feed.client import ending_stray_cancels
from tests.network.waiting import wait_until

CLOSE_S_MAX = 5.0

Fields = dict[str, Any]


@asynccontextmanager
async def connected(
    url: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[WebSocketConnection]:
    """A connection to the feed at `url`, with `context` by TLS."""
    with ending_stray_cancels():
        async with open_websocket_url(url, context, extra_headers=[*headers]) as connection:
            yield connection


class Follower:
    """A client that keeps all messages, from the start of its `with` on."""

    def __init__(self, port: int, query: str = "") -> None:
        self._url = f"ws://127.0.0.1:{port}/feed{query}"
        self._thread = threading.Thread(target=trio.run, args=(self._run,), daemon=True)
        self._end = threading.Event()
        self.messages: list[Fields] = []
        # The code with which the other side closed.
        self.closed: int | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.messages, CLOSE_S_MAX, f"{self._url} sends a snapshot")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(CLOSE_S_MAX)

    async def _run(self) -> None:
        async with connected(self._url) as connection:
            try:
                while not self._end.is_set():
                    with trio.move_on_after(0.1):
                        self.messages.append(json.loads(await connection.get_message()))
            except ConnectionClosed as closed:
                self.closed = closed.reason.code if closed.reason is not None else 0

    def shown(self, cp_id: str) -> Fields:
        """A charging point as it was last told; empty for one that was not, or was removed."""
        for message in reversed(self.messages):
            if cp_id in message.get("removed", ()):
                return {}
            for point in message["charging_points"]:
                if point["cp_id"] == cp_id:
                    found: Fields = point
                    return found
        return {}

    @property
    def network(self) -> Fields:
        """The network as it was last told."""
        told: Fields = next(x["network"] for x in reversed(self.messages) if "network" in x)
        return told

    @property
    def events(self) -> list[Fields]:
        """All events, in the order in which they were told."""
        return [event for message in self.messages for event in message["events"]]

    def wait_for(self, condition: Callable[[], object], within_s: float, what: str) -> None:
        """Wait until `condition` holds."""
        wait_until(condition, within_s, f"the feed tells that {what}; last: {self.messages[-1:]}")

    def check_numbers(self) -> None:
        """No message is missing, and only the first is a snapshot."""
        first = self.messages[0]["seq"]
        numbers = [message["seq"] for message in self.messages]
        assert numbers == [*range(first, first + len(numbers))]
        kinds = [message["type"] for message in self.messages]
        assert kinds == ["snapshot", *["update"] * (len(kinds) - 1)]
