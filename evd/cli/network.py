"""The network as the operator sees it: charging points and drivers that come and go.

Nothing here says which supervisor keeps the processes alive.
"""

import contextlib
import http.client
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from evd.adapters.supervisor.protocol import (
    ProcessState,
    ProcessStatus,
    Program,
    Supervisor,
    SupervisorFailed,
)
from evd.cli.central import Central, CentralAway, CentralRefused
from evd.cli.errors import ToolFailed
from evd.cli.ports import DASHBOARD_PORTS, HEALTH_PORTS, METRICS_PORTS, PortChoice, config_of
from evd.cli.signals import INTERRUPTED, undisturbed
from evd.config import CentralConfig, EngineConfig, read_requests_file
from evd.core.wire.messages import CpState
from evd.flags import ConfigError

ENGINE: Final = "evd-engine"
MONITOR: Final = "evd-monitor"
DRIVER: Final = "evd-driver"
CENTRAL: Final = "evd-central"
BROKER: Final = "evd-broker"
KAFKA: Final = "evd-kafka"

READY_S: Final = 30.0
SESSION_END_S: Final = 30.0
FORGET_S: Final = 5.0
POLL_S: Final = 0.2
# In Central's reason why a charging point is not available.
STOPPED: Final = "stopped by the operator"

Say = Callable[[str], None]


@attrs.frozen
class NewCp:
    """What the operator says of new charging points; None: the engine's own default."""

    kw: str | None = None
    euro: str | None = None


@attrs.define
class Network:
    """The programs under one supervisor, and the Central among them."""

    supervisor: Supervisor

    def central(self) -> Central:
        """Central, where its configuration says that it listens."""
        config = self.central_config()
        return Central(config.http_host, config.http_port)

    def central_config(self) -> CentralConfig:
        """What Central has been told."""
        for program in self.supervisor.programs():
            if program.group == CENTRAL:
                config = config_of(program)
                if isinstance(config, CentralConfig):
                    return config
        raise ToolFailed("No program evd-central is defined here.")

    def program(self, name: str) -> Program:
        """The program that `name` means: its full name, or the end of it where that is clear."""
        found = [each for each in self.supervisor.programs() if name in _names_for(each)]
        if not found:
            known = ", ".join(each.name for each in self.supervisor.programs())
            raise ToolFailed(f"There is no program {name!r}. There are {known}.", 2)
        if len(found) > 1:
            names = " or ".join(each.name for each in found)
            raise ToolFailed(f"{name!r} may be {names}: which one?", 2)
        return found[0]

    def add_charging_points(self, cp_ids: Sequence[str], new: NewCp) -> None:
        """Define charging points and start them; none of them if one is wrong."""
        units = {cp_id: f"cp-{cp_id}" for cp_id in cp_ids}
        programs = self.supervisor.programs()
        self._refuse_known(units, programs, (ENGINE, MONITOR))
        ports = PortChoice(programs)
        made = {units[cp_id]: _charging_point(cp_id, new, ports) for cp_id in cp_ids}
        self._define(made)

    def add_drivers(
        self, driver_ids: Sequence[str], requests: Path | None, http_port: int | None
    ) -> dict[str, int]:
        """Define drivers and start them; the port of each one's dashboard."""
        units = {driver_id: f"driver-{driver_id}" for driver_id in driver_ids}
        programs = self.supervisor.programs()
        self._refuse_known(units, programs, (DRIVER,))
        ports = PortChoice(programs)
        if http_port is not None:
            ports.claim(http_port, "--http-port")
        dashboards = {
            driver_id: ports.take(DASHBOARD_PORTS) if http_port is None else http_port
            for driver_id in driver_ids
        }
        made = {
            units[driver_id]: [_driver(driver_id, requests, dashboards[driver_id], ports)]
            for driver_id in driver_ids
        }
        self._define(made)
        return dashboards

    def wait_until_on(self, cp_ids: Sequence[str]) -> None:
        """Return once Central shows all of them ON; ToolFailed names those that are not."""

        def missing() -> list[str]:
            try:
                return self.not_on(cp_ids)
            except (CentralAway, CentralRefused) as error:
                # It may be on its way back.
                return [str(error).rstrip(".")]

        _wait_until_none(missing)

    def wait_until_running(self, driver_ids: Sequence[str]) -> None:
        """Return once the processes of all of them run; ToolFailed names those that do not."""
        names = {f"{DRIVER}:{driver_id}" for driver_id in driver_ids}

        def missing() -> list[str]:
            found = [each for each in self.supervisor.status() if each.name in names]
            unknown = names - {each.name for each in found}
            return _not_running(found) + [f"{name} is not there" for name in sorted(unknown)]

        _wait_until_none(missing)

    def not_on(self, cp_ids: Sequence[str] | None = None) -> list[str]:
        """Those of this network's charging points, or of `cp_ids`, that are not ON, with why."""
        if cp_ids is None:
            programs = self.supervisor.programs()
            cp_ids = [each.member for each in programs if each.group == MONITOR and each.member]
        points = self.central().charging_points()["charging_points"]
        states = {each["cp_id"]: each["state"] for each in points}
        return [
            f"{cp_id} is {states.get(cp_id, 'not registered')}"
            for cp_id in cp_ids
            if states.get(cp_id) != "ON"
        ]

    def remove_charging_point(self, cp_id: str, force: bool, say: Say) -> None:
        """End its session, wait until its records are confirmed, stop it and forget it.

        Without `force` nothing is removed while a record could be lost.
        """
        found = {
            each.group: each
            for each in self.supervisor.programs()
            if each.member == cp_id and each.group in (ENGINE, MONITOR)
        }
        unit = f"cp-{cp_id}"
        if not found or not self.supervisor.has(unit):
            self._forget_foreign(cp_id)
            return
        if self.supervisor.pid() is not None:
            # The monitor first: it says BYE, and nobody sees the engine's end as a fault.
            names = [found[group].name for group in (MONITOR, ENGINE) if group in found]
            with self._put_back_unless_done(cp_id, names, say):
                self._settle(cp_id, found.get(ENGINE), force, say)
                for name in names:
                    self._stop([name])
                self._forget(cp_id, say)
                self.supervisor.remove(unit)
            self.supervisor.sync()
            return
        if not force:
            raise ToolFailed(
                f"The network does not run, so nobody can say whether Central has all records of"
                f" {cp_id}. Start it (`evd up`), or remove it with --force: its engine's records"
                f" stay on its disk."
            )
        self._forget(cp_id, say)
        self.supervisor.remove(unit)

    def remove_driver(self, driver_id: str) -> None:
        """Stop a driver and forget it; a session of its goes on, and is billed."""
        unit = f"driver-{driver_id}"
        names = [
            each.name
            for each in self.supervisor.programs()
            if each.group == DRIVER and each.member == driver_id
        ]
        if not names or not self.supervisor.has(unit):
            raise ToolFailed(f"There is no driver {driver_id} here.")
        if self.supervisor.pid() is not None:
            self._stop(names)
        self.supervisor.remove(unit)
        self._sync_if_up()

    def _refuse_known(
        self, units: dict[str, str], programs: Sequence[Program], groups: Sequence[str]
    ) -> None:
        members = {each.member for each in programs if each.group in groups}
        for name, unit in units.items():
            if self.supervisor.has(unit) or name in members:
                raise ToolFailed(f"{name} is there already: nothing was added.")

    def _define(self, units: dict[str, list[Program]]) -> None:
        defined: list[str] = []
        try:
            for unit, programs in units.items():
                defined.append(unit)
                self.supervisor.add(unit, programs)
        except (OSError, SupervisorFailed):
            # All or none.
            for unit in defined:
                with contextlib.suppress(OSError):
                    self.supervisor.remove(unit)
            raise
        self._sync_if_up()

    def _sync_if_up(self) -> None:
        if self.supervisor.pid() is not None:
            self.supervisor.sync()

    def _stop(self, names: Sequence[str]) -> None:
        present = {each.name for each in self.supervisor.status()}
        self.supervisor.stop([name for name in names if name in present])

    @contextlib.contextmanager
    def _put_back_unless_done(self, cp_id: str, names: Sequence[str], say: Say) -> Iterator[None]:
        """Whatever ends the block early, the charging point is as it was before the block."""
        central = self.central()
        in_service = _is_in_service(central, cp_id)
        running = [
            each.name for each in self.supervisor.status() if each.name in names and each.pid
        ]
        done = False
        try:
            yield
            done = True
        except KeyboardInterrupt:
            raise ToolFailed(f"Interrupted: {cp_id} was not removed.", INTERRUPTED) from None
        finally:
            if not done:
                with undisturbed():
                    self._put_back(central, cp_id if in_service else None, running, say)

    def _put_back(
        self, central: Central, cp_id: str | None, names: Sequence[str], say: Say
    ) -> None:
        with contextlib.suppress(SupervisorFailed):
            self.supervisor.start(names)
        if cp_id is None:
            return
        try:
            central.resume_cp(cp_id)
        except (CentralAway, CentralRefused) as error:
            # 404: it has forgotten the charging point, and the stop with it.
            if not isinstance(error, CentralRefused) or error.status != 404:
                why = str(error).rstrip(".")
                say(f"{cp_id} may stay out of service: {why}. `evd doctor` says so then.")

    def _settle(self, cp_id: str, engine: Program | None, force: bool, say: Say) -> None:
        """Wait until nothing of the charging point is open any more."""
        central, lost = self.central(), ""
        try:
            if central.charging_point(cp_id) is not None:
                central.stop_cp(cp_id)
            end_s = time.monotonic() + SESSION_END_S
            while lost := _what_is_open(central, cp_id, engine):
                if force or time.monotonic() > end_s:
                    break
                time.sleep(POLL_S)
        except CentralAway as error:
            lost = f"{error} So nobody can say whether it has all records"
        except CentralRefused as error:
            lost = str(error)
        if not lost:
            return
        if not force:
            raise ToolFailed(
                f"{cp_id} was not removed. {lost.rstrip('.')}."
                " Its engine keeps on sending what is not confirmed: try again later, or remove it"
                " with --force; what is not confirmed then stays on its disk alone."
            )
        say(f"{cp_id}: removed by force. {lost.rstrip('.')}.")

    def _forget_foreign(self, cp_id: str) -> None:
        """Take one that is none of ours off Central's list; ToolFailed if it is not on it."""
        try:
            known = self.central().charging_point(cp_id) is not None
        except CentralAway:
            known = False
        if not known:
            raise ToolFailed(f"There is no charging point {cp_id} here.")
        self.central().forget_cp(cp_id)

    def _forget(self, cp_id: str, say: Say) -> None:
        """Take it off Central's list, once Central sees that its monitor has left."""
        end_s = time.monotonic() + FORGET_S
        while True:
            try:
                self.central().forget_cp(cp_id)
                return
            except CentralRefused as error:
                if error.status == 404:
                    return
                if time.monotonic() > end_s:
                    say(f"{cp_id} stays on Central's list: {error}")
                    return
            except CentralAway as error:
                say(f"{error} If {cp_id} is on its list when it is back: evd cp remove {cp_id}")
                return
            time.sleep(POLL_S)


def _charging_point(cp_id: str, new: NewCp, ports: PortChoice) -> list[Program]:
    health_port = str(ports.take(HEALTH_PORTS))
    flags = ["--cp-id", cp_id, "--health-port", health_port]
    if new.kw is not None:
        flags += ["--kw-rate", new.kw]
    if new.euro is not None:
        flags += ["--euro-rate", new.euro]
    engine = Program(ENGINE, cp_id, (*flags, "--metrics-port", str(ports.take(METRICS_PORTS))))
    monitor = Program(
        MONITOR,
        cp_id,
        (
            *("--cp-id", cp_id, "--cp-e-port", health_port),
            *("--metrics-port", str(ports.take(METRICS_PORTS))),
        ),
    )
    # What is wrong with a rate is said now, and not by a process that dies again and again.
    config_of(engine)
    config_of(monitor)
    return [engine, monitor]


def _driver(driver_id: str, requests: Path | None, http_port: int, ports: PortChoice) -> Program:
    flags = ["--driver-id", driver_id, "--http-port", str(http_port)]
    if requests is not None:
        _check_requests(requests)
        flags += ["--requests-file", str(requests.resolve())]
    program = Program(DRIVER, driver_id, (*flags, "--metrics-port", str(ports.take(METRICS_PORTS))))
    config_of(program)
    return program


def _check_requests(path: Path) -> None:
    """ToolFailed where a driver could not read its requests there at each of its starts."""
    # A pipe would keep us waiting, and be empty at the second start.
    if path.exists() and not path.is_file():
        raise ToolFailed(f"--requests: {str(path)!r} is not a file.", 2)
    try:
        read_requests_file(path)
    except ConfigError as error:
        # It names the flag of the driver, which nobody typed.
        why = str(error).removeprefix("--requests-file: ")
        raise ToolFailed(f"--requests: {why}.", 2) from None


def _names_for(program: Program) -> Iterator[str]:
    yield program.name
    yield program.name.removeprefix("evd-")
    if program.member is not None:
        yield program.member


def _is_in_service(central: Central, cp_id: str) -> bool:
    """Whether the operator has not stopped it; False where nobody can say."""
    try:
        view = central.charging_point(cp_id)
    except (CentralAway, CentralRefused):
        return False
    return view is not None and view["engine_state"] != CpState.STOPPED and not is_stopped(view)


def is_stopped(view: Mapping[str, Any]) -> bool:
    """Whether the operator has stopped a charging point, of which this is Central's view."""
    return STOPPED in str(view["unavailable_reason"])


def _what_is_open(central: Central, cp_id: str, engine: Program | None) -> str:
    """What would be lost if the charging point went now; empty if nothing."""
    active = central.sessions(cp_id=cp_id, status="ACTIVE", limit=1)
    if active:
        return f"Session {active[0]['session_id']} is still open"
    config = config_of(engine) if engine is not None else None
    if not isinstance(config, EngineConfig) or not config.metrics_port:
        return ""
    count = unconfirmed_count(config.metrics_host, config.metrics_port)
    if count is None:
        return "Its engine does not answer, so nobody can say what it has not handed over yet"
    return f"Its engine keeps {count} records that Central has not confirmed" if count else ""


def unconfirmed_count(host: str, port: int) -> int | None:
    """How many records an engine keeps for Central, None if it does not answer."""
    text = fetch(host, port, "/metrics")
    if text is None:
        return None
    found = re.search(r"^evd_sessions_buffered (\S+)$", text[1], re.M)
    return int(float(found[1])) if found else None


def fetch(host: str, port: int, path: str, timeout_s: float = 2.0) -> tuple[int, str] | None:
    """Status and body of a page of one of our programs, None if nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def not_running(supervisor: Supervisor) -> list[str]:
    """The processes that should run and do not, each with its state."""
    return _not_running(supervisor.status())


def _not_running(processes: Iterable[ProcessStatus]) -> list[str]:
    return [
        f"{each.name} is {each.state}"
        for each in processes
        if each.state is not ProcessState.RUNNING
    ]


def _wait_until_none(missing: Callable[[], list[str]]) -> None:
    """Return once nothing is missing any more; ToolFailed says what still is after READY_S."""
    end_s = time.monotonic() + READY_S
    while found := missing():
        if time.monotonic() > end_s:
            told = ", ".join(found)
            raise ToolFailed(f"After {READY_S:g} s: {told}. `evd doctor` may say why.")
        time.sleep(POLL_S)
