"""Central away, doubled, or with its database lost or older than what it has billed."""

import shutil
from pathlib import Path

import orjson
import pytest

from evd.adapters.store.backup import backup
from evd.core.wire.messages import BEACONS, COMMANDS
from tests.network import checker
from tests.network.network import Network
from tests.network.processes import Program, free_port
from tests.network.scenes import CP_ID, Scene, scene
from tests.network.tap import Tap
from tests.network.waiting import BUSY_S_MAX, never_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

# The time in which kept sessions are sent again and stored, once Central is heard again.
FLUSHED_S_MAX = 2.0


def state_dir(here: Scene) -> Path:
    """Central's state directory."""
    return here.network.folder / "central"


def second_central(network: Network, folder: Path) -> Program:
    """A second Central on the same broker, started, with ports of its own."""
    ports = (free_port(), free_port(), free_port())
    return network.another_central("second", ports, folder).start()


def restore(here: Scene, copy: Path) -> None:
    """Put a copy in the place of the database of Central, which does not run."""
    for file in state_dir(here).glob("central.db*"):
        file.unlink()
    shutil.copy(copy, state_dir(here) / "central.db")


def test_sessions_end_without_central_and_are_billed_when_it_is_back(tmp_path: Path) -> None:
    """Proves: while Central is away the engine keeps its session and says so; back, Central bills
    it within 2 s, and knows its charging point and its stop by the operator as before."""
    with scene(tmp_path) as here:
        here.network.charging_point("CP-002").start()
        here.network.wait_available("CP-002")
        assert here.network.http.post("/cp/CP-002/stop").status_code == 202
        here.network.wait_state("CP-002", "ON", 2.0)
        here.reach("in mid-session")
        central = here.parts["central"]
        central.kill()
        here.point.engine.wait_for_line("buffered (1/100)", 10.0)
        seen = len(central.logged())
        central.start()
        central.wait_for_line(f"CP {CP_ID} registered", 15.0, since=seen)
        here.wait_finals(1, within_s=FLUSHED_S_MAX + BUSY_S_MAX)
        here.point.engine.wait_for_line("flushed", 5.0)
        checker.check(here.network)
        here.charge_again()
        reason = here.network.cp("CP-002")["unavailable_reason"]
        assert "stopped" in reason.lower()


def test_a_request_that_met_no_central_fails_in_time_and_no_car_starts_for_it(
    tmp_path: Path,
) -> None:
    """Proves: FAILED `no coordinator` within the driver's time-out; when Central is back nothing
    of that request is carried out, and Central stores FAILED too."""
    flags = ("--request-timeout", "3", "--request-interval", "2")
    with scene(tmp_path, CP_ID, CP_ID, driver_flags=flags, at="idle") as here:
        here.parts["central"].kill()
        second = here.wait_finals(2, within_s=8.0)[1]
        assert (second.status, second.text) == ("FAILED", "no coordinator")
        here.parts["central"].start()
        here.network.wait_available(CP_ID)
        never_for(lambda: here.network.cp(CP_ID)["telemetry"], 3.0)
        facts = checker.check(here.network)
        assert len(facts.sessions) == 1
        assert sorted(row["status"] for row in facts.requests.values()) == ["COMPLETED", "FAILED"]


def test_a_lost_database_is_filled_again_by_the_engines(tmp_path: Path) -> None:
    """Proves: a Central that begins with nothing takes in the running session and bills it, and
    gets the confirmed one, billed before, from the engine that still keeps it; each once."""
    with scene(tmp_path, CP_ID, CP_ID, driver_flags=("--request-interval", "1"), at="idle") as here:
        wait_until(lambda: here.network.cp(CP_ID).get("telemetry"), 10.0)
        here.parts["central"].kill()
        shutil.rmtree(state_dir(here))
        here.parts["central"].start()
        assert [final.status for final in here.wait_finals(2)] == ["COMPLETED", "COMPLETED"]
        facts = checker.check(here.network, central_lost=True)
        assert [row["billable"] for row in facts.sessions] == [1, 1]
        here.charge_again()


def test_a_database_restored_from_a_copy_gets_back_what_the_copy_lacks(tmp_path: Path) -> None:
    """Proves: sessions that were billed after the copy was made, and the one that runs, are each
    one row again; the one in the copy is not billed again."""
    with scene(tmp_path, CP_ID, CP_ID, driver_flags=("--request-interval", "1")) as here:
        first = here.network.request_charge("driver-bob", CP_ID)
        here.network.wait_request(first, "COMPLETED")
        copy = tmp_path / "copy.db"
        backup(f"sqlite:///{state_dir(here)}/central.db", copy)
        here.network.wait_available(CP_ID)
        here.reach("idle")
        wait_until(lambda: here.network.cp(CP_ID).get("telemetry"), 10.0)
        here.parts["central"].kill()
        restore(here, copy)
        here.parts["central"].start()
        assert [final.status for final in here.wait_finals(2)] == ["COMPLETED", "COMPLETED"]
        facts = checker.check(here.network, central_lost=True)
        assert len(facts.sessions) == 3
        here.charge_again()


def test_a_restored_central_begins_no_session_before_all_have_handed_over(tmp_path: Path) -> None:
    """Proves: while a charging point that the copy knows is away, requests are answered 503 with
    its name; once it has handed over, the next one is taken."""
    with scene(tmp_path) as here:
        # Central shows a charging point a moment before it is stored.
        wait_until(lambda: here.network.rows("SELECT cp_id FROM charging_points"), 5.0)
        copy = tmp_path / "copy.db"
        backup(f"sqlite:///{state_dir(here)}/central.db", copy)
        here.reach("idle")
        for name in ("central", "engine", "monitor"):
            here.parts[name].kill()
        restore(here, copy)
        here.parts["central"].start()
        here.network.wait_healthy()
        answer = here.network.ask("driver-bob", CP_ID)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert CP_ID in answer.json()["error"]
        here.point.start()
        here.finish(central_lost=True)


def test_a_second_central_by_mistake_says_nothing_and_disturbs_nobody(tmp_path: Path) -> None:
    """Proves: a second Central on the same broker, also one that outlives the first for a while,
    takes no request and begins nothing; the session has one row, at the first."""
    with scene(tmp_path, engine_flags=("--session-seconds", "10")) as here:
        second = second_central(here.network, tmp_path / "second")
        second.wait_for_line("Ready", 15.0)
        here.reach("in mid-session")
        url = f"http://127.0.0.1:{second.flag('--http-port')}"
        body = {"driver_id": "driver-eve", "cp_id": CP_ID}
        assert here.network.http.post(f"{url}/request/charge", json=body).status_code == 503
        here.parts["central"].kill()
        here.point.engine.wait_for_line("buffered (1/100)", 20.0)
        here.parts["central"].start()
        here.wait_final("COMPLETED")
        assert here.network.http.get(f"{url}/cp").json()["charging_points"] == []
        assert second.alive
        here.finish()
        tap = Tap(here.network.bootstrap)
        said_by = {
            orjson.loads(each)["central_id"]
            for topic in (BEACONS, COMMANDS)
            for each in tap.values(topic)
        }
        assert said_by == {here.network.get("/health")["central_id"]}


def test_a_second_central_on_the_same_database_is_refused(tmp_path: Path) -> None:
    """Proves: one database, one Central: the second ends with code 2 and one line that says who."""
    with scene(tmp_path) as here:
        twin = second_central(here.network, state_dir(here))
        assert twin.wait(10.0) == 2
        (line,) = twin.logged().splitlines()
        assert "in use" in line
        here.reach("idle")
        checker.check(here.network)


def test_a_torn_last_write_of_central_costs_nothing_that_was_said(tmp_path: Path) -> None:
    """Proves: a log whose last page was half written when Central died opens as of its last whole
    commit, which is all that anybody was told."""
    with scene(tmp_path, at="in mid-session") as here:
        here.parts["central"].kill()
        log = state_dir(here) / "central.db-wal"
        with log.open("ab") as file:
            file.write(log.read_bytes()[32:1500])
        here.parts["central"].start()
        here.wait_final("COMPLETED")
        here.finish()
