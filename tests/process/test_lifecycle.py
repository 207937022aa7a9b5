"""How a process begins and ends: its exit code, its one line, its word to systemd, its bounds."""

import contextlib
import errno
import os
import re
import resource
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from evd.daemons import lifecycle
from evd.daemons.lifecycle import naming_port
from evd.flags import ConfigError

BOUND_S = 20.0


class Daemon:
    """A fake daemon as a process, and the notify socket that stands for systemd."""

    def __init__(self, process: trio.Process, notify: trio.socket.SocketType) -> None:
        self.process = process
        self._notify = notify
        self._heard: list[str] = []

    async def hear(self, word: str) -> None:
        """Wait until the daemon has told systemd the word; what comes before it is kept."""
        while word not in self._heard:
            self._heard.append((await self._notify.recv(4096)).decode())

    async def hear_again(self, word: str) -> None:
        """Wait until the daemon tells systemd the word after this moment."""
        self._heard.clear()
        with contextlib.suppress(BlockingIOError):
            while self._notify._sock.recv(4096):  # type: ignore[attr-defined]
                pass
        await self.hear(word)

    @property
    def heard(self) -> list[str]:
        """What it has told so far, in order."""
        return self._heard

    async def end(self) -> tuple[int, list[str]]:
        """Its exit code and the lines on its stderr."""
        assert self.process.stderr is not None
        err = b""
        async for piece in self.process.stderr:
            err += piece
        return await self.process.wait(), err.decode().splitlines()


@contextlib.asynccontextmanager
async def started(
    way: str, tmp_path: Path, *flags: str, env: dict[str, str] | None = None, abstract: bool = False
) -> AsyncIterator[Daemon]:
    """A fake daemon that is killed at the latest when the test is over."""
    name = f"evd-test-{secrets.token_hex(8)}"
    bound, told = ("\0" + name, "@" + name) if abstract else (str(tmp_path / name),) * 2
    notify = trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    await notify.bind(bound)
    command = [sys.executable, "-m", "tests.process.fake_daemon", way]
    state = ["--state-dir", str(tmp_path / "state")]
    process = await trio.lowlevel.open_process(
        [*command, "--cp-id", "CP-001", *state, *flags],
        stderr=subprocess.PIPE,
        env={**os.environ, "NOTIFY_SOCKET": told, **(env or {})},
    )
    try:
        with trio.fail_after(BOUND_S):
            yield Daemon(process, notify)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        notify.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Proves: SIGTERM and SIGINT end a daemon with code 0, told to systemd and to the log."""
    async with started("stops_when_told", tmp_path) as daemon:
        await daemon.hear("READY=1")
        daemon.process.send_signal(number)
        await daemon.hear("STOPPING=1")
        code, lines = await daemon.end()
    assert code == 0
    assert daemon.heard == ["STATUS=at work and well", "READY=1", "STOPPING=1"]
    assert [line.partition("CP_E:CP-001 | ")[2] for line in lines] == [
        f"Stopping ({number.name})",
        "Stopped",
    ]


async def test_the_state_directory_is_made(tmp_path: Path) -> None:
    """Proves: a daemon on a fresh machine makes the place for its state."""
    async with started("returns", tmp_path) as daemon:
        assert (await daemon.end())[0] == 0
    assert (tmp_path / "state").is_dir()


async def test_it_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    """Proves: a thousand monitors do not end at a shell's usual limit of open files."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        async with started("stops_when_told", tmp_path) as daemon:
            await daemon.hear("READY=1")
            soft, _ = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
    assert soft == min(hard, lifecycle.FILES_WANTED) > 1024


@pytest.mark.parametrize(("way", "expected"), [("returns", 0), ("returns_a_code", 7)])
async def test_an_end_of_its_own(tmp_path: Path, way: str, expected: int) -> None:
    """Proves: a daemon that has been shut down ends with 0, so that nobody restarts it."""
    async with started(way, tmp_path) as daemon:
        assert (await daemon.end())[0] == expected


async def test_a_crash_is_told_once(tmp_path: Path) -> None:
    """Proves: an unforeseen error is one line at ERROR with its traceback, and code 1."""
    async with started("crashes", tmp_path) as daemon:
        code, lines = await daemon.end()
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
async def test_what_an_operator_must_correct(
    tmp_path: Path, flags: tuple[str, ...], env: dict[str, str], named: str
) -> None:
    """Proves: a bad flag or variable is code 2 and exactly one line that names it."""
    async with started("stops_when_told", tmp_path, *flags, env=env) as daemon:
        code, lines = await daemon.end()
    assert code == 2
    assert len(lines) == 1
    assert named in lines[0]


async def test_a_port_in_use(tmp_path: Path) -> None:
    """Proves: a port that another program holds is code 2 and one line that names the flag."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with started("binds", tmp_path, "--health-port", str(port)) as daemon:
            code, lines = await daemon.end()
    assert code == 2
    (line,) = lines
    assert line.endswith(f"--health-port: 127.0.0.1:{port} is in use by another program")


async def test_a_host_that_is_not_here(tmp_path: Path) -> None:
    """Proves: an address that this machine does not have is the host flag's error."""
    async with started("binds", tmp_path, "--health-host", "192.0.2.1") as daemon:
        code, lines = await daemon.end()
    assert code == 2
    (line,) = lines
    assert line.endswith("--health-host: 192.0.2.1 is no address of this machine")


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
    """Proves: what cannot be bound is put down to the port's flag, or to the one for its host."""
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
async def test_every_end_is_bounded(tmp_path: Path, way: str, expected: int, said: str) -> None:
    """Proves: a daemon that does not stop, cannot be cancelled or hangs is ended all the same."""
    async with started(way, tmp_path, env={"EVD_TEST_SHORT_STOP": "1"}) as daemon:
        await daemon.hear("READY=1")
        before = trio.current_time()
        daemon.process.terminate()
        code, lines = await daemon.end()
        took_s = trio.current_time() - before
    assert code == expected
    assert any(said in line for line in lines), lines
    assert took_s < 5.0


async def test_a_clean_stop_stays_one_whatever_libraries_do_then(tmp_path: Path) -> None:
    """Proves: what hangs at the interpreter's own end neither delays a clean stop nor makes it look
    like a crash."""
    async with started("lingers", tmp_path) as daemon:
        await daemon.hear("READY=1")
        daemon.process.terminate()
        code, lines = await daemon.end()
    assert code == 0
    assert not any("Timeout" in line for line in lines), lines


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Proves: whoever has no patience sends a second signal; one passed on twice is still one."""
    async with started("shields", tmp_path) as daemon:
        await daemon.hear("READY=1")
        daemon.process.terminate()
        daemon.process.send_signal(signal.SIGINT)
        await daemon.hear("STOPPING=1")
        await trio.sleep(0.25)
        daemon.process.send_signal(signal.SIGINT)
        code, lines = await daemon.end()
    assert code == 1
    assert lines[-1].endswith("Ended at once (second SIGINT)")


async def test_the_watchdog_is_fed_while_the_loop_turns(tmp_path: Path) -> None:
    """Proves: systemd hears from a loop that turns, over an abstract socket too, till the end."""
    env = {"WATCHDOG_USEC": "100000"}
    async with started("stops_when_told", tmp_path, env=env, abstract=True) as daemon:
        await daemon.hear("READY=1")
        for _ in range(3):
            await daemon.hear_again("WATCHDOG=1")
        daemon.process.terminate()
        assert (await daemon.end())[0] == 0


async def test_the_watchdog_is_silent_when_the_loop_hangs(tmp_path: Path) -> None:
    """Proves: a hung daemon is noticed, because nothing outside its loop speaks for it."""
    async with started("hangs", tmp_path, env={"WATCHDOG_USEC": "100000"}) as daemon:
        await daemon.hear("READY=1")
        with pytest.raises(trio.TooSlowError), trio.fail_after(0.5):
            await daemon.hear_again("WATCHDOG=1")


async def test_a_watchdog_for_another_process_is_none(tmp_path: Path) -> None:
    """Proves: variables inherited from a parent's unit do not make a child speak for it."""
    env = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    async with started("stops_when_told", tmp_path, env=env) as daemon:
        await daemon.hear("READY=1")
        with pytest.raises(trio.TooSlowError), trio.fail_after(0.3):
            await daemon.hear_again("WATCHDOG=1")
