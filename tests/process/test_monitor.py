"""The program evd-monitor: its exit codes, its start, its identity."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import attrs
import trio

from evd.adapters.files.last_served import read_last_served
from evd.adapters.tcp import FramedStream, serve_framed
from evd.core.wire import codec
from evd.core.wire.control import Bye, Heartbeat, MonitorMessage, Nack, NackCode, Register
from evd.core.wire.framing import BadFrame
from tests.network.pairs import eventually
from tests.network.peers import Central, answer_pings
from tests.network.processes import free_port

PROGRAM = str(Path(sys.executable).with_name("evd-monitor"))
BOUND_S = 20.0


@attrs.frozen
class Peers:
    """An engine and a Central, on ports of their own."""

    engine_port: int
    central_port: int
    central: Central


@contextlib.asynccontextmanager
async def peers() -> AsyncIterator[Peers]:
    """An engine and a Central that serve for as long as the block."""
    central, ports = Central(), []
    async with trio.open_nursery() as nursery:
        for talk in (answer_pings, central.talk):
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            ports.append(listeners[0].socket.getsockname()[1])
            await nursery.start(serve_framed, listeners, talk)
        yield Peers(ports[0], ports[1], central)
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def started(state_dir: Path, found: Peers, *flags: str) -> AsyncIterator[trio.Process]:
    """evd-monitor, killed at the latest when the block is over."""
    process = await trio.lowlevel.open_process(
        [
            *(PROGRAM, "--cp-id", "CP-001", "--state-dir", str(state_dir)),
            *("--cp-e-port", str(found.engine_port), "--central-port", str(found.central_port)),
            *flags,
        ],
        stderr=subprocess.PIPE,
    )
    try:
        with trio.fail_after(BOUND_S):
            yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def stderr_of(process: trio.Process) -> str:
    """Return the log of a process, once it has ended."""
    assert process.stderr is not None
    content = b""
    async for chunk in process.stderr:
        content += chunk
    await process.wait()
    return content.decode()


async def test_a_life(tmp_path: Path) -> None:
    """Proves: the program registers within a second of its start, is told apart by the same
    instance_id after a SIGKILL, says BYE at SIGTERM and ends with 0."""
    async with peers() as found:
        began_s = time.monotonic()
        async with started(tmp_path, found) as process:
            first = await found.central.hear(Register)
            assert time.monotonic() - began_s < 5
            process.kill()
        found.central.heard.clear()
        async with started(tmp_path, found) as process:
            second = await found.central.hear(Register)
            # Only who has read the answer to REGISTER goes on to heartbeats.
            await found.central.hear(Heartbeat)
            process.send_signal(signal.SIGTERM)
            await found.central.hear(Bye)
            assert await process.wait() == 0
            log = await stderr_of(process)
    assert isinstance(first, Register) and isinstance(second, Register)
    assert first.instance_id == second.instance_id
    assert "| CP_M:CP-001 | Registered with Central central-1" in log


async def test_one_state_directory_one_monitor(tmp_path: Path) -> None:
    """Proves: a second monitor on the same state directory ends with 2 and one line that says so,
    so that two processes never share an identity."""
    async with peers() as found, started(tmp_path, found):
        await found.central.hear(Register)
        async with started(tmp_path, found) as second:
            log = await stderr_of(second)
        assert second.returncode == 2
        lines = log.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("evd-monitor: --state-dir: ")
        assert "in use by another process" in lines[0]


async def test_it_is_small(tmp_path: Path) -> None:
    """Proves: a monitor loads no Kafka client and no database, and fits into 36 MB."""
    async with peers() as found, started(tmp_path, found) as process:
        await found.central.hear(Register)
        status = await trio.Path(f"/proc/{process.pid}/status").read_text()
        maps = await trio.Path(f"/proc/{process.pid}/maps").read_text()
    resident_kb = next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    assert resident_kb <= 36 * 1024
    assert "rdkafka" not in maps
    assert "sqlite" not in maps


async def test_an_identity_that_cannot_be_kept(tmp_path: Path) -> None:
    """Proves: a state directory that can't be used is code 2 and one line that names the flag."""
    (tmp_path / "instance_id").mkdir()
    async with peers() as found, started(tmp_path, found) as process:
        log = await stderr_of(process)
        assert process.returncode == 2
        assert log.startswith("evd-monitor: --state-dir: ")
        assert os.linesep not in log.rstrip()


@contextlib.asynccontextmanager
async def standing_by() -> AsyncIterator[tuple[int, list[MonitorMessage]]]:
    """The port of a Central that stands by, and what it was told."""
    heard: list[MonitorMessage] = []

    async def refuse(stream: FramedStream) -> None:
        for frame in await stream.receive():
            assert not isinstance(frame, BadFrame)
            heard.append(codec.structure_monitor(codec.load_object(frame)))
            code, reason = NackCode.STANDING_BY, "standing by for a:8000"
            await stream.send(codec.encode_control(Nack(heard[-1].seq, reason, code=code)))

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(serve_framed, listeners, refuse)
        yield listeners[0].socket.getsockname()[1], heard
        nursery.cancel_scope.cancel()


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port whose dials are not answered: its queue of connections is full."""
    with socket.socket() as listener, contextlib.ExitStack() as queued:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            filler = queued.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]


async def test_it_finds_the_central_that_serves(tmp_path: Path) -> None:
    """Proves: of an address that refuses, one that is silent, one that stands by and one that
    serves the program finds the last, begins with it after a SIGKILL, and where its file is broken
    begins anew; a standby is told a REGISTER alone."""
    async with peers() as found, standing_by() as (standby_port, told):
        with silent_port() as silent:
            ports = (free_port(), silent, standby_port, found.central_port)
            addresses = [f"127.0.0.1:{port}" for port in ports]
            hosts = ",".join(addresses)
            for content, is_direct in ((None, False), (None, True), ("\0broken", False)):
                if content is not None:
                    (tmp_path / "last_served").write_text(content)
                told.clear()
                found.central.heard.clear()
                async with started(tmp_path, found, "--central-host", hosts) as process:
                    await found.central.hear(Heartbeat)
                    assert (told == []) is is_direct
                    assert all(type(each) is Register for each in told)
                    await eventually(
                        lambda: read_last_served(tmp_path) == hosts.rpartition(",")[2], 10
                    )
                    process.kill()
