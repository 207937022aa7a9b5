"""Garbage collection in a daemon that keeps much in memory.

A full collection looks at every object while all else waits: a quarter of a second with ten
thousand charging points.  Python does one whenever a quarter of them is new, again and again while
they register, and every other second beside some clients of the feed.  Here there is one an hour:
nearly all that is let go of in a cycle was young, and is found by the quick collections.
"""

import gc
from typing import Final

import trio

WHOLE_EVERY_S: Final = 3600.0
# Full collections that Python does by itself: none.
_NEVER: Final = 2**31 - 1


async def collect_garbage() -> None:
    """Look at all that lives long once an hour, until cancelled."""
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    try:
        while True:
            await trio.sleep(WHOLE_EVERY_S)
            gc.collect()
    finally:
        gc.set_threshold(young, middle, old)
