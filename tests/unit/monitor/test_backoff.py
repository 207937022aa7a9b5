"""Delays between attempts: how they grow, where they end, how they spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.monitor.backoff import Backoff

FRACTION = st.floats(0, 1)


def test_delays_double_up_to_the_longest() -> None:
    """Proves: the defaults are 0.2 s at first and 2 s at the most."""
    shortest, longest = Backoff(), Backoff()
    assert [shortest.next(0.0) for _ in range(5)] == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0])
    assert [longest.next(1.0) for _ in range(5)] == pytest.approx([0.4, 0.8, 1.6, 2.0, 2.0])


def test_after_a_success_it_begins_anew() -> None:
    """Proves: an old outage does not slow the next one's first attempt."""
    backoff = Backoff()
    for _ in range(4):
        backoff.next(0.5)
    backoff.reset()
    assert backoff.next(0.0) == pytest.approx(0.2)


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.lists(FRACTION, max_size=80))
def test_a_delay_is_never_over_the_longest_nor_nothing(
    first_s: float, max_s: float, fractions: list[float]
) -> None:
    """Proves: however long an outage lasts, attempts go on at a bounded rate."""
    backoff = Backoff(first_s, max_s)
    for fraction in fractions:
        assert min(first_s, max_s / 2) <= backoff.next(fraction) <= max_s


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_a_delay_that_is_none_is_refused(wrong: float) -> None:
    """Proves: no configuration makes it spin or wait for ever."""
    with pytest.raises(ValueError, match="above 0"):
        Backoff(first_s=wrong)
    with pytest.raises(ValueError, match="above 0"):
        Backoff(max_s=wrong)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(wrong: float) -> None:
    """Proves: a caller's slip does not become a negative delay."""
    with pytest.raises(ValueError, match="fraction"):
        Backoff().next(wrong)
