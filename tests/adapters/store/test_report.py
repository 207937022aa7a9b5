"""Reports: which sessions count, in which row, and that the sums are exact."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from evd.adapters.store import SessionFilter, open_store
from evd.adapters.store.report import Grouping, ReportRow
from tests.adapters.store.rows import NOON, a_session, an_ended_session

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
# As they stand in the database: the last ones have no bill that somebody pays.
BILLED = [
    attrs.evolve(an_ended_session(1, "CP-1", 10), start_time=FEBRUARY - MOMENT, energy_mwh=1),
    attrs.evolve(
        an_ended_session(2, "CP-2", 20),
        start_time=FEBRUARY,
        # It counts in the month of its start.
        end_time=FEBRUARY + timedelta(days=40),
        energy_mwh=10**14 + 1,
        driver_id="Bob",
    ),
    attrs.evolve(an_ended_session(3, "CP-1", 0), start_time=FEBRUARY, energy_mwh=0),
    # Suspect once, and accepted.
    attrs.evolve(
        an_ended_session(4, "CP-1", 7), start_time=FEBRUARY, recorded_cents=7, energy_mwh=5
    ),
]
NOT_BILLED = [
    a_session(11),
    an_ended_session(12, cents=None),
    attrs.evolve(an_ended_session(13, cents=0), billable=False, stray=True),
    attrs.evolve(an_ended_session(14, cents=None), suspect=True, recorded_cents=99),
    # Voided by the operator.
    attrs.evolve(an_ended_session(15, cents=0), recorded_cents=99),
]


async def test_what_was_billed_is_summed(db_url: str, tmp_path: Path) -> None:
    """Proves: a report counts each bill once, in the row of its start's month in UTC, of its
    charging point or its driver, in the order of the keys; the sums are exact whole units; what has
    no bill, or nobody to pay it, counts nowhere; filters narrow it."""

    async def report(by: Grouping, which: SessionFilter | None = None) -> list[ReportRow]:
        return await store.report(by, which or SessionFilter(), 100, list)

    async with open_store(db_url, tmp_path) as store:
        assert await report(Grouping.MONTH) == []
        await store.commit([*NOT_BILLED, *BILLED])
        january = ReportRow("2026-01", 1, 1, 10)
        assert await report(Grouping.MONTH) == [january, ReportRow("2026-02", 3, 10**14 + 6, 27)]
        of_cp = [ReportRow("CP-1", 3, 6, 17), ReportRow("CP-2", 1, 10**14 + 1, 20)]
        assert await report(Grouping.CP) == of_cp
        of_bob = ReportRow("Bob", 1, 10**14 + 1, 20)
        of_alice = ReportRow("driver-alice", 3, 6, 17)
        assert await report(Grouping.DRIVER) == [of_bob, of_alice]
        assert await report(Grouping.MONTH, SessionFilter(until=FEBRUARY)) == [january]
        since = SessionFilter(since=FEBRUARY, cp_id="CP-1")
        assert await report(Grouping.CP, since) == [ReportRow("CP-1", 2, 5, 7)]
        assert await report(Grouping.CP, SessionFilter(driver_id="Bob")) == of_cp[1:]
        assert await report(Grouping.CP, SessionFilter(since=NOON + timedelta(days=99))) == []
        assert len(await store.report(Grouping.CP, SessionFilter(), 1, list)) == 1
        with pytest.raises(ZeroDivisionError):
            await store.report(Grouping.CP, SessionFilter(), 1, lambda rows: 1 // 0)
