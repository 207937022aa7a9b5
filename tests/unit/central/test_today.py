"""The totals of the day: rows that were stored go in, sums come out."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs
import pytest

from evd.core.central import today as today_module
from evd.core.central.overview import DayTotals, Ended, EndedOfDay
from evd.core.central.rows import Session, SessionStatus
from evd.core.central.today import Today
from evd.core.effects import Now

DAY = date(2026, 1, 31)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = Now(1000.0, NOON)
TOMORROW = Now(50_000.0, NOON + timedelta(hours=13))


def ended(number: int = 1, **fields: Any) -> Session:
    """A settled session of 1 kWh and 30 cents that ended at noon."""
    row = Session(
        f"session-{number}",
        f"req-{number}",
        "CP-001",
        "driver-a",
        NOON,
        end_time=NOON,
        energy_mwh=1_000_000,
        cost_cents=30,
        status=SessionStatus.COMPLETED,
        settled=True,
    )
    return attrs.evolve(row, **fields)


def test_it_goes_on_from_what_is_stored() -> None:
    """Proves: after Central's start the totals are those of the database, and rise from there."""
    today = Today(DAY, EndedOfDay(Ended(2, 500_000, 10)))
    assert today.at(NOW) == DayTotals(DAY, 2, 0.5, 0.1)
    today.take([ended()], NOW)
    assert today.at(NOW) == DayTotals(DAY, 3, 1.5, 0.4)


def test_a_running_session_counts_when_it_has_ended() -> None:
    """Proves: an ACTIVE row adds nothing."""
    today = Today(DAY, EndedOfDay())
    today.take([ended(status=SessionStatus.ACTIVE, end_time=None)], NOW)
    assert today.at(NOW).sessions == 0


def test_an_estimate_is_replaced_by_its_record() -> None:
    """Proves: a session that is closed as an estimate, and then settled, counts once, with what
    settled it; also where the estimate was stored before a restart."""
    estimate = ended(settled=False, cost_cents=None, energy_mwh=400_000)
    today = Today(DAY, EndedOfDay())
    today.take([estimate], NOW)
    assert today.at(NOW) == DayTotals(DAY, 1, 0.4, 0.0)
    today.take([ended()], NOW)
    assert today.at(NOW) == DayTotals(DAY, 1, 1.0, 0.3)
    stored = Ended(1, 400_000, 0)
    restarted = Today(DAY, EndedOfDay(stored, {"session-1": stored}))
    restarted.take([ended()], NOW)
    assert restarted.at(NOW) == DayTotals(DAY, 1, 1.0, 0.3)


def test_a_new_day_begins_at_nought() -> None:
    """Proves: at midnight in UTC the totals begin anew, with the sessions of clocks that were
    ahead."""
    today = Today(DAY, EndedOfDay())
    today.take([ended(1), ended(2, end_time=TOMORROW.wall)], NOW)
    assert today.at(NOW).sessions == 1
    assert today.at(TOMORROW) == DayTotals(date(2026, 2, 1), 1, 1.0, 0.3)


@pytest.mark.parametrize("days", [-400, -1, 2, 4000])
def test_a_wrong_clock_counts_for_no_day(days: int) -> None:
    """Proves: a session whose end is not of today or tomorrow adds nothing, and takes no memory."""
    today = Today(DAY, EndedOfDay())
    today.take([ended(end_time=NOON + timedelta(days=days))], NOW)
    assert today.at(NOW).sessions == 0


def test_what_may_still_change_is_bounded() -> None:
    """Proves: a flood of estimates takes bounded memory; one beyond the bound keeps its first
    amounts."""
    today = Today(DAY, EndedOfDay())
    count = today_module.UNSETTLED_MAX + 1
    today.take([ended(n, settled=False, cost_cents=None) for n in range(count)], NOW)
    assert today.at(NOW).sessions == count
    today.take([ended(count - 1)], NOW)
    assert today.at(NOW).sessions == count
