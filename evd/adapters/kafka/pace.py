"""How fast messages come: a bucket that leaks what is an easy pace, and fills by all beyond."""

from typing import Final

# Up to this pace, in messages a second, each is best taken alone: a commit for each costs little.
EASY_PER_S: Final = 200.0
# More at once than this, in messages, is no easy pace either.
EASY_AT_ONCE: Final = 50.0


class Pace:
    """The pace at which a reader's messages come."""

    def __init__(self) -> None:
        self._level = 0.0
        self._noted_at_s = 0.0

    def is_busy(self, now_s: float) -> bool:
        """Whether more comes than is easy; it ends within half a second of quiet."""
        return self._left(now_s) > EASY_AT_ONCE

    def note(self, count: int, now_s: float) -> None:
        """Take in that so many messages have come."""
        self._level = min(self._left(now_s) + count, 2 * EASY_AT_ONCE)
        self._noted_at_s = now_s

    def _left(self, now_s: float) -> float:
        return max(0.0, self._level - EASY_PER_S * (now_s - self._noted_at_s))
