"""The operator's orders, as they are written down."""

from evd.core.central.events import CpResumeAsked, CpShutdownAsked, CpStopAsked
from evd.core.central.rows import OperatorEvent, OperatorEventType
from tests.unit.central.network import ready, saved


def test_what_the_operator_did_is_written_down_once() -> None:
    """Proves: each stop and each resume of a charging point is one event with its time; asked
    again while it is so already, nothing was done."""
    network = ready()
    stopped = network.now.wall
    network.call(CpStopAsked(1, "CP-001"))
    network.run(5)
    network.call(CpStopAsked(2, "CP-001"))
    network.call(CpResumeAsked(3, "CP-001"))
    resumed = network.now.wall
    network.run(1)
    network.call(CpResumeAsked(4, "CP-001"))
    assert saved(network.effects, OperatorEvent) == [
        OperatorEvent("CP-001", OperatorEventType.STOPPED, stopped),
        OperatorEvent("CP-001", OperatorEventType.RESUMED, resumed),
    ]


def test_a_shutdown_is_written_down_once_for_each_boot() -> None:
    """Proves: a shutdown is one event, also asked again while it is told; of an engine that was
    started again it is another one."""
    network = ready()
    shut_down = network.now.wall
    network.call(CpShutdownAsked(1, "CP-001"))
    network.run(1)
    network.call(CpShutdownAsked(2, "CP-001"))
    assert saved(network.effects, OperatorEvent) == [
        OperatorEvent("CP-001", OperatorEventType.SHUTDOWN, shut_down)
    ]
