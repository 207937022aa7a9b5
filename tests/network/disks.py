"""Small disks that fill up, and files that can't be written: what that needs is said loudly."""

import contextlib
import fcntl
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.network.waiting import wait_until

DISK_MB = 4
REFILL_S = 0.02
FREE_S_MAX = 10.0
UNRESERVED_BYTES = 4 * 1024 * 1024
LOOP_MAJOR = 7
EXT4_IOC_SHUTDOWN = 0x8004587D
EXT4_GOING_FLAGS_LOGFLUSH = 1
EXT4_GOING_FLAGS_NOLOGFLUSH = 2
CHUNKS_BYTES = (65_536, 4096, 512, 1)


def run(*command: str) -> None:
    """Run a command of the system, or skip the test with what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"NOT TESTED: there is no {command[0]} here")
    if done.returncode:
        pytest.skip(f"NOT TESTED: {' '.join(command)}: {done.stderr.strip()} (needs root)")


@contextmanager
def small_disk(mount: Path, kind: str = "tmpfs", size_mb: int = DISK_MB) -> Iterator[Path]:
    """A file system of its own at `mount`, which is made: a `tmpfs` or an `ext4`."""
    mount.mkdir(parents=True)
    if kind == "tmpfs":
        run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(mount))
    else:
        image = mount.with_suffix(".image")
        with image.open("wb") as file:
            file.truncate(size_mb * 1024 * 1024)
        run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", str(image))
        # Beneath it nothing can be written: while the disk is away nobody begins another one there.
        run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(mount))
        _mount_image(mount)
    try:
        yield mount
    finally:
        while mount.is_mount():
            subprocess.run(["umount", "--lazy", str(mount)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left; remove the file to give them back."""
    path = disk / "filler"
    with path.open("ab", buffering=0) as file:
        space = os.statvfs(disk)
        free = space.f_bavail * space.f_frsize - UNRESERVED_BYTES
        if free > 0:
            # Most of a large disk is taken without a write.
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), free)
        for size in CHUNKS_BYTES:
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return path


@contextmanager
def kept_full(disk: Path) -> Iterator[None]:
    """Take every byte that is left, and each that is given back, until the end of the block."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(REFILL_S):
            fill(disk)

    filler = fill(disk)
    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        filler.unlink()


@contextmanager
def dead(disk: Path) -> Iterator[None]:
    """Let the ext4 of `small_disk` answer nothing but errors, as after a failure of its device."""
    _shut_down(disk, EXT4_GOING_FLAGS_LOGFLUSH)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        _mount_image(disk)


def cut_power(disk: Path) -> None:
    """Stop the ext4 of `small_disk` at once: nothing that is only in memory is written."""
    _shut_down(disk, EXT4_GOING_FLAGS_NOLOGFLUSH)


def restore_power(disk: Path) -> None:
    """The disk as the next start finds it; nobody may have a file of it open."""
    # Programs that were killed may hold it for a moment more.
    unmount = ("umount", str(disk))
    wait_until(
        lambda: not subprocess.run(unmount, capture_output=True).returncode,
        FREE_S_MAX,
        f"nobody has a file of {disk} open",
    )
    _mount_image(disk)


def _shut_down(disk: Path, flags: int) -> None:
    # No other file system than this test's own loop device may be shut down.
    if not disk.is_mount() or os.major(disk.stat().st_dev) != LOOP_MAJOR:
        raise ValueError(f"{disk} is no small disk")
    fd = os.open(disk, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", flags))
    finally:
        os.close(fd)


def _mount_image(disk: Path) -> None:
    run("mount", "-o", "loop", str(disk.with_suffix(".image")), str(disk))


@contextmanager
def read_only(*files: Path) -> Iterator[None]:
    """Let nobody write these files inside the block, not even who has them open."""
    names = [os.fspath(file) for file in files if file.exists()]
    run("chattr", "+i", *names)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *names], check=True)
