"""Keys that are looked at by their times."""

import math
from itertools import islice

from evd.core.deadlines import Deadlines


def test_each_key_is_due_once_at_its_time() -> None:
    """Proves: keys come out once each, in the order of their times and then of their asking, and
    none before its time."""
    deadlines = Deadlines[str]()
    for key, at_s in (("b", 2.0), ("a", 1.0), ("c", 2.0)):
        deadlines.by(key, at_s)
    assert len(deadlines) == 3
    assert deadlines.due(0.9) == []
    assert deadlines.due(1.0) == ["a"]
    assert deadlines.due(5.0) == ["b", "c"]
    assert deadlines.due(9.0) == []
    assert len(deadlines) == 0


def test_the_earlier_of_two_times_counts() -> None:
    """Proves: a later time does not put off a look, an earlier one brings it forward, and either
    way there is one look."""
    deadlines = Deadlines[str]()
    deadlines.by("a", 2.0)
    deadlines.by("a", 3.0)
    deadlines.by("a", 1.0)
    assert deadlines.due(1.0) == ["a"]
    assert deadlines.due(3.0) == []
    deadlines.by("a", 2.5)
    assert deadlines.due(3.0) == ["a"]


def test_a_key_that_is_forgotten_is_not_due() -> None:
    """Proves: a forgotten key is not looked at, and is again once it is asked for again."""
    deadlines = Deadlines[str]()
    deadlines.by("a", 1.0)
    deadlines.forget("a")
    deadlines.forget("never")
    assert deadlines.due(2.0) == []
    deadlines.by("a", 4.0)
    assert deadlines.due(4.0) == ["a"]


def test_the_memory_is_bounded_by_what_is_asked() -> None:
    """Proves: a key whose time is put off at each word is kept once."""
    deadlines = Deadlines[str]()
    for step in range(1_000):
        deadlines.by("a", 10.0 + step)
    assert len(deadlines._heap) == 1


def test_a_key_has_one_time() -> None:
    """Proves: the earliest comes first, a later `set` replaces the one before, and one that was
    forgotten never comes."""
    deadlines = Deadlines[str]()
    for key, due_s in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("b", 4.0), ("d", 0.5), ("e", 0.1)):
        deadlines.set(key, due_s)
    deadlines.forget("e")
    assert deadlines.next_s == 0.5
    assert list(islice(deadlines.timed(3.5), 2)) == [("d", 0.5), ("c", 2.0)]
    assert list(deadlines.timed(3.5)) == [("a", 3.0)]
    assert list(deadlines.timed(9.0)) == [("b", 4.0)]
    assert deadlines.next_s == math.inf
