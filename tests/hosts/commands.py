"""One command of the system: run to its end, with what it said."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SAID_CHARS_MAX: Final = 2000


class CommandFailed(Exception):
    """One sentence names the command, and has the end of what it said."""


def run(
    *command: str | Path,
    timeout_s: float | None = 60.0,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Its stdout.  `env`: more variables.  Raises CommandFailed unless it ends with 0 in time."""
    shown = " ".join(map(str, command))
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            input=stdin or "",
        )
    except FileNotFoundError:
        raise CommandFailed(f"there is no {command[0]} here") from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"`{shown}` took longer than {timeout_s:g} s") from None
    if done.returncode != 0:
        said = f"{done.stdout}\n{done.stderr}".strip()[-SAID_CHARS_MAX:]
        raise CommandFailed(f"`{shown}` ended with {done.returncode}: {said}")
    return done.stdout


def works(*command: str | Path) -> bool:
    """Whether it ends with 0."""
    try:
        run(*command)
    except CommandFailed:
        return False
    return True
