"""The course of a session's power: its points, and when it is written."""

from datetime import timedelta
from itertools import pairwise

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evd.core.central.events import Effect
from evd.core.central.rows import Session, SessionCurve, SessionStatus
from evd.core.curve import POINTS_MAX, Curve, CurvePoint
from evd.core.wire.control import KoCause
from evd.core.wire.messages import Outcome
from tests.unit.central.network import Network, asked, begun, saved

BEGAN_S = 100.0


def drawn(readings: list[tuple[float, float, float]]) -> tuple[CurvePoint, ...]:
    """The course of a session after these readings, each (seconds since its start, kW, kWh)."""
    curve = Curve(BEGAN_S)
    for at_s, kw, kwh in readings:
        curve.take(BEGAN_S + at_s, kw, kwh)
    return curve.points


@pytest.mark.parametrize("count", [1, 2, 119, 120, 121, 3_600, 100_000])
def test_a_long_session_has_few_points_evenly_spread(count: int) -> None:
    """Proves: a course has at most 120 points, and at least 60 where there are so many readings,
    all but the newest at the same distance; begin and end are in it."""
    readings = [(n * 1.0, 22.0 - n / count, n / 160) for n in range(count)]
    points = drawn(readings)
    assert set(points) <= set(readings)
    assert (points[0], points[-1]) == (readings[0], readings[-1])
    assert min(count, POINTS_MAX // 2) <= len(points) <= POINTS_MAX
    gaps = [after[0] - before[0] for before, after in pairwise(points[:-1])]
    assert len(set(gaps)) <= 1


@given(st.lists(st.tuples(st.floats(0.0, 500.0), st.floats(0.0, 400.0)), max_size=400))
@example([(0.05, 0.0)])
def test_any_course_of_readings_is_told_in_few_points(steps: list[tuple[float, float]]) -> None:
    """Proves: whenever readings come, the points rise in time, are readings, begin with the first
    and end with the newest, and are never more than 120."""
    at_s, readings = 0.0, list[CurvePoint]()
    for number, (step_s, kw) in enumerate(steps):
        at_s += step_s
        readings.append((at_s, kw, float(number)))
    points = drawn(readings)
    assert len(points) <= POINTS_MAX
    times = [point[0] for point in points]
    assert times == sorted(set(times))
    # Each has an energy of its own.
    told = {reading[2]: reading for reading in readings}
    for at_s, kw, kwh in points:
        heard_s, heard_kw, _ = told[kwh]
        assert at_s == pytest.approx(heard_s, abs=0.051)
        assert kw == heard_kw
    if readings:
        assert points[-1][2] == readings[-1][2]
        # By the curve's own subtraction: 100.05 - 100 is a little less than 0.05.
        assert points[0][0] == round(BEGAN_S + readings[0][0] - BEGAN_S, 1)


def test_what_is_heard_late_at_once_counts_by_its_last() -> None:
    """Proves: of readings that were held up and come in together the last one is told, so that the
    energy fits its time."""
    assert drawn([(0.0, 22.0, 0.0), (60.0, 22.0, 0.1), (60.0, 22.0, 0.2), (60.0, 22.0, 0.36)]) == (
        (0.0, 22.0, 0.0),
        (60.0, 22.0, 0.36),
    )


def charged(network: Network, session: Session, seconds: int) -> None:
    """Let a session go on at 22 kW, with a meter each second."""
    kwh = network.session().energy_mwh / 1_000_000
    for second in range(1, seconds + 1):
        network.run(1)
        network.meter(session, round(kwh + second * 22.0 / 3600, 6))


def curve_of(effects: list[Effect]) -> SessionCurve:
    """The one curve that is written."""
    (row,) = saved(effects, SessionCurve)
    return row


def test_a_session_s_course_is_written_with_its_end_and_never_again() -> None:
    """Proves: the end of a session and its curve are one commit, whose seconds count from the
    session's start; a second record changes nothing of it."""
    network, session = begun()
    charged(network, session, 5)
    so_far = network.core.curve(session.session_id)
    assert so_far == tuple((float(n), 22.0, round(n * 22.0 / 3600, 6)) for n in range(1, 6))
    effects = network.record(session)
    assert curve_of(effects) == SessionCurve(session.session_id, so_far)
    assert saved(effects, Session)[0].status is SessionStatus.COMPLETED
    assert network.core.curve(session.session_id) == ()
    assert not saved(network.record(session, kwh=9.0), SessionCurve)


def test_an_estimate_has_its_course_and_the_late_record_leaves_it() -> None:
    """Proves: a session that Central closes without a record keeps the course that was heard."""
    network, session = begun()
    charged(network, session, 3)
    network.engine_gone(cause=KoCause.REFUSED)
    effects: list[Effect] = []
    for _ in range(32):
        effects += network.run(1, beat=False)
        effects += network.engine_gone(cause=KoCause.REFUSED)
    assert network.session().estimated
    assert len(curve_of(effects).points) == 3
    settled = network.record(session)
    assert not network.session().estimated
    assert not saved(settled, SessionCurve)


def test_a_suspect_session_has_its_course() -> None:
    """Proves: the operator who must judge a record that can't be sees what was really heard."""
    network, session = begun()
    charged(network, session, 3)
    effects = network.record(session, kwh=500.0, euros=150.0)
    assert network.session().suspect
    assert len(curve_of(effects).points) == 3


def test_only_what_is_believed_is_in_the_course() -> None:
    """Proves: a reading that can't be, one of another boot and one of another charging point leave
    no point; a session that never began has no curve."""
    network, session = begun("CP-001", "CP-002")
    charged(network, session, 1)
    network.run(1)
    network.meter(session, 400.0)
    network.meter(session, 0.01, kw=900.0)
    network.meter(session, 0.01, boot_id="boot-other")
    network.meter(session, 0.01, cp_id="CP-002")
    assert len(network.core.curve(session.session_id)) == 1

    network = asked()
    never = {"started_at": None, "kwh": 0.0, "euros": 0.0, "outcome": Outcome.FAILED}
    effects = network.record(network.session(), **never)
    assert network.session().status is SessionStatus.FAILED
    assert not saved(effects, SessionCurve)


def test_after_a_restart_the_course_goes_on_from_what_is_heard() -> None:
    """Proves: a restart of Central in mid-session costs the points before it, and those after it
    have their seconds since the session's start; a wall clock that was set back makes none of them
    negative."""
    for back in (timedelta(0), timedelta(days=1)):
        network, session = begun()
        charged(network, session, 5)
        row = network.session()
        network.rows[Session, row.session_id] = attrs.evolve(row, start_time=row.start_time + back)
        network.restart()
        network.register()
        charged(network, session, 2)
        first, second = network.core.curve(session.session_id)
        assert first[0] == (0.0 if back else 6.0)
        assert second[0] == first[0] + 1.0
