"""systemd behind the tool's `Supervisor`: units, their files of variables, the journal.

A process is a unit, `evd-engine:CP-001` is `evd-engine@CP-001.service`.  It is defined where its
file of variables is, in a folder of its group below /etc/evd; it is taken up where its unit, or the
target of its charging point, is enabled.  Variables that all units of a host share stand in
/etc/evd/evd.env, which each unit reads first.
"""

import contextlib
import grp
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from evd.adapters.files.state_dir import write_whole
from evd.adapters.supervisor.env_files import EnvFileWrong, read_variables, render_variables
from evd.adapters.supervisor.plugin import VARIABLES
from evd.adapters.supervisor.protocol import (
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

ETC: Final = Path("/etc/evd")
UNITS: Final = Path("/etc/systemd/system")
VAR: Final = Path("/var/lib/evd")
RELEASE: Final = Path("/opt/evd/current")
GROUP: Final = "evd"

# A unit may take half a minute to stop; systemd ends it then.
COMMAND_S: Final = 90.0
ENTRIES_MAX: Final = 10_000

_ALL: Final = "evd.target"
_CENTRAL: Final = "evd-central"
_KAFKA: Final = "kafka"
_OF_CP: Final = ("evd-engine", "evd-monitor")
_DRIVER: Final = "evd-driver"
# The unit itself says whose process it is.
_ID_FLAGS: Final = {"evd-engine": "--cp-id", "evd-monitor": "--cp-id", _DRIVER: "--driver-id"}
_REQUESTS_FLAG: Final = "--requests-file"
# A new one takes them over from its neighbours: they say where the rest of the network is.
_SHARED_ENDINGS: Final = (
    *("_KAFKA_BOOTSTRAP", "_CENTRAL_HOST", "_CENTRAL_PORT", "_CENTRAL_URL"),
    *("_METRICS_HOST", "_HTTP_HOST", "_HTTP_HOSTS"),
)
_CENTRAL_URL: Final = "EVD_CENTRAL_URL"
_CENTRAL_HTTP_PORT: Final = 8000
# The id of systemd's journal entry that a unit is being started.
_STARTING: Final = "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"


def is_here() -> bool:
    """Whether systemd runs this machine, and has the units of evd."""
    return Path("/run/systemd/system").is_dir() and (UNITS / _ALL).exists()


class Systemd:
    """The systemd that runs this host."""

    name = "systemd"
    logs_are = "evd logs NAME shows what one writes"

    def __init__(self) -> None:
        self.conf = ETC / "evd.env"
        self.root = Path("/")
        self.var = VAR
        self.log = Path("/var/log/journal")

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
        shared = self._variables(self.conf)
        found = [
            _program(group, path.stem, shared | self._variables(path))
            for group in (_CENTRAL, *TEMPLATES)
            for path in _files(ETC / group)
        ]
        # A unit that lies there and was never enabled is no program of this host.
        if (UNITS / f"{_ALL}.wants" / f"{_KAFKA}.service").is_symlink():
            found.append(Program(_KAFKA, None, (), inherits=False))
        return found

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
        lines = self._run("journalctl", "--quiet", since, *shown, _STARTING).splitlines()
        names = (name_of(str(json.loads(line).get("UNIT"))) for line in lines)
        return Counter(name for name in names if name is not None)

    def start(self, names: Sequence[str]) -> None:
        """Start units, also such as were given up; returns before they are ready."""
        units = [unit_of(name) for name in names]
        failed = [u["Id"] for u in self._show(units) if u.get("ActiveState") == "failed"]
        if failed:
            self._systemctl("reset-failed", *failed)
        if units:
            # With its two halves a charging point's target is up too, and all of it with evd's.
            self._systemctl("start", "--no-block", _ALL, *units, *_targets(names))

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
        for program in programs:
            if program.group not in TEMPLATES or program.member is None:
                raise SupervisorFailed(
                    "The broker of a host is its kafka.service, or another host's: Ansible sets it"
                    " up."
                )
            path = ETC / program.group / f"{program.member}.env"
            try:
                self._write(path, self._new_variables(program))
            except OSError as error:
                raise SupervisorFailed(f"Can't write {path}: {error.strerror}.") from None

    def remove(self, unit: str) -> None:
        """Take the unit out of service and remove its files of variables."""
        self.make_folders()
        kind, _, member = unit.partition("-")
        groups = _OF_CP if kind == "cp" else (_DRIVER,)
        installed = f"evd-cp@{member}.target" if kind == "cp" else unit_of(f"{_DRIVER}:{member}")
        self._systemctl("disable", "--quiet", "--now", installed)
        for group in groups:
            for ending in (".env", ".requests"):
                path = ETC / group / f"{member}{ending}"
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise SupervisorFailed(f"Can't remove {path}: {error.strerror}.") from None

    def file_of(self, name: str) -> Path:
        """The file of a program's variables."""
        group, _, member = name.partition(":")
        if group == _KAFKA:
            return UNITS / f"{_KAFKA}.service"
        return ETC / group / f"{member or 'central'}.env"

    def file_of_variables(self, name: str) -> Path:
        """The same: no unit has flags of its own."""
        return self.file_of(name)

    def has(self, unit: str) -> bool:
        """Whether one of the unit's programs is defined."""
        kind, _, member = unit.partition("-")
        groups = {"cp": _OF_CP, "driver": (_DRIVER,)}.get(kind, ())
        return any((ETC / group / f"{member}.env").exists() for group in groups)

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

    def central_url(self) -> str | None:
        """Central's address as this host's programs know it; None where none of them says."""
        given = os.environ.get("EVD_CENTRAL_URL") or self._variables(self.conf).get(
            "EVD_CENTRAL_URL"
        )
        if given:
            return given
        for program in self.programs():
            if url := program.environment.get("DRIVER_CENTRAL_URL"):
                return url
            if host := program.environment.get("CP_MONITOR_CENTRAL_HOST"):
                return f"http://{host}:{_CENTRAL_HTTP_PORT}"
        return None

    def _new_variables(self, program: Program) -> dict[str, str]:
        """The variables of a new program: its flags, and what its neighbours know of the rest."""
        prefix = VARIABLES[program.group]
        flags = dict(zip(program.arguments[::2], program.arguments[1::2], strict=True))
        flags.pop(_ID_FLAGS[program.group])
        if requests := flags.get(_REQUESTS_FLAG):
            # Where the program may read it, whatever home it comes from.
            copy = ETC / program.group / f"{program.member}.requests"
            shutil.copyfile(requests, copy)
            _give_to_group(copy)
            flags[_REQUESTS_FLAG] = str(copy)
        own = {prefix + each[2:].replace("-", "_").upper(): value for each, value in flags.items()}
        shared = self._variables(self.conf)
        known = {
            name: value
            for path in _files(ETC / program.group)
            for name, value in self._variables(path).items()
            if name.endswith(_SHARED_ENDINGS) and name not in shared
        }
        return known | own

    def _write(self, path: Path, variables: Mapping[str, str]) -> None:
        path.parent.mkdir(mode=0o750, exist_ok=True)
        write_whole(path, render_variables(variables, "Written by evd.").encode())
        _give_to_group(path)

    def _variables(self, path: Path) -> dict[str, str]:
        try:
            return read_variables(path.read_text())
        except FileNotFoundError:
            return {}
        except PermissionError:
            raise SupervisorFailed(
                f"{path}: permission denied. Use sudo, or be in the group {GROUP}."
            ) from None
        except (OSError, UnicodeDecodeError, EnvFileWrong) as error:
            why = getattr(error, "strerror", None) or error
            raise SupervisorFailed(f"{path}: {why}.") from None

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
        patterns = (f"{_CENTRAL}.service", *(f"{group}@*" for group in TEMPLATES))
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
        return [*read_units(self._run("systemctl", "show", asked, "--", *units))]

    def _systemctl(self, *arguments: str) -> None:
        self._run("systemctl", "--no-ask-password", *arguments)

    def _run(self, *command: str) -> str:
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


def _program(group: str, member: str, variables: Mapping[str, str]) -> Program:
    place = VAR / group
    if group != _CENTRAL:
        place /= member
    environment = {**variables, "STATE_DIRECTORY": str(place)}
    if group == _CENTRAL:
        if (UNITS / f"{_CENTRAL}.service.d" / "db-url.conf").exists():
            environment["CREDENTIALS_DIRECTORY"] = str(ETC / "credentials")
        return Program(group, None, (), environment, inherits=False)
    return Program(group, member, (_ID_FLAGS[group], member), environment, inherits=False)


def _files(folder: Path) -> list[Path]:
    """The files of variables of a folder, in the order of their names."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".env")
    except FileNotFoundError:
        return []
    except PermissionError:
        raise SupervisorFailed(
            f"{folder}: permission denied. Use sudo, or be in the group {GROUP}."
        ) from None


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
        found = (os.fsdecode(each) for each in (process / "environ").read_bytes().split(b"\0"))
        present = dict(each.split("=", 1) for each in found if each.startswith(prefix))
        wanted = {n: value for n, value in program.environment.items() if n.startswith(prefix)}
        python = Path(os.fsdecode((process / "cmdline").read_bytes().partition(b"\0")[0]))
        return present != wanted or _is_of_another_release(python)
    # It has just ended, or is another user's.
    return False


def _is_of_another_release(python: Path) -> bool:
    """Whether a process was started from a release that is no longer the present one."""
    releases = RELEASE.parent / "releases"
    return releases in python.parents and RELEASE.resolve() not in python.parents


def _give_to_group(path: Path) -> None:
    try:
        group_id = grp.getgrnam(GROUP).gr_gid
    except KeyError:
        raise SupervisorFailed(f"There is no group {GROUP}: Ansible sets up a host.") from None
    os.chown(path, 0, group_id)
    path.chmod(0o640)
