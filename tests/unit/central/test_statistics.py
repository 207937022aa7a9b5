"""The figures of faults, worked out from their history."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.central.rows import EventType, FaultEvent
from evd.core.central.statistics import Opening, fault_statistics

SINCE = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
UNTIL = SINCE + timedelta(seconds=1000)
KNOWN = Opening("CP-001", SINCE)
FAULT, RECOVERY = EventType.FAULT, EventType.RECOVERY
DISCONNECTED, RECONNECTED = EventType.DISCONNECTED, EventType.RECONNECTED


def at(second: float, event_type: EventType, cp_id: str = "CP-001") -> FaultEvent:
    """An event so many seconds after the span's begin."""
    return FaultEvent(cp_id, event_type, "", after(second))


def after(seconds: float) -> datetime:
    """So many seconds after the span's begin."""
    return SINCE + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("opening", "story", "counts", "figures"),
    [
        (KNOWN, [(400, FAULT), (500, RECOVERY)], (1, 1, 0), (900.0, 100.0, 0.9)),
        (
            KNOWN,
            [(100, DISCONNECTED), (150, FAULT), (200, RECONNECTED), (300, RECOVERY)],
            (1, 1, 1),
            (800.0, 200.0, 0.8),
        ),
        (KNOWN, [], (0, 0, 0), (None, None, 1.0)),
        (Opening("CP-001"), [], (0, 0, 0), (None, None, None)),
        (
            Opening("CP-001", SINCE - timedelta(days=1), disconnected=True),
            [(250, RECONNECTED)],
            (0, 0, 0),
            (None, 250.0, 0.75),
        ),
        (Opening("CP-001", after(500)), [(600, FAULT)], (1, 0, 0), (100.0, None, 0.2)),
        (None, [(600, FAULT)], (1, 0, 0), (0.0, None, 0.0)),
        (
            Opening("CP-001", SINCE, after(500)),
            [(400, DISCONNECTED)],
            (0, 0, 1),
            (400.0, None, 0.8),
        ),
        (Opening("CP-001", SINCE, after(-1), disconnected=True), [], (0, 0, 0), (None, None, None)),
        (KNOWN, [(400, FAULT), (100, RECOVERY), (600, FAULT)], (2, 1, 0), (300.0, 0.0, 0.6)),
    ],
    ids=[
        *("one fault", "overlapping", "nothing happened", "nothing is known", "down before"),
        *("known only later", "never known before", "removed", "removed before", "clock set back"),
    ],
)
def test_the_figures_of_a_story(
    opening: Opening | None,
    story: list[tuple[float, EventType]],
    counts: tuple[int, int, int],
    figures: tuple[float | None, ...],
) -> None:
    """Proves: MTBF, MTTR and uptime are what a person works out by hand: what overlaps counts once,
    an outage that began earlier with its part of the span, the time before anything was known and
    after a removal is neither up nor down, no time is negative, and where nothing is known, or no
    fault was, the figures that need one are null."""
    events = [at(second, event_type) for second, event_type in story]
    [found] = fault_statistics([opening] if opening else [], events, SINCE, UNTIL)
    assert (found.faults, found.recoveries, found.disconnections) == counts
    assert (found.mtbf_s, found.mttr_s, found.uptime) == pytest.approx(figures)


def test_each_charging_point_by_itself_in_order() -> None:
    """Proves: one charging point's faults are no other's, and the list is by cp_id."""
    events = [at(1, EventType.FAULT, "CP-002"), at(2, EventType.DISCONNECTED, "CP-010")]
    found = fault_statistics([KNOWN], events, SINCE, UNTIL)
    assert [(f.cp_id, f.faults, f.disconnections) for f in found] == [
        ("CP-001", 0, 0),
        ("CP-002", 1, 0),
        ("CP-010", 0, 1),
    ]


@given(st.lists(st.tuples(st.floats(-100, 1100), st.sampled_from(EventType)), max_size=30))
def test_whatever_was_written_down(seconds: list[tuple[float, EventType]]) -> None:
    """Proves: every history, in whatever order, gives counts that add up and figures in range."""
    events = [at(second, event_type) for second, event_type in seconds]
    [figures] = fault_statistics([KNOWN], events, SINCE, UNTIL)
    assert figures.faults == sum(e is EventType.FAULT for _, e in seconds)
    assert figures.uptime is not None and 0.0 <= figures.uptime <= 1.0
    for figure in (figures.mtbf_s, figures.mttr_s):
        assert figure is None or 0.0 <= figure <= 1000.0
