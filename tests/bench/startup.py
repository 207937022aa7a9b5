"""Start-up time, until READY is told to the supervisor, and resident memory."""

import time
from pathlib import Path

from tests.bench.figures import goal_line
from tests.network.network import Network

RUNS = 5
SETTLE_S = 2.0
# Seconds until ready, and MB resident.
GOALS = {"engine:CP-001": (0.6, 50.0), "monitor:CP-001": (0.6, 36.0), "central": (1.5, None)}


def measure(folder: Path) -> None:
    """Print the seconds and the memory of each program, against their goals."""
    with Network(folder) as network:
        network.charging_point("CP-001")
        network.driver("driver-alice")
        programs = dict.fromkeys((network.broker, network.central(), *network.programs.values()))
        figures: dict[str, tuple[list[float], list[float]]] = {}
        for _ in range(RUNS):
            for program in programs:
                seconds = program.start_until_ready() - program.started_s
                figures.setdefault(program.name, ([], []))[0].append(seconds)
            time.sleep(SETTLE_S)
            for program in programs:
                figures[program.name][1].append(program.resident_mb)
                program.kill()
    for name, (seconds_all, megabytes) in figures.items():
        goal_s, goal_mb = GOALS.get(name, (None, None))
        goal_line(f"{name} ready after", seconds_all, "s", 2, most=goal_s)
        goal_line(f"{name} resident", megabytes, "MB", 1, most=goal_mb)
