"""supervisord's words for programs and their states, in the tool's own."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus, Program, Sync

_STATES: Final = {
    "RUNNING": ProcessState.RUNNING,
    "STARTING": ProcessState.STARTING,
    "BACKOFF": ProcessState.FAILING,
    "STOPPING": ProcessState.STOPPING,
    "STOPPED": ProcessState.STOPPED,
    "EXITED": ProcessState.STOPPED,
    "FATAL": ProcessState.GIVEN_UP,
    "UNKNOWN": ProcessState.FAILING,
}


def program_of(group: str, process: Any) -> Program:
    """The program of a process in supervisord's own reading of its files."""
    output = _path(process.stdout_logfile)
    errors = _path(process.stderr_logfile)
    return Program(
        group=group,
        member=None if process.name == group else process.name,
        arguments=tuple(shlex.split(process.command)[1:]),
        environment=cast(Mapping[str, str], process.environment or {}),
        log=output if process.redirect_stderr else errors,
        output_log=None if process.redirect_stderr else output,
    )


def _path(logfile: object) -> Path | None:
    return Path(os.path.normpath(logfile)) if isinstance(logfile, str) else None


def status_of(info: Mapping[str, Any]) -> ProcessStatus:
    """One answer of `getAllProcessInfo`."""
    group, name = info["group"], info["name"]
    pid = info["pid"] or None
    state = _STATES[info["statename"]]
    if info["statename"] == "EXITED" and info["exitstatus"]:
        # Between its death and its new start.
        state = ProcessState.FAILING
    return ProcessStatus(
        name=name if name == group else f"{group}:{name}",
        state=state,
        pid=pid,
        up_s=max(0.0, float(info["now"] - info["start"])) if pid else None,
        detail=info["description"],
    )


def sync_of(result: object) -> Sync:
    """The answer of the plugin's `sync` or `compare`."""
    found = cast(dict[str, list[str]], result)
    return Sync(**{name: tuple(names) for name, names in found.items()})
