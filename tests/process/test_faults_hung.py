"""Parts that hang (SIGSTOP) and wake, and links that go silent without being closed.

Bounds are the promised ones, and what a busy machine adds: `make recovery` measures them.
"""

import time
from pathlib import Path

import httpx
import pytest

from tests.network import checker
from tests.network.network import Network
from tests.network.scenes import CP_ID, SESSION_S, Scene, scene
from tests.network.waiting import BUSY_S_MAX, never_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

LONG = ("--session-seconds", "8")
KW = 22.0
HUNG_S = 9.5


def kinds(here: Scene) -> list[str]:
    """The kinds of fault events, oldest first."""
    return [fault["event_type"] for fault in reversed(here.network.faults(CP_ID))]


def test_a_hung_engine_is_broken_and_woken_it_ends_its_session_itself(tmp_path: Path) -> None:
    """Proves: BROKEN within 5 s and the driver told; awake again it is ON within 2 s, and its
    session ends COMPLETED with the time that it hung, which nobody else could know."""
    with scene(tmp_path, engine_flags=LONG, at="in mid-session") as here:
        here.point.engine.freeze()
        hung_since_s = time.monotonic()
        here.network.wait_state(CP_ID, "BROKEN", 5.0 + BUSY_S_MAX)
        here.driver.wait_for_line("does not answer; charging may go on", 2.0 + BUSY_S_MAX)
        # Longer than the session would have lasted.
        time.sleep(max(0.0, hung_since_s + HUNG_S - time.monotonic()))
        here.point.engine.thaw()
        here.network.wait_state(CP_ID, "ON", 2.0 + BUSY_S_MAX)
        here.wait_final("COMPLETED")
        (row,) = checker.check(here.network).sessions
        assert row["total_kwh"] >= KW * HUNG_S / 3600
        assert kinds(here) == ["FAULT", "RECOVERY"]
        here.charge_again()


def test_a_start_that_met_a_hung_engine_is_not_carried_out_when_it_wakes(tmp_path: Path) -> None:
    """Proves: a START is good for 5 s; an engine that wakes later answers it with 0 kWh, and who
    asked, told FAILED, has no car charging."""
    with scene(tmp_path) as here:
        here.point.engine.freeze()
        # At once: it is to be accepted before anybody knows of the engine.
        request_id = here.network.request_charge("driver-carol", CP_ID)
        here.network.wait_request(request_id, "ACCEPTED")
        here.network.wait_state(CP_ID, "BROKEN", 5.0 + BUSY_S_MAX)
        time.sleep(5.0)
        here.point.engine.thaw()
        here.network.wait_request(request_id, "FAILED")
        never_for(lambda: here.network.cp(CP_ID).get("telemetry"), 2.0)
        (row,) = checker.check(here.network).sessions
        assert (row["total_kwh"], row["total_cost"], row["estimated"]) == (0, None, 0)
        here.charge_again()


def test_a_hung_monitor_costs_new_requests_and_not_the_session(tmp_path: Path) -> None:
    """Proves: DISCONNECTED within 3.5 s, the session is billed meanwhile, a new request is denied,
    and the monitor is believed again within 2 s of its waking."""
    with scene(tmp_path, engine_flags=LONG, at="in mid-session") as here:
        here.point.monitor.freeze()
        here.network.wait_state(CP_ID, "DISCONNECTED", 3.5 + BUSY_S_MAX)
        here.driver.wait_for_line("is out of sight; charging goes on", 2.0 + BUSY_S_MAX)
        here.wait_final("COMPLETED")
        denied = here.network.request_charge("driver-bob", CP_ID)
        assert here.network.wait_request(denied, "DENIED")["reason"]
        here.point.monitor.thaw()
        here.network.wait_state(CP_ID, "ON", 2.0 + BUSY_S_MAX)
        here.finish()
        assert kinds(here) == ["DISCONNECTED", "RECONNECTED"]


@pytest.mark.parametrize("hung_s", [2.0, 7.0])
def test_a_hung_central_loses_nothing_and_judges_nobody(tmp_path: Path, hung_s: float) -> None:
    """Proves: a session that ended while Central hung is billed within 3 s of its waking, and no
    charging point was called faulty, nor a breaker opened, for Central's own silence."""
    with scene(tmp_path, at="in mid-session") as here:
        central = here.parts["central"]
        central.freeze()
        time.sleep(hung_s)
        central.thaw()
        here.wait_final("COMPLETED", within_s=SESSION_S + 3.0 + BUSY_S_MAX)
        assert here.network.cp(CP_ID)["breaker"] == "CLOSED"
        assert "FAULT" not in kinds(here)
        here.finish()


def test_what_a_hung_central_was_asked_is_not_begun_when_it_wakes(tmp_path: Path) -> None:
    """Proves: a request by HTTP whose caller gave up while Central hung begins no car later."""
    with scene(tmp_path) as here:
        here.network.wait_available(CP_ID)
        central = here.parts["central"]
        central.freeze()
        with pytest.raises(httpx.ReadTimeout):
            body = {"driver_id": "driver-bob", "request_id": "req-left"}
            here.network.http.post("/request/charge", json=body, timeout=1.0)
        central.thaw()
        here.network.wait_healthy()
        here.charge_again()
        assert here.network.http.get("/requests/req-left").status_code == 404
        checker.check(here.network)


def test_a_hung_broker_costs_only_time(tmp_path: Path) -> None:
    """Proves: a broker that hangs over the end of a session delays its bill and nothing else."""
    with scene(tmp_path, at="in mid-session") as here:
        here.parts["broker"].freeze()
        time.sleep(SESSION_S + 4.0)
        assert here.network.cp(CP_ID)["state"] == "ON"
        here.parts["broker"].thaw()
        here.wait_final("COMPLETED")
        assert here.network.cp(CP_ID)["breaker"] == "CLOSED"
        here.finish()


def test_every_part_ends_in_time_at_a_hung_broker(tmp_path: Path) -> None:
    """Proves: a broker that hangs in mid-session holds up no stop: SIGTERM ends each daemon with 0
    within 5 s, whatever it has told the broker last."""
    with scene(tmp_path, engine_flags=LONG, at="in mid-session") as here:
        here.parts["broker"].freeze()
        daemons = [here.parts[name] for name in ("driver", "central", "engine", "monitor")]
        for daemon in daemons:
            daemon.process.terminate()
        assert {each.name: each.wait(5.0 + BUSY_S_MAX) for each in daemons} == dict.fromkeys(
            (each.name for each in daemons), 0
        )


def test_a_hung_driver_reads_its_end_when_it_wakes(tmp_path: Path) -> None:
    """Proves: a driver that hung over the end of its session is told it once, within 3 s."""
    with scene(tmp_path, at="in mid-session") as here:
        here.driver.freeze()
        wait_until(lambda: here.network.sessions(status="COMPLETED"), 10.0)
        time.sleep(2.0)
        here.driver.thaw()
        here.wait_final("COMPLETED", within_s=3.0 + BUSY_S_MAX)
        checker.check(here.network)


@pytest.mark.parametrize("link", ["central", "engine"])
def test_a_link_that_goes_silent_is_found_and_comes_back(tmp_path: Path, link: str) -> None:
    """Proves: a monitor cut off from Central without a close is DISCONNECTED within 3.5 s, one cut
    off from its engine calls it BROKEN within 5 s; the session is billed; healed, all is ON."""
    with Network(tmp_path) as network:
        network.broker.start()
        network.central().start()
        point = network.charging_point(CP_ID, engine_flags=LONG)
        flag = "--central-port" if link == "central" else "--cp-e-port"
        between = network.relay(int(point.monitor.flag(flag)))
        point.monitor.set_flag(flag, between.port)
        point.start()
        network.wait_available(CP_ID)
        request_id = network.request_charge("driver-alice", CP_ID)
        network.wait_request(request_id, "IN_PROGRESS")
        between.freeze()
        state, within_s = ("DISCONNECTED", 3.5) if link == "central" else ("BROKEN", 5.0)
        network.wait_state(CP_ID, state, within_s + BUSY_S_MAX)
        network.wait_request(request_id, "COMPLETED")
        (session,) = network.sessions()
        assert session["total_kwh"] == pytest.approx(KW * 8 / 3600, abs=0.003)
        assert network.cp(CP_ID)["state"] == state
        between.thaw()
        network.wait_available(CP_ID, within_s=5.0)
        checker.check(network)
