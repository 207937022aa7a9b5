"""One real program: started, killed, hung, woken, stopped; its output in files."""

import fcntl
import functools
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.network.cpu_line import spent_s, watch
from tests.network.waiting import wait_until

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
STOP_S_MAX = 6.0
READY_S_MAX = 60.0
START_S_MAX = 10.0
# Below the ephemeral ports; a process that comes back to its first port has ended what had it.
PORT_MIN, PORT_MAX, PORTS_PER_PROCESS = 11_000, 32_000, 500


def has_signal(status: str, mask: str, number: int) -> bool:
    """Whether a mask (SigBlk, SigCgt, ...) of the kernel's status of a process or thread has a
    signal."""
    signals = int(status.partition(f"{mask}:")[2].split()[0], 16)
    return bool(signals >> (number - 1) & 1)


def wait_for_environment(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the kernel shows a process's variables, a moment after its start."""
    wait_until(Path(f"/proc/{process.pid}/environ").read_bytes, START_S_MAX, "it has variables")


def free_port() -> int:
    """A loopback port that nobody listens on, out of the kernel's range for outgoing ones."""
    for _ in range(PORTS_PER_PROCESS):
        port = next(_own_ports())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port left")


@functools.cache
def _own_ports() -> Iterator[int]:
    """A block of ports of this process alone, again and again; tests may run in parallel."""
    folder = Path(tempfile.gettempdir()) / f"evd-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for first in range(PORT_MIN, PORT_MAX, PORTS_PER_PROCESS):
        # Never closed: the lock, which no program started from here inherits, ends with us.
        lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return itertools.cycle(range(first, first + PORTS_PER_PROCESS))
    raise RuntimeError("every block of ports is taken by another process")


class Program:
    """A program of ours with its flags; `name` is for its files and for messages."""

    def __init__(
        self, name: str, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.argv = [str(BIN / argv[0]), *argv[1:]]
        self.out = folder / f"{name.replace(':', '-')}.out"
        self.err = folder / f"{name.replace(':', '-')}.err"
        self._folder = folder
        self.env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.started_s = 0.0
        self.starts_count = 0

    def start(self) -> "Program":
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        self.starts_count += 1
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.started_s = time.monotonic()
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self._folder,
                env=self.env,
                start_new_session=True,
            )
        watch(self._process)
        return self

    def start_until_ready(self) -> float:
        """Start it; the monotonic second at which it told its service manager READY=1."""
        name = f"evd-test-{secrets.token_hex(8)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            # Abstract: a path may be longer than the 107 bytes that a socket's may have.
            manager.bind(f"\0{name}")
            manager.settimeout(READY_S_MAX)
            self.env["NOTIFY_SOCKET"] = f"@{name}"
            self.start()
            while b"READY=1" not in manager.recv(4096):
                pass
            return time.monotonic()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs (a hung one does)."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended_badly(self) -> bool:
        """Whether it ended, and neither as it was told nor by SIGKILL nor for a bad flag."""
        return self._process is not None and self._process.poll() not in (None, 0, 2, -9)

    @property
    def state(self) -> str:
        """How it is, for whoever reads a failed test."""
        if self._process is None:
            return "never started"
        code = self._process.poll()
        if code is not None:
            return f"ended with code {code}"
        had_s, stood_s = spent_s(self.pid) or (0.0, 0.0)
        age_s = time.monotonic() - self.started_s
        return f"runs since {age_s:.1f} s: {had_s:.1f} s on a CPU, {stood_s:.1f} s in line for one"

    @property
    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        kb = next(each for each in status.splitlines() if each.startswith("VmRSS")).split()[1]
        return int(kb) / 1024

    def flag(self, name: str) -> str:
        return self.argv[self.argv.index(name) + 1]

    def set_flag(self, name: str, value: object) -> None:
        """Give one of its flags another value, from the next start on."""
        self.argv[self.argv.index(name) + 1] = str(value)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(STOP_S_MAX)

    def freeze(self) -> None:
        """SIGSTOP: it hangs, its sockets stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self, within_s: float = STOP_S_MAX) -> int:
        """SIGTERM, and wait; its exit code."""
        self.process.terminate()
        return self.wait(within_s)

    def wait(self, within_s: float = STOP_S_MAX) -> int:
        """Wait until it has ended; its exit code."""
        wait_until(lambda: self.process.poll() is not None, within_s, f"{self.name} has ended")
        return self.process.returncode

    def restart(self) -> None:
        self.end()
        self.start()

    def end(self) -> None:
        if self.alive:
            self.kill()

    def printed(self) -> str:
        return self.out.read_text(errors="replace") if self.out.exists() else ""

    def logged(self) -> str:
        return self.err.read_text(errors="replace") if self.err.exists() else ""

    def wait_for_line(self, text: str, within_s: float = 10.0, *, since: int = 0) -> str:
        """Wait for a line with `text` on stdout or stderr; the line.

        `since`: look only behind so many characters of its log.
        """

        def line() -> str | None:
            found = self.printed() + self.logged()[since:]
            return next((each for each in found.splitlines() if text in each), None)

        return wait_until(line, within_s, f"{self.name} says {text!r}\n{self.logged()[-2000:]}")


class Relay(Program):
    """A link to a port of this machine; frozen, it passes nothing and closes nothing."""

    def __init__(
        self, name: str, folder: Path, target_port: int, target_host: str = "127.0.0.1"
    ) -> None:
        self.port = free_port()
        script = Path(__file__).with_name("relay.py")
        target = (target_host, str(target_port))
        super().__init__(name, ("python", str(script), str(self.port), *target), folder)

    def start(self) -> "Program":
        """Start it, and return when it listens."""
        super().start()
        wait_until(lambda: listens(self.port), START_S_MAX, f"{self.name} listens")
        return self


def listens(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
