"""`evd status`: the charging points as Central shows them, and the processes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import (
    ProcessState,
    ProcessStatus,
    Supervisor,
    SupervisorFailed,
    Sync,
)
from evd.cli.centrals import CentralSeen, Standing, seen_of
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.programs import central_of, feeds_of
from evd.cli.reload import changes
from evd.cli.table import NOTHING, Columns, amount
from evd.core.wire.fields import printable

STATE_COLORS: Final = {"ON": "green", "BROKEN": "red", "DISCONNECTED": "bright_black"}
BREAKER_COLORS: Final = {"OPEN": "red", "HALF_OPEN": "yellow"}
_COLUMNS: Final = Columns(
    ("CP", "STATE", "ENGINE", "DRIVER", "kW", "kWh", "euros", "BREAKER"),
    amounts=frozenset({"kW", "kWh", "euros"}),
    spare=("ENGINE", "BREAKER", "kW", "euros", "kWh", "DRIVER"),
    squeezed="DRIVER",
)
_CENTRAL_COLORS: Final = {
    Standing.SERVES: "green",
    Standing.STANDS_BY: "",
    Standing.UNABLE: "yellow",
    Standing.AWAY: "yellow",
}
# A sentence in the window of `evd watch` names so many at the most.
_NAMED_MAX: Final = 5

_PROCESS_SENTENCES: Final = {
    ProcessState.STARTING: "{names} {are} starting.",
    ProcessState.FAILING: "{names} {are} started again after a failure: evd doctor says more.",
    ProcessState.STOPPING: "{names} {are} being stopped.",
    ProcessState.STOPPED: "{names} {are} stopped: evd up starts what is stopped.",
    ProcessState.GIVEN_UP: "{names} {are} not started any more: evd doctor says more.",
}


@attrs.frozen
class Snapshot:
    """The network at one moment; `trouble` says what could not be asked."""

    charging_points: Sequence[dict[str, Any]]
    active_requests: int | None
    processes: Sequence[ProcessStatus]
    trouble: tuple[str, ...]
    drift: Sync = Sync()
    feed: str = ""
    # Where several are known.
    centrals: Sequence[CentralSeen] = ()

    def as_json(self) -> dict[str, Any]:
        """The values that `evd status --json` prints."""
        return {
            "charging_points": list(self.charging_points),
            "active_requests": self.active_requests,
            "feed": self.feed,
            "centrals": [attrs.asdict(each) for each in self.centrals],
            "processes": [
                {"name": each.name, "state": each.state.value, "pid": each.pid, "up_s": each.up_s}
                for each in self.processes
            ],
            "trouble": list(self.trouble),
            "changes": attrs.asdict(self.drift),
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
    active_requests, drift, feed = None, Sync(), ""
    centrals: Sequence[CentralSeen] = ()
    try:
        processes = supervisor.status()
    except SupervisorFailed as error:
        trouble.append(str(error))
    try:
        feeds, central = feeds_of(supervisor), central_of(supervisor)
        feed = feeds[0]
        centrals = seen_of(supervisor)
        answer = central.charging_points()
        feed = feeds[central.ways.index(central.way)]
        points, active_requests = answer["charging_points"], answer["active_requests"]
    except (CentralAway, CentralRefused) as error:
        trouble.append(sentence_of(error))
    except (ToolFailed, SupervisorFailed) as error:
        trouble.append(str(error))
    try:
        drift = supervisor.drift() if processes else drift
    except SupervisorFailed as error:
        # A file that can't be read has been told of.
        trouble = trouble or [str(error)]
    points = sorted(points, key=lambda each: str(each["cp_id"]))
    return Snapshot(points, active_requests, processes, tuple(trouble), drift, feed, centrals)


def draw(snapshot: Snapshot) -> RenderableType:
    """The snapshot as a person reads it, in as many columns as there are."""
    return _View(snapshot)


@attrs.frozen
class _View:
    snapshot: Snapshot

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        rows = [_row(view) for view in self.snapshot.charging_points]
        if rows:
            yield _COLUMNS.table(rows, rows, options.max_width)
        yield from self._count()
        yield from self._notes()
        yield from lame_sentences(self.snapshot.processes, len(self.snapshot.processes))
        for central in self.snapshot.centrals:
            yield Text(f"Central at {central}", _CENTRAL_COLORS[central.standing])
        yield from self._changes()
        yield from self._trouble()
        if self.snapshot.feed:
            yield Text(f"Status feed: {self.snapshot.feed}", "dim")

    def _count(self) -> Iterator[Text]:
        count = self.snapshot.active_requests
        if count is not None:
            points = len(self.snapshot.charging_points)
            yield Text(f"{points} charging points, {count} active requests", "dim")

    def _notes(self) -> Iterator[Text]:
        """Why charging points are not available, those of one reason together."""
        found: dict[str, list[str]] = {}
        for view in self.snapshot.charging_points:
            # Where a car charges its driver's name says already that it is not available.
            charges = view["current_session"] is not None and _is_on(view)
            if not view["available"] and not charges:
                found.setdefault(str(view["unavailable_reason"]), []).append(view["cp_id"])
        for reason, cp_ids in found.items():
            yield Text(f"{', '.join(cp_ids)}: {printable(reason)}")

    def _changes(self) -> Iterator[Text]:
        for sentence in changes(self.snapshot.drift):
            yield Text(f"{sentence}. evd reload takes it up.", "yellow")

    def _trouble(self) -> Iterator[Text]:
        for sentence in self.snapshot.trouble:
            yield Text(printable(sentence), "red")


def lame_sentences(processes: Iterable[ProcessStatus], named_max: int = _NAMED_MAX) -> list[Text]:
    """Which processes do not run, those in one state together."""
    found: dict[ProcessState, list[str]] = {}
    for each in processes:
        if each.state is not ProcessState.RUNNING:
            found.setdefault(each.state, []).append(each.name)
    return [
        Text(
            _PROCESS_SENTENCES[state].format(
                names=_listed(names, named_max), are="is" if len(names) == 1 else "are"
            ),
            "yellow",
        )
        for state, names in found.items()
    ]


def _row(view: dict[str, Any]) -> dict[str, Text]:
    """The cells of a charging point by their columns."""
    meter = view.get("telemetry") or {}
    state, breaker = str(view["state"]), str(view["breaker"])
    return {
        "CP": Text(view["cp_id"]),
        "STATE": Text(state, STATE_COLORS.get(state, "")),
        "ENGINE": Text(view["engine_state"] or NOTHING),
        "DRIVER": Text(view["current_driver"] or NOTHING),
        "kW": amount(meter.get("kw"), 1),
        "kWh": amount(meter.get("kwh"), 3),
        "euros": amount(meter.get("euros"), 2),
        "BREAKER": Text(breaker, BREAKER_COLORS.get(breaker, "")),
    }


def _is_on(view: dict[str, Any]) -> bool:
    return str(view["state"]) == "ON"


def _listed(names: Sequence[str], named_max: int) -> str:
    """The names with commas; beyond `named_max` their number."""
    more = len(names) - named_max
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:named_max])} and {more} more"
