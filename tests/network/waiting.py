"""Waiting for what must become true, within a bound."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from tests.network.cpu_line import stood_s

T = TypeVar("T")
C = TypeVar("C", bound=Collection[object])

LOOK_S = 0.02
# To look takes time of those who are waited for: it rests so many times as long, within a bound.
REST_FACTOR = 4
REST_S_MAX = 0.1
# A machine that runs several networks at once may add so much to a promised time.
BUSY_S_MAX = 2.0
# No wait is longer by more, however little of this machine the programs get.
STARVED_S_MAX = 180.0


class NeverTrue(AssertionError):
    """A condition did not become true within its bound."""


class Bound:
    """The end of a wait: after `within_s`, and what one program stood in line for a CPU meanwhile.

    How fast this machine is at the moment is no property of the code.
    """

    def __init__(
        self,
        within_s: float,
        clock: Callable[[], float] = time.monotonic,
        stood_s: Callable[[], Mapping[int, float]] = stood_s,
    ) -> None:
        self._clock = clock
        self._stood_s = stood_s
        self._end_s = clock() + within_s
        self._before = stood_s()

    def is_over(self) -> bool:
        """Return whether nothing more is waited for."""
        over_s = self._clock() - self._end_s
        return over_s >= 0 and over_s >= min(self._starved_s(), STARVED_S_MAX)

    def _starved_s(self) -> float:
        """The longest that one of the programs stood in line since the wait began."""
        now = self._stood_s().items()
        return max((stood - self._before.get(pid, 0.0) for pid, stood in now), default=0.0)


def wait_until(
    condition: Callable[[], T | None], within_s: float, what: str = "", look_s: float = LOOK_S
) -> T:
    """Ask each `look_s` until `condition` gives something true; returns that.

    Raises NeverTrue after `within_s` (see Bound), with the last answer and `what` was waited for.
    """
    bound = Bound(within_s)
    asked_s = time.monotonic()
    while True:
        found = condition()
        if found:
            return found
        if bound.is_over():
            raise NeverTrue(f"not within {within_s:g} s: {what or condition!r}; last: {found!r}")
        asked_s = _rest(asked_s, look_s)


def wait_until_none(
    left: Callable[[], C], within_s: float, what: str = "", look_s: float = LOOK_S
) -> None:
    """Ask each `look_s` until nothing is `left`.  Raises NeverTrue, with the rest, at the bound."""
    bound = Bound(within_s)
    asked_s = time.monotonic()
    while found := left():
        if bound.is_over():
            raise NeverTrue(f"not within {within_s:g} s: {what or left!r}; left: {found}")
        asked_s = _rest(asked_s, look_s)


def _rest(asked_s: float, look_s: float) -> float:
    """Rest after a look that began at `asked_s`; returns the time."""
    took_s = time.monotonic() - asked_s
    time.sleep(max(look_s, min(REST_FACTOR * took_s, REST_S_MAX)))
    return time.monotonic()


def never_for(condition: Callable[[], object], span_s: float, what: str = "") -> None:
    """Look for `span_s` that `condition` stays false."""
    end_s = time.monotonic() + span_s
    while time.monotonic() < end_s:
        found = condition()
        if found:
            raise AssertionError(f"happened within {span_s:g} s: {what or condition!r}: {found!r}")
        time.sleep(LOOK_S)
