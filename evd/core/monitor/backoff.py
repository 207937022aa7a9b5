"""Delays between attempts: longer each time, and spread, so that not all come at one moment."""

import attrs


@attrs.define
class Backoff:
    """Exponential delays, each spread over the upper half of its step.

    The first delay is between `first_s` and twice that, each later step ends at twice the one
    before, and at the latest at `max_s`.  So the monitors that lost a server at the same moment
    don't all come back at the same moment, not even at the longest delays.
    """

    first_s: float = 0.2
    max_s: float = 2.0
    _step_s: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if not 0 < self.first_s < float("inf") or not 0 < self.max_s < float("inf"):
            raise ValueError("first_s and max_s must be finite and above 0")
        self.reset()

    def next(self, fraction: float) -> float:
        """Return the next delay in seconds; `fraction`, 0 to 1, is the caller's random number."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction must be from 0 to 1, not {fraction}")
        upper_s = min(2 * self._step_s, self.max_s)
        self._step_s = upper_s
        return upper_s * (1 + fraction) / 2

    def reset(self) -> None:
        """Make the next delay a first one again, after an attempt that succeeded."""
        self._step_s = self.first_s
