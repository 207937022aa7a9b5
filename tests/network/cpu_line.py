"""How long started programs stood in line for a CPU, as the kernel counts it.

Work beside a test run can hold up a start that takes one second of a CPU for a minute, while those
that only wake up for a moment are in time.  That breaks no promise of the code.
"""

import contextlib
import subprocess
from pathlib import Path
from typing import Final
from weakref import WeakSet

_NS_PER_S: Final = 1_000_000_000
_STARTED: Final[WeakSet["subprocess.Popen[bytes]"]] = WeakSet()


def watch(process: "subprocess.Popen[bytes]") -> None:
    """Count a process for as long as it runs."""
    _STARTED.add(process)


def spent_s(pid: int) -> tuple[float, float] | None:
    """The time that a process had a CPU, and that it stood in line for one; None: it is gone, or
    its kernel does not count."""
    with contextlib.suppress(OSError):
        had, stood, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
        return int(had) / _NS_PER_S, int(stood) / _NS_PER_S
    return None


def stood_s() -> dict[int, float]:
    """The time that each watched process that runs has stood in line since its start."""
    running = [each.pid for each in list(_STARTED) if each.poll() is None]
    found = {pid: spent_s(pid) for pid in running}
    return {pid: spent[1] for pid, spent in found.items() if spent is not None}
