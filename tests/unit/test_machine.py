"""The contract that the four cores keep, checked by types and by a first tick."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from evd.core.central import core as central
from evd.core.central import events as of_central
from evd.core.central.rows import Image, Meta
from evd.core.driver import core as driver
from evd.core.driver import events as of_driver
from evd.core.driver.disk import BLANK_DISK
from evd.core.effects import Now
from evd.core.engine import core as engine
from evd.core.engine import events as of_engine
from evd.core.machine import EffectT, EventT, Machine, Saved
from evd.core.monitor import core as monitor
from evd.core.monitor import events as of_monitor

NOW = Now(100.0, datetime(2026, 1, 31, 12, tzinfo=UTC))
LATER = Now(100.5, datetime(2026, 1, 31, 12, tzinfo=UTC))


def of_a_central() -> float:
    """The time at which a Central wants its next tick, after one at LATER."""
    image = Image(Meta("central-1", 1))
    core: Machine[of_central.Event, of_central.Effect] = central.Central(
        of_central.CentralSettings(), image, NOW
    )
    return wake_of(core, of_central.Ticked(broker_up=True))


def of_an_engine() -> float:
    """The same of an engine, once its room on disk is reserved."""
    settings = of_engine.EngineSettings(cp_id="CP-001", kw_rate=22.0, euro_rate=0.3)
    core: Machine[of_engine.Event, of_engine.Effect] = engine.Engine(
        settings, "boot-1", of_engine.EngineDisk(), NOW
    )
    return wake_of(core, Saved())


def of_a_monitor() -> float:
    """The same of a monitor."""
    settings = monitor.MonitorSettings("CP-001", 1.0, 3, 2.0)
    core: Machine[of_monitor.Event, of_monitor.Effect] = monitor.Monitor(settings, "m-1")
    return wake_of(core, of_monitor.Ticked())


def of_a_driver() -> float:
    """The same of a driver."""
    settings = driver.DriverSettings(
        driver_id="driver-1", request_interval_s=4.0, request_timeout_s=10.0
    )
    core: Machine[of_driver.Event, of_driver.Effect] = driver.Driver(settings, BLANK_DISK)
    return wake_of(core, of_driver.Ticked("req-1"))


def wake_of(core: Machine[EventT, EffectT], event: EventT) -> float:
    """Start a core, hand in its first event, and return when it wants the next."""
    core.start(NOW)
    core.handle(event, LATER)
    return core.wake_at_s


@pytest.mark.parametrize("wake", [of_a_central, of_an_engine, of_a_monitor, of_a_driver])
def test_each_core_keeps_the_contract(wake: Callable[[], float]) -> None:
    """Proves: each core is started, takes an event, and names a time for the next that is neither
    past nor so far away that it would take itself for stopped.  That its events and effects fit
    the contract, mypy proves."""
    assert LATER.mono_s <= wake() <= LATER.mono_s + 2.0
