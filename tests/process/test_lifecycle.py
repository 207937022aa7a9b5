"""How a process begins and ends: its exit code, its one line, its word to systemd, its bounds."""

import contextlib
import errno
import fcntl
import functools
import os
import re
import resource
import secrets
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from evd.daemons import lifecycle
from evd.daemons.lifecycle import naming_port
from evd.flags import ConfigError
from tests.network.processes import Program, free_port, has_signal
from tests.network.waiting import wait_until

BOUND_S = 20.0


class Daemon(Program):
    """A fake daemon as a process, and the notify socket that stands for systemd."""

    def __init__(
        self, way: str, folder: Path, flags: Sequence[str], env: Mapping[str, str], abstract: bool
    ) -> None:
        name = f"evd-test-{secrets.token_hex(8)}"
        bound, told = ("\0" + name, "@" + name) if abstract else (str(folder / name),) * 2
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(bound)
        self.notify.settimeout(BOUND_S)
        # The words that it has told so far, in order.
        self.heard: list[str] = []
        argv = ("python", "-m", "tests.process.fake_daemon", way, "--cp-id", "CP-001")
        state = ("--state-dir", str(folder / "state"))
        super().__init__(name, (*argv, *state, *flags), folder, {"NOTIFY_SOCKET": told, **env})

    def hear(self, word: str) -> None:
        """Wait until the daemon has told systemd the word; what comes before it is kept."""
        while word not in self.heard:
            self.heard.append(self.notify.recv(4096).decode())

    def hear_again(self, word: str, within_s: float = BOUND_S) -> None:
        """Wait until the daemon tells systemd the word after this moment."""
        self.heard.clear()
        self.notify.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.notify.recv(4096):
                pass
        self.notify.settimeout(within_s)
        self.hear(word)

    def ended(self) -> tuple[int, list[str]]:
        """Its exit code and the lines on its stderr, once it has ended."""
        return self.wait(BOUND_S), self.logged().splitlines()


@contextlib.contextmanager
def started(
    way: str,
    folder: Path,
    *flags: str,
    env: Mapping[str, str] | None = None,
    abstract: bool = False,
) -> Iterator[Daemon]:
    """A fake daemon that is killed at the latest when the test is over."""
    daemon = Daemon(way, folder, flags, env or {}, abstract)
    with contextlib.closing(daemon.notify):
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Proves: SIGTERM and SIGINT end a daemon with code 0, told to systemd and the log."""
    with started("stops_when_told", tmp_path) as daemon:
        daemon.hear("READY=1")
        daemon.process.send_signal(number)
        daemon.hear("STOPPING=1")
        code, lines = daemon.ended()
    assert code == 0
    assert daemon.heard == ["STATUS=at work and well", "READY=1", "STOPPING=1"]
    assert [line.partition("CP_E:CP-001 | ")[2] for line in lines] == [
        f"Stopping ({number.name})",
        "Stopped",
    ]


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_terminal_that_hangs_up_ends_it(tmp_path: Path, is_ignored: bool) -> None:
    """Proves: a SIGHUP of somebody's own ends no daemon, and the end of its terminal ends it as
    SIGTERM does; where its caller had it ignore a SIGHUP, as nohup has, it goes on."""
    master, slave = os.openpty()
    log = tmp_path / "log"

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.SIG_DFL)

    argv = (sys.executable, "-m", "tests.process.fake_daemon", "stops_when_told", "--cp-id=CP-001")
    with log.open("wb") as err:
        daemon = subprocess.Popen(
            [*argv, "--state-dir", str(tmp_path / "state"), "--log-level", "DEBUG"],
            stdin=slave,
            stderr=err,
            preexec_fn=take_terminal,
        )
    try:
        wait_until(lambda: "at work" in log.read_text(), BOUND_S)
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: "there is no certificate" in log.read_text(), BOUND_S)
        os.close(slave)
        os.close(master)
        if is_ignored:
            daemon.send_signal(signal.SIGHUP)
            again = functools.partial(_has_lines, log, "there is no certificate", 2)
            wait_until(again, BOUND_S)
            daemon.terminate()
        assert daemon.wait(BOUND_S) == 0
    finally:
        daemon.kill()
        daemon.wait(BOUND_S)
    assert f"Stopping ({'SIGTERM' if is_ignored else 'SIGHUP'})" in log.read_text()


def _has_lines(log: Path, text: str, count: int) -> bool:
    return log.read_text().count(text) >= count


def test_it_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    """Proves: a thousand monitors do not end at a shell's usual limit of open files."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        with started("stops_when_told", tmp_path) as daemon:
            daemon.hear("READY=1")
            soft, _ = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
    assert soft == min(hard, lifecycle.FILES_WANTED) > 1024


@pytest.mark.parametrize(("way", "expected"), [("returns", 0), ("returns_a_code", 7)])
def test_an_end_of_its_own(tmp_path: Path, way: str, expected: int) -> None:
    """Proves: a daemon that has been shut down ends with 0, so that nobody restarts it, and on a
    fresh machine it makes the place for its state."""
    with started(way, tmp_path) as daemon:
        assert daemon.ended()[0] == expected
    assert (tmp_path / "state").is_dir()


def test_a_crash_is_told_once(tmp_path: Path) -> None:
    """Proves: an unforeseen error is one line at ERROR with its traceback, and code 1."""
    with started("crashes", tmp_path) as daemon:
        code, lines = daemon.ended()
    assert code == 1
    assert re.search(r" \| ERROR \| CP_E:CP-001 \| Crashed: meter$", lines[0])
    assert len([line for line in lines if " | ERROR | " in line]) == 1
    assert any("ZeroDivisionError: meter" in line for line in lines)


@pytest.mark.parametrize(
    ("flags", "env", "named"),
    [
        (("--kw-rate", "-1"), {}, "--kw-rate: must be from 0.001 to 10000 kW, not '-1'"),
        ((), {"CP_ENGINE_HEALTH_PORT": "x"}, "CP_ENGINE_HEALTH_PORT: must be a whole number"),
        (("--cp-id", "a\nb"), {}, "--cp-id: must be 1 to 32"),
        (("--state-dir", "/dev/null/x"), {}, "--state-dir: cannot make"),
        (("--no-such-flag",), {}, "unrecognized arguments: --no-such-flag"),
    ],
)
def test_what_an_operator_must_correct(
    tmp_path: Path, flags: tuple[str, ...], env: dict[str, str], named: str
) -> None:
    """Proves: a bad flag or variable is code 2 and exactly one line that names it."""
    with started("stops_when_told", tmp_path, *flags, env=env) as daemon:
        code, lines = daemon.ended()
    assert code == 2
    assert len(lines) == 1
    assert named in lines[0]


def test_a_host_that_is_not_here(tmp_path: Path) -> None:
    """Proves: an address that this machine does not have is the host flag's error."""
    with started("binds", tmp_path, "--insecure", "--health-host", "192.0.2.1") as daemon:
        code, lines = daemon.ended()
    assert code == 2
    assert lines[-1].endswith("--health-host: 192.0.2.1 is no address of this machine")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(-2, "Name not known"), "--http-host: h: Name not known"),
        (OSError(errno.EADDRNOTAVAIL, ""), "--http-host: h is no address of this machine"),
        (OSError(errno.EINVAL, ""), "--http-host: h is no address of this machine"),
        (OSError(errno.EAFNOSUPPORT, ""), "--http-host: h is no address of this machine"),
        (OSError(errno.EADDRINUSE, ""), "--feed-port: h:80 is in use by another program"),
        (OSError(errno.EACCES, ""), "--feed-port: no permission to listen on h:80"),
    ],
)
def test_binding_names_the_right_flag(error: OSError, said: str) -> None:
    """Proves: a failure to bind is put down to the port's flag, or to the one for its host."""
    naming = naming_port("--feed-port", "h", 80, host_flag="--http-host")
    with pytest.raises(ConfigError) as caught, naming:
        raise error
    assert str(caught.value) == said


def test_the_bounds_are_within_what_is_promised() -> None:
    """Proves: each bound of an end comes after the one before, and the last within 5 s."""
    assert 0 < lifecycle.GRACE_S < lifecycle.HARD_END_S < lifecycle.LAST_END_S < 5.0


@pytest.mark.parametrize(
    ("way", "expected", "said"),
    [
        ("ignores", 0, "Not finished within 0.3 s: cancelled"),
        ("shields", 1, "Still not finished within 1.0 s: ended"),
        ("blocks", 1, "Timeout (0:00:02)!"),
        ("hangs", 1, "Timeout (0:00:02)!"),
    ],
)
def test_every_end_is_bounded(tmp_path: Path, way: str, expected: int, said: str) -> None:
    """Proves: a daemon that does not stop, cannot be cancelled or hangs is ended all the same."""
    with started(way, tmp_path, env={"EVD_TEST_SHORT_STOP": "1"}) as daemon:
        daemon.hear("READY=1")
        before = time.monotonic()
        daemon.process.terminate()
        code, lines = daemon.ended()
        took_s = time.monotonic() - before
    assert code == expected
    assert any(said in line for line in lines), lines
    assert took_s < 5.0


def test_a_clean_stop_stays_one_whatever_libraries_do_then(tmp_path: Path) -> None:
    """Proves: a library that hangs at the interpreter's end neither delays a clean stop nor makes
    it look like a crash."""
    with started("lingers", tmp_path) as daemon:
        daemon.hear("READY=1")
        daemon.process.terminate()
        code, lines = daemon.ended()
    assert code == 0
    assert not any("Timeout" in line for line in lines), lines


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Proves: a second signal ends a daemon at once; one that is passed on twice is still one."""
    with started("shields", tmp_path) as daemon:
        daemon.hear("READY=1")
        daemon.process.terminate()
        daemon.process.send_signal(signal.SIGINT)
        daemon.hear("STOPPING=1")
        time.sleep(0.25)
        daemon.process.send_signal(signal.SIGINT)
        code, lines = daemon.ended()
    assert code == 1
    assert lines[-1].endswith("Ended at once (second SIGINT)")


def test_the_watchdog_is_fed_while_the_loop_turns(tmp_path: Path) -> None:
    """Proves: systemd hears from a loop that turns, over an abstract socket too, till the end."""
    env = {"WATCHDOG_USEC": "100000"}
    with started("stops_when_told", tmp_path, env=env, abstract=True) as daemon:
        daemon.hear("READY=1")
        for _ in range(3):
            daemon.hear_again("WATCHDOG=1")
        daemon.process.terminate()
        assert daemon.ended()[0] == 0


def test_the_watchdog_sleeps_until_the_daemon_is_ready(tmp_path: Path) -> None:
    """Proves: a start that loads for long, on a busy machine, is not taken for a hang: the first
    word, which sets systemd's watchdog going, comes after READY."""
    with started("loads", tmp_path, env={"WATCHDOG_USEC": "100000"}) as daemon:
        daemon.hear("WATCHDOG=1")
    assert daemon.heard == ["READY=1", "WATCHDOG=1"]


def test_the_watchdog_is_silent_when_the_loop_hangs(tmp_path: Path) -> None:
    """Proves: a hung daemon is noticed, because nothing outside its loop speaks for it."""
    with started("hangs", tmp_path, env={"WATCHDOG_USEC": "100000"}) as daemon:
        daemon.hear("READY=1")
        with pytest.raises(TimeoutError):
            daemon.hear_again("WATCHDOG=1", 0.5)


def test_the_watchdog_is_silent_when_its_own_loop_is_stuck(tmp_path: Path) -> None:
    """Proves: systemd is told what a daemon does; where its own loop no longer turns, though Trio
    does, it is told nothing more, and the log says so once."""
    with started("works", tmp_path, env={"WATCHDOG_USEC": "100000"}) as daemon:
        daemon.hear("READY=1")
        daemon.hear("STATUS=at work")
        daemon.hear("WATCHDOG=1")
        wait_until(lambda: "The loop does not turn" in daemon.logged(), BOUND_S)
        with pytest.raises(TimeoutError):
            daemon.hear_again("WATCHDOG=1", 0.5)
        assert daemon.heard == []
        assert daemon.logged().count("The loop does not turn") == 1


def test_a_watchdogs_end_tells_where_it_hung(tmp_path: Path) -> None:
    """Proves: SIGABRT, by which systemd ends a hang, leaves the stack in the log."""
    with started("hangs", tmp_path) as daemon:
        daemon.hear("READY=1")
        daemon.process.send_signal(signal.SIGABRT)
        code, lines = daemon.ended()
    assert code == -signal.SIGABRT
    assert any("in hangs" in line for line in lines), lines


def test_a_watchdog_for_another_process_is_none(tmp_path: Path) -> None:
    """Proves: variables inherited from a parent's unit do not make a child speak for it."""
    env = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    with started("stops_when_told", tmp_path, env=env) as daemon:
        daemon.hear("READY=1")
        with pytest.raises(TimeoutError):
            daemon.hear_again("WATCHDOG=1", 0.3)


NO_KAFKA = "--kafka-bootstrap=127.0.0.1:1"
PROGRAMS = {
    "evd-broker": ("--listen-port",),
    "evd-central": (NO_KAFKA, "--listen-port", "--http-port", "--feed-port"),
    "evd-engine": (NO_KAFKA, "--cp-id=CP-001", "--health-port"),
    "evd-monitor": ("--cp-id=CP-001", "--cp-e-port", "--central-port"),
    "evd-driver": (NO_KAFKA, "--driver-id=driver-alice", "--http-port"),
}


READY = {
    "evd-broker": "listening on",
    "evd-central": "Ready: ",
    "evd-engine": "Ready, ",
    "evd-monitor": "Watching the engine",
    "evd-driver": "Ready",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_signal_at_any_moment_of_a_start_is_a_clean_stop(tmp_path: Path, name: str) -> None:
    """Proves: from its first line on, while it imports, binds and loads, a program that is told to
    stop ends with 0, and one that is told to read its files again begins and goes on."""
    flags = [each if "=" in each else f"{each}={free_port()}" for each in PROGRAMS[name]]
    for count in range(8):
        signal_sent = (signal.SIGTERM, signal.SIGHUP)[count % 2]
        program = Program(name, (name, *flags), tmp_path, {})
        program.start()
        try:
            wait_until(functools.partial(_catches_hangup, program.pid), BOUND_S, look_s=0.002)
            time.sleep(count * 0.05)
            program.process.send_signal(signal_sent)
            if signal_sent == signal.SIGHUP:
                program.wait_for_line(READY[name], BOUND_S)
                program.process.terminate()
            assert program.wait(BOUND_S) == 0, (count, program.logged())
        finally:
            program.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_tool_while_it_loads(tmp_path: Path, number: signal.Signals) -> None:
    """Proves: Ctrl-C, or a terminal that closes, ends the tool without a traceback also while it
    imports; what its caller ignores it ignores."""
    for handler, expected in (("SIG_DFL", 130), ("SIG_IGN", 0)):
        script = (
            "import sys, signal\n"
            f"signal.signal({number:d}, signal.{handler})\n"
            "from evd.entry import tool\n"
            # Its first import raises the signal.
            "class Loading:\n"
            "    def find_spec(self, name, *_):\n"
            f"        name == 'evd.cli' and signal.raise_signal({number:d})\n"
            "sys.meta_path.insert(0, Loading())\n"
            "sys.argv[1:] = ['--help']\n"
            "tool()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (expected, "")


def _catches_hangup(pid: int) -> bool:
    # The last of the three for which the entry point sets its handler.
    return has_signal(Path(f"/proc/{pid}/status").read_text(), "SigCgt", signal.SIGHUP)


# All of them together take less time than one library.
MODULES_OF_A_START = ["evd", "evd.adapters", "evd.adapters.terminal", "evd.entry"]


def test_an_entry_point_hears_signals_before_it_loads_anything() -> None:
    """Proves: the module that every daemon's script imports first has the handlers, and nothing
    that takes time is loaded with it."""
    script = (
        "import sys, signal, evd.entry\n"
        "found = [m for m in sys.modules if m.partition('.')[0] in ('trio', 'attr', 'evd')]\n"
        "print(found, flush=True)\n"
        "signal.raise_signal(signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{MODULES_OF_A_START}\n")
