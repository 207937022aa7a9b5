"""systemd behind the tool's `Supervisor`: units, their files of variables, the journal.

A process is a unit, `evd-engine:CP-001` is `evd-engine@CP-001.service`.  It is defined where its
file of variables is, in a folder of its group below /etc/evd; it is taken up where its unit, or the
target of its charging point, is enabled.  Variables that all units of a host share stand in
/etc/evd/evd.env, which each unit reads first.
"""

import contextlib
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from evd.adapters.supervisor.host_files import CENTRAL, DRIVER, HostFiles
from evd.adapters.supervisor.plugin import VARIABLES
from evd.adapters.supervisor.protocol import (
    CentralGiven,
    ProcessStatus,
    Program,
    SupervisorFailed,
    Sync,
)
from evd.adapters.supervisor.unit_states import (
    PROPERTIES,
    TEMPLATES,
    Unit,
    name_of,
    read_units,
    status_of,
    unit_of,
)
from evd.addresses import bracketed, host_and_port, servers, urls

ETC: Final = Path("/etc/evd")
UNITS: Final = Path("/etc/systemd/system")
VAR: Final = Path("/var/lib/evd")
RELEASE: Final = Path("/opt/evd/current")

# A unit may take half a minute to stop; systemd ends it then.
COMMAND_S: Final = 90.0
ENTRIES_MAX: Final = 10_000

_ALL: Final = "evd.target"
_KAFKA: Final = "kafka"
_OF_CP: Final = ("evd-engine", "evd-monitor")
_CENTRAL_URL: Final = "EVD_CENTRAL_URL"
_DRIVERS: Final = "DRIVER_CENTRAL_URL"
_MONITORS: Final = "CP_MONITOR_CENTRAL_HOST"
_TLS_CA: Final = "EVD_TLS_CA"
_CENTRAL_HTTP_PORT: Final = 8000
# The credentials of Central's unit that its database needs.
_DB_URL: Final = "db-url"
_DB_PASSWORD: Final = "db-password"
_DB_CREDENTIALS: Final = (_DB_URL, _DB_PASSWORD)
# As the drop-in of the password has it.
_DB_PASSWORD_FILE: Final = {
    "CENTRAL_DB_PASSWORD_FILE": f"/run/credentials/evd-central.service/{_DB_PASSWORD}"
}
# The id of systemd's journal entry that a unit is being started.
_STARTING: Final = "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"

Command = Sequence[str]


def is_here() -> bool:
    """Whether systemd runs this machine, and has the units of evd."""
    return Path("/run/systemd/system").is_dir() and (UNITS / _ALL).exists()


def run_command(command: Command) -> str:
    """The standard output of a command of systemd's; SupervisorFailed says why it failed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        what = " ".join(command[:3])
        raise SupervisorFailed(f"{what} … takes more than {COMMAND_S:g} s.") from None
    except OSError as error:
        raise SupervisorFailed(f"{command[0]}: {error.strerror}.") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = lines[0].rstrip(".") if lines else f"code {done.returncode}"
        if "ccess denied" in why or "authentication" in why:
            why = "permission denied. Be root: sudo evd"
        raise SupervisorFailed(f"{command[0]}: {why}.")
    return done.stdout


class Systemd:
    """The systemd that runs this host."""

    name = "systemd"
    logs_are = "evd logs NAME shows what one writes"

    def __init__(
        self,
        etc: Path = ETC,
        units: Path = UNITS,
        var: Path = VAR,
        run: Callable[[Command], str] = run_command,
    ) -> None:
        """`run` carries out systemctl and journalctl."""
        self._files = HostFiles(etc, var)
        self._etc, self._units_dir, self._run = etc, units, run
        self.conf = self._files.shared
        self.root = Path("/")
        self.var = var
        self.log = Path("/var/log/journal")
        self.given = CentralGiven()

    def pid(self) -> int | None:
        """systemd's process; None where nothing of evd is up."""
        targets = self._show([_ALL])
        is_up = any(each.get("ActiveState") == "active" for each in targets)
        return 1 if is_up or any(each.pid for each in self.status()) else None

    def make_folders(self) -> None:
        """Make the folders of what may change; SupervisorFailed for a user who may not."""
        if os.geteuid() != 0:
            raise SupervisorFailed("Only root may change what systemd runs: sudo evd …")
        (self.var / "run").mkdir(mode=0o755, parents=True, exist_ok=True)

    def launch(self) -> "subprocess.Popen[bytes]":
        """Always SupervisorFailed: systemd is no child of anybody."""
        raise SupervisorFailed(
            "Here systemd runs the network: evd up starts it, evd watch shows it."
        )

    def up(self) -> None:
        """Take up and start all that is defined, and stop what runs undefined."""
        self.stop(self.drift().orphaned)
        names = [each.name for each in self.programs()]
        self._enable(names)
        self.start(names)
        self._systemctl("start", "--no-block", _ALL)

    def shut_down(self) -> None:
        """Stop everything, and return when it has happened."""
        units = [unit_of(each.name) for each in self.status() if each.pid]
        self._systemctl("stop", _ALL, *units)

    def has_ended(self, _: int) -> bool:
        """Whether nothing of evd is up."""
        return self.pid() is None

    def end_at_once(self, _: int) -> None:
        """SIGKILL all processes of evd."""
        units = [unit_of(each.name) for each in self.status() if each.pid]
        self._systemctl("kill", "--signal=SIGKILL", *units)

    def left_behind(self) -> list[int]:
        """Nothing: systemd is never killed."""
        return []

    def programs(self) -> list[Program]:
        """Every program of which there is a file of variables, and Kafka's node if enabled."""
        found = [self._with_credentials(each) for each in self._files.programs()]
        # A unit that lies there and was never enabled is no program of this host.
        if (self._units_dir / f"{_ALL}.wants" / f"{_KAFKA}.service").is_symlink():
            found.append(Program(_KAFKA, None, (), inherits=False))
        return found

    def _with_credentials(self, program: Program) -> Program:
        """The program as its unit starts it, where drop-ins hand it what its database needs."""
        drop_ins = self._units_dir / f"{CENTRAL}.service.d"
        handed = [each for each in _DB_CREDENTIALS if (drop_ins / f"{each}.conf").exists()]
        if program.group != CENTRAL or not handed:
            return program
        folder = {"CREDENTIALS_DIRECTORY": str(self._etc / "credentials")}
        named = _DB_PASSWORD_FILE if _DB_PASSWORD in handed else {}
        return attrs.evolve(program, environment={**program.environment, **folder, **named})

    def status(self) -> list[ProcessStatus]:
        """Every unit of evd that is defined or that systemd has."""
        now_s = time.monotonic()
        names = [each.name for each in self.programs()]
        found = [status_of(unit, now_s) for unit in self._units(names)]
        return [each for each in found if each is not None]

    def starts(self, seconds: int) -> dict[str, int]:
        """The number of starts of each unit in the last `seconds`, as the journal has them."""
        since = f"--since=-{seconds}s"
        shown = ("--output=json", "--output-fields=UNIT", f"--lines={ENTRIES_MAX}")
        lines = self._run(["journalctl", "--quiet", since, *shown, _STARTING]).splitlines()
        names = (name_of(str(json.loads(line).get("UNIT"))) for line in lines)
        return Counter(name for name in names if name is not None)

    def start(self, names: Sequence[str]) -> None:
        """Start units, also such as were given up; returns before they are ready."""
        units = [unit_of(name) for name in names]
        failed = [u["Id"] for u in self._show(units) if u.get("ActiveState") == "failed"]
        if failed:
            self._systemctl("reset-failed", *failed)
        if units:
            # With its two halves a charging point's target is up too.  The target of all is left
            # alone: its start would start what the operator has stopped as well.
            self._systemctl("start", "--no-block", *units, *_targets(names))

    def stop(self, names: Sequence[str]) -> None:
        """Stop units and wait until they have stopped."""
        if names:
            self._systemctl("stop", *(unit_of(name) for name in names))

    def kill(self, name: str) -> int:
        """SIGKILL a unit's main process; its number."""
        found = next((each for each in self.status() if each.name == name), None)
        if found is None or found.pid is None:
            raise SupervisorFailed(f"{name} does not run.")
        self._systemctl("kill", "--kill-whom=main", "--signal=SIGKILL", unit_of(name))
        return found.pid

    def add(self, unit: str, programs: Sequence[Program]) -> None:
        """Write the programs' files of variables."""
        self.make_folders()
        if not _groups_of(unit):
            raise SupervisorFailed(
                "The broker of a host is its kafka.service, or another host's: evd changes neither."
            )
        for program in programs:
            self._files.write(program)

    def remove(self, unit: str) -> None:
        """Take the unit out of service and remove its files of variables."""
        self.make_folders()
        member = unit.partition("-")[2]
        groups = _groups_of(unit)
        for installed in {_installed(f"{group}:{member}") for group in groups}:
            self._systemctl("disable", "--quiet", "--now", installed)
        for group in groups:
            self._files.remove(group, member)

    def write_requests(self, driver_id: str, content: bytes) -> Path:
        """Keep a driver's requests beside its file of variables."""
        return self._files.write_requests(driver_id, content)

    def token_file(self, unit: str) -> Path:
        """The file below /etc/evd: no credential, for a daemon reads a renewed one by itself."""
        return self._files.token_file(unit)

    def write_token(self, unit: str, token: str) -> Path:
        """Write the file of a unit's token, which is its user's alone."""
        self.make_folders()
        return self._files.write_token(unit, token)

    def remove_token(self, unit: str) -> None:
        """Remove the file of a unit's token; there may be none."""
        self._files.remove_token(unit)

    def file_of(self, name: str) -> Path:
        """The file of a program's variables."""
        group, _, member = name.partition(":")
        if group == _KAFKA:
            return self._units_dir / f"{_KAFKA}.service"
        return self._files.of(group, member or None)

    def file_of_variables(self, name: str) -> Path:
        """The same: no unit has flags of its own."""
        return self.file_of(name)

    def has(self, unit: str) -> bool:
        """Whether one of the unit's programs is defined."""
        member = unit.partition("-")[2]
        return any(self._files.of(group, member).exists() for group in _groups_of(unit))

    def sync(self, names: Sequence[str] | None = None) -> Sync:
        """Take up and start what is new; what else has changed is taken up by its next start."""
        drift = self.drift()
        wanted = [each for each in drift.added if names is None or each in names]
        self._systemctl("daemon-reload")
        if wanted:
            self._enable(wanted)
            self.start(wanted)
        return drift

    def drift(self) -> Sync:
        """The difference between the files and what runs, as `sync` or a restart would end it."""
        defined = {each.name: each for each in self.programs()}
        units = {name: unit for unit in self._units([*defined]) if (name := name_of(unit["Id"]))}
        enabled = self._enabled([*defined])
        running = {name for name, unit in units.items() if unit.get("MainPID", "0") != "0"}
        return Sync(
            added=tuple(sorted(name for name in defined if name not in enabled)),
            orphaned=tuple(sorted(running - defined.keys())),
            changed=tuple(
                sorted(n for n in running & defined.keys() if _is_changed(defined[n], units[n]))
            ),
        )

    def journal(self, name: str, count: int, *, follow: bool = False) -> Iterator[str]:
        """The last lines of a unit in the journal; with `follow` without an end."""
        more = ("--follow",) if follow else ()
        command = ["journalctl", "--quiet", "--no-pager", "--output=short-iso", *more]
        command += [f"--lines={count}", f"--unit={unit_of(name)}"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, text=True, errors="replace") as child:
            try:
                for line in child.stdout or ():
                    yield line.rstrip("\n")
            finally:
                child.kill()

    def central_urls(self) -> tuple[str, ...]:
        """Central's addresses as this host's programs know them; none where none of them says."""
        shared = self._files.shared_variables()
        if given := os.environ.get(_CENTRAL_URL) or shared.get(_CENTRAL_URL):
            return _read(_CENTRAL_URL, given, urls)
        for program in self.programs():
            if given := program.environment.get(_DRIVERS):
                return _read(_DRIVERS, given, urls)
            if given := program.environment.get(_MONITORS):
                scheme = "http" if self.central_ca() is None else "https"
                hosts = (host_and_port(each)[0] for each in _read(_MONITORS, given, servers))
                found = (f"{scheme}://{bracketed(each)}:{_CENTRAL_HTTP_PORT}" for each in hosts)
                return tuple(dict.fromkeys(found))
        return ()

    def central_ca(self) -> Path | None:
        """The file as this host's programs know it; None where none of them says."""
        found = [self._files.shared_variables(), *(each.environment for each in self.programs())]
        names = (_TLS_CA, "CP_MONITOR_TLS_CA", "DRIVER_TLS_CA")
        paths = (variables.get(name) for variables in found for name in names)
        return next((Path(path) for path in paths if path), None)

    def _enable(self, names: Sequence[str]) -> None:
        units = [_installed(name) for name in names]
        if units:
            self._systemctl("enable", "--quiet", *dict.fromkeys([_ALL, *units]))

    def _enabled(self, names: Sequence[str]) -> set[str]:
        shown = {each["Id"]: each for each in self._show(sorted({_installed(n) for n in names}))}
        return {
            name
            for name in names
            if shown.get(_installed(name), {}).get("UnitFileState", "").startswith("enabled")
        }

    def _units(self, names: Sequence[str]) -> list[Unit]:
        """The units of these processes, and all others of ours that systemd has."""
        patterns = (f"{CENTRAL}.service", *(f"{group}@*" for group in TEMPLATES))
        found = {each["Id"]: each for each in self._show([*map(unit_of, names), *patterns])}
        return [
            unit
            for unit in found.values()
            if unit["LoadState"] != "not-found" or unit.get("MainPID", "0") != "0"
        ]

    def _show(self, units: Sequence[str]) -> list[Unit]:
        if not units:
            return []
        asked = f"--property={','.join(PROPERTIES)}"
        return [*read_units(self._run(["systemctl", "show", asked, "--", *units]))]

    def _systemctl(self, *arguments: str) -> None:
        self._run(["systemctl", "--no-ask-password", *arguments])


def _groups_of(unit: str) -> tuple[str, ...]:
    """The groups of which a unit such as `cp-CP-007` or `driver-driver-bob` has a process."""
    return {"cp": _OF_CP, "driver": (DRIVER,)}.get(unit.partition("-")[0], ())


def _installed(name: str) -> str:
    """The unit that is enabled for a process: that of its charging point, or its own."""
    group, _, member = name.partition(":")
    return f"evd-cp@{member}.target" if group in _OF_CP else unit_of(name)


def _targets(names: Sequence[str]) -> list[str]:
    """The targets of the charging points of which both halves are named."""
    halves = Counter(_installed(name) for name in names)
    return [unit for unit, count in halves.items() if count == len(_OF_CP)]


def _is_changed(program: Program, unit: Unit) -> bool:
    """Whether a running process would run otherwise after a new start."""
    if unit.get("NeedDaemonReload") == "yes":
        return True
    prefix = VARIABLES.get(program.group)
    if prefix is None:
        return False
    process = Path("/proc", unit["MainPID"])
    with contextlib.suppress(OSError):
        given = (process / "environ").read_bytes()
        if not given:
            # The kernel is just starting it, with all that is new.
            return False
        entries = given.split(b"\0")
        present = dict(os.fsdecode(each).split("=", 1) for each in entries if b"=" in each)
        python = Path(os.fsdecode((process / "cmdline").read_bytes().partition(b"\0")[0]))
        return (
            _own_variables(present, prefix) != _own_variables(program.environment, prefix)
            or _credentials(present) != _credentials(program.environment)
            or _is_of_another_release(python)
        )
    # It has just ended, or is another user's.
    return False


def _own_variables(variables: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(prefix)}


def _credentials(variables: Mapping[str, str]) -> list[bytes | None]:
    """The database's address and password as a process has them from systemd, or would have."""
    folder = variables.get("CREDENTIALS_DIRECTORY")
    return [_content(Path(folder, name)) if folder else None for name in _DB_CREDENTIALS]


def _content(path: Path) -> bytes | None:
    # A unit may have other credentials alone, such as the key of its certificate.
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _is_of_another_release(python: Path) -> bool:
    """Whether a process was started from a release that is no longer the present one."""
    releases = RELEASE.parent / "releases"
    return releases in python.parents and RELEASE.resolve() not in python.parents


def _read(variable: str, text: str, parse: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """The addresses in a variable; SupervisorFailed where they are wrong."""
    try:
        return parse(text)
    except ValueError as error:
        raise SupervisorFailed(f"{variable} {error}.") from None
