"""The file of a unit, as supervisord reads it from an include folder."""

import re
import shlex
from collections.abc import Sequence
from typing import Final

from evd.adapters.supervisor.protocol import Program, SupervisorFailed

# Started first, stopped last: drivers end before engines, those before Central and the broker.
PRIORITIES: Final = {
    "evd-broker": 10,
    "evd-kafka": 10,
    "evd-central": 20,
    "evd-engine": 30,
    "evd-monitor": 40,
    "evd-driver": 50,
}

# Behind white space these begin a comment, whatever quotes stand around them.
_COMMENT: Final = re.compile(r"\s[#;]|[\r\n]")
# Any end but a clean one is followed by a new start, for ever: a fault that is repaired heals.
_RESTARTS: Final = (
    "autorestart = unexpected",
    "exitcodes = 0",
    "startsecs = 1",
    "startretries = 1000000000",
    "stopsignal = TERM",
    "stopwaitsecs = 7",
)


def render(programs: Sequence[Program]) -> str:
    """A file of an include folder for these programs; SupervisorFailed for what it can't hold."""
    return "\n".join(_section(program) for program in programs)


def _section(program: Program) -> str:
    stem = program.group if program.member is None else f"{program.group}-{program.member}"
    command = shlex.join([program.group, *program.arguments])
    if _COMMENT.search(command) or not _is_text(command):
        raise SupervisorFailed(f"supervisord's files can't hold this command: {command!r}")
    log = f"%(here)s/../../var/log/{stem}.log"
    lines = [
        f"[program:{stem}]",
        f"process_name = {program.member or stem}",
        "numprocs = 1",
        f"command = {command.replace('%', '%%')}",
        "directory = %(here)s/../..",
        f"priority = {PRIORITIES[program.group]}",
        *_RESTARTS,
    ]
    if program.group == "evd-driver":
        output = log.removesuffix(".log") + ".out"
        lines += [*_bounded("stdout", output), *_bounded("stderr", log)]
    else:
        lines += ["redirect_stderr = true", *_bounded("stdout", log)]
    return "\n".join(lines) + "\n"


def _is_text(command: str) -> bool:
    """Whether it is UTF-8, as supervisord reads its files; the names of files need not be."""
    try:
        command.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bounded(stream: str, path: str) -> tuple[str, ...]:
    return (
        f"{stream}_logfile = {path}",
        f"{stream}_logfile_maxbytes = 5MB",
        f"{stream}_logfile_backups = 2",
    )
