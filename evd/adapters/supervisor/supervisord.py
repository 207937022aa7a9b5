"""supervisord behind the tool's `Supervisor`: its files, its RPC, its processes.

A unit is one file of an include folder.  Those that came with the checkout stand in
`etc/supervisord.d` and are never written; what is added or removed is a file in
`var/supervisord.d`, where one with `numprocs = 0` hides the unit that came with the checkout.
"""

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

from supervisor.options import ServerOptions  # type: ignore[import-untyped]

from evd.adapters.files.regular_file import (
    check_regular,
    may_be_regular,
    open_regular,
)
from evd.adapters.files.state_dir import write_secret, write_whole
from evd.adapters.supervisor.plugin import fold
from evd.adapters.supervisor.processes import end_at_once, is_alive
from evd.adapters.supervisor.protocol import (
    CentralGiven,
    Killed,
    ProcessStatus,
    Program,
    SupervisorFailed,
    Sync,
    naming_file,
)
from evd.adapters.supervisor.supervisord_answers import program_of, status_of, sync_of
from evd.adapters.supervisor.unit_files import PRIORITIES, render
from evd.adapters.supervisor.unix_rpc import UnixTransport

RPC_S: Final = 5.0
# Central and the broker wait so long for the others: a daemon that lives ends within 5 s.
EARLY_STOP_S: Final = 5.0
STOP_S: Final = 12.0
CLOSING_S: Final = 0.5
PID_CHARS_MAX: Final = 20
# Some hundred programs, on a machine that is busy with other things too.
LAUNCH_S: Final = 30.0
# supervisord binds `<path>.<pid>` before it links it to its place.
SOCKET_PATH_BYTES_MAX: Final = 107 - len(".4194304")
# supervisord expands the first, looks for included files by the next three, and ends a variable's
# value at the last.
PATH_CHARACTERS_REFUSED: Final = '%*?["'

_FAULT_STOPPING: Final = 6
_FAULT_ALREADY_STARTED: Final = 60
_FAULT_NOT_RUNNING: Final = 70


class Supervisord:
    """The supervisord whose configuration is `conf`, in the folder `etc` of its network."""

    name = "supervisord"

    def __init__(self, conf: Path) -> None:
        self.conf = conf.resolve()
        self.root = self.conf.parent.parent
        self.var = self.root / "var"
        self._shipped = self.conf.parent / "supervisord.d"
        self._added = self.var / "supervisord.d"
        self._socket = self.var / "run" / "supervisord.sock"
        self._pid_file = self.var / "run" / "supervisord.pid"
        self.log = self.var / "log" / "supervisord.log"
        self._errors = self.log.with_name("supervisord.err")
        self.logs_are = f"logs in {self.log.parent}"
        self.given = CentralGiven()

    def pid(self) -> int | None:
        """supervisord's process, None where it does not run."""
        try:
            return cast(int, self._ask("supervisor.getPID"))
        except _Away:
            return None

    def make_folders(self) -> None:
        """Make the folders that its files need; SupervisorFailed where they can't be."""
        if len(os.fsencode(self._socket)) > SOCKET_PATH_BYTES_MAX:
            raise SupervisorFailed(
                f"The path {self._socket} is too long for a socket"
                f" (at most {SOCKET_PATH_BYTES_MAX} bytes): move the checkout to a shorter one."
            )
        is_new = not self._added.exists()
        for folder in (self.var / "run", self.var / "log", self._added):
            try:
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
                if is_new:
                    # Two came with the checkout, open to all; later it is as the operator has it.
                    folder.chmod(0o750)
            except OSError as error:
                raise SupervisorFailed(f"Can't make {folder}: {error.strerror}.") from None
            if not os.access(folder, os.W_OK | os.X_OK):
                raise SupervisorFailed(
                    f"Can't write to {folder}: permission denied. Be the user who runs the network,"
                    " or give it to that user."
                )

    def up(self) -> None:
        """Start supervisord in the background, or have a running one start what does not run."""
        if self.pid() is not None:
            self.stop(self.drift().orphaned)
            self.sync()
            running = {each.name for each in self.status() if each.pid is not None}
            self.start([each.name for each in self.programs() if each.name not in running])
            return
        self.make_folders()
        self._check_logs()
        done = subprocess.run(
            self._command(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SupervisorFailed(_last_line(done.stderr) or "supervisord did not start.")
        self._wait_until_it_answers(None)

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start supervisord as a child that ends with this process, and wait until it answers."""
        self.make_folders()
        self._check_logs()
        with open(self._errors, "wb") as errors:
            child = subprocess.Popen(
                [*self._command(), "--nodaemon", "--silent"],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                # Ctrl-C is for us: the programs are stopped in their order.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        try:
            self._wait_until_it_answers(child)
        except BaseException:
            child.terminate()
            child.wait()
            raise
        return child

    def _check_logs(self) -> None:
        """SupervisorFailed where a file to write is a FIFO or the like, at which it would hang."""
        logs = (log for each in self.programs() for log in (each.log, each.output_log))
        for path in filter(None, (self._pid_file, self._errors, self.log, *logs)):
            # A terminal, or /dev/null, may well be a log.
            if not (may_be_regular(path) or path.is_char_device()):
                raise SupervisorFailed(f"{path} is no regular file: remove it.")

    def _wait_until_it_answers(self, child: "subprocess.Popen[bytes] | None") -> None:
        """Return once its RPC answers; SupervisorFailed if it ends before or takes too long."""
        end_s = time.monotonic() + LAUNCH_S
        while not self._answers():
            if child is not None and child.poll() is not None:
                errors = self._errors.read_text(errors="replace")
                raise SupervisorFailed(_last_line(errors) or f"supervisord ended: see {self.log}.")
            if time.monotonic() > end_s:
                raise SupervisorFailed(f"supervisord does not answer: see {self.log}.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return self.pid() is not None
        except _Busy:
            # It starts all of its programs before it listens to anybody.
            return False

    def shut_down(self) -> None:
        """Stop all processes, and then supervisord; returns before it has happened."""
        # By itself supervisord stops one group after the other.  These need not wait for each
        # other, only Central and the broker for them.
        running = [each for each in self.status() if ":" in each.name and each.pid is not None]
        # A monitor before its engine, whose end it would take for a fault.
        early = sorted(running, key=lambda each: -PRIORITIES.get(each.name.partition(":")[0], 0))
        for each in early:
            self._call("supervisor.stopProcess", each.name, False, tolerated=_FAULT_NOT_RUNNING)
        end_s = time.monotonic() + EARLY_STOP_S
        names = [each.name for each in early]
        while time.monotonic() < end_s and self._any_alive(names):
            time.sleep(0.05)
        for each in self.status():
            if each.name in names and each.pid is not None:
                _kill(each)
        self._call("supervisor.shutdown")

    def has_ended(self, pid: int) -> bool:
        """Whether the supervisord that was this process is gone."""
        return not is_alive(pid)

    def end_at_once(self, pid: int) -> None:
        """SIGKILL the processes of the supervisord that is this process, and then itself."""
        end_at_once(pid)

    def left_behind(self) -> list[int]:
        """The processes that a supervisord that was killed has left running."""
        return self._orphans() if self.pid() is None else []

    def _orphans(self) -> list[int]:
        # supervisord sets this variable for each of its processes.
        mark = b"SUPERVISOR_SERVER_URL=unix://" + os.fsencode(self._socket)
        found = []
        for folder in Path("/proc").iterdir():
            # A process may end while it is looked at, or belong to somebody else.
            with contextlib.suppress(OSError):
                if folder.name.isdecimal() and mark in (folder / "environ").read_bytes().split(
                    b"\0"
                ):
                    found.append(int(folder.name))
        return [pid for pid in found if pid != os.getpid()]

    def programs(self) -> list[Program]:
        """Every program that its files define."""
        self.make_folders()
        try:
            for path in (self.conf, *self._added.glob("*.conf"), *self._shipped.glob("*.conf")):
                check_regular(path)
        except OSError as error:
            raise SupervisorFailed(f"{error.filename} {error.strerror}.") from None
        options = ServerOptions()
        options.configfile = str(self.conf)
        try:
            options.process_config(do_usage=False)
        except ValueError as error:
            raise SupervisorFailed(" ".join(f"{self.conf}: {error}".split())) from None
        factories = options.configroot.supervisord.rpcinterface_factories
        groups = next((each["groups"] for _, _, each in factories if "groups" in each), "")
        return [
            program_of(group.name, process)
            for group in fold(options.process_group_configs, tuple(groups.split()), options)
            for process in group.process_configs
        ]

    def status(self) -> list[ProcessStatus]:
        """Every process that supervisord has."""
        found = cast(list[dict[str, Any]], self._call("supervisor.getAllProcessInfo"))
        return [status_of(info) for info in found]

    def starts(self, seconds: int) -> dict[str, int]:
        """The number of starts of each process in the last `seconds`."""
        return cast(dict[str, int], self._call("evd.starts", seconds))

    def start(self, names: Sequence[str]) -> None:
        """Start processes; those that run already are left alone."""
        for name in names:
            self._call("supervisor.startProcess", name, False, tolerated=_FAULT_ALREADY_STARTED)

    def stop(self, names: Sequence[str]) -> None:
        """Stop processes and wait until they have stopped."""
        for name in names:
            self._call("supervisor.stopProcess", name, False, tolerated=_FAULT_NOT_RUNNING)
        end_s = time.monotonic() + STOP_S
        while self._any_alive(names):
            if time.monotonic() > end_s:
                raise SupervisorFailed(f"{', '.join(names)}: still not stopped.")
            time.sleep(0.05)

    def _any_alive(self, names: Sequence[str]) -> bool:
        return any(each.name in names and each.pid for each in self.status())

    def kill(self, name: str) -> int:
        """SIGKILL a process; its number."""
        found = next((each for each in self.status() if each.name == name), None)
        if found is None or found.pid is None:
            raise SupervisorFailed(f"{name} does not run.")
        if not _kill(found):
            raise SupervisorFailed(f"{name} (process {found.pid}) ended just now.")
        return found.pid

    def write_requests(self, driver_id: str, content: bytes) -> Path:
        """Keep a driver's requests in `var/requests`."""
        path = self.var / "requests" / f"{driver_id}.txt"
        with naming_file(path, "write"):
            path.parent.mkdir(mode=0o750, exist_ok=True)
            write_whole(path, content)
        return path

    def token_file(self, unit: str) -> Path:
        """The file in `var/tokens`."""
        return self.var / "tokens" / unit

    def write_token(self, unit: str, token: str) -> Path:
        """Write the file of a unit's token."""
        path = self.token_file(unit)
        with naming_file(path, "write"):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_secret(path, f"{token}\n".encode())
        return path

    def remove_token(self, unit: str) -> None:
        """Remove the file of a unit's token; there may be none."""
        path = self.token_file(unit)
        with naming_file(path, "remove"):
            path.unlink(missing_ok=True)

    def file_of(self, name: str) -> Path:
        """The file that says how a program is run; the network's own where no other does."""
        section = f"[program:{name.replace(':', '-')}]"
        # A file that was added hides the one that came with the checkout.
        for folder in (self._added, self._shipped):
            for path in sorted(folder.glob("*.conf")):
                if section in path.read_text(errors="replace").splitlines():
                    return path
        return self.conf

    def file_of_variables(self, name: str) -> Path:
        """The network's own file, for whichever program."""
        return self.conf

    def journal(self, name: str, count: int, *, follow: bool = False) -> Iterator[str]:
        """Nothing: each program writes to a file, or has no log."""
        return iter(())

    def central_urls(self) -> tuple[str, ...]:
        """Nothing: Central is one of the programs."""
        return ()

    def central_ca(self) -> Path | None:
        """None: Central is one of the programs."""
        return None

    def has(self, unit: str) -> bool:
        """Whether the unit is defined."""
        added = self._added / f"{unit}.conf"
        if added.exists():
            return not _hides(added)
        return (self._shipped / f"{unit}.conf").exists()

    def add(self, unit: str, programs: Sequence[Program]) -> None:
        """Write the unit's file."""
        self.make_folders()
        self._write(unit, render(programs))

    def remove(self, unit: str) -> None:
        """Remove the unit's file, or hide the one that came with the checkout."""
        shipped = self._shipped / f"{unit}.conf"
        if shipped.exists():
            sections = re.findall(r"^\[program:[^\]]+\]", shipped.read_text(), re.M)
            hidden = "".join(f"{section}\nnumprocs = 0\n\n" for section in sections)
            self._write(unit, hidden)
            return
        path = self._added / f"{unit}.conf"
        with naming_file(path, "remove"):
            path.unlink(missing_ok=True)

    def _write(self, unit: str, content: str) -> None:
        path = self._added / f"{unit}.conf"
        with naming_file(path, "write"):
            write_whole(path, content.encode())

    def sync(self, names: Sequence[str] | None = None) -> Sync:
        """Make the running set what the files say, or only these programs of it."""
        return sync_of(self._call("evd.sync", *(() if names is None else (list(names),))))

    def drift(self) -> Sync:
        """The difference that `sync` would act on."""
        return sync_of(self._call("evd.compare"))

    def _command(self) -> list[str]:
        return [str(Path(sys.executable).with_name("supervisord")), "-c", str(self.conf)]

    def _call(self, method: str, *arguments: object, tolerated: int | None = None) -> object:
        """The result of an RPC; None for the fault `tolerated`."""
        try:
            return self._ask(method, *arguments, tolerated=tolerated)
        except _Away:
            if left := self._orphans():
                raise Killed(len(left)) from None
            raise

    def _ask(self, method: str, *arguments: object, tolerated: int | None = None) -> object:
        transport = UnixTransport(self._socket, RPC_S)
        with xmlrpc.client.ServerProxy("http://localhost", transport) as server:
            function: Any = server
            for part in method.split("."):
                function = getattr(function, part)
            try:
                return cast(object, function(*arguments))
            except xmlrpc.client.Fault as fault:
                if fault.faultCode == tolerated:
                    return None
                if fault.faultCode == _FAULT_STOPPING:
                    raise SupervisorFailed("The network is being stopped.") from None
                raise SupervisorFailed(f"supervisord refuses: {fault.faultString}") from None
            except (FileNotFoundError, ConnectionRefusedError):
                self._refuse_unreachable()
                raise _Away("The network does not run: `evd up` starts it.") from None
            except PermissionError:
                raise SupervisorFailed(
                    f"{self._socket}: permission denied. Be the user who runs the network."
                ) from None
            except TimeoutError:
                raise _Busy(self._why_busy()) from None
            except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
                raise _Away(f"supervisord can't be reached: {error}.") from None

    def _refuse_unreachable(self) -> None:
        """SupervisorFailed where supervisord runs, and somebody took its socket away."""
        end_s = time.monotonic() + CLOSING_S
        while pid := self._noted_pid():
            # At its end it closes its socket a moment before it is gone.
            if time.monotonic() > end_s:
                raise SupervisorFailed(
                    f"supervisord (process {pid}) runs, but its socket {self._socket} is gone:"
                    f" kill {pid} stops the network, then evd up starts it."
                )
            time.sleep(0.02)

    def _why_busy(self) -> str:
        told, pid = f"does not answer within {RPC_S:g} s: see {self.log}.", self._noted_pid()
        if pid is None:
            return f"supervisord {told}"
        return f"supervisord (process {pid}) {told} If it hangs: kill -9 {pid}, then evd down."

    def _noted_pid(self) -> int | None:
        """The process that its file names, if that is the supervisord of our file still."""
        try:
            with open(open_regular(self._pid_file)) as file:
                pid = int(file.read(PID_CHARS_MAX))
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            # It runs in our root, so a relative path means the same to us.
            is_ours = str(self.conf) in {
                os.path.normpath(self.root / os.fsdecode(word)) for word in words
            }
        except (OSError, ValueError):
            return None
        return pid if is_ours else None


class _Away(SupervisorFailed):
    """No process answers on the socket."""


class _Busy(SupervisorFailed):
    """A supervisord is there, and does not answer in time."""


def _hides(path: Path) -> bool:
    return "numprocs = 0" in path.read_text(errors="replace")


def _kill(process: ProcessStatus) -> bool:
    """SIGKILL a process; whether it was still there."""
    pid = process.pid
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise SupervisorFailed(f"{process.name} (process {pid}) belongs to another user.") from None
    return True


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("Error:")]
    return (errors or lines or [""])[-1]


def _end_with_parent() -> None:
    """In the new process: be told to stop when the parent dies, however it dies."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
