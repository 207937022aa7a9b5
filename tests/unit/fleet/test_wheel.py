"""The times at which a played fleet's points are due."""

import math

from hypothesis import given
from hypothesis import strategies as st

from evd.core.deadlines import Deadlines
from evd.core.fleet.wheel import SLOT_S, Wheel

KEYS = "ABC"
# Times that share a slot, lie on its edge, or are far from each other.
TIMES = st.sampled_from([0.0, SLOT_S / 2, SLOT_S, 2 * SLOT_S, 0.9, 0.9 + SLOT_S / 3, 7.0])
STEPS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(KEYS), TIMES),
    st.tuples(st.just("forget"), st.sampled_from(KEYS), TIMES),
    st.tuples(st.just("due"), st.sampled_from(KEYS), TIMES),
)


@given(st.lists(STEPS, max_size=30))
def test_it_says_what_exact_deadlines_say(steps: list[tuple[str, str, float]]) -> None:
    """Proves: whatever is set again or forgotten, the same keys are due at the same times as where
    all times are kept in order."""
    wheel, exact = Wheel[str](), Deadlines[str]()
    for step, key, at_s in steps:
        if step == "set":
            wheel.set(key, at_s)
            exact.set(key, at_s)
        elif step == "forget":
            wheel.forget(key)
            exact.forget(key)
        else:
            assert sorted(wheel.due(at_s, 99)) == sorted(exact.timed(at_s))
        assert wheel.next_s == exact.next_s


def test_so_many_are_taken_at_a_time() -> None:
    """Proves: of those that share a slot no more are taken than may be, and the rest the next
    time; nothing is due afterwards."""
    wheel = Wheel[int]()
    for key in range(5):
        wheel.set(key, 1.0)
    assert [key for key, _ in wheel.due(1.0, 2)] == [0, 1]
    assert [key for key, _ in wheel.due(1.0, 2)] == [2, 3]
    assert wheel.due(1.0, 2) == [(4, 1.0)]
    assert (wheel.due(9.0, 2), wheel.next_s) == ([], math.inf)
