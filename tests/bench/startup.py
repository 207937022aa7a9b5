"""Start-up time, until READY is told to the supervisor, and resident memory."""

import socket
import statistics
import time
from pathlib import Path

from tests.bench.figures import line, spread
from tests.network.network import Network
from tests.network.processes import Program

RUNS = 5
SETTLE_S = 2.0
# Seconds until ready, and MB resident.
GOALS = {"engine:CP-001": (0.6, 50.0), "monitor:CP-001": (0.6, 36.0), "central": (1.5, None)}


def _ready_s(program: Program, folder: Path) -> float:
    path = folder / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(path))
        ready.settimeout(20)
        program.env["NOTIFY_SOCKET"] = str(path)
        began_s = time.perf_counter()
        program.start()
        while b"READY=1" not in ready.recv(4096):
            pass
        return time.perf_counter() - began_s


def _resident_mb(program: Program) -> float:
    status = Path(f"/proc/{program.pid}/status").read_text()
    kb = next(each for each in status.splitlines() if each.startswith("VmRSS")).split()[1]
    return int(kb) / 1024


def measure(folder: Path) -> None:
    """Print both for each program."""
    with Network(folder) as network:
        network.charging_point("CP-001")
        network.driver("driver-alice")
        programs = [network.broker, network.central(), *network.programs.values()]
        figures: dict[str, tuple[list[float], list[float]]] = {}
        for _ in range(RUNS):
            for program in dict.fromkeys(programs):
                seconds = _ready_s(program, folder)
                figures.setdefault(program.name, ([], []))[0].append(seconds)
            time.sleep(SETTLE_S)
            for program in dict.fromkeys(programs):
                figures[program.name][1].append(_resident_mb(program))
                program.kill()
    for name, (seconds_all, megabytes) in figures.items():
        goal_s, goal_mb = GOALS.get(name, (None, None))
        line(
            f"{name} ready after",
            spread(seconds_all, "s", 2),
            f"{goal_s} s" if goal_s else "",
            statistics.median(seconds_all) <= goal_s if goal_s else None,
        )
        line(
            f"{name} resident",
            spread(megabytes, "MB"),
            f"{goal_mb} MB" if goal_mb else "",
            statistics.median(megabytes) <= goal_mb if goal_mb else None,
        )
