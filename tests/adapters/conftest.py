"""A real embedded broker, or a small disk, for each test that asks for one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import trio
from confluent_kafka import Producer

from tests.network.disks import small_disk
from tests.network.processes import Program, free_port


class BrokerProcess:
    """evd-broker in a process of its own, on one port over all its lives."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        argv = ("evd-broker", "--listen-port", str(self.port))
        self._program = Program(f"broker-{self.port}", argv, folder)
        # Each ends it, gives its exit code, or hangs and wakes it.
        self.kill, self.terminate = self._program.kill, self._program.stop
        self.pause, self.resume = self._program.freeze, self._program.thaw
        self.close = self._program.end

    def start_now(self, *flags: str) -> None:
        """Starts it, empty, and returns when it listens."""
        self._program.argv += flags
        self._program.start_until_ready()

    async def start(self) -> None:
        """`start_now` beside the running tasks."""
        await trio.to_thread.run_sync(self.start_now)

    async def restart(self) -> None:
        """It dies, and another one with no data takes its place."""
        self.kill()
        await self.start()


@contextmanager
def broker_in(folder: Path) -> Iterator[BrokerProcess]:
    """A broker that has not been started yet; nothing of it is left at the end of the block."""
    process = BrokerProcess(folder)
    try:
        yield process
    finally:
        process.close()


@pytest.fixture(params=["tmpfs", "ext4"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system, of both kinds or of the one that the test asks for."""
    with small_disk(tmp_path / "disk", request.param) as disk:
        yield disk


@pytest.fixture
def absent_broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker that has not been started yet."""
    with broker_in(tmp_path) as process:
        yield process


@pytest.fixture
def broker(absent_broker: BrokerProcess) -> BrokerProcess:
    """A started broker."""
    absent_broker.start_now()
    return absent_broker


@pytest.fixture(scope="session")
def steady_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker for all tests that leave it alone."""
    with broker_in(tmp_path_factory.mktemp("broker")) as process:
        process.start_now()
        yield process


@pytest.fixture
def topic(steady_broker: BrokerProcess) -> str:
    """A topic of the steady broker for one test alone, with 4 partitions."""
    name = f"topic-{uuid4().hex}"
    # The embedded broker makes what a producer asks for.
    Producer({"bootstrap.servers": steady_broker.bootstrap}).list_topics(name, timeout=5)
    return name
