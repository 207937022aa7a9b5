"""Waits in bounded memory."""

import math

from evd.core.fleet.waits import WAITS_MAX, Spread, Waits


def waits_of(*waits_s: float) -> Waits:
    """So many waits."""
    waits = Waits()
    for wait_s in waits_s:
        waits.add(wait_s)
    return waits


def test_the_spread_of_many() -> None:
    """Proves: p50, p99 and the longest are those of the waits in order; none have no spread."""
    hundred = waits_of(*(number / 1000 for number in reversed(range(101))))
    assert hundred.spread == Spread(101, 50.0, 99.0, 100.0)
    assert waits_of().spread is None


def test_more_waits_than_are_kept() -> None:
    """Proves: of a long run an even choice is kept: all are counted, the longest is never lost, and
    the middle stays where it is."""
    count = 2 * WAITS_MAX + WAITS_MAX // 2
    waits = waits_of(9.0, *(number / count for number in range(count)))
    assert len(waits._kept_s) < WAITS_MAX
    spread = waits.spread
    assert spread is not None
    assert (spread.count, spread.most_ms) == (count + 1, 9000.0)
    assert math.isclose(spread.p50_ms, 500.0, abs_tol=2.0)
    assert math.isclose(spread.p99_ms, 990.0, abs_tol=2.0)
