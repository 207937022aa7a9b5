"""The watch over one's own loop."""

import pytest

from evd.core.stall import StallWatch


def test_a_loop_that_turns_is_no_stall() -> None:
    """Proves: nobody's time-outs are restarted while the loop turns, however long it has turned."""
    watch = StallWatch()
    assert not any(watch.observe(tick * 0.25) for tick in range(10_000))


@pytest.mark.parametrize("gap_s", [1.01, 30.0, 86_400.0])
def test_a_stop_is_told_once(gap_s: float) -> None:
    """Proves: a process that was stopped learns it at its first turn, and only then."""
    watch = StallWatch()
    assert not watch.observe(1000.0)
    assert watch.observe(1000.0 + gap_s)
    assert not watch.observe(1000.0 + gap_s + 0.25)


def test_the_limit_itself_is_no_stall() -> None:
    """Proves: only more than the limit counts."""
    watch = StallWatch(limit_s=2.0)
    assert not watch.observe(0.0)
    assert not watch.observe(2.0)
    assert watch.observe(4.5)
