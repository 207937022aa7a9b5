"""Nodes of Apache Kafka for the tests; without an installation the run says what it leaves out."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from evd.kafka_node.installation import Installation, NotInstalled, find_installation
from tests.kafka.cluster import KafkaCluster, kafka_cluster

KafkaNetwork = Callable[..., KafkaCluster]

_left_out: list[str] = []


@pytest.fixture(scope="session")
def installed_kafka() -> Installation:
    """The installation; where there is none the test is left out, and fails under CI=true."""
    try:
        return find_installation()
    except NotInstalled as failure:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI tests on Apache Kafka: {failure}")
        _left_out.append(str(failure))
        pytest.skip(str(failure))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Warns in the summary that Kafka was left out."""
    if _left_out:
        terminalreporter.section("LEFT OUT: everything on Apache Kafka", sep="!", red=True)
        terminalreporter.line(_left_out[0])


@pytest.fixture(scope="module")
def kafka(
    installed_kafka: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaCluster]:
    """One node that all tests of a module share: they leave it running."""
    with kafka_cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def kafka_network(installed_kafka: Installation, tmp_path: Path) -> Iterator[KafkaNetwork]:
    """Makes a cluster of the test's own: `kafka_network(count=1, partitions=4)`, up and empty.

    It has `bootstrap`, `kill()`, `restart()` and `wipe()` for all nodes, and `nodes` with the same
    for each.
    """
    with ExitStack() as stack:

        def make(count: int = 1, partitions: int = 4) -> KafkaCluster:
            return stack.enter_context(kafka_cluster(tmp_path, count, partitions))

        yield make
