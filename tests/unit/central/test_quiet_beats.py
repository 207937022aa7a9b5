"""Heartbeats that say nothing new: acknowledged without an event, and worth as much as one."""

from typing import Any

import attrs
import pytest

from evd.core.central.events import Answer, CpStopAsked, Effect, MonitorSaid
from evd.core.central.point import Point
from evd.core.effects import Now
from evd.core.wire.control import Ack, EngineStatus, Fault, Heartbeat, KoCause, Register
from evd.core.wire.messages import CpState
from tests.unit.central.network import Network

CP_ID = "CP-001"


def beat(network: Network, **fields: Any) -> Heartbeat:
    """The heartbeat of CP-001's monitor while nothing has changed, but for `fields`."""
    said = {
        "cp_id": CP_ID,
        "seq": 7,
        "engine_status": EngineStatus.OK,
        "ko_cause": None,
        "boot_id": network.boots[CP_ID],
        "report": network.seqs.get(CP_ID, 0),
        "up_s": network.up_s,
        "engine_state": CpState.ACTIVATED,
    }
    return Heartbeat(**{**said, **fields})


def acknowledge(network: Network, message: Heartbeat) -> bool:
    """Whether the ACK is due without an event, on the connection of CP-001."""
    return network.core.acknowledge(network.connections[CP_ID], message, network.now)


def run_quietly(network: Network, seconds: int, **fields: Any) -> None:
    """Let time go by with no event besides ticks."""
    for _ in range(seconds):
        network.run(1.0, beat=False)
        assert acknowledge(network, beat(network, **fields))


def test_a_quiet_heartbeat_keeps_its_point_on() -> None:
    """Proves: for a minute of such heartbeats alone a charging point is ON and can take a driver;
    when they end it is DISCONNECTED within the time-out."""
    network = Network()
    network.register()
    run_quietly(network, 60)
    view = network.view()
    assert (view.state, view.available) == ("ON", True)
    assert view.monitor_last_seen == network.now.wall
    network.run(3.25, beat=False)
    assert network.view().state == "DISCONNECTED"


def test_a_quiet_heartbeat_is_worth_an_event() -> None:
    """Proves: a Central that was told in this way shows, and knows of its engine, what one knows
    that was told by events."""
    quiet, told = Network(), Network()
    for network in (quiet, told):
        network.register()
        for _ in range(5):
            network.run(1.0, beat=False)
            if network is quiet:
                assert acknowledge(network, beat(network, report=int(network.up_s)))
            else:
                network.heartbeat(report=int(network.up_s))
    known = []
    for network in (quiet, told):
        point = network.core._state.points[CP_ID]
        known.append((network.view(), point.report, point.heard_s, point.engine_up_s))
    assert known[0] == known[1]


def test_a_session_that_only_heartbeats_name_goes_on() -> None:
    """Proves: a session of which nothing comes through Kafka is not given up while its monitor says
    that it runs, and is when the monitor does not."""
    network = Network(session_lost_after_s=20.0)
    network.register()
    network.status()
    network.ask()
    session = network.session()
    network.supplying(session)
    supplying = {"engine_state": CpState.SUPPLYING, "session_id": session.session_id}
    run_quietly(network, 60, **supplying)
    assert network.core.active_sessions == 1
    network.run(25.0, beat=False)
    assert network.core.active_sessions == 0


@pytest.mark.parametrize(
    "news",
    [
        {"cp_id": "CP-002"},
        {"engine_status": EngineStatus.KO, "ko_cause": KoCause.TIMEOUT},
        {"boot_id": "boot-2"},
        {"boot_id": None, "report": None, "up_s": None, "engine_state": None},
        {"engine_state": CpState.STOPPED},
        {"session_id": "session-1"},
        {"reason": "its door is open"},
    ],
)
def test_news_is_an_event(news: dict[str, Any]) -> None:
    """Proves: all that Central has to look at is left to its loop."""
    network = Network()
    network.register()
    assert acknowledge(network, beat(network))
    assert not acknowledge(network, beat(network, **news))


def test_a_verdict_is_an_event_though_it_is_known() -> None:
    """Proves: a FAULT, and what follows it until the engine is well, is left to the loop."""
    network = Network()
    network.register()
    ko = {"engine_status": EngineStatus.KO, "ko_cause": KoCause.TIMEOUT}
    network.heartbeat(kind=Fault, **ko)
    assert not acknowledge(network, beat(network, **ko))
    well = attrs.asdict(beat(network))
    assert not acknowledge(network, beat(network))
    network.heartbeat()
    assert not acknowledge(network, Fault(**well))
    assert acknowledge(network, beat(network))


def test_nobody_registered_is_acknowledged() -> None:
    """Proves: before REGISTER, and after another connection has taken over, the loop answers."""
    network = Network()
    network.register()
    first = network.connections[CP_ID]
    assert not network.core.acknowledge(first + 1, beat(network), network.now)
    network.register(connection=first + 1)
    assert not network.core.acknowledge(first, beat(network), network.now)
    assert acknowledge(network, beat(network))


def test_a_core_whose_shell_stands_still_acknowledges_nothing() -> None:
    """Proves: a second after the last tick heartbeats wait for the loop, so that the monitors of
    a Central with a hanging database notice it; with the next tick it goes on."""
    network = Network()
    network.register()
    network.run(1.0)
    network.clock_s += 1.0
    assert acknowledge(network, beat(network))
    network.clock_s += 0.25
    assert not acknowledge(network, beat(network))
    network.run(0.25, beat=False)
    assert acknowledge(network, beat(network))


def test_a_point_out_of_service_is_acknowledged_all_the_same() -> None:
    """Proves: the operator's stop alone makes no news of a heartbeat."""
    network = Network()
    network.register()
    network.tell(CpStopAsked(1, CP_ID))
    assert acknowledge(network, beat(network))


def test_a_monitor_is_not_silent_while_its_register_waits() -> None:
    """Proves: a REGISTER that a busy Central takes up late leaves its monitor the whole time-out,
    from its ACK on: those that have waited the longest are not hung up on first."""
    network = Network()
    network.run(10.0)
    network.boots[CP_ID] = "boot-1"
    said = attrs.asdict(beat(network))
    message = Register(**said, instance_id="monitor-1", kw_rate=22.0, euro_rate=0.3)
    network.tell(MonitorSaid(1, message, at_s=network.clock_s - 2.9))
    network.run(2.5, beat=False)
    assert network.view().state == "ON"
    network.run(1.0, beat=False)
    assert network.view().state == "DISCONNECTED"


def test_a_quiet_heartbeat_that_waited_is_answered_and_no_more() -> None:
    """Proves: one that comes in as an event, since the shell stood still, makes no charging point
    be looked at: ten thousand of them are soon over."""
    network = Network()
    network.register()
    network.run(1.0)
    network.core.take_changed()
    (answer,) = network.tell(MonitorSaid(network.connections[CP_ID], beat(network)))
    assert isinstance(answer, Answer) and isinstance(answer.message, Ack)
    assert network.core.take_changed() == []


def test_a_monitor_that_beats_is_looked_at_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: a tick looks at what changed, and not at each charging point whose monitor goes on:
    it only asks later whether that has become silent, and then says so in time."""
    network = Network()
    network.register()
    # Once the grace after Central's start is over.
    run_quietly(network, 20)
    looked_at = []
    look = Point.ticked

    def ticked(point: Point, now: Now, *, settled: bool) -> list[Effect]:
        looked_at.append(network.clock_s)
        return look(point, now, settled=settled)

    monkeypatch.setattr(Point, "ticked", ticked)
    run_quietly(network, 10)
    assert looked_at == []
    silent_s = network.clock_s
    network.run(4.0, beat=False)
    assert network.view().state == "DISCONNECTED"
    assert silent_s + 3.0 <= looked_at[0] <= silent_s + 3.5
