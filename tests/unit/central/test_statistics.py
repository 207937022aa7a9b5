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


def at(second: float, event_type: EventType, cp_id: str = "CP-001") -> FaultEvent:
    """An event so many seconds after the span's begin."""
    return FaultEvent(cp_id, event_type, "", SINCE + timedelta(seconds=second))


def test_one_fault_and_its_recovery() -> None:
    """Proves: MTBF, MTTR and uptime are what a person works out by hand."""
    events = [at(400, EventType.FAULT), at(500, EventType.RECOVERY)]
    [figures] = fault_statistics([KNOWN], events, SINCE, UNTIL)
    assert (figures.faults, figures.recoveries, figures.disconnections) == (1, 1, 0)
    assert (figures.mtbf_s, figures.mttr_s, figures.uptime) == (900.0, 100.0, 0.9)


def test_a_fault_while_disconnected_is_one_outage() -> None:
    """Proves: what overlaps is not counted as time twice."""
    events = [
        at(100, EventType.DISCONNECTED),
        at(150, EventType.FAULT),
        at(200, EventType.RECONNECTED),
        at(300, EventType.RECOVERY),
    ]
    [figures] = fault_statistics([KNOWN], events, SINCE, UNTIL)
    assert (figures.faults, figures.disconnections) == (1, 1)
    assert (figures.mtbf_s, figures.mttr_s, figures.uptime) == (800.0, 200.0, 0.8)


def test_nothing_happened() -> None:
    """Proves: without a fault the uptime is whole, and the figures that need one are null."""
    [figures] = fault_statistics([KNOWN], [], SINCE, UNTIL)
    assert (figures.mtbf_s, figures.mttr_s, figures.uptime) == (None, None, 1.0)


def test_nothing_is_known() -> None:
    """Proves: of a charging point that nothing is known of nothing is said."""
    [figures] = fault_statistics([Opening("CP-001")], [], SINCE, UNTIL)
    assert (figures.faults, figures.mtbf_s, figures.mttr_s, figures.uptime) == (0, None, None, None)


def test_down_before_the_span_began() -> None:
    """Proves: an outage that began earlier counts with its part of the span."""
    opening = Opening("CP-001", SINCE - timedelta(days=1), disconnected=True)
    [figures] = fault_statistics([opening], [at(250, EventType.RECONNECTED)], SINCE, UNTIL)
    assert (figures.mtbf_s, figures.mttr_s, figures.uptime) == (None, 250.0, 0.75)


def test_known_only_later() -> None:
    """Proves: the time before anything was known is no uptime."""
    later = Opening("CP-001", SINCE + timedelta(seconds=500))
    events = [at(600, EventType.FAULT)]
    [figures] = fault_statistics([later], events, SINCE, UNTIL)
    assert (figures.mtbf_s, figures.mttr_s, figures.uptime) == (100.0, None, 0.2)
    [unknown] = fault_statistics([], events, SINCE, UNTIL)
    assert (unknown.mtbf_s, unknown.uptime) == (0.0, 0.0)


def test_known_only_until() -> None:
    """Proves: the time after a charging point was removed is neither up nor down, and of one that
    was removed before the span nothing is said."""
    removed = Opening("CP-001", SINCE, SINCE + timedelta(seconds=500))
    events = [at(400, EventType.DISCONNECTED)]
    [figures] = fault_statistics([removed], events, SINCE, UNTIL)
    assert (figures.disconnections, figures.mtbf_s, figures.mttr_s) == (1, 400.0, None)
    assert figures.uptime == 0.8
    before = Opening("CP-001", SINCE, SINCE - timedelta(seconds=1), disconnected=True)
    [figures] = fault_statistics([before], [], SINCE, UNTIL)
    assert (figures.mtbf_s, figures.mttr_s, figures.uptime) == (None, None, None)


def test_a_clock_that_was_set_back() -> None:
    """Proves: no time is negative, and none is counted twice."""
    events = [at(400, EventType.FAULT), at(100, EventType.RECOVERY), at(600, EventType.FAULT)]
    [figures] = fault_statistics([KNOWN], events, SINCE, UNTIL)
    assert figures.mttr_s == 0.0
    assert figures.uptime == pytest.approx(0.6)


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
