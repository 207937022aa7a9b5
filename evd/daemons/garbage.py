"""Garbage collection in a daemon that keeps much in memory.

A full collection looks at every object while all else waits: a quarter of a second with ten
thousand charging points, again and again while they register.  So what has outlived one is left
alone, and all of it is looked at once an hour, for cycles that were let go of meanwhile.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

WHOLE_EVERY_S: Final = 3600.0


async def collect_garbage() -> None:
    """Leave alone what lives long, until cancelled."""
    with _leaving_alone():
        while True:
            await trio.sleep(WHOLE_EVERY_S)
            gc.unfreeze()
            gc.collect()


@contextmanager
def _leaving_alone() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.callbacks.append(_on_collected)
    try:
        yield
    finally:
        gc.callbacks.remove(_on_collected)
        gc.unfreeze()


def _on_collected(phase: str, found: dict[str, Any]) -> None:
    if phase == "stop" and found["generation"] == 2:
        gc.freeze()
