"""A real embedded broker for each test that asks for one."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
import trio
from confluent_kafka import Producer

from tests.network.processes import free_port

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0


class BrokerProcess:
    """evd-broker in a process of its own, on one port over all its lives."""

    def __init__(self) -> None:
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id; the broker must have been started."""
        assert self._process is not None
        return self._process.pid

    def start_now(self, *flags: str) -> None:
        """Starts it, empty, and returns when it listens."""
        command = [
            sys.executable,
            "-m",
            "evd.daemons.broker.program",
            "--listen-port",
            str(self.port),
            *flags,
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        line = self._first_line(self._process)
        assert b"listening on" in line, line

    async def start(self) -> None:
        """`start_now` beside the running tasks."""
        await trio.to_thread.run_sync(self.start_now)

    def kill(self) -> None:
        """Ends it without warning, and with all its data."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ends it in good order; its exit code."""
        return self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It hangs: its connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on as if nothing had been."""
        os.kill(self.pid, signal.SIGCONT)

    async def restart(self) -> None:
        """It dies, and another one with no data takes its place."""
        self.kill()
        await self.start()

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(STOP_TIMEOUT_S)
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process = None
        return code

    def close(self) -> None:
        """Leaves nothing behind."""
        if self._process is not None:
            # It may have been stopped by the test.
            self.resume()
            self.kill()

    @staticmethod
    def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
        assert process.stderr is not None
        line, deadline_s = b"", time.monotonic() + START_TIMEOUT_S
        while not line.endswith(b"\n") and time.monotonic() < deadline_s:
            if select.select([process.stderr], [], [], 0.1)[0]:
                part = os.read(process.stderr.fileno(), 4096)
                if not part:
                    break
                line += part
        return line


@pytest.fixture
def broker() -> Iterator[BrokerProcess]:
    """A started broker."""
    process = BrokerProcess()
    try:
        process.start_now()
        yield process
    finally:
        process.close()


@pytest.fixture(scope="session")
def steady_broker() -> Iterator[BrokerProcess]:
    """A broker for all tests that leave it alone."""
    process = BrokerProcess()
    try:
        process.start_now()
        yield process
    finally:
        process.close()


@pytest.fixture
def topic(steady_broker: BrokerProcess) -> str:
    """A topic of the steady broker for one test alone, with 4 partitions."""
    name = f"topic-{uuid4().hex}"
    # The embedded broker makes what a producer asks for.
    Producer({"bootstrap.servers": steady_broker.bootstrap}).list_topics(name, timeout=5)
    return name


@pytest.fixture
def absent_broker() -> Iterator[BrokerProcess]:
    """A broker that has not been started yet."""
    process = BrokerProcess()
    try:
        yield process
    finally:
        process.close()
