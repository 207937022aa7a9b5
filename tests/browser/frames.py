"""The work of a page's own thread, frame by frame, as Chromium traces it.

It is counted in time of a core, which a busy machine does not change; the time on the wall is
printed beside it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs
import orjson

from tests.browser.chromium import Watched

THREAD: Final = "CrRendererMain"
CATEGORIES: Final = ("toplevel", "devtools.timeline")


@attrs.define
class Frames:
    """The longest pieces of work without a pause, in ms, the longest first."""

    core_ms: list[float] = attrs.Factory(list)
    wall_ms: list[float] = attrs.Factory(list)

    @property
    def longest_ms(self) -> float:
        """The most time of a core without a pause; what waited meanwhile was late by it."""
        assert self.core_ms, "nothing was traced"
        return self.core_ms[0]


@contextmanager
def traced_frames(watched: Watched) -> Iterator[Frames]:
    """Trace the page inside the `with`; the frames are known behind it."""
    frames = Frames()
    browser = watched.page.context.browser
    assert browser is not None
    browser.start_tracing(page=watched.page, categories=list(CATEGORIES))
    try:
        yield frames
    finally:
        trace = orjson.loads(browser.stop_tracing())
    events = trace["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"]["name"] == THREAD
    }
    tasks = [
        event
        for event in events
        if event.get("ph") == "X"
        and event["name"].endswith("RunTask")
        and (event["pid"], event["tid"]) in threads
    ]
    frames.core_ms = sorted((task.get("tdur", 0) / 1000 for task in tasks), reverse=True)
    frames.wall_ms = sorted((task["dur"] / 1000 for task in tasks), reverse=True)
    longest = [[round(each) for each in times[:4]] for times in (frames.core_ms, frames.wall_ms)]
    print(f"longest pieces of work: {longest[0]} ms of a core, {longest[1]} ms on the wall")
