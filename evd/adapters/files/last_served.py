"""The address of the Central that served last, on a client's disk: where the next start begins.

It saves a round of the addresses and nothing else, so no failure of its file ends anything.
"""

import contextlib
from pathlib import Path
from typing import Final

from evd.adapters.files.regular_file import open_regular
from evd.adapters.files.state_dir import write_whole

SERVED_FILE: Final = "last_served"
_BYTES_MAX: Final = 4096


def read_last_served(state_dir: Path) -> str | None:
    """The text that is kept in `state_dir`, None where there is none that can be read."""
    with contextlib.suppress(OSError), open(open_regular(state_dir / SERVED_FILE), "rb") as file:
        return file.read(_BYTES_MAX).decode(errors="replace").strip()
    return None


def write_last_served(state_dir: Path, address: str) -> None:
    """Keep it; raises OSError."""
    write_whole(state_dir / SERVED_FILE, f"{address}\n".encode())
