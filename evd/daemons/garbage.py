"""Garbage collection in a daemon that keeps much in memory.

A full collection looks at every object while all else waits: a quarter of a second with ten
thousand charging points.  Python does one whenever a quarter is new, every other second beside some
clients of the feed.  Here it is done by the clock, and what has outlived one is left alone by the
next ones; all of it is looked at once an hour, for cycles that were let go of meanwhile.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

EVERY_S: Final = 10.0
WHOLE_EVERY_S: Final = 3600.0
# Full collections that Python does by itself: none.
_NEVER: Final = 2**31 - 1


async def collect_garbage() -> None:
    """Collect garbage by the clock, until cancelled."""
    with _by_the_clock():
        whole_s = trio.current_time() + WHOLE_EVERY_S
        while True:
            await trio.sleep(EVERY_S)
            if trio.current_time() >= whole_s:
                whole_s += WHOLE_EVERY_S
                gc.unfreeze()
            _collect()


@contextmanager
def _by_the_clock() -> Iterator[None]:
    young, middle, old = gc.get_threshold()
    _collect()
    gc.set_threshold(young, middle, _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(young, middle, old)
        gc.unfreeze()


def _collect() -> None:
    gc.collect()
    gc.freeze()
