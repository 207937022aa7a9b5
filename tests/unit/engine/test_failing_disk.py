"""An engine whose disk fails, hangs, or is full."""

import pytest

from evd.core.engine.events import Exit, ReadFailed, ReserveRoom, SaveRecord, StopAsked
from evd.core.wire.messages import CpState, CpStatus, Outcome, StopCp, Telemetry
from tests.unit.engine.rig import Disk, Rig, messages, notes, records, sent_again

FULL = "disk is full"


def test_a_session_that_can_not_be_saved_does_not_begin() -> None:
    """Proves: a START on a failing disk is refused with that reason, is no fault of a session, and
    the charging point is in FAULT until the disk works."""
    rig = Rig().ready()
    rig.disk.failing = FULL
    (record,) = records(rig.start())
    assert (record.started_at, record.fault) == (None, False)
    assert FULL in record.reason
    assert (rig.state, rig.report.reason) == (CpState.FAULT, FULL)
    assert FULL in (rig.engine.health(rig.now) or "")
    rig.wait(5)
    (again,) = records(rig.start("s2"))
    assert FULL in again.reason
    rig.repaired()
    assert rig.shows(CpState.ACTIVATED)
    assert rig.start("s1")
    assert rig.shows(CpState.ACTIVATED)
    rig.start("s3")
    assert rig.report.session_id == "s3"


def test_a_meter_unsaved_for_5_s_ends_the_session() -> None:
    """Proves: a session whose meter can't be kept ends as the charging point's own fault; its
    record is held, said only once it is on disk, and FAULT is left only when the disk has proved
    itself."""
    rig = Rig(session_seconds=60.0).charging(2)
    rig.disk.failing = FULL
    effects = rig.wait(5.9)
    assert rig.shows(CpState.SUPPLYING)
    assert messages(effects, Telemetry) == []
    effects = rig.wait(2)
    assert (rig.state, rig.report.unconfirmed) == (CpState.FAULT, 1)
    assert rig.report.session_id is None
    rig.wait(10)
    assert records(rig.effects) == []
    assert rig.stop() == []
    effects = rig.repaired()
    (record,) = records(effects)
    assert (record.outcome, record.fault, record.bill) == (Outcome.FAILED, True, True)
    assert "meter" in record.reason
    # To the moment at which the car was switched off, and not to the last meter on disk.
    assert 0.08 <= record.kwh <= 0.085
    assert rig.disk.records == {"s1": record}
    assert rig.shows(CpState.FAULT)
    rig.wait(1)
    assert rig.shows(CpState.ACTIVATED)


def test_a_stop_tries_once_more_to_save_what_ended() -> None:
    """Proves: an engine that stops as its disk works again leaves no ended session behind."""
    rig = Rig().charging(9.5)
    rig.disk.failing = FULL
    rig.wait(1)
    rig.disk.failing = ""
    effects = rig.do(StopAsked())
    (record,) = records(effects)
    assert record.outcome is Outcome.COMPLETED
    assert effects[-1] == Exit()


def test_a_meter_that_is_late_by_less_ends_nothing() -> None:
    """Proves: a disk that was away for some seconds costs no session."""
    rig = Rig(session_seconds=60.0).charging()
    for _ in range(3):
        rig.disk.failing = FULL
        rig.wait(4.5)
        rig.repaired(2)
    assert rig.shows(CpState.SUPPLYING)
    assert messages(rig.effects, Telemetry)[-1].kwh == pytest.approx(0.195, abs=0.01)


def test_an_own_stall_is_no_failure_of_the_meter() -> None:
    """Proves: a process that was stopped after one failed save gives the disk its 5 s again."""
    rig = Rig(session_seconds=600.0).charging()
    rig.disk.failing = FULL
    rig.wait(2)
    rig.now_s += 60
    rig.tick()
    assert rig.shows(CpState.SUPPLYING)
    rig.repaired(2)
    assert rig.shows(CpState.SUPPLYING)
    assert messages(rig.effects, Telemetry)[-1].kwh > 0.6


def test_a_record_that_can_not_be_saved_is_tried_each_second() -> None:
    """Proves: the end of a session is never lost to a full disk, nor said before it is kept, and
    what ended while it was full is not doubled."""
    rig = Rig().charging(9.5)
    rig.disk.failing = FULL
    effects = rig.wait(5)
    assert len([effect for effect in effects if isinstance(effect, SaveRecord)]) >= 4
    assert records(effects) == []
    assert (rig.state, rig.report.unconfirmed) == (CpState.FAULT, 1)
    assert rig.start() == []
    (record,) = records(rig.repaired())
    assert (record.outcome, record.fault) == (Outcome.COMPLETED, False)
    assert record.kwh == pytest.approx(0.1, abs=0.001)
    assert records(rig.wait(5)) == []


def test_the_end_of_a_crashed_session_waits_for_the_disk() -> None:
    """Proves: an engine that starts on a full disk runs, shows FAULT, and closes the old session
    when it can."""
    rig = Rig().charging(3)
    rig.disk.failing = FULL
    rig.boot()
    rig.wait(2)
    assert (rig.state, rig.report.unconfirmed) == (CpState.FAULT, 1)
    (record,) = records(rig.repaired())
    assert record.reason == "engine restarted"
    rig.wait(1)
    assert rig.shows(CpState.ACTIVATED)


def test_no_room_for_the_next_record_is_a_fault_before_anybody_asks() -> None:
    """Proves: a charging point that could not keep the next session does not offer itself."""
    rig = Rig(Disk(failing=FULL))
    rig.tick()
    assert rig.shows(CpState.FAULT)
    rig.repaired()
    assert rig.shows(CpState.ACTIVATED)


def test_between_two_sessions_it_is_never_shown_free_without_room() -> None:
    """Proves: after a session's end the room comes first, then the report that it is free."""
    rig = Rig().charging()
    effects = rig.wait(10)
    room = effects.index(ReserveRoom())
    assert all(each.state is CpState.SUPPLYING for each in messages(effects[:room], CpStatus))
    assert messages(effects[room:], CpStatus)[0].state is CpState.ACTIVATED


def test_a_confirmation_that_can_not_be_saved_is_asked_for_again() -> None:
    """Proves: an unsaved confirmation did not happen: the record stays and is sent again."""
    rig = Rig().charging(10)
    rig.disk.failing = FULL
    rig.recorded()
    assert (rig.state, rig.report.unconfirmed) == (CpState.FAULT, 1)
    assert sent_again(rig.repaired(30)) == ["s1"]


def test_a_disk_that_fails_beside_the_meter_ends_no_session() -> None:
    """Proves: while a car charges, only its meter decides whether it may go on."""
    rig = Rig().charging(10)
    rig.start("s2")
    rig.disk.failing = FULL
    rig.recorded("s1")
    rig.renamed("central-2")
    rig.repaired()
    assert rig.shows(CpState.SUPPLYING)
    assert rig.report.unconfirmed == 1


def test_a_disk_that_can_not_be_read_is_a_fault() -> None:
    """Proves: records that can't be read back are a failing disk like any other."""
    rig = Rig().ready()
    told = notes(rig.do(ReadFailed(("s1",), "I/O error")))
    assert any("I/O error" in line for line in told)
    assert rig.shows(CpState.FAULT)
    rig.wait(1.5)
    assert rig.shows(CpState.ACTIVATED)


def test_a_stop_on_a_failing_disk_ends_all_the_same() -> None:
    """Proves: SIGTERM is never held up by a disk; what can't be saved is closed at the next start
    with its last saved meter."""
    rig = Rig().charging(2.1)
    rig.disk.failing = FULL
    effects = rig.do(StopAsked())
    assert effects[-1] == Exit()
    assert records(effects) == []
    rig.disk.failing = ""
    rig.boot()
    (record,) = records(rig.effects)
    assert (record.reason, record.kwh) == ("engine restarted", 0.02)


def test_an_operators_stop_outlives_a_fault() -> None:
    """Proves: FAULT takes no stop back."""
    rig = Rig().charging()
    rig.disk.failing = FULL
    rig.command(StopCp("repairs"))
    assert rig.shows(CpState.FAULT)
    rig.repaired(3)
    assert (rig.state, rig.report.reason) == (CpState.STOPPED, "repairs")


def test_a_start_that_the_disk_held_up_too_long_does_not_begin() -> None:
    """Proves: no car starts later than its START was good for, even if the save took so long; and
    nothing of it stays on disk."""
    rig = Rig().ready()
    rig.save_s = 2.4
    (record,) = records(rig.start(until_up_s=rig.up_s + 2))
    assert "too late" in record.reason
    assert record.started_at is None
    assert rig.disk.run is None
    assert rig.shows(CpState.ACTIVATED)


def test_a_disk_that_only_times_out_ends_the_session_too() -> None:
    """Proves: a disk that hangs is no stall of the engine: each save takes its time-out, and the
    meter is given up all the same."""
    rig = Rig(session_seconds=60.0).charging()
    rig.save_s, rig.disk.failing = 2.5, "disk did not answer within 2.5 s"
    rig.wait(12)
    assert rig.shows(CpState.FAULT)
    assert rig.report.unconfirmed == 1
