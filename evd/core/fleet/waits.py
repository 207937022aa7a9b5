"""Waits of one kind, as many as there are: their spread, in bounded memory."""

from typing import Final

import attrs

# Waits that are kept of each kind; of more an even choice is kept.
WAITS_MAX: Final = 200_000


@attrs.frozen(slots=True)
class Spread:
    """How so many waits lay, in ms."""

    count: int
    p50_ms: float
    p99_ms: float
    most_ms: float


class Waits:
    """Waits in seconds.  Beyond WAITS_MAX every second one is forgotten, the longest never."""

    def __init__(self) -> None:
        self._kept_s: list[float] = []
        self._count = 0
        self._most_s = 0.0
        # One of so many waits is kept.
        self._stride = 1

    def add(self, wait_s: float) -> None:
        """Count one more."""
        if wait_s > self._most_s:
            self._most_s = wait_s
        if self._count % self._stride == 0:
            self._kept_s.append(wait_s)
            if len(self._kept_s) >= WAITS_MAX:
                del self._kept_s[1::2]
                self._stride *= 2
        self._count += 1

    @property
    def spread(self) -> Spread | None:
        """How they lay; None where there was none."""
        if not self._kept_s:
            return None
        ordered = sorted(self._kept_s)
        last = len(ordered) - 1
        p50, p99 = (ordered[round(share * last)] for share in (0.5, 0.99))
        return Spread(self._count, _ms(p50), _ms(p99), _ms(self._most_s))


def _ms(wait_s: float) -> float:
    return round(1000 * wait_s, 1)
