"""States and power over time, worked out from what was written down."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from evd.core.central.power import PowerPoint, thinned
from evd.core.central.rows import EventType
from evd.core.central.spans import Change, StateSpan, states_of, unobserved
from evd.core.central.statistics import Opening

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Some minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def changes(*what: tuple[float, EventType]) -> list[Change]:
    """Changes, each (minutes after noon, its kind)."""
    return [(at(minutes), kind) for minutes, kind in what]


def states(opening: Opening, *what: tuple[float, EventType]) -> list[tuple[str | None, float]]:
    """The states in the hour after noon, each with the minute of its end."""
    found = states_of(opening, changes(*what), NOON, at(60)).spans
    ends = [NOON, *(span.until for span in found)]
    assert [span.since for span in found] == ends[:-1]
    return [(span.state, (span.until - NOON).total_seconds() / 60) for span in found]


def test_each_state_has_its_span() -> None:
    """Proves: a broken engine is BROKEN, a lost monitor DISCONNECTED whatever the engine is, and
    what follows each other has no gap."""
    found = states(
        Opening("CP-001", known_since=at(-100)),
        (10, EventType.FAULT),
        (20, EventType.DISCONNECTED),
        (30, EventType.RECOVERY),
        (40, EventType.RECONNECTED),
    )
    assert found == [("ON", 10.0), ("BROKEN", 20.0), ("DISCONNECTED", 40.0), ("ON", 60.0)]


def test_how_it_stood_before_counts() -> None:
    """Proves: the first state is that in which the span finds it."""
    broken = Opening("CP-001", known_since=at(-1), faulty=True)
    assert states(broken, (5, EventType.RECOVERY)) == [("BROKEN", 5.0), ("ON", 60.0)]
    lost = Opening("CP-001", known_since=at(-1), faulty=True, disconnected=True)
    assert states(lost, (5, EventType.RECONNECTED)) == [("DISCONNECTED", 5.0), ("BROKEN", 60.0)]


def test_what_is_not_known_is_no_state() -> None:
    """Proves: time before a charging point was known, after it was removed, and all time of one
    that nobody knows is shown as not known."""
    assert states(Opening("CP-001")) == [(None, 60.0)]
    assert states(Opening("CP-001", known_since=at(30))) == [(None, 30.0), ("ON", 60.0)]
    assert states(Opening("CP-001"), (30, EventType.FAULT)) == [(None, 30.0), ("BROKEN", 60.0)]
    removed = Opening("CP-001", known_since=at(-5), known_until=at(30))
    assert states(removed) == [("ON", 30.0), (None, 60.0)]
    early = Opening("CP-001", known_since=at(20))
    assert states(early, (10, EventType.FAULT)) == [(None, 10.0), ("BROKEN", 60.0)]
    assert states(Opening("CP-001", known_since=at(90))) == [(None, 60.0)]


def test_no_time_passes_backwards() -> None:
    """Proves: events at one moment leave no span, nor do those that a clock wrote too early or
    outside the span."""
    found = states(
        Opening("CP-001", known_since=at(-100)),
        (-5, EventType.FAULT),
        (10, EventType.RECOVERY),
        (10, EventType.FAULT),
        (10, EventType.RECOVERY),
        (70, EventType.FAULT),
    )
    assert found == [("BROKEN", 10.0), ("ON", 60.0)]
    assert states_of(Opening("CP-001"), [], at(60), NOON).spans == []


def test_a_span_is_what_it_says() -> None:
    """Proves: a span has its charging point's state and both its times."""
    found = states_of(Opening("CP-001", known_since=NOON), [], NOON, at(1))
    assert found.cp_id == "CP-001"
    assert found.spans == [StateSpan("ON", NOON, at(1))]  # type: ignore[arg-type]


def test_a_time_without_central_is_not_known() -> None:
    """Proves: while no Central ran nobody knows how a charging point stood; what it saw before and
    after stays, and a minute that is only late is no gap."""
    ran = [at(minutes) for minutes in (-1, 0, 1, 2, 4.5, 5, 30, 31, 32)]
    gaps = unobserved(ran, at(60))
    assert gaps == [(at(5), at(29)), (at(32), at(60))]
    found = states_of(
        Opening("CP-001", known_since=at(-100)),
        changes((3, EventType.FAULT), (20, EventType.RECOVERY), (29.5, EventType.FAULT)),
        NOON,
        at(60),
        gaps,
    )
    ends = [(span.state, (span.until - NOON).total_seconds() / 60) for span in found.spans]
    assert ends == [
        ("ON", 3.0),
        ("BROKEN", 5.0),
        (None, 29.0),
        ("ON", 29.5),
        ("BROKEN", 32.0),
        (None, 60.0),
    ]
    assert unobserved([], at(60)) == []
    assert unobserved([at(59)], at(60)) == []


def minutes(*kws: float) -> list[PowerPoint]:
    """Samples, one a minute."""
    return [PowerPoint(at(number), kw) for number, kw in enumerate(kws)]


def test_few_samples_are_left_alone() -> None:
    """Proves: up to the bound each sample is a point."""
    assert thinned(minutes(1.0, 2.0, 3.0), 3) == minutes(1.0, 2.0, 3.0)
    assert thinned([]) == []


@pytest.mark.parametrize("count", [1_501, 10_000, 43_200])
def test_many_samples_are_averaged(count: int) -> None:
    """Proves: a month of minutes becomes at most 1,500 points in the order of their times, whose
    mean is that of the samples."""
    points = thinned(minutes(*(n % 50 for n in range(count))))
    assert 750 <= len(points) <= 1_500
    assert points[0].ts == NOON
    assert all(before.ts < after.ts for before, after in pairwise(points))
    assert sum(point.kw for point in points) / len(points) == pytest.approx(24.5, abs=1.0)


def test_a_mean_is_one_over_time() -> None:
    """Proves: many samples within a second weigh no more than the second; a sample that nothing
    follows for hours weighs as a minute."""
    burst = [PowerPoint(at(0) + timedelta(milliseconds=n), 100.0) for n in range(1000)]
    steady = [PowerPoint(at(1 + n), 0.0) for n in range(60)]
    (point,) = thinned([*burst, *steady], 1)
    assert point.ts == NOON
    assert point.kw == pytest.approx(100.0 / 61, abs=0.01)
    gap = [PowerPoint(at(0), 60.0), PowerPoint(at(600), 0.0)]
    (point,) = thinned(gap, 1)
    assert point.kw == 30.0
    at_once = [PowerPoint(NOON, 1.0), PowerPoint(NOON, 3.0)]
    assert len(thinned(at_once, 1)) == 1
