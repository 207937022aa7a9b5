"""The monitor's core: checks, verdict, and what Central is told of them."""

import itertools

import attrs
import pytest

from evd.core.effects import Level
from evd.core.monitor.events import (
    CentralAnswered,
    CheckResult,
    Close,
    CountCheck,
    EngineAnswered,
    EngineGarbled,
    Finish,
    Peer,
    SendPing,
    StopAsked,
    TellCentral,
    Ticked,
)
from evd.core.wire.control import (
    Bye,
    EngineStatus,
    Fault,
    Heartbeat,
    KoCause,
    Nack,
    NackCode,
    Recovered,
    Register,
)
from evd.core.wire.messages import CpState
from tests.unit.monitor.world import PONG, SETTINGS, World, after


def test_a_healthy_start() -> None:
    """Proves: with engine and Central there, it is registered at once, with the engine's rates."""
    world = after(0)
    ((at_s, register),) = world.told(Register)
    assert at_s == 0
    assert register == Register(
        "CP-001",
        1,
        engine_status=EngineStatus.OK,
        ko_cause=None,
        boot_id="boot-1",
        report=5,
        up_s=1.0,
        engine_state=CpState.ACTIVATED,
        instance_id="instance-1",
        kw_rate=22.0,
        euro_rate=0.3,
    )
    assert world.monitor.report.registered
    assert world.notes(Level.WARNING) == []


def test_pings_name_the_central() -> None:
    """Proves: the engine is told which Central it is to obey as soon as that one has answered."""
    world = after(1.5)
    first, second = world.all(SendPing)
    assert first.message.central_id is None
    assert second.message.central_id == "central-1"
    assert second.message.seq > first.message.seq


def test_an_engine_that_starts_with_its_monitor_has_no_fault() -> None:
    """Proves: Central hears nothing before the first verdict, which comes with the first answer."""
    world = after(0.5, engine="refuses")
    assert world.told(Register) == []
    world.engine = "answers"
    world.pass_time(0.2)
    ((at_s, register),) = world.told(Register)
    assert at_s == pytest.approx(0.6)
    assert register.engine_status is EngineStatus.OK


def test_a_dead_engine_at_the_start() -> None:
    """Proves: within 3 s Central knows of a charging point whose engine is dead, without rates."""
    for engine, cause in (("refuses", KoCause.REFUSED), ("hangs", KoCause.TIMEOUT)):
        world = World(engine=engine)
        world.pass_time(3)
        ((at_s, register),) = world.told(Register)
        assert at_s <= 3
        assert register.engine_status is EngineStatus.KO
        assert register.ko_cause is cause
        assert (register.kw_rate, register.euro_rate, register.boot_id) == (None, None, None)


def test_a_crash_is_told_within_three_intervals() -> None:
    """Proves: a closed connection is a failed check at once, one an interval counts, and the third
    is a FAULT with the last boot that was seen."""
    world = after(1.3)
    world.kill_engine()
    world.pass_time(2.5)
    ((at_s, fault),) = world.told(Fault)
    assert at_s == pytest.approx(1.3 + 2.0, abs=0.25)
    assert fault.ko_cause is KoCause.REFUSED
    assert fault.boot_id == "boot-1"
    warnings = world.notes(Level.WARNING)
    assert [text.partition(":")[0] for text in warnings] == [
        f"Health check failed ({count}/3)" for count in (1, 2, 3)
    ]
    assert world.notes(Level.ERROR) == ["FAULT DETECTED: nothing listens there"]


def test_a_hang_is_told_within_five_seconds() -> None:
    """Proves: an engine that takes connections and answers nothing is KO by time-out, and a new
    connection is tried after three PINGs without an answer."""
    world = after(1.01)
    world.engine = "hangs"
    world.pass_time(5)
    ((at_s, fault),) = world.told(Fault)
    assert at_s <= 1.01 + 5
    assert fault.ko_cause is KoCause.TIMEOUT
    assert world.all(CountCheck)[-1].result is CheckResult.TIMEOUT
    assert len(world.dials(Peer.ENGINE)) == 2


def test_recovery_is_seen_at_once() -> None:
    """Proves: a KO engine is asked every 0.2 s, and one answer is a RECOVERED with its new boot."""
    world = after(5, engine="refuses")
    before = len(world.dials(Peer.ENGINE))
    world.pass_time(2)
    assert 9 <= len(world.dials(Peer.ENGINE)) - before <= 11
    world.engine, world.pong = "answers", attrs.evolve(PONG, boot_id="boot-2")
    world.pass_time(0.2)
    ((_, recovered),) = world.told(Recovered)
    assert recovered.engine_status is EngineStatus.OK
    assert recovered.boot_id == "boot-2"
    assert any(text.startswith("Health restored") for text in world.notes(Level.INFO))


def test_a_hung_engine_that_wakes_on_its_connection() -> None:
    """Proves: the answer to the present PING on the old connection ends the fault."""
    world = after(0.5)
    world.engine = "hangs"
    world.pass_time(4.2)
    world.engine = "answers"
    ping = world.all(SendPing)[-1].message
    world.happen(EngineAnswered(world._engine_connection, attrs.evolve(PONG, seq=ping.seq)))
    assert [status for _, status in world.told(Recovered)]


def test_an_old_answer_is_no_answer() -> None:
    """Proves: a PONG to another PING, or on another connection, is not taken for the engine's
    present state."""
    world = after(0.1, engine="hangs")
    ping = world.all(SendPing)[-1].message
    world.happen(EngineAnswered(world._engine_connection, attrs.evolve(PONG, seq=ping.seq - 1)))
    world.happen(EngineAnswered(world._engine_connection + 1, attrs.evolve(PONG, seq=ping.seq)))
    assert world.monitor.checks.pong is None


def test_another_engine_on_the_port() -> None:
    """Proves: an engine of another charging point is a failed check, and the log says so."""
    world = after(2.9, pong=attrs.evolve(PONG, cp_id="CP-002"))
    ((_, register),) = world.told(Register)
    assert register.engine_status is EngineStatus.KO
    assert register.ko_cause is KoCause.TIMEOUT
    assert register.reason == "the engine on this port is CP-002, not CP-001"
    assert register.boot_id is None
    assert register.reason in world.notes(Level.WARNING)[0]


def test_heartbeats_keep_the_pace() -> None:
    """Proves: with nothing to tell, a frame is sent within the time that Central gave."""
    world = after(10, heartbeat_s=0.5)
    at = [at_s for at_s, _ in world.told(Heartbeat)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert max(gaps) <= 0.5
    assert len(at) <= 10 / 0.4


def test_what_changes_is_told_with_the_check_that_shows_it() -> None:
    """Proves: a new state of the engine reaches Central with the next check, not a heartbeat
    later."""
    world = after(2.5, heartbeat_s=60.0)
    world.pong = attrs.evolve(PONG, state=CpState.SUPPLYING, session_id="session-1", report=6)
    world.pass_time(1)
    ((at_s, heartbeat),) = world.told(Heartbeat)
    assert at_s == pytest.approx(3.0)
    assert heartbeat.engine_state is CpState.SUPPLYING
    assert heartbeat.session_id == "session-1"


def test_changes_are_told_ten_times_a_second_at_most() -> None:
    """Proves: however quickly an engine's reports follow each other, Central hears of them at most
    ten times a second."""
    world = World(settings=attrs.evolve(SETTINGS, health_interval_s=0.01))
    for report in range(100):
        world.pong = attrs.evolve(PONG, report=report)
        world.pass_time(0.02)
    assert len(world.told(Heartbeat)) <= 21
    assert world.told(Heartbeat)[-1][1].report is not None


def test_new_rates_are_registered() -> None:
    """Proves: an engine restarted with other rates is registered again on the same connection."""
    world = after(1.5)
    world.pong = attrs.evolve(PONG, boot_id="boot-2", kw_rate=50.0, location="Pier 7")
    world.pass_time(1)
    first, second = (message for _, message in world.told(Register))
    assert (first.kw_rate, second.kw_rate, second.location) == (22.0, 50.0, "Pier 7")
    assert len(world.dials(Peer.CENTRAL)) == 1


def test_first_rates_come_with_the_recovery() -> None:
    """Proves: an engine that was dead when its monitor registered brings its rates, and then its
    recovery."""
    world = after(4, engine="refuses")
    world.engine = "answers"
    world.pass_time(0.3)
    kinds = [type(effect.message) for effect in world.all(TellCentral)]
    assert kinds[-2:] == [Register, Recovered]
    assert world.told(Register)[-1][1].kw_rate == 22.0


def test_a_lost_connection_is_dialed_at_once() -> None:
    """Proves: Central sees the monitor again within 0.2 s of a connection that broke, registered
    with what is true then."""
    world = after(3.3)
    world.lose_central(then="acks")
    world.pass_time(0.21)
    assert len(world.told(Register)) == 2
    assert world.monitor.report.registered


def test_central_away_for_long() -> None:
    """Proves: Central is dialed for ever, ever more slowly up to the longest delay, with two lines
    a minute in the log; and found again within that delay."""
    world = after(1.0)
    world.lose_central(then="refuses")
    world.pass_time(120)
    at = world.dials(Peer.CENTRAL)[1:]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert max(gaps) <= 2.0 + 0.01
    assert min(gaps[5:]) >= 1.0 - 0.01
    assert len({round(gap, 3) for gap in gaps[5:]}) > 10
    reached = [text for text in world.notes(Level.WARNING) if "can't be reached" in text]
    assert 3 <= len(reached) <= 5
    world.central = "acks"
    world.pass_time(2.0)
    assert world.monitor.report.registered


def test_a_silent_central_is_given_up() -> None:
    """Proves: without an ACK for three heartbeats the connection is dropped and dialed again."""
    world = after(2.0)
    world.central = "hears nothing"
    world.pass_time(3.3)
    assert len(world.all(Close)) == 1
    assert len(world.dials(Peer.CENTRAL)) == 2


def test_a_dial_that_is_never_answered() -> None:
    """Proves: a cut link is tried with new connections, so that it is used when it is whole."""
    world = after(10, central="vanished")
    assert 3 <= len(world.dials(Peer.CENTRAL)) <= 8
    world.central = "acks"
    world.pass_time(3.1)
    assert world.monitor.report.registered


@pytest.mark.parametrize("code", [NackCode.DUPLICATE, NackCode.FULL, NackCode.UNAUTHORIZED])
def test_a_lasting_refusal_waits_and_warns(code: NackCode) -> None:
    """Proves: a monitor that Central refuses for a lasting reason closes, comes back at its longest
    delay, and says so each time; it goes by the code, whatever the sentence is."""
    world = after(9, central="nacks go away", nack_code=code)
    assert world.dials(Peer.CENTRAL) == pytest.approx([0, 2, 4, 6, 8])
    warnings = world.notes(Level.WARNING)
    assert sum("go away" in text for text in warnings) == 5
    is_duplicate = code is NackCode.DUPLICATE
    assert ("another monitor of CP-001 is registered" in warnings[0]) is is_duplicate
    assert not world.monitor.report.registered


@pytest.mark.parametrize("code", [None, NackCode.STANDING_BY, "code_of_a_later_release"])
def test_any_other_refusal_backs_off(code: str | None) -> None:
    """Proves: a NACK without a code (an older Central) or with any other one is told with its
    reason and tried again, ever more slowly; its sentence steers nothing."""
    world = after(20, central="nacks duplicate", nack_code=code)
    at = world.dials(Peer.CENTRAL)
    assert at[1] <= 0.4
    assert 11 < len(at) <= 20
    assert ": duplicate; again in" in world.notes(Level.WARNING)[0]


def test_an_unread_frame_is_no_end() -> None:
    """Proves: a frame that was damaged on its way costs a line in the log, not the connection."""
    world = after(1.0)
    world.happen(CentralAnswered(world._central_connection, Nack(None, "bad frame: lrc")))
    assert world.monitor.report.registered
    assert "bad frame: lrc" in world.notes(Level.WARNING)[0]


def test_a_verdict_that_changed_on_the_way() -> None:
    """Proves: what became of the engine while Central was away is told with the REGISTER."""
    world = after(1.0)
    world.lose_central(then="refuses")
    world.kill_engine()
    world.pass_time(5)
    world.central = "acks"
    world.pass_time(2)
    _, register = world.told(Register)[-1]
    assert register.engine_status is EngineStatus.KO
    assert register.ko_cause is KoCause.REFUSED
    assert register.kw_rate == 22.0


def test_a_stop_of_its_own_accuses_nobody() -> None:
    """Proves: a monitor stopped by a signal for a minute raises no fault and drops no Central."""
    world = after(2.5)
    world.engine = "hangs"
    world.pass_time(0.6)
    world.mono_s += 60
    ping = world.all(SendPing)[-1].message
    world.happen(Ticked())
    world.engine = "answers"
    world.happen(EngineAnswered(world._engine_connection, attrs.evolve(PONG, seq=ping.seq)))
    world.pass_time(2)
    assert world.told(Fault) == []
    assert len(world.dials(Peer.CENTRAL)) == 1
    assert world.monitor.checks.verdict.status is EngineStatus.OK


def test_bye_before_the_answer_to_register() -> None:
    """Proves: an intended stop says BYE with its reason and ends with Central's answer; a stop
    between REGISTER and its answer does too, since Central has taken it for there; and that late
    answer is not taken for the one to BYE."""
    world = after(0.2, central="hears nothing")
    ((_, register),) = world.told(Register)
    world.happen(StopAsked("stopped"))
    ((_, bye),) = world.told(Bye)
    assert bye.reason == "stopped"
    assert world.all(Finish) == []
    world.happen(world.acked(register))
    assert world.all(Finish) == []
    world.happen(world.acked(bye))
    assert len(world.all(Finish)) == 1


def test_a_monitor_that_leaves_accuses_nobody() -> None:
    """Proves: an engine that is stopped together with its monitor is not told as failing."""
    world = after(1.0)
    world.central = "hears nothing"
    world.happen(StopAsked("stopped"))
    world.kill_engine()
    world.pass_time(0.4)
    assert world.notes(Level.WARNING) == []


def test_bye_that_nobody_answers() -> None:
    """Proves: the stop waits half a second for Central, and not at all where there is none."""
    world = after(1.0)
    world.central = "hears nothing"
    world.happen(StopAsked("stopped"))
    world.pass_time(0.45)
    assert world.all(Finish) == []
    world.pass_time(0.1)
    assert len(world.all(Finish)) == 1
    lonely = World(central="refuses")
    lonely.pass_time(1.0)
    lonely.happen(StopAsked("stopped"))
    assert len(lonely.all(Finish)) == 1


def test_an_answer_that_cannot_be_used_is_a_failed_check() -> None:
    """Proves: a PONG with a value outside its bound counts as a failed check at once, its field is
    named once for each count, and the checks pass again when the engine answers as it must."""
    world = World()
    world.pass_time(1.5)
    world.engine = "answers garbled"
    world.pass_time(3.0)
    assert world.told(Fault)
    lines = world.notes(Level.WARNING) + world.notes(Level.ERROR)
    assert len(lines) == 4
    assert all("kw_rate must be from" in line for line in lines)
    assert CheckResult.GARBLED in [each.result for each in world.all(CountCheck)]
    world.engine = "answers"
    world.pass_time(1.0)
    assert world.told(Recovered)
    # One that comes between two checks says nothing.
    world.happen(EngineGarbled(1, "kw_rate must be from 0.001 to 10000 kW"))
    assert world.monitor.checks.verdict.status is EngineStatus.OK


@pytest.mark.parametrize(("is_tls", "within_s"), [(False, 1.0), (True, 6.0)])
def test_a_dial_has_its_time(is_tls: bool, within_s: float) -> None:
    """Proves: a Central that does not answer is given up after a second, and where a handshake is
    part of it, which thousands want after a start, after more than the time of one."""
    settings = attrs.evolve(SETTINGS, is_central_tls=is_tls)
    world = after(0, central="vanished", settings=settings)
    world.pass_time(within_s - 0.1)
    assert len(world.dials(Peer.CENTRAL)) == 1
    assert not [each for each in world.all(Close) if each.peer is Peer.CENTRAL]
    world.pass_time(0.2)
    assert [each for each in world.all(Close) if each.peer is Peer.CENTRAL]
