"""An engine's sessions: how one begins, is metered and ends, and the reports of it."""

from datetime import timedelta

import attrs
import pytest

from evd.core.engine.events import (
    CommandRead,
    Run,
    SaveMeter,
    SaveRecord,
    SaveRun,
    StopAsked,
    Ticked,
)
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.control import Ping
from evd.core.wire.fields import AMOUNT_MAX, EURO_RATE_MAX, KW_MAX, SESSION_S_MAX
from evd.core.wire.messages import Command, CpState, CpStatus, Outcome, StartSupply, Telemetry
from tests.unit.engine.rig import (
    CENTRAL,
    CP_ID,
    WALL,
    Disk,
    Rig,
    messages,
    notes,
    records,
    sent_again,
)


def test_a_start_is_saved_and_then_reported() -> None:
    """Proves: SUPPLYING is said with its session as soon as it is on disk, and not before."""
    rig = Rig().ready()
    effects = rig.start()
    saved = next(i for i, e in enumerate(effects) if isinstance(e, SaveRun))
    assert not messages(effects[:saved], CpStatus)
    (report,) = messages(effects[saved:], CpStatus)
    assert (report.state, report.session_id, report.request_id) == (CpState.SUPPLYING, "s1", "r1")
    assert (report.driver_id, report.kwh, report.euros) == ("driver-alice", 0, 0)
    assert report.central_id == CENTRAL


def test_a_session_runs_for_its_time_and_is_billed_to_the_cent() -> None:
    """Proves: energy is power times the monotonic time, the bill energy times the rate, and the
    record is kept, said and counted as not yet confirmed."""
    rig = Rig().charging()
    effects = rig.wait(10)
    (record,) = records(effects)
    # 36 kW for 10 s are 0.1 kWh, at 0.50 a kWh.
    assert (record.kwh, record.euros) == (0.1, 0.05)
    assert (record.outcome, record.reason) == (Outcome.COMPLETED, "")
    assert (record.fault, record.bill) == (False, True)
    assert (record.started_at, record.ended_at) == (WALL, WALL + timedelta(seconds=10))
    assert rig.disk.records == {"s1": record}
    assert rig.disk.run is None
    assert (rig.state, rig.report.unconfirmed) == (CpState.ACTIVATED, 1)
    saved = effects.index(SaveRecord(record))
    assert not records(effects[:saved])


def test_each_reading_is_saved_before_it_is_told() -> None:
    """Proves: telemetry comes once an interval, and never tells what is not on disk."""
    rig = Rig().charging()
    effects = rig.wait(9.5)
    told = messages(effects, Telemetry)
    assert [each.kwh for each in told] == [n / 100 for n in range(1, 10)]
    assert [each.euros for each in told] == [n / 200 for n in range(1, 10)]
    assert {(each.kw, each.session_id, each.boot_id) for each in told} == {(36.0, "s1", "boot-1")}
    saved_kwh = 0.0
    for effect in effects:
        if isinstance(effect, SaveMeter):
            saved_kwh = effect.energy_mwh / 1e6
        for told_now in messages([effect], Telemetry):
            assert told_now.kwh == saved_kwh


def test_reports_come_every_two_seconds_and_rise() -> None:
    """Proves: silence of an engine means something, and its reports can be put into order."""
    rig = Rig().ready()
    before = rig.report.seq
    told = messages(rig.wait(20), CpStatus)
    assert [each.seq for each in told] == list(range(before + 1, before + 11))
    assert all(each.state is CpState.ACTIVATED for each in told)
    assert told[-1].up_s == pytest.approx(rig.up_s)


def test_a_crash_costs_one_interval_at_most() -> None:
    """Proves: after a crash the session is closed once with its last saved meter and the time of
    that, as the charging point's own failure, at the price of its start, and is not begun again."""
    rig = Rig().charging(4.9)
    rig.settings = attrs.evolve(rig.settings, euro_rate=9.0, kw_rate=1.0)
    rig.now_s += 3600
    before = len(rig.effects)
    rig.boot()
    effects = rig.effects[before:]
    (record,) = records(effects)
    assert (record.outcome, record.reason) == (Outcome.FAILED, "engine restarted")
    assert (record.fault, record.bill) == (True, True)
    assert (record.kwh, record.euros, record.boot_id) == (0.04, 0.02, "boot-1")
    assert record.ended_at == WALL + timedelta(seconds=4)
    rig.ready()
    assert sent_again(rig.start("s1")) == ["s1"]
    assert rig.shows(CpState.ACTIVATED)
    rig.boot()
    assert [save for save in rig.disk.saves if isinstance(save, SaveRecord)] == [SaveRecord(record)]


def test_a_stepped_wall_clock_changes_nothing_but_what_is_written() -> None:
    """Proves: with the clock an hour back in mid-session, energy, end and bill are the same, and
    the record does not end before it began."""
    rig = Rig().charging(3)
    rig.wall_shift_s = -3600.0
    (record,) = records(rig.wait(7))
    assert (record.kwh, record.outcome) == (0.1, Outcome.COMPLETED)
    assert record.started_at is not None
    assert record.ended_at - record.started_at == timedelta(seconds=10)


def test_time_that_the_process_was_stopped_is_energy_too() -> None:
    """Proves: after a SIGSTOP the car has been charging all the while, and is billed for it."""
    rig = Rig(session_seconds=100.0).charging(2)
    rig.now_s += 60
    rig.tick()
    assert messages(rig.effects, Telemetry)[-1].kwh == 0.62
    (record,) = records(rig.wait(38))
    assert record.kwh == 1.0


def test_a_pong_tells_the_newest_report() -> None:
    """Proves: what the monitor passes on is what the engine has told, with the uptime of now."""
    rig = Rig(location="Car park").charging(0.1)
    pong = rig.engine.pong(Ping(7, None), rig.now)
    assert (pong.seq, pong.cp_id, pong.boot_id) == (7, CP_ID, "boot-1")
    assert (pong.state, pong.session_id) == (CpState.SUPPLYING, "s1")
    assert (pong.kw_rate, pong.euro_rate, pong.location) == (36.0, 0.5, "Car park")
    assert pong.report == rig.report.seq
    assert pong.up_s == pytest.approx(rig.up_s)


def test_while_a_save_is_out_nothing_else_is_handled() -> None:
    """Proves: no shell can make the engine say what is not on disk, and a PING need not wait."""
    rig = Rig().ready()
    order = StartSupply("s1", "r1", "driver-alice", rig.boot_id, 5.0)
    effects = rig.engine.handle(CommandRead(Command(CP_ID, CENTRAL, order)), rig.now)
    (save,) = effects
    assert isinstance(save, SaveRun)
    for event in (Ticked(True), StopAsked()):
        with pytest.raises(RuntimeError):
            rig.engine.handle(event, rig.now)
    assert rig.engine.pong(Ping(1, None), rig.now).session_id is None
    rig.engine.handle(Saved(), rig.now)
    assert rig.engine.pong(Ping(1, None), rig.now).session_id == "s1"
    for outcome in (Saved(), SaveFailed("disk is full")):
        with pytest.raises(RuntimeError):
            rig.engine.handle(outcome, rig.now)


def test_the_log_tells_the_life_of_a_session() -> None:
    """Proves: an operator reads who charged, how much, and how it ended."""
    rig = Rig().charging(10)
    told = notes(rig.effects)
    assert "INFO Session s1 started for driver-alice" in told
    assert "INFO Session s1 COMPLETED, 0.100 kWh" in told


def test_a_run_on_disk_is_closed_whoever_left_it() -> None:
    """Proves: what stands on disk is ended with what was read, even if nothing was."""
    run = Run("s9", "r9", "d9", "boot-0", WALL, 22.0, 0.3)
    rig = Rig(Disk(run=run))
    (record,) = records(rig.effects)
    assert (record.session_id, record.kwh, record.reason) == ("s9", 0, "engine restarted")
    assert record.ended_at == WALL


def test_a_meter_stays_within_what_a_record_can_say() -> None:
    """Proves: at the dearest flags, an engine that was stopped for a year in mid-session ends it
    with a record at the bound of an amount, and goes on."""
    rig = Rig(kw_rate=KW_MAX, euro_rate=EURO_RATE_MAX, session_seconds=SESSION_S_MAX).ready()
    rig.start()
    rig.wait(2)
    rig.now_s += 365 * 86_400
    (record,) = records(rig.tick())
    assert (record.kwh, record.euros) == (AMOUNT_MAX / EURO_RATE_MAX, AMOUNT_MAX)
    rig.beacon()
    assert rig.state is CpState.ACTIVATED


def test_telemetry_has_the_number_of_the_newest_report() -> None:
    """Proves: a reading tells which reports were made before it, so that nobody takes one of those
    for the end of the session."""
    rig = Rig().ready()
    begun = rig.report.seq
    (report,) = messages(rig.start(), CpStatus)
    (reading,) = messages(rig.wait(1), Telemetry)
    assert reading.seq == report.seq > begun
