"""Central's core keeps the contract of the four cores."""

import pytest

from evd.core.central.core import TICK_S
from evd.core.central.events import Polled, Save, Ticked
from evd.core.machine import Saved, SaveFailed
from tests.unit.central.network import asked, ready


def test_a_save_that_succeeded_changes_nothing() -> None:
    """Proves: after Saved the core goes on as it was."""
    network = ready()
    assert [effect for effect in network.ask() if isinstance(effect, Save)]
    assert network.core.handle(Saved(), network.now) == []
    assert network.core.active_requests == 1
    assert network.core.handle(Polled(), network.now) == []


def test_after_a_save_that_failed_the_core_is_spent() -> None:
    """Proves: what the database may not hold is never acted upon: nothing is said any more, and a
    shell that goes on with this core is found at once."""
    network = asked()
    assert network.core.handle(SaveFailed("disk full"), network.now) == []
    with pytest.raises(RuntimeError, match="spent"):
        network.core.handle(Ticked(True), network.now)


def test_the_next_tick_is_wanted_a_quarter_of_a_second_after_the_last() -> None:
    """Proves: a shell that sleeps until `wake_at_s` turns often enough for every time-out."""
    network = ready()
    network.clock_s += 5.0
    network.tell(Ticked(True))
    assert network.core.wake_at_s == pytest.approx(network.clock_s + TICK_S)
