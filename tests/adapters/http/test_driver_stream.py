"""The streams of a driver's open pages, over real sockets."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import attrs
import orjson
import pytest
import trio

from evd.adapters.http.driver_stream import ALIVE_S, LOOK_S, STREAMS_MAX
from evd.adapters.http.serving import DEFAULT_BOUNDS
from evd.core.wire.messages import DriverUpdate, RequestStatus
from tests.adapters.http.driver_scene import ALICE, POINTS, WALL, Scene
from tests.adapters.http.site import WAIT_S_MAX

EVENTS = "/drivers/driver-alice/events"


@attrs.define
class Page:
    """An open page, and what it has made of its events."""

    lines: AsyncIterator[str]
    shown: dict[str, Any] = attrs.field(factory=dict)
    points: dict[str, str] = attrs.field(factory=dict)
    news: list[str] = attrs.field(factory=list)
    kinds: list[str] = attrs.field(factory=list)

    async def read(self) -> None:
        """Take the next event."""
        async for line in self.lines:
            if line.startswith("data: {") and (event := orjson.loads(line[6:])):
                self.kinds.append(event["type"])
                self.shown |= event
                for point in event.get("charging_points") or ():
                    self.points[point["cp_id"]] = point["status"]
                for cp_id in event.get("removed", ()):
                    del self.points[cp_id]
                self.news = [each["status"] for each in event.get("news", ())] + self.news
                return
        raise EOFError


@contextlib.asynccontextmanager
async def opened(s: Scene) -> AsyncIterator[Page]:
    """A page that follows its driver; nothing that it waits for may take long."""
    with trio.fail_after(4 * WAIT_S_MAX):
        async with s.client.stream("GET", EVENTS) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Page(answer.aiter_lines())


async def test_a_page_is_shown_everything_and_then_what_changed(s: Scene) -> None:
    """Proves: one snapshot with all that the driver knows, then only the keys that changed."""
    async with opened(s) as page:
        await page.read()
        assert page.shown["driver_id"] == ALICE
        assert page.shown["current"]["curve"] == [[1.0, 22.0, 0.061]]
        assert page.shown["trouble"] is page.shown["lost"] is None
        assert [each["request_id"] for each in page.shown["requests"]] == ["req-1", "req-2"]
        assert page.news == ["ACCEPTED", "DENIED"]
        while not page.points:
            await page.read()
        statuses = {"CP-001": "FREE", "CP-002": "OCCUPIED", "CP-003": "OFFLINE"}
        assert page.points == {**statuses, "CP-004": "OFFLINE"}
        page.shown.clear()
        s.service.session = None
        await page.read()
        assert set(page.shown) == {"type", "now", "current"}
        told = DriverUpdate("req-1", ALICE, "CP-001", RequestStatus.COMPLETED, "", ts=WALL)
        s.service.more_news.append(told)
        await page.read()
        assert page.news == ["COMPLETED", "ACCEPTED", "DENIED"]
        assert page.kinds[0] == "snapshot"
        assert set(page.kinds[1:]) == {"update"}


async def test_charging_points_come_and_go_on_an_open_page(s: Scene) -> None:
    """Proves: only what changed is sent, what is gone is named, and Central's absence is told."""
    async with opened(s) as page:
        while not page.points:
            await page.read()
        page.shown.clear()
        occupied = {**POINTS[0], "available": False, "current_session": "session-9"}
        s.central.answers["/cp"] = (200, {"charging_points": [occupied, *POINTS[1:3]]})
        await page.read()
        assert [each["cp_id"] for each in page.shown["charging_points"]] == ["CP-001"]
        assert page.shown["removed"] == ["CP-004"]
        s.stop_central.set()
        while page.shown.get("lost") is None:
            await page.read()
        assert "Central" in page.shown["lost"]
        assert set(page.points.values()) == {"OFFLINE"}


async def test_central_is_asked_only_while_a_page_is_open(s: Scene) -> None:
    """Proves: two pages ask no more than one, and without a page nothing is asked."""
    async with opened(s) as page, opened(s) as other:
        for each in (page, other):
            while not each.points:
                await each.read()
        assert len(s.central.queries) == 1
    await trio.sleep(2 * LOOK_S)
    asked = len(s.central.queries)
    await trio.sleep(3.0)
    assert len(s.central.queries) <= asked + 1


async def test_beyond_the_last_place_a_page_is_told_to_come_again(s: Scene) -> None:
    """Proves: so many pages may be open; one more is a 503, and a closed one gives its place."""
    async with contextlib.AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(opened(s)) for _ in range(STREAMS_MAX)]
        for page in pages:
            await page.read()
        refused = await s.client.get(EVENTS)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
    with trio.fail_after(WAIT_S_MAX):
        while True:
            async with s.client.stream("GET", EVENTS) as answer:
                if answer.status_code == 200:
                    break


async def test_a_stop_ends_the_streams_at_once(s: Scene) -> None:
    """Proves: an open page does not use up the grace of a stop, and sees a whole answer."""
    async with opened(s) as page:
        await page.read()
        s.stopping.set()
        with trio.fail_after(0.9), pytest.raises(EOFError):
            while True:
                await page.read()


async def test_an_idle_stream_says_that_it_is_alive(s: Scene) -> None:
    """Proves: a page can tell silence from a dead connection, and no bound of the server
    cuts it."""
    assert DEFAULT_BOUNDS.answer_s > 2 * ALIVE_S
    with trio.fail_after(ALIVE_S + WAIT_S_MAX):
        async with s.client.stream("GET", EVENTS) as answer:
            async for line in answer.aiter_lines():
                if line == "event: alive":
                    break


async def test_a_head_has_an_end(s: Scene) -> None:
    """Proves: a HEAD of a stream is answered and over."""
    with trio.fail_after(WAIT_S_MAX):
        for _ in range(2):
            answer = await s.client.head(EVENTS)
            assert (answer.status_code, answer.content) == (200, b"")
