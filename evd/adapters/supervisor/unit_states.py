"""The units of systemd as the tool's processes: their names, and what `systemctl show` says."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus

# Asked of `systemctl show`; it leaves out one that it does not know.
PROPERTIES: Final = (
    *("Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "NRestarts"),
    *("ExecMainStartTimestampMonotonic", "ExecMainCode", "ExecMainStatus", "StatusText"),
    *("UnitFileState", "NeedDaemonReload"),
)
# The groups of which a host has one process, and those that have one for each id.
SINGLE: Final = ("evd-central", "kafka")
TEMPLATES: Final = ("evd-engine", "evd-monitor", "evd-driver")

_UNIT: Final = re.compile(
    rf"(?P<single>{'|'.join(SINGLE)})\.service"
    rf"|(?P<group>{'|'.join(TEMPLATES)})@(?P<member>.+)\.service"
)
_US_PER_S: Final = 1_000_000
_STATES: Final = {
    "active": ProcessState.RUNNING,
    "reloading": ProcessState.RUNNING,
    "activating": ProcessState.STARTING,
    "deactivating": ProcessState.STOPPING,
    "inactive": ProcessState.STOPPED,
    "failed": ProcessState.GIVEN_UP,
}
# The values of ExecMainCode: CLD_EXITED, CLD_KILLED and CLD_DUMPED.
_ENDINGS: Final = {"1": "ended with code", "2": "was ended by signal", "3": "was ended by signal"}

Unit = Mapping[str, str]


def unit_of(name: str) -> str:
    """The unit of a process, such as `evd-engine@CP-001.service` of `evd-engine:CP-001`."""
    group, _, member = name.partition(":")
    return f"{group}@{member}.service" if member else f"{group}.service"


def name_of(unit: str) -> str | None:
    """The process of a unit, None for a unit that is none of ours."""
    found = _UNIT.fullmatch(unit)
    if found is None:
        return None
    return found["single"] or f"{found['group']}:{found['member']}"


def read_units(shown: str) -> Iterator[Unit]:
    """The units of an answer, each as its properties; several are apart by an empty line."""
    for block in shown.split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        unit = {name: value for name, _, value in pairs}
        if unit:
            yield unit


def status_of(unit: Unit, now_s: float) -> ProcessStatus | None:
    """The process of a unit at `now_s` of the monotonic clock; None where it is none of ours."""
    name = name_of(unit.get("Id", ""))
    if name is None:
        return None
    state = _STATES.get(unit.get("ActiveState", ""), ProcessState.FAILING)
    sub = unit.get("SubState", "")
    # It waits before its next start: systemd for a moment, and the unit's own delay after that.
    is_restarted = unit.get("NRestarts", "0") != "0" and sub == "start-pre"
    if state is ProcessState.STARTING and (sub == "auto-restart" or is_restarted):
        state = ProcessState.FAILING
    pid = int(unit.get("MainPID") or 0) or None
    began_us = int(unit.get("ExecMainStartTimestampMonotonic") or 0)
    up_s = max(0.0, now_s - began_us / _US_PER_S) if pid and began_us else None
    return ProcessStatus(name, state, pid, up_s, _detail(unit, state))


def _detail(unit: Unit, state: ProcessState) -> str:
    if state not in (ProcessState.GIVEN_UP, ProcessState.FAILING):
        return unit.get("StatusText", "")
    ending = _ENDINGS.get(unit.get("ExecMainCode", ""))
    last = f", it last {ending} {unit.get('ExecMainStatus', '')}" if ending else ""
    return f"started anew {unit.get('NRestarts', '0')} times{last}"
