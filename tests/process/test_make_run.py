"""`make run`: one command, a living network, and nothing left of it afterwards."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.network.processes import CHECKOUT, Program
from tests.network.supervised import Network, network_in
from tests.network.waiting import wait_until, wait_until_none

pytestmark = pytest.mark.slow

LIFE_S = 15.0
STOP_S = 10.0
# A busy machine is given more time before a test gives up.
BOUND_S = 45.0
GONE_S_MAX = 20.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="evd-") as name:
        yield Path(name)


class Run(Program):
    """`make run` with its output in a file, as without a terminal."""

    def __init__(self, network: Network, name: str) -> None:
        argv = ("/usr/bin/env", "make", "-C", str(CHECKOUT), "--no-print-directory", "run")
        super().__init__(name, argv, network.root.parent, {"EVD_CONFIG": str(network.conf)})
        # Both in one file, as a terminal shows them.
        self.err = self.out

    def wait_for(self, pattern: str) -> float:
        """Wait until a line matches; the seconds since the start."""
        wait_until(lambda: re.search(pattern, self.printed(), re.M), BOUND_S, self.printed())
        return time.monotonic() - self.started_s

    def signal_all(self, number: signal.Signals) -> None:
        """Signal it and everything that it started, as a terminal does."""
        os.killpg(self.pid, number)


@contextmanager
def make_run(network: Network, name: str) -> Iterator[Run]:
    """`make run` for the block, killed at its end at the latest."""
    run = Run(network, name)
    run.start()
    try:
        yield run
    finally:
        if run.alive:
            run.signal_all(signal.SIGKILL)
            run.wait()


def processes_of(network: Network) -> list[int]:
    """supervisord's process and all of its programs'."""
    pid = network.supervisord.pid()
    assert pid is not None
    return [pid, *(each.pid for each in network.supervisord.status() if each.pid is not None)]


def alive(pids: list[int]) -> list[int]:
    """The processes that still exist."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@contextmanager
def small_run(folder: Path) -> Iterator[tuple[Network, Run, list[int]]]:
    """`make run` of one charging point without a driver, registered, and its processes."""
    with network_in(folder / "net") as network:
        network.keep("broker", "central", "cp-CP-001")
        with make_run(network, "output") as run:
            run.wait_for("CP-001 registered")
            yield network, run, processes_of(network)


def test_make_run(folder: Path) -> None:
    """Proves: within 15 s sessions are delivered and told in readable lines; Ctrl-C leaves no
    process within 10 s; a second run finds the history, and takes up where the first ended."""
    with network_in(folder / "net") as network:
        with make_run(network, "first") as run:
            elapsed_s = run.wait_for(r"driver-\w+ +IN_PROGRESS +CP-\d+ +\d+\.\d kW, .* kWh, .* €")
            # Beside other tests it may take as long as a busy machine takes.
            assert elapsed_s <= (BOUND_S if "PYTEST_XDIST_WORKER" in os.environ else LIFE_S)
            run.wait_for(r"^Dashboard +http://127\.0\.0\.1:\d+$")
            run.wait_for(r"^Logs +\S+/var/log$")
            run.wait_for(r"COMPLETED +CP-\d+ +\d+\.\d+ kWh, \d+\.\d\d €")
            assert "\x1b" not in run.printed()
            pids = processes_of(network)
            assert len(pids) == 11
            stopped_s = time.monotonic()
            run.signal_all(signal.SIGINT)
            run.wait(STOP_S)
            assert time.monotonic() - stopped_s <= STOP_S
            assert alive(pids) == []
        with make_run(network, "second") as run:
            run.wait_for("driver-alice +(ACCEPTED|FAILED)")
            sessions = network.evd("status", "--json")
            assert sessions.stdout
            pids = processes_of(network)
            second = network.evd("run")
            assert second.returncode == 1
            assert re.fullmatch(r"evd: The network runs already .*\n", second.stderr)
            assert alive(pids) == pids
            run.process.send_signal(signal.SIGTERM)
            run.wait(STOP_S)
            assert alive(pids) == []


def test_a_broken_file_stops_nothing(folder: Path) -> None:
    """Proves: a file that somebody is just writing costs a sentence, and not the network."""
    with small_run(folder) as (network, run, pids):
        half = network.conf.parent.parent / "var" / "supervisord.d" / "half.conf"
        half.write_text("[program:evd-driver-x\n")
        run.wait_for("evd: .*half.conf")
        half.unlink()
        assert network.evd("request", "driver-carol", "CP-404").returncode == 1
        assert alive(pids) == pids
        run.signal_all(signal.SIGINT)
        run.wait(STOP_S + 1)


def test_its_sudden_death_stops_the_network(folder: Path) -> None:
    """Proves: a `make run` that is killed with everything around it leaves no process either."""
    with small_run(folder) as (_, run, pids):
        run.signal_all(signal.SIGKILL)
        run.wait()
        wait_until_none(lambda: alive(pids), GONE_S_MAX)


def test_a_dead_supervisor_leaves_nothing_behind(folder: Path) -> None:
    """Proves: where supervisord is killed, what it ran is stopped, and a sentence says so."""
    with small_run(folder) as (_, run, pids):
        os.kill(pids[0], signal.SIGKILL)
        run.wait(STOP_S)
        # Dead, but it is the machine's init that waits for them.
        wait_until_none(lambda: alive(pids), GONE_S_MAX)
        assert "evd: supervisord ended by itself" in run.printed()


def test_a_hung_process_does_not_hold_up_the_end(folder: Path) -> None:
    """Proves: a process that does not stop by itself is ended, within the same 10 s."""
    with small_run(folder) as (network, run, pids):
        status = {each.name: each.pid for each in network.supervisord.status()}
        hung = status["evd-engine:CP-001"]
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        stopped_s = time.monotonic()
        run.signal_all(signal.SIGINT)
        run.wait(STOP_S + 1)
        assert time.monotonic() - stopped_s <= STOP_S
        assert alive(pids) == []
