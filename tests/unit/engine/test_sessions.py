"""An engine's sessions: what begins, how it ends, and what is said of it."""

from datetime import timedelta

import attrs
import pytest

from evd.core.engine.events import (
    CommandRead,
    Effect,
    Exit,
    Run,
    SaveMeter,
    SaveRecord,
    SaveRun,
    StopAsked,
    Ticked,
)
from evd.core.engine.orders import REFUSALS_MAX
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.control import Ping
from evd.core.wire.messages import (
    Command,
    CpState,
    CpStatus,
    Outcome,
    ResumeCp,
    Shutdown,
    StartSupply,
    StopCp,
    Telemetry,
)
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


def refused(rig: Rig, effects: list[Effect], why: str) -> bool:
    """Whether exactly one record was said, of a session that never began, for this reason."""
    (record,) = records(effects)
    assert record.outcome is Outcome.FAILED
    assert record.started_at is None
    assert (record.kwh, record.euros, record.fault) == (0, 0, False)
    assert record.boot_id == rig.boot_id
    return why in record.reason


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
    rig = Rig().ready()
    rig.start()
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
    rig = Rig().ready()
    rig.start()
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


def test_a_repeated_start_is_answered_by_a_report() -> None:
    """Proves: a START whose confirmation was lost is confirmed again, and begins nothing twice."""
    rig = Rig().ready()
    rig.start()
    rig.wait(1)
    effects = rig.start()
    (report,) = messages(effects, CpStatus)
    assert (report.state, report.session_id) == (CpState.SUPPLYING, "s1")
    assert len([save for save in rig.disk.saves if isinstance(save, SaveRun)]) == 1


def test_a_start_of_a_session_that_is_kept_is_answered_by_its_record() -> None:
    """Proves: no session is begun again once there is a record of it, confirmed or not, whatever
    boot is named."""
    rig = Rig().ready()
    rig.start()
    rig.wait(10)
    assert sent_again(rig.start()) == ["s1"]
    rig.recorded()
    assert sent_again(rig.start(boot_id="boot-9")) == ["s1"]
    assert sent_again(rig.stop(boot_id="boot-9")) == ["s1"]
    assert rig.shows(CpState.ACTIVATED)


def test_a_start_for_another_boot_is_ignored() -> None:
    """Proves: what was meant for another life, or a twin, is neither begun nor answered."""
    rig = Rig().ready()
    assert rig.start(boot_id="boot-0") == []
    assert rig.stop(boot_id="boot-0") == []
    assert rig.shows(CpState.ACTIVATED)


def test_a_start_is_good_until_its_uptime() -> None:
    """Proves: a START that lay somewhere is refused, to the moment."""
    rig = Rig().ready()
    rig.wait(3)
    assert refused(rig, rig.start("late", until_up_s=2.999), "too late")
    rig.start("just", until_up_s=rig.up_s)
    assert rig.report.session_id == "just"


def test_a_refused_session_never_begins() -> None:
    """Proves: a refusal is for good, and is repeated with the same fields."""
    rig = Rig().ready()
    rig.start("s1")
    (first,) = records(rig.start("s2"))
    assert "busy" in first.reason
    rig.wait(10)
    (again,) = records(rig.start("s2"))
    assert again == first
    assert rig.shows(CpState.ACTIVATED)
    assert "s2" not in rig.disk.records


def test_refusals_are_remembered_up_to_a_bound() -> None:
    """Proves: orders without end don't take memory without end."""
    rig = Rig().ready()
    for number in range(REFUSALS_MAX + 1):
        rig.stop(f"s{number}")
    (again,) = records(rig.stop(f"s{REFUSALS_MAX}"))
    assert again.reason == "session never began: enough"
    assert len(rig.engine._orders._refused) == REFUSALS_MAX


@pytest.mark.parametrize("bill", [True, False])
def test_a_stop_ends_the_session_as_completed(bill: bool) -> None:
    """Proves: a STOP gives its reason to the record, and says whether it is a bill."""
    rig = Rig().ready()
    rig.start()
    rig.wait(4)
    (record,) = records(rig.stop(bill=bill))
    assert (record.outcome, record.reason, record.bill) == (Outcome.COMPLETED, "enough", bill)
    assert record.kwh == 0.04
    assert rig.shows(CpState.ACTIVATED)


@pytest.mark.parametrize("bill", [True, False])
def test_a_stop_of_an_unknown_session_is_answered_with_a_record(bill: bool) -> None:
    """Proves: a STOP for this boot ends in a record, and its session can't begin afterwards."""
    rig = Rig().ready()
    effects = rig.stop("lost", bill=bill)
    assert refused(rig, effects, "never began")
    assert records(effects)[0].bill is bill
    assert refused(rig, rig.start("lost"), "never began")
    assert rig.shows(CpState.ACTIVATED)


def test_a_running_session_is_stopped_whatever_boot_is_named() -> None:
    """Proves: a session that runs is answered by its end."""
    rig = Rig().ready()
    rig.start()
    (record,) = records(rig.stop(boot_id="boot-0"))
    assert record.session_id == "s1"


def test_the_operators_stop_ends_the_session_first() -> None:
    """Proves: STOP_CP bills what was delivered, then takes the charging point out of service, is
    idempotent, and RESUME_CP puts it back."""
    rig = Rig().ready()
    rig.start()
    rig.wait(2)
    effects = rig.command(StopCp("repairs"))
    (record,) = records(effects)
    assert (record.outcome, record.reason, record.bill) == (Outcome.COMPLETED, "repairs", True)
    assert [each.state for each in messages(effects, CpStatus)] == [CpState.STOPPED]
    assert rig.report.reason == "repairs"
    assert rig.command(StopCp("repairs")) == []
    assert refused(rig, rig.start("s2"), "repairs")
    rig.command(ResumeCp())
    assert rig.shows(CpState.ACTIVATED)
    rig.start("s3")
    assert rig.report.session_id == "s3"


def test_sigterm_ends_the_session_and_then_the_engine() -> None:
    """Proves: an engine that is told to stop saves and says its session as failed, but not by its
    own failure, shows that it is no longer there to be used, and ends."""
    rig = Rig().ready()
    rig.start()
    rig.wait(2)
    effects = rig.do(StopAsked())
    (record,) = records(effects)
    assert (record.outcome, record.reason) == (Outcome.FAILED, "engine stopped")
    assert (record.fault, record.bill, record.kwh) == (False, True, 0.02)
    assert rig.disk.records["s1"] == record
    assert rig.shows(CpState.STOPPED)
    assert [each.leaving for each in messages(effects, CpStatus)] == [True]
    assert effects[-1] == Exit()
    assert [effect for effect in rig.wait(3) if isinstance(effect, Exit)] == []
    rig.boot()
    assert rig.disk.run is None


def test_shutdown_is_for_one_boot() -> None:
    """Proves: SHUTDOWN does what SIGTERM does, but a SHUTDOWN that came late ends no later boot."""
    rig = Rig().ready()
    assert rig.command(Shutdown("boot-0")) == []
    rig.command(Shutdown("boot-1"))
    assert rig.exited
    *before, last = [report.leaving for report in messages(rig.effects, CpStatus)]
    assert (set(before), last) == ({None}, True)


def test_a_crash_costs_one_interval_at_most() -> None:
    """Proves: after a crash the session is closed once with its last saved meter and the time of
    that, as the charging point's own failure, at the price of its start, and is not begun again."""
    rig = Rig().ready()
    rig.start()
    rig.wait(4.9)
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
    rig = Rig().ready()
    rig.start()
    rig.wait(3)
    rig.wall_shift_s = -3600.0
    (record,) = records(rig.wait(7))
    assert (record.kwh, record.outcome) == (0.1, Outcome.COMPLETED)
    assert record.started_at is not None
    assert record.ended_at - record.started_at == timedelta(seconds=10)


def test_time_that_the_process_was_stopped_is_energy_too() -> None:
    """Proves: after a SIGSTOP the car has been charging all the while, and is billed for it."""
    rig = Rig(session_seconds=100.0).ready()
    rig.start()
    rig.wait(2)
    rig.now_s += 60
    rig.tick()
    assert messages(rig.effects, Telemetry)[-1].kwh == 0.62
    (record,) = records(rig.wait(38))
    assert record.kwh == 1.0


def test_a_pong_tells_the_newest_report() -> None:
    """Proves: what the monitor passes on is what the engine has told, with the uptime of now."""
    rig = Rig(location="Car park").ready()
    rig.start()
    rig.wait(0.1)
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


def test_words_of_others_never_make_a_message_too_long() -> None:
    """Proves: the longest reason that a command may have still gives a record and a report."""
    rig = Rig().ready()
    rig.command(StopCp("x" * 1000))
    assert refused(rig, rig.start(), "stopped")
    rig.wait(2)
    assert rig.report.reason == "x" * 1000


def test_the_log_tells_the_life_of_a_session() -> None:
    """Proves: an operator reads who charged, how much, and how it ended."""
    rig = Rig().ready()
    rig.start()
    rig.wait(10)
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
