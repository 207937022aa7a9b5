"""Waiting for what must become true, within a bound."""

import time
from collections.abc import Callable, Collection
from typing import TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=Collection[object])

LOOK_S = 0.02
# To look takes time of those who are waited for: it rests so many times as long, within a bound.
REST_FACTOR = 4
REST_S_MAX = 0.1
# A machine that runs several networks at once may add so much to a promised time.
BUSY_S_MAX = 2.0


class NeverTrue(AssertionError):
    """A condition did not become true within its bound."""


def wait_until(
    condition: Callable[[], T | None], within_s: float, what: str = "", look_s: float = LOOK_S
) -> T:
    """Ask each `look_s` until `condition` gives something true; returns that.

    Raises NeverTrue after `within_s`, with the last answer and `what` was waited for.
    """
    asked_s = time.monotonic()
    end_s = asked_s + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= end_s:
            raise NeverTrue(f"not within {within_s:g} s: {what or condition!r}; last: {found!r}")
        asked_s = _rest(asked_s, look_s)


def wait_until_none(
    left: Callable[[], C], within_s: float, what: str = "", look_s: float = LOOK_S
) -> None:
    """Ask each `look_s` until nothing is `left`.  Raises NeverTrue, with the rest, at the bound."""
    asked_s = time.monotonic()
    end_s = asked_s + within_s
    while found := left():
        if time.monotonic() >= end_s:
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
