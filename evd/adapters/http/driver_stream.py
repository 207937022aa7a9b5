"""The open pages of a driver, each told of all that changes: Server-Sent Events of JSON.

The first event is a `snapshot` of everything, each further one an `update` with the keys that
changed.  Nothing is queued for a page: one that reads slowly gets fewer, merged updates.
"""

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

import trio
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Send

from evd.adapters.http.driver_central import PointShown
from evd.adapters.http.driver_points import PointsSeen, PointsWatch
from evd.adapters.http.driver_service import DriverService, Notification
from evd.adapters.http.refused import Refused
from evd.adapters.http.schemas import shown
from evd.adapters.json_text import encode
from evd.core.wire.fields import format_time

EVENT_STREAM: Final = "text/event-stream"
STREAMS_MAX: Final = 32
NEWS_SHOWN: Final = 50
# Between two looks at what changed, and so between two updates.
LOOK_S: Final = 0.2
# A page that hears nothing for longer knows that its connection is lost.
ALIVE_S: Final = 5.0
ALIVE: Final = b"event: alive\ndata: {}\n\n"
RETRY_S: Final = 10


class Streams:
    """The streams of one driver's pages; `stopping` ends them."""

    def __init__(self, service: DriverService, watch: PointsWatch, stopping: trio.Event) -> None:
        self._service = service
        self._watch = watch
        self._stopping = stopping
        self._open = 0

    def answer(self, may_follow: Callable[[], bool]) -> ASGIStreamingResponse:
        """The answer to one more page, for as long as it `may_follow`.  Raises Refused where there
        are too many."""
        if self._open >= STREAMS_MAX:
            raise Refused(503, f"{STREAMS_MAX} pages are open already", retry_s=RETRY_S)
        return _EventStream(self._events(may_follow))

    async def _events(self, may_follow: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        self._open += 1
        try:
            with self._watch.watched():
                page, said_s = _Page(self._service, self._watch), -math.inf
                while not self._stopping.is_set() and may_follow():
                    event = page.event()
                    if event is not None or trio.current_time() - said_s >= ALIVE_S:
                        said_s = trio.current_time()
                        yield event or ALIVE
                    await trio.sleep(LOOK_S)
        finally:
            self._open -= 1


class _EventStream(ASGIStreamingResponse):
    """A stream whose source is closed with it."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        # A proxy that collects an answer before it passes it on would hold the events back.
        super().__init__(
            iterator=events, media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"}
        )
        self._events = events

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send event after event until the page is closed."""
        async with aclosing(self._events):
            await super().send_body(send, receive)


class _Page:
    """One open page, and all that it was told."""

    def __init__(self, service: DriverService, watch: PointsWatch) -> None:
        self._service = service
        self._watch = watch
        self._told: dict[str, Any] = {}
        self._points: dict[str, PointShown] | None = None
        self._seen: PointsSeen | None = None
        self._news_count = 0

    def event(self) -> bytes | None:
        """The next event; None where nothing changed."""
        start: dict[str, Any] = {} if self._told else {"news": [], "charging_points": None}
        changed = {**self._changed_state(), **self._fresh_news(), **self._changed_points()}
        if not changed:
            return None
        kind = "snapshot" if start else "update"
        message = {"type": kind, "now": format_time(datetime.now(UTC)), **start, **changed}
        return b"data: %s\n\n" % encode(message)

    def _changed_state(self) -> dict[str, Any]:
        state = {
            "driver_id": self._service.driver_id,
            "trouble": self._service.unhealthy(),
            "lost": self._watch.seen.lost,
            "current": self._service.current(),
            "requests": self._service.requests(),
        }
        told, self._told = self._told, state
        changed = {
            key: value for key, value in state.items() if key not in told or told[key] != value
        }
        if "requests" in changed:
            self._watch.hurry()
        return changed

    def _fresh_news(self) -> dict[str, Any]:
        count, news = self._service.news(self._news_count)
        if count == self._news_count:
            return {}
        self._news_count = count
        return {"news": [shown(Notification, update) for update in news[:NEWS_SHOWN]]}

    def _changed_points(self) -> dict[str, Any]:
        """The charging points that look another way now, and the ids of those that are gone."""
        seen = self._watch.seen
        if seen is self._seen or seen.points is None:
            return {}
        self._seen = seen
        points, told = {point.cp_id: point for point in seen.points}, self._points
        self._points = points
        if told is None:
            return {"charging_points": seen.points}
        changed = [point for point in seen.points if told.get(point.cp_id) != point]
        removed = [cp_id for cp_id in told if cp_id not in points]
        return {"charging_points": changed, "removed": removed} if changed or removed else {}
