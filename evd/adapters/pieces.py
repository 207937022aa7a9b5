"""Long lists, gone through in pieces between which the other tasks have their turn."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

import trio

T = TypeVar("T")

# Charging points that are shown in one go: ten thousand would hold up heartbeats.
POINTS_AT_ONCE: Final = 200


async def by_pieces(values: Sequence[T], at_once: int) -> AsyncIterator[Sequence[T]]:
    """Yield `values`, so many of them at a time."""
    for start in range(0, len(values), at_once):
        if start:
            await trio.lowlevel.checkpoint()
        yield values[start : start + at_once]
