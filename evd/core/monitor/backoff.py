"""How long to wait before trying again: longer each time, and not all at the same moment."""

import attrs


@attrs.define
class Backoff:
    """Exponential delays, each spread over the upper half of its step.

    From `first_s` to twice that, then up to twice that again, until a step ends at `max_s`: who
    lost the same server at the same moment does not come back at the same moment, at the longest
    delays neither.
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
        """It worked: the next delay is a first one again."""
        self._step_s = self.first_s
