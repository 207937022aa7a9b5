"""An engine that stays away, comes back without its disk or with a torn one, or has a twin.

Bounds are the promised ones, and what a busy machine adds: `make recovery` measures them.
"""

import shutil
from pathlib import Path

import pytest

from evd.adapters.buffer.buffer import FILE_NAME
from tests.network import checker
from tests.network.scenes import CP_ID, Scene, scene
from tests.network.waiting import BUSY_S_MAX, never_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

# A car takes so much in two telemetry intervals: the kill may come just after the next reading.
INTERVAL_KWH = 2 * 22 / 3600
LONG = ("--session-seconds", "60")


def only_session(here: Scene) -> checker.Row:
    """The one row of Central's sessions."""
    (row,) = here.network.sessions()
    return row


def told_again(here: Scene) -> bool:
    """Whether the driver was told more than one final line."""
    return any(len(told) > 1 for told in checker.read_told(here.driver.printed()).values())


def test_a_killed_engine_is_told_at_once_and_shown_broken(tmp_path: Path) -> None:
    """Proves: the driver hears within 3.5 s that the charging point failed and that the bill
    follows, Central shows BROKEN, nobody gets it meanwhile; the bill is for the last saved meter,
    and its old START is never replayed."""
    with scene(tmp_path, engine_flags=LONG, at="in mid-session") as here:
        metered_kwh = here.network.cp(CP_ID)["telemetry"]["kwh"]
        here.point.engine.kill()
        here.network.wait_state(CP_ID, "BROKEN", 3.5 + BUSY_S_MAX)
        here.driver.wait_for_line("the bill for its reading follows", 1.0 + BUSY_S_MAX)
        denied = here.network.request_charge("driver-bob", CP_ID)
        here.network.wait_request(denied, "DENIED")
        here.point.engine.start()
        assert "engine restarted" in here.wait_final("FAILED").text
        here.network.wait_available(CP_ID)
        never_for(lambda: here.network.cp(CP_ID)["telemetry"], 6.0)
        checker.check(here.network)
        assert metered_kwh <= only_session(here)["total_kwh"] <= metered_kwh + INTERVAL_KWH


def test_an_engine_that_stays_away_is_an_estimate_until_its_record_comes(tmp_path: Path) -> None:
    """Proves: after the bound its session is closed without a bill and its driver is free; the
    record that comes later settles the one row, and the driver is told nothing twice."""
    with scene(tmp_path, engine_flags=LONG, central_flags=("--engine-gone-after", "4")) as here:
        here.network.charging_point("CP-002", engine_flags=("--session-seconds", "1")).start()
        here.reach("in mid-session")
        here.point.engine.kill()
        assert "no bill yet" in here.wait_final("FAILED", within_s=10.0).text
        row = only_session(here)
        assert (row["estimated"], row["total_cost"]) == (True, None)
        assert row["total_kwh"] > 0
        here.network.wait_available("CP-002")
        elsewhere = here.network.request_charge("driver-alice", "CP-002")
        here.network.wait_request(elsewhere, "COMPLETED")
        here.point.engine.start()
        wait_until(lambda: all(not each["estimated"] for each in here.network.sessions()), 10.0)
        here.network.wait_available(CP_ID)
        facts = checker.check(here.network)
        assert len(facts.sessions) == 2
        assert not told_again(here)


def test_a_charging_point_out_of_all_sight_is_closed_after_the_long_bound(tmp_path: Path) -> None:
    """Proves: where nobody can tell, the session is closed as an estimate only after the long
    bound; the engine, back with its monitor, settles it."""
    with scene(
        tmp_path,
        engine_flags=LONG,
        central_flags=("--session-lost-after", "6"),
        at="in mid-session",
    ) as here:
        here.point.monitor.kill()
        here.point.engine.kill()
        never_for(here.finals, 4.0)
        assert "no bill yet" in here.wait_final("FAILED", within_s=8.0).text
        here.point.start()
        here.network.wait_available(CP_ID)
        checker.check(here.network)
        assert only_session(here)["total_cost"] is not None
        assert not told_again(here)


def test_an_engine_whose_disk_is_lost_leaves_an_estimate(tmp_path: Path) -> None:
    """Proves: the last telemetry stands as an estimate, without a bill; the engine begins anew and
    charges, and what it had confirmed before stays billed."""
    with scene(tmp_path, engine_flags=LONG, at="in mid-session") as here:
        metered = here.network.cp(CP_ID)["telemetry"]["kwh"]
        here.point.engine.kill()
        shutil.rmtree(here.point.engine_state_dir)
        here.point.engine.set_flag("--session-seconds", 2)
        here.point.engine.start()
        here.wait_final("FAILED")
        row = only_session(here)
        assert (row["estimated"], row["total_cost"]) == (True, None)
        assert row["total_kwh"] >= metered
        here.finish(disks_lost=[CP_ID])


def test_a_torn_last_write_of_an_engine_costs_no_record(tmp_path: Path) -> None:
    """Proves: an engine whose disk has half a page behind its last commit closes its session with
    its last saved meter."""
    with scene(tmp_path, engine_flags=LONG, at="in mid-session") as here:
        here.point.engine.kill()
        log = here.point.engine_state_dir / f"{FILE_NAME}-wal"
        with log.open("ab") as file:
            file.write(log.read_bytes()[32:1500])
        here.point.engine.set_flag("--session-seconds", 2)
        here.point.engine.start()
        assert "engine restarted" in here.wait_final("FAILED").text
        assert only_session(here)["total_kwh"] > 0
        here.finish()


def test_a_damaged_file_of_an_engine_is_put_aside_and_its_records_are_carried_over(
    tmp_path: Path,
) -> None:
    """Proves: bytes that rot under the engine's sessions end no engine; it says what it did, the
    damaged file is kept, every record is still there, and the charging point charges."""
    with scene(tmp_path, engine_flags=("--session-seconds", "2"), at="idle") as here:
        checker.check(here.network)
        assert here.point.engine.stop() == 0
        folder = here.point.engine_state_dir
        before = {each.record.session_id for each in checker.read_disk(folder).kept}
        assert before
        path = folder / FILE_NAME
        content = bytearray(path.read_bytes())
        content[-2048:] = b"\xa5" * 2048
        path.write_bytes(content)
        here.point.engine.start()
        here.point.engine.wait_for_line("is damaged", 10.0)
        assert list(folder.glob(f"{FILE_NAME}.corrupt-*"))
        here.charge_again()
        assert before < {each.record.session_id for each in checker.read_disk(folder).kept}
        checker.check(here.network)


def test_a_second_engine_that_no_monitor_sees_changes_nothing(tmp_path: Path) -> None:
    """Proves: a twin's reports raise the fault `duplicate engine` and nothing else: the session
    of the real one is billed, and the twin, for all that it hears, begins none."""
    with scene(tmp_path, engine_flags=("--session-seconds", "8")) as here:
        twin = here.network.charging_point(CP_ID, name="twin")
        twin.engine.start()
        here.reach("in mid-session")
        wait_until(
            lambda: any("duplicate engine" in f["reason"] for f in here.network.faults(CP_ID)), 15.0
        )
        here.wait_final("COMPLETED")
        assert here.network.cp(CP_ID)["state"] == "ON"
        here.finish()
        assert checker.read_disk(twin.engine_state_dir) == checker.Disk([], [])


def test_a_second_monitor_of_one_charging_point_waits_until_the_first_is_gone(
    tmp_path: Path,
) -> None:
    """Proves: a monitor with another instance is turned away while the first is there, which
    costs nobody anything; it takes over when the first is killed."""
    with scene(tmp_path) as here:
        twin = here.network.charging_point(CP_ID, name="twin").monitor
        twin.set_flag("--cp-e-port", here.point.monitor.flag("--cp-e-port"))
        twin.start()
        twin.wait_for_line("duplicate", 10.0)
        here.reach("idle")
        assert here.network.faults(CP_ID) == []
        here.point.monitor.kill()
        here.network.wait_available(CP_ID, within_s=5.0)
        here.charge_again()
        here.point.monitor.start()
        here.point.monitor.wait_for_line("duplicate", 10.0)
        assert here.network.cp(CP_ID)["state"] == "ON"
        checker.check(here.network)
