"""One real program: started, killed, hung, woken, stopped; its output in files."""

import fcntl
import functools
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.network.waiting import wait_until

BIN = Path(sys.executable).parent
STOP_S_MAX = 6.0
# Below the ephemeral ports; whoever comes back to its first port has long ended what had it.
PORT_MIN, PORT_MAX, PORTS_PER_PROCESS = 11_000, 32_000, 500


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
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        env: Mapping[str, str] | None = None,
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
        """Start it; what it prints is appended to its files."""
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
        return self

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process, running or ended."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs (a hung one does)."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended_badly(self) -> bool:
        """Whether it ended, and neither as it was told nor by SIGKILL nor for a bad flag."""
        return self._process is not None and self._process.poll() not in (None, 0, 2, -9)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(STOP_S_MAX)

    def freeze(self) -> None:
        """SIGSTOP: it hangs, its sockets stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM, and wait; its exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self, within_s: float = STOP_S_MAX) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(within_s)

    def restart(self) -> None:
        """SIGKILL and start again, as a supervisor does."""
        if self.alive:
            self.kill()
        self.start()

    def end(self) -> None:
        """Whatever state it is in: make sure that it is gone."""
        if self.alive:
            self.process.kill()
            self.process.wait(STOP_S_MAX)

    def printed(self) -> str:
        """All that it wrote to stdout so far."""
        return self.out.read_text(errors="replace") if self.out.exists() else ""

    def logged(self) -> str:
        """All that it wrote to stderr so far."""
        return self.err.read_text(errors="replace") if self.err.exists() else ""

    def wait_for_line(self, text: str, within_s: float = 10.0, *, since: int = 0) -> str:
        """Wait for a line with `text` on stdout or stderr; the line.

        `since`: look only behind so many characters of its log.
        """

        def line() -> str | None:
            found = self.printed() + self.logged()[since:]
            return next((each for each in found.splitlines() if text in each), None)

        return (
            wait_until(line, within_s, f"{self.name} says {text!r}\n{self.logged()[-2000:]}") or ""
        )


def listens(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
