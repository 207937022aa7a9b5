"""`evd status` and `evd watch`: the charging points as Central shows them, and the processes."""

from collections.abc import Sequence
from typing import Any, Final

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evd.adapters.supervisor import ProcessState, ProcessStatus, Supervisor, SupervisorFailed
from evd.cli.errors import ToolFailed
from evd.cli.network import Network

_STATE_COLORS: Final = {"ON": "green", "BROKEN": "red", "DISCONNECTED": "bright_black"}
_BREAKER_COLORS: Final = {"OPEN": "red", "HALF_OPEN": "yellow"}
NOTHING: Final = "-"


@attrs.frozen
class Snapshot:
    """The network at one moment; `trouble` says what could not be asked."""

    charging_points: Sequence[dict[str, Any]]
    active_requests: int | None
    processes: Sequence[ProcessStatus]
    trouble: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return {
            "charging_points": list(self.charging_points),
            "active_requests": self.active_requests,
            "processes": [
                {"name": each.name, "state": each.state.value, "pid": each.pid, "up_s": each.up_s}
                for each in self.processes
            ],
            "trouble": list(self.trouble),
        }

    @property
    def is_well(self) -> bool:
        """Whether everything could be asked, and every process runs."""
        return not self.trouble and not self.lame()

    def lame(self) -> list[ProcessStatus]:
        """The processes that do not run."""
        return [each for each in self.processes if each.state is not ProcessState.RUNNING]


def take_snapshot(supervisor: Supervisor) -> Snapshot:
    """Ask supervisor and Central; what fails becomes `trouble`."""
    trouble: list[str] = []
    processes: Sequence[ProcessStatus] = ()
    points: Sequence[dict[str, Any]] = ()
    active_requests = None
    try:
        processes = supervisor.status()
    except SupervisorFailed as error:
        trouble.append(str(error))
    try:
        answer = Network(supervisor).central().charging_points()
        points, active_requests = answer["charging_points"], answer["active_requests"]
    except (ToolFailed, SupervisorFailed) as error:
        trouble.append(str(error))
    points = sorted(points, key=lambda each: str(each["cp_id"]))
    return Snapshot(points, active_requests, processes, tuple(trouble))


def draw(snapshot: Snapshot) -> RenderableType:
    """The snapshot as a person reads it."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("CP", "STATE", "ENGINE", "DRIVER"):
        table.add_column(name, no_wrap=True)
    for name in ("kW", "kWh", "euros"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("BREAKER", no_wrap=True)
    table.add_column("NOTE")
    for each in snapshot.charging_points:
        table.add_row(*_row(each))
    parts: list[RenderableType] = [table] if snapshot.charging_points else []
    if snapshot.active_requests is not None:
        count = len(snapshot.charging_points)
        parts.append(
            Text(f"{count} charging points, {snapshot.active_requests} active requests", "dim")
        )
    parts += [
        Text(f"{each.name} is {each.state}: {each.detail}", "yellow") for each in snapshot.lame()
    ]
    parts += [Text(sentence, "red") for sentence in snapshot.trouble]
    return Group(*parts)


def _row(view: dict[str, Any]) -> list[RenderableType]:
    meter = view.get("telemetry") or {}
    state, breaker = str(view["state"]), str(view["breaker"])
    supplying = view.get("current_session") is not None
    return [
        Text(view["cp_id"]),
        Text(state, _STATE_COLORS.get(state, "")),
        Text(view["engine_state"] or NOTHING),
        Text(view["current_driver"] or NOTHING),
        Text(_amount(meter.get("kw"), 1)),
        Text(_amount(meter.get("kwh"), 3)),
        Text(_amount(meter.get("euros"), 2)),
        Text(breaker, _BREAKER_COLORS.get(breaker, "")),
        # That a supplying charging point is not available is what its driver's name says.
        Text("" if view["available"] or supplying else str(view["unavailable_reason"]), "dim"),
    ]


def _amount(value: float | None, decimals: int) -> str:
    return NOTHING if value is None else f"{value:.{decimals}f}"
