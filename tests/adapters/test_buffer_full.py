"""A disk that fills up, or can't be written, under an engine's sessions: small file systems."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evd.adapters.buffer import BufferFailed, open_buffer
from evd.adapters.buffer.buffer import FILE_NAME, RESERVE_NAME
from evd.core.engine.events import ReserveRoom, SaveConfirmed, SaveMeter, SaveRecord, SaveRun
from tests.adapters.test_buffer import CP_ID, found, record_of, run_of

SIZE_MB = 4
LOOP_MAJOR = 7
EXT4_IOC_SHUTDOWN = 0x8004587D
EXT4_GOING_FLAGS_NOLOGFLUSH = 2


def run(*command: str) -> None:
    """Run a command of the system, or skip with what it says."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"NOT TESTED: there is no {command[0]} here")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT TESTED: {' '.join(command)}: {done.stderr.strip()} (needs root)")


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of SIZE_MB of its own."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if request.param == "tmpfs":
        run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(mount))
    else:
        image = tmp_path / "image"
        image.write_bytes(bytes(SIZE_MB * 1024 * 1024))
        run("mkfs.ext4", "-q", "-m", "0", str(image))
        run("mount", "-o", "loop", str(image), str(mount))
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    path = disk / "filler"
    with path.open("ab", buffering=0) as file:
        for size in (65_536, 4096, 512, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return path


def cut_power(disk: Path) -> None:
    """Stop the file system at once: nothing that is only in memory is written."""
    # Of the loop device of this test alone.
    assert disk.is_mount()
    assert os.major(disk.stat().st_dev) == LOOP_MAJOR
    fd = os.open(disk, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", EXT4_GOING_FLAGS_NOLOGFLUSH))
    finally:
        os.close(fd)


async def test_a_disk_that_fills_in_mid_session_does_not_take_its_record(small_disk: Path) -> None:
    """Proves: the room taken at the start of a session holds its record on a disk without a byte
    left, durably; the next session is refused until there is room, and then can begin."""
    async with open_buffer(small_disk, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        await buffer.save(SaveRun(run_of("s1")))
        filler = fill(small_disk)
        readings = 0
        for second in range(1, 200):
            try:
                await buffer.save(SaveMeter("s1", second, second))
            except BufferFailed as error:
                assert error.reason == "disk is full"
                break
            readings = second
        await buffer.save(SaveRecord(record_of("s1")))
        assert readings == 199 or not (small_disk / RESERVE_NAME).exists()
        fill(small_disk)
        if not (small_disk / RESERVE_NAME).exists():
            for effect in (ReserveRoom(), SaveRun(run_of("s2"))):
                with pytest.raises(BufferFailed, match="disk is full"):
                    await buffer.save(effect)
    # As the next start finds it, the disk still full.
    disk = await found(small_disk)
    assert (disk.unconfirmed, disk.run) == (("s1",), None)
    filler.unlink()
    async with open_buffer(small_disk, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        await buffer.save(SaveConfirmed(("s1",)))
        await buffer.save(SaveRun(run_of("s2")))


async def test_a_crashed_session_is_closed_on_a_full_disk(small_disk: Path) -> None:
    """Proves: the room outlives the process, and the next start closes the session in it."""
    async with open_buffer(small_disk, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        await buffer.save(SaveRun(run_of("s1")))
        await buffer.save(SaveMeter("s1", 5, 1.0))
    fill(small_disk)
    async with open_buffer(small_disk, CP_ID) as buffer:
        assert buffer.disk.run is not None
        await buffer.save(SaveRecord(record_of("s1")))
    assert (await found(small_disk)).unconfirmed == ("s1",)


@pytest.mark.parametrize("small_disk", ["ext4"], indirect=True)
async def test_a_file_that_can_not_be_written_fails_and_heals(small_disk: Path) -> None:
    """Proves: a file made read-only under its owner is a failure in words, told by each probe, and
    over when it can be written again."""
    files = [str(small_disk / name) for name in (FILE_NAME, FILE_NAME + "-wal")]
    async with open_buffer(small_disk, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        await buffer.save(SaveRun(run_of("s1")))
        run("chattr", "+i", *files)
        for effect in (SaveMeter("s1", 1, 1.0), SaveRecord(record_of("s1")), ReserveRoom()):
            with pytest.raises(BufferFailed):
                await buffer.save(effect)
        run("chattr", "-i", *files)
        await buffer.save(SaveRecord(record_of("s1")))
        await buffer.save(ReserveRoom())
    assert (await found(small_disk)).unconfirmed == ("s1",)


@pytest.mark.parametrize("small_disk", ["ext4"], indirect=True)
async def test_a_power_cut_takes_nothing_that_was_saved(small_disk: Path) -> None:
    """Proves: what was saved is on the disk itself: with the power cut at once it is there."""
    async with open_buffer(small_disk, CP_ID) as buffer:
        await buffer.save(SaveRecord(record_of("s1")))
        await buffer.save(SaveRun(run_of("s2")))
        await buffer.save(SaveMeter("s2", 6_111, 1.0))
        cut_power(small_disk)
        with pytest.raises(BufferFailed):
            await buffer.save(SaveMeter("s2", 12_222, 2.0))
    image = small_disk.parent / "image"
    run("umount", str(small_disk))
    run("mount", "-o", "loop", str(image), str(small_disk))
    disk = await found(small_disk)
    assert disk.unconfirmed == ("s1",)
    assert disk.run is not None
    assert (disk.run.session_id, disk.run.energy_mwh) == ("s2", 6_111)
