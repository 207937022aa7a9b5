"""The count can fail: each kind of damage is found, and only that."""

from datetime import timedelta
from typing import Any

import attrs

from evd.core.central.ledger import session_id_for
from tests.chaos.verdict import BillWatch, Verdict, judge, last_line
from tests.network.checker import Disk, Facts, Kept, Told
from tests.unit.engine.rig import CP_ID, WALL, record_of

REQUEST = "req-" + "1" * 32
SESSION = session_id_for(REQUEST)
DRIVER = "driver-1"
RECORD = attrs.evolve(
    record_of(SESSION),
    request_id=REQUEST,
    driver_id=DRIVER,
    ended_at=WALL + timedelta(seconds=3),
    kwh=0.5,
    euros=0.15,
)
ROW: dict[str, Any] = {
    "session_id": SESSION,
    "request_id": REQUEST,
    "cp_id": CP_ID,
    "driver_id": DRIVER,
    "status": "COMPLETED",
    "settled": 1,
    "estimated": 0,
    "billable": 1,
    "energy_mwh": 500_000,
    "cost_cents": 15,
    "total_kwh": 0.5,
    "total_cost": 0.15,
}


def facts(
    *rows: dict[str, Any],
    kept: tuple[Kept, ...] = (Kept(RECORD, True),),
    told: tuple[Told, ...] = (Told("COMPLETED", "0.500 kWh, 0.15 €"),),
    stored: str = "COMPLETED",
) -> Facts:
    """A network with one session, which is as it should be where nothing else is said."""
    return Facts(
        sessions=rows,
        requests={REQUEST: {"request_id": REQUEST, "status": stored}},
        disks={CP_ID: Disk(kept, ())},
        told={DRIVER: {REQUEST: told} if told else {}},
        asked={DRIVER: {REQUEST}},
    )


def counts(verdict: Verdict) -> tuple[int, int, int, int, int]:
    """How many cases there are of each kind."""
    return (
        len(verdict.lost),
        len(verdict.billed_twice),
        len(verdict.wrong_totals),
        len(verdict.no_final),
        len(verdict.others),
    )


def test_a_network_that_is_well_has_no_cases() -> None:
    """Proves: nothing is found where nothing is wrong, and the last line says so."""
    verdict = judge(facts(ROW))
    assert counts(verdict) == (0, 0, 0, 0, 0)
    assert last_line(verdict, 1, 9, 2.0) == (
        "1 sessions, 9 faults, lost 0, billed twice 0, wrong totals 0, requests without a final "
        "status 0, other promises broken 0, converged in 2.0 s"
    )


def test_each_kind_of_damage_is_counted_as_what_it_is() -> None:
    """Proves: a missing row, a second one, a wrong total, a silent driver and two endings are each
    found."""
    assert counts(judge(facts()))[0] > 0
    assert counts(judge(facts({**ROW, "status": "ACTIVE"})))[0] == 1
    assert counts(judge(facts(ROW, kept=(Kept(RECORD, False),))))[0] == 1
    assert counts(judge(facts(ROW, ROW)))[1] > 0
    assert counts(judge(facts({**ROW, "energy_mwh": 499_999})))[2] == 1
    assert counts(judge(facts({**ROW, "cost_cents": 16})))[2] == 1
    assert counts(judge(facts(ROW, told=(Told("COMPLETED", "0.500 kWh, 0.16 €"),))))[2] == 1
    assert counts(judge(facts(ROW, told=())))[3] == 1
    assert counts(judge(facts(ROW, stored="IN_PROGRESS")))[3] == 1
    assert counts(judge(facts(ROW, stored="FAILED")))[4] == 1


def test_a_bill_that_changes_is_a_second_bill() -> None:
    """Proves: two looks that differ are found though both rows are plausible; an estimate that is
    settled later is no change."""
    bills = BillWatch()
    bills.look([{**ROW, "settled": 0, "cost_cents": None}])
    bills.look([ROW])
    bills.look([ROW])
    assert bills.changed == []
    bills.look([{**ROW, "cost_cents": 30}])
    assert len(bills.changed) == 1
    assert counts(judge(facts(ROW), changed=bills.changed))[1] == 1


def test_a_car_that_starts_long_after_its_request_failed_is_found() -> None:
    """Proves: 10 s after its driver was told FAILED no car starts for it; within them it may."""
    told = (Told("FAILED", "no coordinator"),)
    stray = attrs.evolve(RECORD, bill=False)
    row = {**ROW, "billable": 0, "cost_cents": 0, "total_cost": 0.0}
    for before_s, found in ((9, 0), (11, 1)):
        verdict = judge(
            facts(row, kept=(Kept(stray, True),), told=told, stored="FAILED"),
            failed_at={REQUEST: WALL - timedelta(seconds=before_s)},
        )
        assert counts(verdict) == (0, 0, 0, 0, found)


def test_a_program_that_crashes_is_found() -> None:
    """Proves: an end that nobody had wished for is no detail."""
    assert counts(judge(facts(ROW), crashes=["exited: CP-001 (exit status 1)"]))[4] == 1
