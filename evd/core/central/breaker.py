"""A circuit breaker: it keeps a charging point that fails again and again from getting drivers.

CLOSED --5 failures in a row--> OPEN --60 s, or its monitor says it recovered--> HALF_OPEN
HALF_OPEN --2 successes--> CLOSED;  HALF_OPEN --1 failure--> OPEN

A failure is a START that was not confirmed although the engine's reports came through, or a
record of the charging point's own fault.  A success is a session that ended without one.
"""

import math

import attrs

from evd.core.central.rows import BreakerState

FAILURES_MAX = 5
OPEN_S = 60.0
SUCCESSES_TO_CLOSE = 2


@attrs.frozen(slots=True)
class Breaker:
    """One charging point's breaker, as a value; `opened_s` is monotonic.

    After a restart an OPEN breaker waits its whole time again: no clock outlives its process.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    successes: int = 0
    opened_s: float = 0.0

    def at(self, now_s: float) -> "Breaker":
        """The breaker as it stands at `now_s`: OPEN becomes HALF_OPEN by itself."""
        if now_s >= self.half_open_s:
            return self.recovered()
        return self

    def recovered(self) -> "Breaker":
        """The charging point is said to work again: an OPEN breaker lets one call try."""
        if self.state is BreakerState.OPEN:
            return Breaker(BreakerState.HALF_OPEN)
        return self

    def failed(self, now_s: float) -> "Breaker":
        """A call failed."""
        if self.state is BreakerState.CLOSED and self.failures + 1 < FAILURES_MAX:
            return Breaker(BreakerState.CLOSED, self.failures + 1)
        if self.state is BreakerState.OPEN:
            return self
        return Breaker(BreakerState.OPEN, opened_s=now_s)

    def succeeded(self) -> "Breaker":
        """A call succeeded."""
        if self.state is BreakerState.HALF_OPEN and self.successes + 1 < SUCCESSES_TO_CLOSE:
            return Breaker(BreakerState.HALF_OPEN, successes=self.successes + 1)
        if self.state is BreakerState.OPEN:
            return self
        return Breaker()

    @property
    def half_open_s(self) -> float:
        """When it becomes HALF_OPEN by itself."""
        return self.opened_s + OPEN_S if self.state is BreakerState.OPEN else math.inf

    @property
    def lets_through(self) -> bool:
        """Whether a call may be made.  In HALF_OPEN the charging point's one session at a time
        makes it one call at a time."""
        return self.state is not BreakerState.OPEN
