"""Keys that are each to be looked at by some time, of which few are due at once.

A look costs by how many are due, not by how many there are.
"""

import heapq
import math
from collections.abc import Iterator
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")


class Deadlines(Generic[KeyT]):
    """The times by which keys are to be looked at.

    A key that is looked at too early is given its next time then: so one whose time moves on with
    each word of a peer costs nothing at that word.
    """

    def __init__(self) -> None:
        self._at_s: dict[KeyT, float] = {}
        # Entries of times that were replaced stay until their turn, and are then passed over.  The
        # number keeps keys of equal times in order, and from being compared.
        self._heap: list[tuple[float, int, KeyT]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._at_s)

    def by(self, key: KeyT, at_s: float) -> None:
        """Have `key` looked at by this time; an earlier one that stands is kept."""
        if self._at_s.get(key, at_s + 1.0) > at_s:
            self.set(key, at_s)

    def set(self, key: KeyT, at_s: float) -> None:
        """Have `key` looked at at this time alone, whichever stands."""
        if self._at_s.get(key) == at_s:
            return
        self._at_s[key] = at_s
        self._number += 1
        heapq.heappush(self._heap, (at_s, self._number, key))

    def forget(self, key: KeyT) -> None:
        """Have `key` looked at no more."""
        self._at_s.pop(key, None)

    @property
    def next_s(self) -> float:
        """The earliest time; infinite where there is none."""
        while self._heap:
            at_s, _, key = self._heap[0]
            if self._at_s.get(key) == at_s:
                return at_s
            heapq.heappop(self._heap)
        return math.inf

    def due(self, now_s: float) -> list[KeyT]:
        """Take out the keys whose time has come, the earliest first."""
        return [key for key, _ in self.timed(now_s)]

    def timed(self, now_s: float) -> Iterator[tuple[KeyT, float]]:
        """Take out the same one by one, each with its time."""
        while (at_s := self.next_s) <= now_s:
            _, _, key = heapq.heappop(self._heap)
            del self._at_s[key]
            yield key, at_s
