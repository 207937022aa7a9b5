"""Control groups of this machine: what is in one is frozen or killed as a whole, in one moment.

Each host needs a group of its own in every hierarchy: systemd in one host would else count, and
kill, the processes of another.
"""

import os
from pathlib import Path
from typing import Final

from tests.network.waiting import wait_until

_ROOT: Final = Path("/sys/fs/cgroup")
# The hierarchies that systemd knows; a machine has some of them.
_NAMES: Final = ("systemd", "unified", "memory", "pids", "freezer", "cpu", "cpuacct")
# Several whole machines would else have as much of the processor as one process beside them.
_SHARES: Final = 16 * 1024
KILLED_S_MAX: Final = 20.0


def supported() -> bool:
    """Whether this machine has the hierarchies side by side, as the lab needs them."""
    return (_ROOT / "systemd").is_dir() and (_ROOT / "unified" / "cgroup.controllers").is_file()


def make(name: str) -> list[Path]:
    """Make a group in each hierarchy; the files that take a process in."""
    groups = [_ROOT / each / name for each in _NAMES if (_ROOT / each).is_dir()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    lab = _ROOT / "cpu" / name.partition("/")[0] / "cpu.shares"
    if lab.exists():
        lab.write_text(str(_SHARES))
    return [group / "cgroup.procs" for group in groups]


def freeze(name: str, frozen: bool) -> None:
    """Stop every process of a group, or let them go on; returns when it is so."""
    group = _ROOT / "unified" / name
    (group / "cgroup.freeze").write_text(str(int(frozen)))
    wait_until(
        lambda: f"frozen {int(frozen)}" in (group / "cgroup.events").read_text(), KILLED_S_MAX
    )


def kill(name: str) -> None:
    """Kill every process of a group, also of one that is frozen; returns when none is left."""
    group = _ROOT / "unified" / name
    if not group.is_dir():
        return
    (group / "cgroup.freeze").write_text("0")
    (group / "cgroup.kill").write_text("1")
    wait_until(
        lambda: "populated 0" in (group / "cgroup.events").read_text(),
        KILLED_S_MAX,
        f"nothing of {name} is left",
    )


def remove(name: str) -> None:
    """Remove a group with all that is in it; no process may be."""
    for hierarchy in _NAMES:
        for folder, _, _ in os.walk(_ROOT / hierarchy / name, topdown=False):
            os.rmdir(folder)
