"""Monitors: registered once a charging point, KO when silent, told of each change once."""

from typing import Any

import pytest

from evd.core.central.events import (
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    FrameRefused,
    HangUp,
    MonitorSaid,
    RecoveryAccepted,
    Refusal,
)
from evd.core.central.rows import ChargingPoint, ShownState
from evd.core.effects import Send
from evd.core.wire.control import Ack, Bye, EngineStatus, Heartbeat, KoCause, Nack, NackCode
from evd.core.wire.messages import Beacon, CpState, RequestStatus, ResumeCp, Shutdown, StopCp
from tests.unit.central.network import (
    Network,
    answers,
    asked,
    begun,
    commands,
    events,
    ready,
    updates,
)


def beacons(effects: list[Any]) -> list[Beacon]:
    """The beacons that are sent."""
    return [e.message for e in effects if isinstance(e, Send) and isinstance(e.message, Beacon)]


def test_registering_is_answered_with_the_pace_and_makes_central_speak() -> None:
    """Proves: the ACK names Central and a third of the time-out; the first beacon follows."""
    network = Network()
    effects = network.register()
    (ack,) = answers(effects)
    assert ack == Ack(1, "central-1", heartbeat_s=1.0)
    assert len(beacons(effects)) == 1
    assert 4 <= len(beacons(network.run(5))) <= 6


@pytest.mark.parametrize(
    ("engine_status", "ko_cause", "state"),
    [
        (EngineStatus.OK, None, ShownState.ON),
        (EngineStatus.KO, KoCause.REFUSED, ShownState.BROKEN),
        (EngineStatus.KO, KoCause.TIMEOUT, ShownState.BROKEN),
    ],
)
def test_the_status_matrix(
    engine_status: EngineStatus, ko_cause: KoCause | None, state: ShownState
) -> None:
    """Proves: monitor OK shows ON or BROKEN; monitor KO shows DISCONNECTED whatever the engine."""
    network = Network()
    network.register(engine_status=engine_status, ko_cause=ko_cause)
    assert network.view().state is state
    network.leave()
    assert network.view().state is ShownState.DISCONNECTED


def test_a_silent_monitor_is_hung_up_on() -> None:
    """Proves: 3 s without a frame: KO, an event, and the connection is closed."""
    network = ready()
    effects = network.run(2.5, beat=False)
    assert not [e for e in effects if isinstance(e, HangUp)]
    effects = network.run(0.5, beat=False)
    assert [e for e in effects if isinstance(e, HangUp)]
    assert events(effects) == ["DISCONNECTED"]


def test_a_fault_and_a_recovery_are_told_once() -> None:
    """Proves: each change of the verdict is one event, however often it is said."""
    network = ready()
    effects = network.engine_gone() + network.engine_gone() + network.engine_back()
    assert events(effects) == ["FAULT", "RECOVERY"]


def test_an_engine_restarted_within_the_verdict_is_a_fault_and_a_recovery() -> None:
    """Proves: a supervisor quicker than the monitor hides nothing."""
    network, _ = begun()
    network.boots["CP-001"], network.seqs["CP-001"] = "boot-2", 0
    effects = network.heartbeat()
    assert events(effects) == ["FAULT", "RECOVERY"]
    (update,) = updates(effects)
    assert (update.status, update.kw) == (RequestStatus.IN_PROGRESS, None)


@pytest.mark.parametrize("central_too", [False, True])
def test_an_engine_that_was_told_to_end_has_no_fault(central_too: bool) -> None:
    """Proves: the next boot of an engine that said that it ends is none, also after a restart of
    Central itself, as when a whole network is stopped and started; a crash after that is one."""
    network = ready()
    effects = network.status(state=CpState.STOPPED, leaving=True)
    effects += network.heartbeat(engine_state=CpState.STOPPED)
    effects += network.leave()
    if central_too:
        network.restart()
    network.boots["CP-001"], network.seqs["CP-001"] = "boot-2", 0
    effects += network.register()
    assert events(effects) == ["DISCONNECTED", "RECONNECTED"]
    network.boots["CP-001"] = "boot-3"
    assert events(network.heartbeat()) == ["FAULT", "RECOVERY"]


def test_an_engine_of_the_release_before_costs_one_fault() -> None:
    """Proves: an engine that ends on purpose and can't say so is one fault and one recovery, once;
    its sentence is not read."""
    network = ready()
    effects = network.status(state=CpState.STOPPED, reason="engine is stopping")
    network.boots["CP-001"], network.seqs["CP-001"] = "boot-2", 0
    effects += network.heartbeat() + network.status() + network.heartbeat()
    assert events(effects) == ["FAULT", "RECOVERY"]


def test_an_engine_that_ends_stays_known_as_leaving() -> None:
    """Proves: a PONG that is newer than the engine's last words takes nothing of them back."""
    network = ready()
    network.status(state=CpState.STOPPED, leaving=True)
    network.heartbeat(engine_state=CpState.STOPPED, report=network.seqs["CP-001"] + 1)
    network.boots["CP-001"], network.seqs["CP-001"] = "boot-2", 0
    assert events(network.heartbeat()) == []


def test_a_second_monitor_is_turned_away_and_the_same_one_takes_over() -> None:
    """Proves: another instance_id is NACKed `duplicate`, the same one replaces its connection."""
    network = ready()
    effects = network.register(connection=77, instance_id="monitor-other")
    assert answers(effects) == [Nack(1, "duplicate", code=NackCode.DUPLICATE)]
    old = network.connections["CP-001"]
    effects = network.register(connection=78)
    assert [e.connection for e in effects if isinstance(e, HangUp)] == [old]
    assert isinstance(answers(effects)[0], Ack)


def test_another_monitor_may_follow_a_silent_one() -> None:
    """Proves: a charging point whose monitor died without a word is not locked out."""
    network = ready()
    network.clock_s += 0.5
    network.run(2.75, beat=False)
    network.clock_s += 0.5
    effects = network.register(connection=77, instance_id="monitor-new")
    assert isinstance(answers(effects)[0], Ack)


def test_what_comes_before_register_or_for_another_point_is_refused() -> None:
    """Proves: NACK with the message's seq, and the code that programs go by."""
    network = ready()
    beat = Heartbeat("CP-001", 9, EngineStatus.OK, None)
    (nack,) = answers(network.tell(MonitorSaid(500, beat)))
    assert (type(nack), nack.seq, nack.code) == (Nack, 9, NackCode.NOT_REGISTERED)
    other = Heartbeat("CP-002", 10, EngineStatus.OK, None)
    (nack,) = answers(network.tell(MonitorSaid(network.connections["CP-001"], other)))
    assert (type(nack), nack.seq, nack.code) == (Nack, 10, NackCode.OTHER_CP)
    bad = FrameRefused(500, NackCode.BAD_FRAME, None, "bad frame: lrc")
    assert answers(network.tell(bad)) == [Nack(None, "bad frame: lrc", code=NackCode.BAD_FRAME)]


def test_goodbye_is_disconnected_at_once() -> None:
    """Proves: an intended stop is shown at once, with its reason; charging goes on."""
    network, _ = begun()
    number = network.connections["CP-001"]
    effects = network.tell(MonitorSaid(number, Bye("CP-001", 3, "SIGTERM")))
    assert events(effects) == ["DISCONNECTED"]
    (update,) = updates(effects)
    assert "charging goes on" in update.reason


def test_after_goodbye_a_connection_is_over() -> None:
    """Proves: what still comes on it changes nothing, neither for a charging point that was
    removed since nor for the monitor that follows."""
    network = ready()
    first = network.connections["CP-001"]
    bye = MonitorSaid(first, Bye("CP-001", 3, "SIGTERM"))
    effects = network.tell(bye)
    assert HangUp(first) in effects
    network.register(connection=first + 1, instance_id="monitor-2")
    (nack,) = answers(network.tell(bye))
    assert nack.code == NackCode.NOT_REGISTERED
    assert network.view().state is ShownState.ON
    network.leave()
    network.call(CpRemovalAsked(1, "CP-001"))
    bad = FrameRefused(first, NackCode.BAD_FIELD, 4, "kw_rate: must be a number")
    assert answers(network.tell(bad)) == [Nack(4, bad.reason, code=NackCode.BAD_FIELD)]


def test_a_restarted_central_writes_no_events_for_monitors_that_come_back() -> None:
    """Proves: Central's own restart is no fault of a charging point; who stays away is one."""
    network = ready("CP-001", "CP-002")
    network.restart()
    effects = network.run(1) + network.register("CP-001") + network.run(3)
    assert events(effects) == ["DISCONNECTED"]


def test_reports_of_another_boot_change_nothing_and_raise_a_fault() -> None:
    """Proves: a second engine that no monitor sees is told as `duplicate engine`, once; the fault
    ends with it, and does not count as down for ever."""
    network = ready()
    effects = []
    for number in range(10):
        network.run(1)
        network.status()
        effects += network.status(boot_id="boot-twin", seq=number, state=CpState.STOPPED)
    assert events(effects) == ["FAULT"]
    assert network.view().engine_state is CpState.ACTIVATED
    assert events(network.run(9)) == []
    assert events(network.run(2)) == ["RECOVERY"]


def test_an_old_report_changes_nothing() -> None:
    """Proves: within a boot the newest report counts, whichever way it came."""
    network = ready()
    network.status(seq=50, state=CpState.STOPPED)
    network.status(seq=49, state=CpState.ACTIVATED)
    assert network.view().engine_state is CpState.STOPPED


def test_stop_and_resume_are_repeated_until_the_engine_reports_them() -> None:
    """Proves: an admin stop is stored, survives Central's restart, and is level, not edge."""
    network = ready()
    assert network.refusal(CpStopAsked(1, "CP-404")) is Refusal.UNKNOWN
    assert not network.view().stopped
    assert network.call(CpStopAsked(2, "CP-001")) is None
    assert network.view().stopped
    assert len(commands(network.run(2), StopCp)) == 2
    network.status(state=CpState.STOPPED)
    assert not commands(network.run(2, beat=False), StopCp)
    network.restart()
    network.register(engine_state=CpState.ACTIVATED)
    assert network.view().stopped
    assert commands(network.run(2), StopCp)
    assert network.call(CpResumeAsked(3, "CP-001")) is None
    assert not network.view().stopped
    network.status(state=CpState.STOPPED, seq=90)
    assert commands(network.run(2, beat=False), ResumeCp)


def test_shutdown_names_the_boot_that_is_seen_now() -> None:
    """Proves: a SHUTDOWN ends that engine and never its successor."""
    network = ready()
    effects = network.tell(CpShutdownAsked(1, "CP-001"))
    (command,) = commands(effects, Shutdown)
    assert command.boot_id == network.boots["CP-001"]
    network.engine_back(boot_id="boot-2")
    assert not commands(network.run(3), Shutdown)


def test_a_charging_point_is_removed_only_when_nothing_is_lost_by_it() -> None:
    """Proves: refused while connected, with an open session or unconfirmed records; then done."""
    network = ready()
    assert network.refusal(CpRemovalAsked(1, "CP-001")) is Refusal.CONFLICT
    network.status(unconfirmed=2)
    network.leave()
    assert network.refusal(CpRemovalAsked(2, "CP-001")) is Refusal.CONFLICT
    network.register()
    network.status(unconfirmed=0)
    network.leave()
    assert network.call(CpRemovalAsked(3, "CP-001")) is None
    assert (ChargingPoint, "CP-001") not in network.rows
    assert network.refusal(CpRemovalAsked(4, "CP-001")) is Refusal.UNKNOWN


def test_a_charging_point_with_an_open_session_is_not_removed() -> None:
    """Proves: what may still charge stays on the list until its record is here."""
    network = asked()
    network.leave()
    assert network.refusal(CpRemovalAsked(1, "CP-001")) is Refusal.CONFLICT
    network.record(network.session())
    assert network.call(CpRemovalAsked(2, "CP-001")) is None


def test_a_monitor_that_sends_bad_objects_is_not_silent() -> None:
    """Proves: an object with a wrong field came in a good frame, and its sender is not hung up on;
    bytes that are no frame keep nobody."""
    for code, seq, hung_up in ((NackCode.BAD_FIELD, 4, False), (NackCode.BAD_FRAME, None, True)):
        network = ready()
        number = network.connections["CP-001"]
        effects = network.run(2, beat=False)
        network.tell(FrameRefused(number, code, seq, "bad"))
        effects += network.run(1.5, beat=False)
        assert (HangUp(number) in effects) is hung_up


def test_a_restored_central_waits_for_every_known_charging_point() -> None:
    """Proves: after a restore no session begins until all have reported `unconfirmed` 0 under the
    new id; the operator may end the wait."""
    network = ready("CP-001", "CP-002")
    network.restart(central_id="central-2", recovering=frozenset({"CP-001", "CP-002"}))
    network.register("CP-001")
    network.register("CP-002")
    network.status("CP-001", unconfirmed=0)
    network.status("CP-002", unconfirmed=3)
    network.run(4)
    assert not updates(network.ask())
    network.status("CP-002", unconfirmed=0, central_id="central-1")
    network.run(0.25)
    assert not updates(network.ask())
    network.status("CP-002", unconfirmed=0)
    network.run(0.25)
    assert [u.status for u in updates(network.ask())] == [RequestStatus.ACCEPTED]


def test_the_operator_ends_the_wait_after_a_restore() -> None:
    """Proves: a charging point that never comes back does not hold all others for ever."""
    network = ready("CP-001", "CP-002")
    network.restart(central_id="central-2", recovering=frozenset({"CP-001", "CP-002"}))
    network.register("CP-001")
    network.status("CP-001")
    network.run(4)
    assert not updates(network.ask())
    assert network.call(RecoveryAccepted(1)) is None
    assert [u.status for u in updates(network.ask())] == [RequestStatus.ACCEPTED]


def test_each_stop_and_resume_is_for_one_boot_and_for_seconds() -> None:
    """Proves: what Central repeats is fresh each time, so that what lies in a topic is never
    carried out; the next boot is told anew."""
    network = ready()
    network.call(CpStopAsked(1, "CP-001"))
    stops = commands(network.run(3), StopCp)
    untils = [stop.until_up_s or 0.0 for stop in stops]
    assert {stop.boot_id for stop in stops} == {"boot-CP-001-1"}
    assert untils == sorted({*untils})
    assert network.up_s + 3 < untils[-1] <= network.up_s + 5
    network.engine_back(boot_id="boot-2")
    assert {stop.boot_id for stop in commands(network.run(2), StopCp)} == {"boot-2"}
    network.call(CpResumeAsked(2, "CP-001"))
    network.status(state=CpState.STOPPED, seq=90)
    (resume, *_) = commands(network.run(2, beat=False), ResumeCp)
    assert (resume.boot_id, resume.until_up_s is not None) == ("boot-2", True)


def test_a_frame_counts_from_its_arrival() -> None:
    """Proves: a heartbeat that waited in a queue counts for when it came, no later and no
    earlier, and one with a wrong field likewise."""
    network = Network()
    network.register()
    number = network.connections["CP-001"]
    beat = Heartbeat("CP-001", 2, EngineStatus.OK, None)
    for late in (
        MonitorSaid(number, beat, at_s=network.clock_s + 0.5),
        FrameRefused(number, NackCode.BAD_FIELD, 3, "x", at_s=network.clock_s + 2.0),
    ):
        network.run(1.5, beat=False)
        network.tell(late)
        seen = network.core.view("CP-001", network.now).monitor_last_seen
        assert seen is not None and (network.now.wall - seen).total_seconds() == 1.0
    network.run(1.75, beat=False)
    assert network.core.view("CP-001", network.now).state is ShownState.ON
    network.run(0.25, beat=False)
    assert network.core.view("CP-001", network.now).state is ShownState.DISCONNECTED
