"""The circuit breaker's table."""

import pytest

from evd.core.central.breaker import OPEN_S, Breaker
from evd.core.central.rows import BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def after(breaker: Breaker, calls: str, now_s: float = 0.0) -> Breaker:
    """The breaker after a line of calls: `f` failed, `s` succeeded, `r` recovered."""
    for call in calls:
        breaker = breaker.at(now_s)
        if call == "f":
            breaker = breaker.failed(now_s)
        elif call == "s":
            breaker = breaker.succeeded()
        else:
            breaker = breaker.recovered()
    return breaker


@pytest.mark.parametrize(
    ("calls", "state"),
    [
        ("", CLOSED),
        ("ffff", CLOSED),
        ("fffff", OPEN),
        ("ffffsffff", CLOSED),
        ("fffffr", HALF_OPEN),
        ("fffffrs", HALF_OPEN),
        ("fffffrss", CLOSED),
        ("fffffrf", OPEN),
        ("fffffrsf", OPEN),
        ("fffffs", OPEN),
        ("r", CLOSED),
        ("fffffrssffff", CLOSED),
    ],
)
def test_the_table(calls: str, state: BreakerState) -> None:
    """Proves: 5 failures in a row open it, RECOVERED half-opens it, 2 successes close it."""
    assert after(Breaker(), calls).state is state


def test_it_half_opens_by_itself_after_a_minute() -> None:
    """Proves: after 60 s an open breaker lets one call try, and not before."""
    breaker = after(Breaker(), "fffff", now_s=100.0)
    assert not breaker.at(100.0 + OPEN_S - 0.1).lets_through
    assert breaker.at(100.0 + OPEN_S).state is HALF_OPEN
    assert breaker.at(100.0 + OPEN_S).lets_through
