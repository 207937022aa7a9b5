"""Disks that are full or can't be written, under an engine's sessions and Central's database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from evd.adapters.buffer.buffer import FILE_NAME
from tests.network.disks import DISK_MB, dead, fill, kept_full, read_only, small_disk
from tests.network.scenes import CP_ID, Scene, scene
from tests.network.waiting import never_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SESSION_S = 10
FLAGS = ("--session-seconds", str(SESSION_S))
# Central's database with its log, and what it needs at its start.
CENTRAL_DISK_MB = 8
# How soon all is well again once there is a disk again.
HEALED_S_MAX = 10.0


def wait_unavailable(here: Scene, *words: str) -> None:
    """Wait until the charging point is shown to be out for a reason with one of these words."""
    wait_until(
        lambda: any(word in here.network.cp(CP_ID).get("unavailable_reason", "") for word in words),
        15.0,
        f"unavailable for {words}: {here.network.cp(CP_ID)}",
    )


def assert_denied(here: Scene) -> None:
    """A request is DENIED now, with a reason."""
    request_id = here.network.request_charge("driver-bob", CP_ID)
    row = here.network.wait_request(request_id, "DENIED")
    assert row["reason"]


@contextmanager
def scene_on(folder: Path, disk: Path, kind: str, size_mb: int = DISK_MB) -> Iterator[Scene]:
    """A scene in mid-session in which the state directory of one part is a small disk."""
    with (
        small_disk(disk, kind, size_mb),
        scene(folder, engine_flags=FLAGS, at="in mid-session") as here,
    ):
        yield here


@pytest.mark.parametrize("killed", [False, True], ids=["runs on", "killed"])
def test_a_disk_that_fills_in_mid_session_does_not_take_its_record(
    tmp_path: Path, killed: bool
) -> None:
    """Proves: with not a byte left under the engine its session ends with a record and one bill,
    also when the engine is killed then; new requests are denied until there is room."""
    disk = tmp_path / "engines" / CP_ID
    with scene_on(tmp_path, disk, "tmpfs") as here:
        filler = fill(disk)
        if killed:
            here.point.engine.restart()
        (final,) = here.wait_finals(1)
        assert "kWh" in final.text
        assert ("engine restarted" in final.text) == killed
        fill(disk)
        wait_unavailable(here, "disk is full")
        assert_denied(here)
        filler.unlink()
        here.network.wait_available(CP_ID, within_s=HEALED_S_MAX)
        here.finish()


def test_a_disk_that_can_not_be_written_ends_the_session_and_delays_its_bill(
    tmp_path: Path,
) -> None:
    """Proves: a meter that could not be saved for 5 s ends the session; its driver hears no end
    before the record is on disk, and then the one with the bill."""
    disk = tmp_path / "engines" / CP_ID
    with scene_on(tmp_path, disk, "ext4") as here:
        with read_only(disk / FILE_NAME, disk / f"{FILE_NAME}-wal"):
            here.point.engine.wait_for_line("meter could not be saved for 5 s", 12.0)
            wait_unavailable(here, "disk", "occupied")
            assert_denied(here)
            never_for(here.finals, 3.0)
        final = here.wait_final("FAILED", within_s=HEALED_S_MAX)
        assert "meter could not be saved" in final.text
        assert min(row["energy_mwh"] for row in here.finish().sessions) > 0


@pytest.mark.parametrize("restarted", [False, True], ids=["runs on", "killed"])
@pytest.mark.parametrize("fault", ["full", "read-only", "dead"])
def test_central_without_a_disk_says_nothing_and_loses_nothing(
    tmp_path: Path, fault: str, restarted: bool
) -> None:
    """Proves: while nothing can be stored Central answers 503, also after a restart, and takes no
    request; the session goes on and ends at its engine, and is billed once Central has a disk
    again, by itself."""
    disk = tmp_path / "central"
    kind = "tmpfs" if fault == "full" else "ext4"
    with scene_on(tmp_path, disk, kind, CENTRAL_DISK_MB) as here:
        with here.only(*(("central",) if restarted else ())):
            with no_disk(disk, fault):
                wait_until(lambda: here.network.health() == 503, 15.0, "Central answers 503")
                asked = here.network.ask("driver-bob", CP_ID, request_id="req-never-taken")
                assert (asked.status_code, "retry-after" in asked.headers) == (503, True)
                here.point.engine.wait_for_line("buffered (1/100)", SESSION_S + 10.0)
                assert not here.finals()
                if restarted:
                    here.parts["central"].restart()
                    wait_until(lambda: here.network.health() == 503, 15.0, "Central answers 503")
            here.network.wait_healthy(within_s=HEALED_S_MAX)
            here.wait_final("COMPLETED", within_s=HEALED_S_MAX)
            facts = here.finish()
        assert "req-never-taken" not in facts.requests


def no_disk(disk: Path, fault: str) -> AbstractContextManager[None]:
    """Let Central's disk take nothing inside the block."""
    if fault == "read-only":
        return read_only(disk / "central.db", disk / "central.db-wal")
    return dead(disk) if fault == "dead" else kept_full(disk)
