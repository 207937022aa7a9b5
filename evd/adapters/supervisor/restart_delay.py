"""The pause before the next start of a program that dies again and again: a unit's ExecStartPre.

The first new start comes at once, for most deaths are single.  A process that lived for STEADY_S
ends the row.  The pause is bounded, so that a part whose fault is repaired is soon back.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from evd.adapters.files.regular_file import open_regular
from evd.adapters.files.state_dir import write_whole

FIRST_S: Final = 0.5
GROWTH: Final = 2.0
DELAY_S_MAX: Final = 8.0
STEADY_S: Final = 10.0

FILE: Final = "last-start"
_BYTES_MAX: Final = 100


@attrs.frozen
class Start:
    """The last start: its time by the monotonic clock, and the pause before it."""

    at_s: float
    delay_s: float


def next_delay_s(last: Start | None, now_s: float) -> float:
    """The pause before a start at `now_s`; none before the first one, or after a long life."""
    if last is None or now_s - last.at_s >= STEADY_S:
        return 0.0
    return min(max(FIRST_S, last.delay_s * GROWTH), DELAY_S_MAX)


def pause(env: Mapping[str, str] = os.environ) -> None:
    """Wait as long as is due, and note the start in the unit's runtime directory.

    Never fails: without that directory, or with a file that can't be read, there is no pause.
    """
    # systemd names every RuntimeDirectory= of the unit, with colons between; ours is the first.
    folder = env.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not folder:
        return
    path = Path(folder, FILE)
    try:
        delay_s = next_delay_s(_read(path), time.monotonic())
        if delay_s:
            print(f"Died too soon: started again in {delay_s:g} s", file=sys.stderr, flush=True)
            time.sleep(delay_s)
        write_whole(path, f"{time.monotonic()} {delay_s}\n".encode())
    except OSError as error:
        print(f"No growing delay: {path}: {error.strerror}", file=sys.stderr)


def _read(path: Path) -> Start | None:
    try:
        with open(open_regular(path), "rb") as file:
            at, delay = file.read(_BYTES_MAX).split()
        return Start(float(at), float(delay))
    except (FileNotFoundError, ValueError):
        return None
