"""When a program says that it is ready, as a service manager hears it."""

import socket
import time
from pathlib import Path

from tests.network.processes import Program

READY_S_MAX = 60.0


def start_until_ready(program: Program, folder: Path) -> float:
    """Start `program`; the monotonic second at which it said READY=1."""
    # Short, because a socket's path has at most 107 bytes.
    path = folder / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(READY_S_MAX)
        program.env["NOTIFY_SOCKET"] = str(path)
        program.start()
        while b"READY=1" not in manager.recv(4096):
            pass
        return time.monotonic()
