"""The stops and resumes of the operator, as they are written down."""

from evd.core.central.events import CpResumeAsked, CpStopAsked
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
