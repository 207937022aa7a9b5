"""The charging point's table, and the guards of a start."""

from itertools import product
from typing import Any

import pytest

from evd.core.engine.states import TRANSITIONS, NoTransition, States, Trigger, after
from evd.core.wire.messages import CpState, Outcome, ResumeCp, StopCp
from tests.unit.engine.rig import Rig, notes, records

PAIRS = list(product(CpState, Trigger))


@pytest.mark.parametrize(("state", "trigger"), PAIRS)
def test_a_pair_outside_the_table_has_no_way_on(state: CpState, trigger: Trigger) -> None:
    """Proves: the machine moves along its table and nowhere else."""
    if (state, trigger) in TRANSITIONS:
        assert after(state, trigger) is TRANSITIONS[state, trigger]
        return
    with pytest.raises(NoTransition) as caught:
        after(state, trigger)
    assert (caught.value.state, caught.value.trigger) == (state, trigger)
    assert state.value in str(caught.value)


def test_only_an_activated_charging_point_begins_to_supply() -> None:
    """Proves: a session can't begin out of any other state."""
    into = {state for (state, _), target in TRANSITIONS.items() if target is CpState.SUPPLYING}
    assert into == {CpState.ACTIVATED}


def test_a_lost_broker_does_not_end_supplying() -> None:
    """Proves: what leads out of SUPPLYING is its end and a failure, and nothing else."""
    out = {trigger for state, trigger in TRANSITIONS if state is CpState.SUPPLYING}
    assert out == {Trigger.SUPPLY_ENDED, Trigger.FAILED}


def test_every_state_can_fail_and_every_failure_leads_back() -> None:
    """Proves: FAULT is reached from anywhere and is left again into ACTIVATED."""
    for state in set(CpState) - {CpState.FAULT}:
        assert after(state, Trigger.FAILED) is CpState.FAULT
    assert after(CpState.FAULT, Trigger.REPAIRED) is CpState.ACTIVATED


def test_every_state_is_reached_from_every_other() -> None:
    """Proves: no state is a dead end."""
    for start in CpState:
        reached, grew = {start}, True
        while grew:
            more = {target for (state, _), target in TRANSITIONS.items() if state in reached}
            grew = not more <= reached
            reached |= more
        assert reached == set(CpState)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        # The last moment of a START and the last place of the buffer are still good.
        ({}, ""),
        ({"up_s": 7.5}, "START came 2.5 s too late"),
        ({"running_session_id": "s1"}, "charging point is busy with another session"),
        ({"stopped": "repairs"}, "charging point is stopped: repairs"),
        ({"stopped": ""}, "charging point is stopped"),
        ({"leaving": True}, "charging point is stopped: engine is stopping"),
        (
            {"unconfirmed": 100},
            "charging point is stopped: session buffer is full (100 not yet confirmed)",
        ),
        ({"disk_reason": "disk is full"}, "disk of the charging point fails: disk is full"),
        ({"state": CpState.DISCONNECTED}, "charging point has lost its commands"),
    ],
)
def test_each_hindrance_names_its_own_reason(facts: dict[str, Any], reason: str) -> None:
    """Proves: every fact that keeps a session from beginning does so, and says it in words; where
    nothing hinders nothing is said."""
    up_s = facts.pop("up_s", 5.0)
    service = {"buffer_size": 100, "unconfirmed": 99, "state": CpState.ACTIVATED}
    assert States(**{**service, **facts}).hindrance(up_s=up_s, until_up_s=5.0) == reason


def test_a_full_buffer_stops_and_resumes_by_itself() -> None:
    """Proves: at the bound nothing is dropped: the charging point is out of service with that
    reason, refuses, and is back when records are confirmed.  Refusals don't count."""
    rig = Rig(session_buffer_size=2).ready()
    rig.stop("never-1")
    rig.stop("never-2")
    rig.charged("s1", "s2")
    assert (rig.state, rig.report.unconfirmed) == (CpState.STOPPED, 2)
    assert "buffer is full" in rig.report.reason
    (record,) = records(rig.start("s3"))
    assert (record.outcome, record.kwh) == (Outcome.FAILED, 0)
    assert "buffer is full" in record.reason
    assert rig.report.unconfirmed == 2
    assert "buffer is full" in (rig.engine.health(rig.now) or "")
    rig.recorded("s1")
    assert rig.shows(CpState.ACTIVATED)
    assert set(rig.disk.records) == {"s1", "s2"}


def test_operator_and_buffer_stop_independently() -> None:
    """Proves: neither reason to be stopped takes the other back."""
    rig = Rig(session_buffer_size=1).ready()
    rig.charged("s1")
    rig.command(StopCp("repairs"))
    assert (rig.state, rig.report.reason) == (CpState.STOPPED, "repairs")
    rig.command(ResumeCp())
    assert rig.shows(CpState.STOPPED)
    assert "buffer is full" in rig.report.reason
    rig.command(StopCp("repairs"))
    rig.recorded("s1")
    assert (rig.state, rig.report.reason) == (CpState.STOPPED, "repairs")
    rig.command(ResumeCp())
    assert rig.shows(CpState.ACTIVATED)


def test_it_is_disconnected_until_it_knows_its_place() -> None:
    """Proves: an engine that could not be told to stop does not offer itself."""
    rig = Rig()
    rig.connected = False
    rig.wait(5)
    assert rig.shows(CpState.DISCONNECTED)
    assert rig.engine.health(rig.now)
    rig.connected = True
    rig.tick()
    assert rig.shows(CpState.ACTIVATED)
    assert rig.engine.health(rig.now) is None


def test_a_lost_broker_disconnects_only_who_is_idle() -> None:
    """Proves: after 3 s without a broker an idle engine is DISCONNECTED, and one that supplies
    goes on to the end."""
    rig = Rig().ready()
    rig.connected = False
    rig.wait(3)
    assert rig.shows(CpState.ACTIVATED)
    rig.wait(0.5)
    assert rig.shows(CpState.DISCONNECTED)
    rig.connected = True
    rig.tick()
    rig.start()
    rig.connected = False
    rig.wait(8)
    assert rig.shows(CpState.SUPPLYING)
    effects = rig.wait(4)
    assert records(effects)[0].outcome is Outcome.COMPLETED
    assert rig.shows(CpState.DISCONNECTED)


def test_a_command_that_is_read_proves_the_place() -> None:
    """Proves: a START is not refused for a connection that the next tick would have shown."""
    rig = Rig()
    rig.beacon()
    assert rig.shows(CpState.DISCONNECTED)
    rig.start()
    assert rig.shows(CpState.SUPPLYING)


def test_an_own_stall_is_no_silence_of_others() -> None:
    """Proves: after a SIGSTOP of the engine neither Central nor the broker is held for away."""
    rig = Rig().charging(9.9)
    rig.connected = False
    rig.central_up = False
    rig.tick()
    rig.now_s += 60
    told = notes(rig.wait(2))
    assert not any("unavailable" in line for line in told)
    assert rig.shows(CpState.ACTIVATED)
    rig.wait(3)
    assert rig.shows(CpState.DISCONNECTED)
