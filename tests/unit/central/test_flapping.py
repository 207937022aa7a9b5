"""One cause writes only so much: a charging point that flaps, and one that may not register."""

from collections import Counter

from evd.core.central.events import Effect
from evd.core.central.rows import ChargingPoint, FaultEvent, HealthSnapshot, ShownState
from evd.core.effects import Note
from evd.core.wire.control import Ack, EngineStatus, KoCause, Nack, NackCode, Recovered
from tests.unit.central.network import Network, answers, events, notes, ready, saved


def flap(network: Network, seconds: float, way: str) -> list[Effect]:
    """Let the monitor of CP-001 change its mind, or come and go, 50 times a second."""
    effects: list[Effect] = []
    for n in range(round(seconds * 25)):
        network.clock_s += 0.02
        effects += network.engine_gone() if way == "verdict" else network.leave()
        network.clock_s += 0.02
        back = way == "verdict"
        effects += network.heartbeat(kind=Recovered) if back else network.register(connection=n + 9)
        if n % 6 == 0:
            effects += network.run(0.25, beat=False)
    network.clock_s = float(round(network.clock_s))
    return effects


def test_a_monitor_that_flaps_writes_little() -> None:
    """Proves: thousands of changes are some rows and a few lines, however they come, and history
    ends as things stand; one line tells of the beginning, one of the end with the count."""
    for way, last in (("verdict", "RECOVERY"), ("connection", "RECONNECTED")):
        network = ready()
        effects = flap(network, 60, way)
        assert len(saved(effects, FaultEvent)) <= 31
        assert len(saved(effects, HealthSnapshot)) <= 33
        assert len(notes(effects)) <= 63
        assert len([line for line in notes(effects) if "too often" in line]) == 1
        assert events(effects)[-1] in ("FAULT", "DISCONNECTED")
        assert network.core.view("CP-001", network.now).state is ShownState.ON
        effects = network.run(12)
        (line,) = [line for line in notes(effects) if "quiet again" in line]
        assert "29" in line, line
        assert events(effects) == [last]
        row = network.rows[ChargingPoint, "CP-001"]
        assert isinstance(row, ChargingPoint)
        assert (row.connected, row.engine_status) == (True, EngineStatus.OK)
        assert events(network.engine_gone()) == ["FAULT"]


def test_what_flapped_and_stays_away_is_written_down() -> None:
    """Proves: the end of flapping hides no outage; its reason is the true one."""
    network = ready()
    flap(network, 3, "connection")
    flap(network, 3, "verdict")
    network.leave()
    effects = network.run(12)
    row = network.rows[ChargingPoint, "CP-001"]
    assert isinstance(row, ChargingPoint)
    assert not row.connected
    assert "did not come back" not in "".join(notes(effects))
    assert network.core.view("CP-001", network.now).state is ShownState.DISCONNECTED


def test_a_charging_point_that_fails_now_and_then_has_its_whole_history() -> None:
    """Proves: changes that a person can follow are all written down."""
    network = ready()
    effects: list[Effect] = []
    for _ in range(40):
        effects += network.engine_gone() + network.run(2.5, beat=False)
        effects += network.engine_back() + network.run(2.5)
    assert Counter(events(effects)) == {"FAULT": 40, "RECOVERY": 40}


def test_a_second_monitor_is_one_line_a_minute() -> None:
    """Proves: of the lines about a monitor that is turned away again and again one is enough, and
    they are about nothing else."""
    network = ready()
    effects: list[Effect] = []
    for n in range(100):
        effects += network.register(connection=200 + n, instance_id="monitor-other")
    said = [each for each in effects if isinstance(each, Note) and "turned away" in each.text]
    assert {(each.about, each.is_one) for each in said} == {("CP CP-001: a second monitor", True)}


def test_charging_points_have_a_bound() -> None:
    """Proves: one more than may be known is NACKed `full`, told by a line of which one is enough,
    and kept nowhere; those that are known register as before, and one that is removed makes
    room."""
    network = ready("CP-001", "CP-002", cps_max=2)
    effects: list[Effect] = []
    for n in range(50):
        effects += network.register(f"CP-1{n}", connection=100 + n)
    assert {nack.code for nack in answers(effects) if isinstance(nack, Nack)} == {NackCode.FULL}
    said = {(each.about, each.is_one) for each in effects if isinstance(each, Note)}
    assert said == {("charging points that find no place", True)}
    assert not saved(effects, ChargingPoint)
    network.leave("CP-001")
    assert isinstance(answers(network.register("CP-001"))[0], Ack)


def test_a_verdict_of_a_flapping_monitor_still_counts() -> None:
    """Proves: what is shown stays true while nothing is written down."""
    network = ready()
    flap(network, 3, "verdict")
    network.engine_gone(cause=KoCause.TIMEOUT)
    assert network.core.view("CP-001", network.now).state is ShownState.BROKEN
    assert not network.core.view("CP-001", network.now).available


def test_heartbeats_are_no_changes() -> None:
    """Proves: a monitor that has nothing new to say, or no PONG, flaps by no number of frames."""
    network = ready()
    for _ in range(100):
        network.clock_s += 0.1
        network.heartbeat()
        network.heartbeat(boot_id=None, report=None, up_s=None, engine_state=None)
    assert events(network.engine_gone()) == ["FAULT"]
