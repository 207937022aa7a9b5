"""Reports that lie: a number from outside that is too high must not silence what is true."""

import pytest

from evd.core.wire.fields import COUNT_MAX
from evd.core.wire.messages import CpState, StartSupply
from tests.unit.central.network import Network, commands, ready


def engine_state(network: Network) -> CpState | None:
    """The state that Central shows for the engine."""
    return network.core.view("CP-001", network.now).engine_state


@pytest.mark.parametrize("seq", [COUNT_MAX, 1000])
def test_a_report_that_the_monitor_contradicts_counts_for_5_s_only(seq: int) -> None:
    """Proves: one forged or broken report with a `seq` that the engine never had is refuted by the
    PONGs of its monitor, and then the engine's own reports count again."""
    network = ready()
    network.status(seq=seq, state=CpState.FAULT)
    assert engine_state(network) is CpState.FAULT
    network.run(7)
    assert engine_state(network) is CpState.ACTIVATED
    network.status(state=CpState.STOPPED)
    assert engine_state(network) is CpState.STOPPED


def test_a_refuted_report_is_not_believed_again() -> None:
    """Proves: what is said again and again with a `seq` that was refuted freezes nothing."""
    network = ready()
    network.status(seq=COUNT_MAX, state=CpState.FAULT)
    network.run(7)
    for _ in range(20):
        network.status(seq=COUNT_MAX, state=CpState.FAULT)
        assert engine_state(network) is CpState.ACTIVATED
        network.run(0.5)


def test_a_pong_with_a_number_too_high_heals_too() -> None:
    """Proves: a garbage `report` or `up_s` in one heartbeat is corrected by those that follow."""
    network = ready()
    network.heartbeat(report=COUNT_MAX, up_s=1e300, engine_state=CpState.FAULT)
    assert engine_state(network) is CpState.FAULT
    network.run(7)
    assert engine_state(network) is CpState.ACTIVATED
    (start,) = commands(network.ask(), StartSupply)
    assert start.until_up_s <= network.up_s + 5.0


def test_a_report_of_the_same_number_that_contradicts_is_refuted() -> None:
    """Proves: a lie with the number that the engine's next report would have had heals as well."""
    network = ready()
    network.heartbeat(report=50)
    network.status(seq=50, state=CpState.FAULT)
    for _ in range(7):
        network.run(1, beat=False)
        network.heartbeat(report=50)
    assert engine_state(network) is CpState.ACTIVATED


def test_a_late_monitor_refutes_nothing() -> None:
    """Proves: a monitor that repeats an old PONG, or whose PONGs always come a little late, takes
    nothing back of what the engine reported since."""
    network = ready()
    network.heartbeat(report=1, up_s=3.0)
    for _ in range(20):
        network.status(state=CpState.STOPPED)
        network.run(1, beat=False)
        network.heartbeat(report=network.seqs["CP-001"] - 1)
        assert engine_state(network) is CpState.STOPPED
    up_s = network.up_s
    for _ in range(20):
        network.run(1, beat=False)
        network.status(state=CpState.FAULT)
        network.heartbeat(report=1, up_s=up_s)
        assert engine_state(network) is CpState.FAULT


def test_a_report_with_an_uptime_too_high_makes_no_start_that_lasts() -> None:
    """Proves: a START is good for seconds, whatever uptime one forged report claimed."""
    network = ready()
    network.status(up_s=1e9)
    (start,) = commands(network.ask(), StartSupply)
    assert start.until_up_s <= network.up_s + 8.0
