"""Was this process itself stopped?  Then the time that passed says nothing about the others."""

import attrs

STALL_S = 1.0


@attrs.define
class StallWatch:
    """Told the time at least every few hundred milliseconds, it knows when nobody told it.

    A process stopped by a signal, a debugger or its machine sees every time-out of the others
    run out at once, although it is itself that was away.
    """

    limit_s: float = STALL_S
    _last: float | None = attrs.field(default=None, init=False)

    def observe(self, now: float) -> bool:
        """Whether more than `limit_s` passed since the last call; `now` in monotonic seconds."""
        last, self._last = self._last, now
        return last is not None and now - last > self.limit_s
