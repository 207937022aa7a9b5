"""The pause before the next start of a program that dies again and again: a unit's ExecStartPre.

The first new start comes at once, for most deaths are single.  A process that lived for STEADY_S
ends the row.  The pause is bounded, so that a part whose fault is repaired is soon back.

Each start of a unit waits for this program, so it imports as little as it can.
"""

import os
import sys
import time

FIRST_S = 0.5
GROWTH = 2.0
DELAY_S_MAX = 8.0
STEADY_S = 10.0

FILE = "last-start"
_BYTES_MAX = 100

# The time of a start by the monotonic clock, and the pause before it.
Start = tuple[float, float]


def next_delay_s(last: Start | None, now_s: float) -> float:
    """The pause before a start at `now_s`; none before the first one, or after a long life."""
    if last is None:
        return 0.0
    at_s, delay_s = last
    return 0.0 if now_s - at_s >= STEADY_S else min(max(FIRST_S, delay_s * GROWTH), DELAY_S_MAX)


def pause(folders: str) -> None:
    """Wait as long as is due, and note the start in the unit's runtime directory.

    `folders` is systemd's RUNTIME_DIRECTORY: every one of the unit, with colons between; ours is
    the first.  It never fails: without one, or with a file that can't be read, there is no pause.
    """
    folder = folders.partition(":")[0]
    if not folder:
        return
    path = f"{folder}/{FILE}"
    try:
        delay_s = next_delay_s(_read(path), time.monotonic())
        if delay_s:
            print(f"Died too soon: started again in {delay_s:g} s", file=sys.stderr, flush=True)
            time.sleep(delay_s)
        with open(f"{path}.new", "w") as file:
            file.write(f"{time.monotonic()} {delay_s}\n")
        # Nothing is flushed: the directory is in memory, and empty after a boot.
        os.replace(f"{path}.new", path)
    except OSError as error:
        print(f"No growing delay: {path}: {error.strerror}", file=sys.stderr)


def _read(path: str) -> Start | None:
    try:
        with open(path, "rb") as file:
            at_s, delay_s = file.read(_BYTES_MAX).split()
        return float(at_s), float(delay_s)
    except (FileNotFoundError, ValueError):
        return None
