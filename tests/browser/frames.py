"""The work of a page's own thread, frame by frame, as Chromium traces it.

Two things are held.  The time of a core that a piece of work takes, which a busy machine does not
change; and its time on the wall, which also counts what the page waits for, less the time in which
Linux let the thread wait for a core because other programs had them all.
"""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import orjson

from tests.browser.chromium import Watched

THREAD: Final = "CrRendererMain"
CATEGORIES: Final = ("toplevel", "devtools.timeline")
_PROC: Final = Path("/proc")
_NS_IN_MS: Final = 1_000_000

# A process and one of its threads.
Thread = tuple[int, int]


@attrs.define
class Frames:
    """The longest pieces of work without a pause, in ms, the longest first; `queued_ms`: how long
    the thread had work and no core, in all, infinite where Linux does not say so."""

    core_ms: list[float] = attrs.Factory(list)
    wall_ms: list[float] = attrs.Factory(list)
    queued_ms: float = 0.0

    def check(self, most_ms: float) -> None:
        """That nothing waited for the page longer than so."""
        assert self.core_ms, "nothing was traced"
        longest = [[round(each) for each in times[:4]] for times in (self.core_ms, self.wall_ms)]
        told = f"{longest[0]} ms of a core, {longest[1]} ms on the wall"
        print(f"longest pieces of work: {told}, {self.queued_ms:.0f} ms without a core")
        assert self.core_ms[0] <= most_ms
        assert self.wall_ms[0] - self.queued_ms <= most_ms


@contextmanager
def traced_frames(watched: Watched) -> Iterator[Frames]:
    """Trace the page inside the `with`; the frames are known behind it."""
    frames = Frames()
    browser = watched.page.context.browser
    assert browser is not None
    before = _queued_ns()
    browser.start_tracing(page=watched.page, categories=list(CATEGORIES))
    try:
        yield frames
    finally:
        trace = orjson.loads(browser.stop_tracing())
    after = _queued_ns()
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
    waits = [after[each] - before[each] for each in threads if each in before and each in after]
    frames.queued_ms = max(waits) / _NS_IN_MS if waits else math.inf


class Queue:
    """How long the threads of the browser and of this process have waited for a core, all together,
    since this was made: little on a quiet machine."""

    def __init__(self) -> None:
        self._before = _queued_ns()

    @property
    def queued_s(self) -> float:
        """The sum in seconds; infinite where Linux does not say."""
        after = _queued_ns()
        waits = [after[each] - self._before.get(each, 0) for each in after]
        return sum(waits) / _NS_IN_MS / 1000 if waits else math.inf


def _queued_ns() -> Mapping[Thread, int]:
    """How long each thread of the browser and of this process has waited for a core so far."""
    found: dict[Thread, int] = {}
    for path in _PROC.glob("[0-9]*"):
        try:
            if "chrom" not in (path / "comm").read_text() and path.name != str(os.getpid()):
                continue
            for task in (path / "task").iterdir():
                _, queued_ns, _ = (task / "schedstat").read_text().split()
                found[int(path.name), int(task.name)] = int(queued_ns)
        except (OSError, ValueError):
            # It has ended meanwhile, or this Linux keeps no such figures.
            continue
    return found
