"""The mounts of this machine, as the kernel lists them: one that is dead is listed too."""

from pathlib import Path

from tests.hosts.commands import run, works
from tests.network.waiting import wait_until

FREE_S_MAX = 30.0


def is_mounted(place: Path) -> bool:
    """Whether something is mounted there."""
    return str(place) in _places()


def unmount(place: Path) -> None:
    """Unmount it, where it is mounted, as soon as nobody has a file of it open."""
    if is_mounted(place):
        # The last process that was killed is gone a moment before its files are let go.
        wait_until(lambda: works("umount", place), FREE_S_MAX, f"nobody has {place} open")


def unmount_all(folder: Path) -> None:
    """Unmount a folder and everything below it at once, whoever has files of it open."""
    for place in reversed(_places()):
        if f"{place}/".startswith(f"{folder}/"):
            run("umount", "--lazy", place)


def _places() -> list[str]:
    mounts = Path("/proc/self/mounts").read_text()
    return [line.split()[1] for line in mounts.splitlines()]
