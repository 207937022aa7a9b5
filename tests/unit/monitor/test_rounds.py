"""The addresses of Central in turn: where a monitor begins, where it goes, how long it waits."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.monitor.rounds import NEXT_S, Rounds

FRACTION = st.floats(0, 1)
NAMES = ("a:1", "b:2", "c:3")


@pytest.mark.parametrize(
    ("first", "begins"), [(None, "a:1"), ("b:2", "b:2"), ("gone:9", "a:1"), ("", "a:1")]
)
def test_it_begins_with_the_one_that_served_last(first: str | None, begins: str) -> None:
    """Proves: a restart goes to where Central was; an address that is none of them any more, or
    that a broken file gave, costs nothing."""
    assert Rounds(NAMES, 2.0, first).address == begins


def test_a_loss_leads_to_the_next_address() -> None:
    """Proves: a connection that served and broke is followed by the next address at once, spread
    over 0.2 s."""
    rounds = Rounds(NAMES, 2.0, None)
    rounds.on_dial(0.0)
    rounds.on_served()
    assert rounds.after_loss(9.0, 0.0) == 0.0
    assert rounds.address == "b:2"
    assert rounds.after_loss(9.0, 1.0) == pytest.approx(NEXT_S)


@given(
    st.integers(1, 8),
    st.floats(0.05, 30),
    st.lists(st.tuples(FRACTION, st.floats(0, 7)), min_size=60, max_size=120),
)
def test_no_round_is_hasty_and_none_is_late(
    count: int, delay_max_s: float, dials: list[tuple[float, float]]
) -> None:
    """Proves: whatever the addresses do, all are tried in turn; within a round the next one is
    dialed within 0.3 s; rounds that fail at once begin half the longest delay apart at least, and
    nobody waits longer than that delay after a round, nor at all where the round took as long."""
    names = [f"h{number}:1" for number in range(count)]
    rounds = Rounds(names, delay_max_s, None)
    now_s, begins, tried = 50.0, [50.0], []
    for number, (fraction, took_s) in enumerate(dials, 1):
        tried.append(rounds.address)
        rounds.on_dial(now_s)
        now_s += took_s
        pause_s = rounds.after_failure(now_s, fraction)
        assert 0 < pause_s <= delay_max_s
        assert rounds.is_over is (number % count == 0)
        if not rounds.is_over or (count > 1 and now_s - begins[-1] >= delay_max_s):
            assert pause_s <= 0.3 + 1e-9
        now_s += pause_s
        if number % count == 0:
            begins.append(now_s)
    assert tried == [names[number % count] for number in range(len(dials))]
    # The delay has grown to its longest by then, if it doubles from 0.2 s.
    apart = [later - earlier for earlier, later in itertools.pairwise(begins)][8:]
    assert all(each >= delay_max_s / 2 - 1e-6 for each in apart)


def test_one_that_serves_ends_the_slowness() -> None:
    """Proves: a long outage does not slow the search at the next one."""
    rounds = Rounds(NAMES[:2], 2.0, None)
    pauses = []
    for _ in range(12):
        rounds.on_dial(0.0)
        pauses.append(rounds.after_failure(0.0, 1.0))
    assert pauses[1::2] == pytest.approx([0.4, 0.8, 1.6, 2.0, 2.0, 2.0])
    rounds.on_dial(0.0)
    rounds.on_served()
    rounds.after_loss(0.0, 0.5)
    for _ in range(2):
        rounds.on_dial(0.0)
        pause_s = rounds.after_failure(0.0, 1.0)
    assert pause_s == pytest.approx(0.4)
