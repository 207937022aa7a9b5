"""The pace at which messages come, in made-up time."""

from hypothesis import given
from hypothesis import strategies as st

from evd.adapters.kafka.pace import EASY_AT_ONCE, EASY_PER_S, Pace


def paced(counts: list[int], each_s: float) -> Pace:
    """A pace that took in these counts, one every `each_s`, the last one at the time 0."""
    pace = Pace()
    for number, count in enumerate(counts):
        pace.note(count, (number + 1 - len(counts)) * each_s)
    return pace


@given(st.lists(st.integers(0, 2), max_size=300))
def test_a_small_network_is_never_busy(counts: list[int]) -> None:
    """Proves: no message of an easy pace waits for others."""
    assert not paced(counts, 2 / EASY_PER_S).is_busy(0.0)


@given(st.floats(1.5, 1_000.0))
def test_a_large_network_is_soon_busy_and_stays_so(times: float) -> None:
    """Proves: half as much again as the easy pace is seen within a second, and for as long."""
    each_s = 0.01
    counts = [round(times * EASY_PER_S * each_s)] * 100
    assert paced(counts, each_s).is_busy(each_s)
    assert paced(counts * 10, each_s).is_busy(each_s)


@given(st.lists(st.integers(0, 100_000), max_size=300), st.floats(0.001, 1.0))
def test_it_ends_with_the_flood(counts: list[int], each_s: float) -> None:
    """Proves: half a second after any flood a reader waits for nothing again."""
    assert not paced(counts, each_s).is_busy(2 * EASY_AT_ONCE / EASY_PER_S)
