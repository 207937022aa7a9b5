"""The network that is struck: ten charging points and five drivers under supervisord.

All settings but these are at their defaults: sessions are short, and drivers hardly rest.
"""

import contextlib
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import ProcessState, Program, SupervisorFailed
from evd.adapters.supervisor.supervisord import Supervisord
from evd.cli.cp import remove_charging_point
from evd.cli.driver import remove_driver
from evd.cli.programs import DRIVER, ENGINE, MONITOR
from evd.cli.start_lock import changing
from evd.core.wire.messages import RequestStatus
from tests.chaos.centrals import Centrals, centrals_in
from tests.chaos.guard import Guard
from tests.chaos.plan import BROKER, CENTRAL, CP_IDS, CUTTABLE, DRIVER_IDS, request_lines
from tests.network import checker, supervised
from tests.network.processes import Relay, free_port
from tests.network.waiting import wait_until_none

SESSION_S: Final = 4.0
REQUEST_INTERVAL_S: Final = 0.2
UP_S_MAX: Final = 90.0
LOOK_S: Final = 0.1

_LOGGED: Final = ("--log-format", "json")
# SIGTERM ends a program that is not ready to hear it yet: that is no crash.
_CRASHED: Final = re.compile(r"exit status [1-9]|exited: .*terminated by SIG(?!KILL)")


@attrs.frozen
class ChaosNetwork:
    """A network with the handles by which it is struck."""

    files: supervised.Network
    units: Mapping[str, Sequence[Program]]
    centrals: Centrals
    # By charging point: the links between its monitor and each Central.
    relays: Mapping[str, Sequence[Relay]]
    guard: Guard | None = None

    @property
    def supervisord(self) -> Supervisord:
        made = self.files.supervisord
        made.given = self.centrals.given()
        if self.guard is not None and self.centrals.several:
            made.given = self.guard.given(made.given)
        return made

    @property
    def logs(self) -> Path:
        return self.supervisord.log.parent

    @property
    def central(self) -> Central:
        return Central(self.centrals.ways if self.guard is None else self.guard.ways)

    def lame(self) -> dict[str, str]:
        """The programs that do not run, and the charging points that are not shown as free or
        charging, each with why."""
        try:
            status = self.supervisord.status()
        except SupervisorFailed as error:
            return dict.fromkeys((*self.program_names, *CP_IDS), str(error))
        states = {each.name: each.state for each in status}
        programs = {name: states.get(name, "not there") for name in self.program_names}
        running = ProcessState.RUNNING
        found = {name: f"is {state}" for name, state in programs.items() if state != running}
        try:
            shown = self.central.charging_points()["charging_points"]
        except (CentralAway, CentralRefused) as error:
            return found | dict.fromkeys(CP_IDS, str(error))
        points = {each["cp_id"]: each for each in shown}
        for cp_id in CP_IDS:
            point = points.get(cp_id)
            if point is None or point["state"] != "ON":
                found[cp_id] = f"is {point['state'] if point else 'not known'}"
            elif not point["available"] and not point["current_session"]:
                found[cp_id] = f"is not free: {point['unavailable_reason']}"
        return found

    @property
    def program_names(self) -> list[str]:
        return [program.name for unit in self.units.values() for program in unit]

    def pid(self, name: str) -> int | None:
        return next((each.pid for each in self.supervisord.status() if each.name == name), None)

    def freeze(self, name: str) -> int | None:
        """SIGSTOP; the process that now hangs."""
        pid = self.pid(name)
        if pid is not None and signalled(pid, signal.SIGSTOP):
            return pid
        return None

    def hold(self, name: str) -> None:
        """SIGKILL, without a new start until the supervisor is told to start it."""
        # A stop begins with SIGTERM, which a process that hangs does not hear before it is killed.
        pid = self.freeze(name)
        if pid is None:
            raise SupervisorFailed(f"{name} does not run")
        with _soon_killed(pid):
            self.supervisord.stop([name])

    def leave(self, who: str) -> None:
        """Remove a charging point or a driver; ToolFailed where it can't be done without a loss."""
        with changing(self.supervisord):
            if who in DRIVER_IDS:
                remove_driver(self.supervisord, who)
            else:
                remove_charging_point(self.supervisord, who, False, lambda _: None)

    def join(self, who: str) -> None:
        unit = f"driver-{who}" if who in DRIVER_IDS else f"cp-{who}"
        if self.guard is not None:
            renewed = partial(_failure, partial(self.guard.renew, who))
            wait_until_none(renewed, UP_S_MAX, f"{who} has a token", LOOK_S)
        with changing(self.supervisord):
            self.supervisord.add(unit, self.units[unit])
            self.supervisord.sync()

    def end_session(self, cp_id: str) -> bool:
        """Stop the session of a charging point; whether there was one."""
        active = self.central.sessions(cp_id=cp_id, status="ACTIVE", limit=1)
        if not active:
            return False
        try:
            self.central.stop_session(active[0]["session_id"])
        except CentralRefused:
            return False
        return True

    def ask_no_more(self) -> None:
        for driver_id in DRIVER_IDS:
            self._requests_file(driver_id).write_text("# Enough.\n")
        names = [f"evd-driver:{driver_id}" for driver_id in DRIVER_IDS]
        self.supervisord.stop(names)
        self.supervisord.start(names)

    def _requests_file(self, driver_id: str) -> Path:
        return self.files.root / f"{driver_id}.txt"

    def write_requests(self, seed: int) -> None:
        for driver_id in DRIVER_IDS:
            lines = request_lines(seed, driver_id)
            self._requests_file(driver_id).write_text("\n".join(lines) + "\n")

    def sessions(self) -> list[checker.Row]:
        return self.centrals.stored()[0]

    def facts(self) -> checker.Facts:
        logs = {each: self.logs / f"evd-driver-{each}" for each in DRIVER_IDS}
        return checker.gather_from(
            self.centrals.stored(),
            {each.name: each for each in sorted((self.supervisord.var / "engine").iterdir())},
            {each: (_text(log, ".out"), _text(log, ".log")) for each, log in logs.items()},
        )

    def failed_at(self) -> dict[str, datetime]:
        """When drivers were first told that a request had failed."""
        found: dict[str, datetime] = {}
        for driver_id in DRIVER_IDS:
            for line in _text(self.logs / f"evd-driver-{driver_id}", ".out").splitlines():
                when, status, request_id = line.split(" | ", 3)[:3]
                if status == RequestStatus.FAILED:
                    found.setdefault(request_id, datetime.fromisoformat(when))
        return found

    def crashes(self) -> list[str]:
        log = _text(self.supervisord.log.with_suffix(""), ".log")
        names = [each.name.rpartition(":")[2] for each in self.centrals.members]
        return self.centrals.crashes(
            [line for line in log.splitlines() if _CRASHED.search(line)],
            {name: _text(self.logs / f"{CENTRAL}-{name}", ".log") for name in names},
        )


def _text(stem: Path, suffix: str) -> str:
    path = stem.with_name(stem.name + suffix)
    # supervisord renames a file that is full.
    rotated = sorted(path.parent.glob(f"{path.name}.*"), reverse=True)
    return "".join(each.read_text(errors="replace") for each in (*rotated, path) if each.exists())


def signalled(pid: int, number: int) -> bool:
    """Signal a process; whether it is still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def _soon_killed(pid: int) -> Iterator[None]:
    """SIGKILL the process while the block waits for its end."""
    killer = threading.Timer(0.1, signalled, (pid, signal.SIGKILL))
    killer.start()
    try:
        yield
    finally:
        killer.join()


def _units(
    root: Path, centrals: Centrals, relays: Mapping[str, Sequence[Relay]]
) -> dict[str, list[Program]]:
    units = {
        "broker": [Program(BROKER, None, _LOGGED)],
        "central": [each.program(_LOGGED) for each in centrals.members],
    }
    ports = [each.control_port for each in centrals.members]
    for cp_id in CP_IDS:
        own = ("--cp-id", cp_id, *_LOGGED)
        health_port, metrics_port = str(free_port()), str(free_port())
        engine = ("--health-port", health_port, "--metrics-port", metrics_port)
        monitor: tuple[str, ...] = ("--cp-e-port", health_port)
        own_ports = [each.port for each in relays[cp_id]] if cp_id in relays else ports
        monitor += ("--central-host", ",".join(f"127.0.0.1:{port}" for port in own_ports))
        units[f"cp-{cp_id}"] = [
            Program(ENGINE, cp_id, (*own, *engine, "--session-seconds", f"{SESSION_S:g}")),
            Program(MONITOR, cp_id, (*own, *monitor)),
        ]
    for driver_id in DRIVER_IDS:
        flags = (
            *("--driver-id", driver_id, *_LOGGED),
            *("--requests-file", str(root / f"{driver_id}.txt")),
            *("--request-interval", f"{REQUEST_INTERVAL_S:g}"),
            *("--central-url", ",".join(each.way.url for each in centrals.members)),
        )
        units[f"driver-{driver_id}"] = [Program(DRIVER, driver_id, flags)]
    return units


def _guarded(guard: Guard, programs: Sequence[Program]) -> list[Program]:
    return [
        attrs.evolve(each, arguments=(*each.arguments, *guard.flags_of(each))) for each in programs
    ]


def _failure(call: Callable[[], None]) -> str:
    """Why Central did not do what was asked; empty where it did."""
    try:
        call()
    except (CentralAway, CentralRefused) as error:
        return str(error)
    return ""


@contextlib.contextmanager
def chaos_network(
    root: Path, seed: int, *, guarded: bool = False, centrals: int = 1
) -> Iterator[ChaosNetwork]:
    """A network that is up; nothing of it is left at the end of the block but its files.

    `guarded`: it speaks TLS, and takes only those who show a token.
    """
    with contextlib.ExitStack() as stack:
        files = stack.enter_context(supervised.network_in(root / "net"))
        files.keep()
        several = stack.enter_context(centrals_in(root, files, centrals))
        relays = {
            cp_id: [
                Relay(f"relay-{cp_id}-{number}", root, each.control_port)
                for number, each in enumerate(several.members)
            ]
            for cp_id in CUTTABLE
        }
        guard = Guard(root / "guard", several.ways) if guarded else None
        units = _units(files.root, several, relays)
        if guard is not None:
            units = {unit: _guarded(guard, programs) for unit, programs in units.items()}
        for unit, programs in units.items():
            files.supervisord.add(unit, programs)
        for relay in (each for of_one in relays.values() for each in of_one):
            stack.callback(relay.start().end)
        network = ChaosNetwork(files, units, several, relays, guard)
        network.write_requests(seed)
        # It ends with this process, however that ends.
        files.supervisord.launch()
        if guard is not None:
            taken = partial(_failure, guard.let_in)
            wait_until_none(taken, UP_S_MAX, "Central takes the tokens", LOOK_S)
        wait_until_none(network.lame, UP_S_MAX, "all is up", LOOK_S)
        yield network
