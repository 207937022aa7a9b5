"""Waiting for what must become true, within a bound."""

import time
from collections.abc import Callable, Collection
from typing import TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=Collection[object])

LOOK_S = 0.02
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
    end_s = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= end_s:
            raise NeverTrue(f"not within {within_s:g} s: {what or condition!r}; last: {found!r}")
        time.sleep(look_s)


def wait_until_none(
    left: Callable[[], C], within_s: float, what: str = "", look_s: float = LOOK_S
) -> None:
    """Ask each `look_s` until nothing is `left`.  Raises NeverTrue, with the rest, at the bound."""
    end_s = time.monotonic() + within_s
    while found := left():
        if time.monotonic() >= end_s:
            raise NeverTrue(f"not within {within_s:g} s: {what or left!r}; left: {found}")
        time.sleep(look_s)


def never_for(condition: Callable[[], object], span_s: float, what: str = "") -> None:
    """Look for `span_s` that `condition` stays false."""
    end_s = time.monotonic() + span_s
    while time.monotonic() < end_s:
        found = condition()
        if found:
            raise AssertionError(f"happened within {span_s:g} s: {what or condition!r}: {found!r}")
        time.sleep(LOOK_S)
