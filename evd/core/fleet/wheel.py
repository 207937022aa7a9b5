"""Keys of which thousands fall due each second and are due again soon after.

Keys that are due within SLOT_S of each other lie in one list, so a key costs the same however many
there are: a heap, in order to the last microsecond, takes several times as long.
"""

import heapq
import math
from typing import Final, Generic, TypeVar

KeyT = TypeVar("KeyT")

SLOT_S: Final = 0.005


class Wheel(Generic[KeyT]):
    """The times at which keys are due, each key with one; times are monotonic seconds."""

    def __init__(self) -> None:
        self._at_s: dict[KeyT, float] = {}
        # Entries of times that were replaced stay until their turn, and are then passed over.
        self._slots: dict[int, list[tuple[KeyT, float]]] = {}
        # The numbers of all slots, as a heap.
        self._numbers: list[int] = []

    def set(self, key: KeyT, at_s: float) -> None:
        """Have `key` due at this time alone, whichever stands."""
        self._at_s[key] = at_s
        number = int(at_s // SLOT_S)
        slot = self._slots.get(number)
        if slot is None:
            self._slots[number] = [(key, at_s)]
            heapq.heappush(self._numbers, number)
        else:
            slot.append((key, at_s))

    def forget(self, key: KeyT) -> None:
        """Have `key` due no more."""
        self._at_s.pop(key, None)

    @property
    def next_s(self) -> float:
        """The earliest time; infinite where there is none."""
        while self._numbers:
            slot = self._slots[self._numbers[0]]
            left_s = [at_s for key, at_s in slot if self._at_s.get(key) == at_s]
            if left_s:
                return min(left_s)
            self._drop_first()
        return math.inf

    def due(self, now_s: float, count_max: int) -> list[tuple[KeyT, float]]:
        """Take out the keys whose time has come, each with its time, the earliest slot first."""
        found: list[tuple[KeyT, float]] = []
        now_number = int(now_s // SLOT_S)
        while self._numbers and self._numbers[0] <= now_number:
            number = self._numbers[0]
            left = self._take(self._slots[number], now_s, count_max, found)
            if left:
                self._slots[number] = left
                break
            self._drop_first()
        return found

    def _take(
        self,
        slot: list[tuple[KeyT, float]],
        now_s: float,
        count_max: int,
        found: list[tuple[KeyT, float]],
    ) -> list[tuple[KeyT, float]]:
        """Move what is due from a slot to `found`; return what is left of the slot."""
        left: list[tuple[KeyT, float]] = []
        for number, entry in enumerate(slot):
            if len(found) >= count_max:
                return left + slot[number:]
            key, at_s = entry
            if self._at_s.get(key) != at_s:
                continue
            if at_s <= now_s:
                del self._at_s[key]
                found.append(entry)
            else:
                left.append(entry)
        return left

    def _drop_first(self) -> None:
        del self._slots[heapq.heappop(self._numbers)]
