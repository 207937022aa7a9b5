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


class BrokerProcess(Program):
    """evd-broker in a process of its own, on one port over all its lives, empty at each start."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        argv = ("evd-broker", "--listen-port", str(self.port))
        super().__init__(f"broker-{self.port}", argv, folder)

    async def come_up(self) -> None:
        """Start beside the running tasks, and return when it listens."""
        await trio.to_thread.run_sync(self.start_until_ready)


@contextmanager
def broker_in(folder: Path) -> Iterator[BrokerProcess]:
    """A broker that has not been started yet; nothing of it is left at the end of the block."""
    process = BrokerProcess(folder)
    try:
        yield process
    finally:
        process.end()


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
    absent_broker.start_until_ready()
    return absent_broker


@pytest.fixture(scope="session")
def steady_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker for all tests that leave it alone."""
    with broker_in(tmp_path_factory.mktemp("broker")) as process:
        process.start_until_ready()
        yield process


@pytest.fixture
def topic(steady_broker: BrokerProcess) -> str:
    """A topic of the steady broker for one test alone, with 4 partitions."""
    name = f"topic-{uuid4().hex}"
    # The embedded broker makes what a producer asks for.
    Producer({"bootstrap.servers": steady_broker.bootstrap}).list_topics(name, timeout=5)
    return name
