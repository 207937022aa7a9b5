"""Processes of a supervisor that is a process itself, as the kernel shows them."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

# For a supervisor to collect its killed processes, which might stay as zombies without it.
LAST_S: Final = 0.5


def is_alive(pid: int) -> bool:
    """Whether the process is there and has not died."""
    try:
        # A dead process is still there until its parent has waited for it.
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def end_at_once(supervisor_pid: int) -> None:
    """SIGKILL a stopping supervisor's processes, and itself if it does not end then."""
    for pid in _children_of(supervisor_pid):
        send(pid, signal.SIGKILL)
    end_s = time.monotonic() + LAST_S
    while time.monotonic() < end_s and _children_of(supervisor_pid):
        time.sleep(0.02)
    send(supervisor_pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone gets none."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
