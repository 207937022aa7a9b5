"""The charging point's table, and the guards of a start."""

from itertools import product

import pytest

from evd.core.engine import transitions
from evd.core.engine.transitions import TRANSITIONS, Event, NoTransition, after
from evd.core.wire.messages import CpState

PAIRS = list(product(CpState, Event))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_a_pair_outside_the_table_has_no_way_on(state: CpState, event: Event) -> None:
    """Proves: the machine moves along its table and nowhere else."""
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(NoTransition) as caught:
        after(state, event)
    assert (caught.value.state, caught.value.event) == (state, event)
    assert state.value in str(caught.value)


def test_only_an_activated_charging_point_begins_to_supply() -> None:
    """Proves: a session can't begin out of any other state."""
    into = {state for (state, _), target in TRANSITIONS.items() if target is CpState.SUPPLYING}
    assert into == {CpState.ACTIVATED}


def test_a_lost_broker_does_not_end_supplying() -> None:
    """Proves: what leads out of SUPPLYING is its end and a failure, and nothing else."""
    out = {event for state, event in TRANSITIONS if state is CpState.SUPPLYING}
    assert out == {Event.SUPPLY_ENDED, Event.FAILED}


def test_every_state_can_fail_and_every_failure_leads_back() -> None:
    """Proves: FAULT is reached from anywhere and is left again into ACTIVATED."""
    for state in set(CpState) - {CpState.FAULT}:
        assert after(state, Event.FAILED) is CpState.FAULT
    assert after(CpState.FAULT, Event.REPAIRED) is CpState.ACTIVATED


def test_every_state_is_reached_from_every_other() -> None:
    """Proves: no state is a dead end."""
    for start in CpState:
        reached, grew = {start}, True
        while grew:
            more = {target for (state, _), target in TRANSITIONS.items() if state in reached}
            grew = not more <= reached
            reached |= more
        assert reached == set(CpState)


def test_guards_say_nothing_where_nothing_hinders() -> None:
    """Proves: a guard that has no objection is empty."""
    assert not transitions.expired(5.0, 5.0)
    assert not transitions.busy(None)
    assert not transitions.out_of_service(None)
    assert not transitions.buffer_full(99, 100)
    assert not transitions.disk_failing("")
    assert not transitions.commands_lost(CpState.ACTIVATED)


def test_guards_say_why_in_words() -> None:
    """Proves: each refusal names its own reason."""
    assert "2.5 s too late" in transitions.expired(7.5, 5.0)
    assert "busy" in transitions.busy("session-1")
    assert "repairs" in transitions.out_of_service("repairs")
    assert "stopped" in transitions.out_of_service("")
    assert "100" in transitions.buffer_full(100, 100)
    assert "disk is full" in transitions.disk_failing("disk is full")
    assert "commands" in transitions.commands_lost(CpState.DISCONNECTED)
