"""The bound of what a charging point that flaps may write."""

import math
from collections import deque

import attrs

# More changes than these within so long are flapping; it ends when nothing changes for QUIET_S.
CHANGES_MAX = 30
CHANGES_S = 60.0
QUIET_S = 10.0


@attrs.define(slots=True)
class Flapping:
    """The changes of one charging point's health: too many of them are counted, not written down.

    It begins with a change for the better, so that what was written last is the trouble.
    """

    _changes_s: deque[float] = attrs.field(factory=lambda: deque(maxlen=CHANGES_MAX))
    _since_s: float | None = None
    _changed_s: float = -math.inf
    _count: int = 0

    @property
    def is_on(self) -> bool:
        """Whether changes are only counted now."""
        return self._since_s is not None

    def on_change(self, now_s: float, *, is_bad: bool) -> bool:
        """Count a change; return whether flapping begins with it."""
        oldest_s = self._changes_s[0] if len(self._changes_s) == CHANGES_MAX else -math.inf
        self._changes_s.append(now_s)
        self._changed_s = now_s
        begins = not (self.is_on or is_bad) and now_s - oldest_s <= CHANGES_S
        if begins:
            self._since_s, self._count = now_s, 0
        self._count += self.is_on
        return begins

    @property
    def end_s(self) -> float:
        """When it ends, if nothing changes until then."""
        return math.inf if self._since_s is None else self._changed_s + QUIET_S

    def end(self, now_s: float) -> tuple[int, float] | None:
        """Return how many changes were left out in how many seconds, if it is quiet again."""
        if self._since_s is None or now_s < self.end_s:
            return None
        span_s, self._since_s = self._changed_s - self._since_s, None
        self._changes_s.clear()
        return self._count, span_s
