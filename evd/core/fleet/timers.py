"""Times at which something is due, each under a key."""

import heapq
import math
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """One time in seconds for each key: a later `set` takes the place of the one before."""

    def __init__(self) -> None:
        self._due_s: dict[K, float] = {}
        # Entries of times that were replaced stay until their turn, and are then passed over.
        self._heap: list[tuple[float, int, K]] = []
        self._number = 0

    @property
    def next_s(self) -> float:
        """The earliest time; infinite where there is none."""
        while self._heap:
            due_s, _, key = self._heap[0]
            if self._due_s.get(key) == due_s:
                return due_s
            heapq.heappop(self._heap)
        return math.inf

    def set(self, key: K, due_s: float) -> None:
        """Have `key` come due at that time alone."""
        if self._due_s.get(key) == due_s:
            return
        self._due_s[key] = due_s
        self._number += 1
        heapq.heappush(self._heap, (due_s, self._number, key))

    def drop(self, key: K) -> None:
        """Forget the time of a key, if it has one."""
        self._due_s.pop(key, None)

    def due(self, now_s: float, count_max: int) -> Iterator[tuple[K, float]]:
        """Take those whose time has come, the earliest first: each key with its time."""
        for _ in range(count_max):
            due_s = self.next_s
            if due_s > now_s:
                return
            _, _, key = heapq.heappop(self._heap)
            del self._due_s[key]
            yield key, due_s
