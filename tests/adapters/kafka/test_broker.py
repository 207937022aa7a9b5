"""evd-broker as a process: it starts at once, on its port, and ends when told."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from evd.adapters.mock_cluster import MockCluster, MockClusterFailed, bound_socket
from evd.daemons.broker.program import CROWDED_S, EASY_MESSAGES, PARTITIONS, Retention
from tests.adapters.conftest import BrokerProcess, broker_in
from tests.network.processes import free_port, has_signal


def metadata_of(bootstrap: str) -> ClusterMetadata:
    """The answer to a client of any kind about the cluster."""
    return AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=5)


def run_broker(*flags: str) -> "subprocess.CompletedProcess[str]":
    """A broker that is expected to end by itself."""
    command = [sys.executable, "-m", "evd.daemons.broker.program", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)


def test_topics_are_there_from_the_start(broker: BrokerProcess) -> None:
    """Proves: a client that comes first finds every topic, with its partitions."""
    topics = metadata_of(broker.bootstrap).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {
        "central.beacons": 1,
        "central.commands": 4,
        "cp.sessions": 4,
        "cp.status": 4,
        "cp.telemetry": 4,
        "driver.requests": 4,
        "driver.updates": 4,
        "evd.dead-letters": 4,
    }


def test_sigterm_ends_it_cleanly_and_soon(broker: BrokerProcess) -> None:
    """Proves: a supervisor that stops the broker gets exit code 0 within a second."""
    began_s = time.monotonic()
    assert broker.stop() == 0
    assert time.monotonic() - began_s < 1


def test_signals_in_quick_succession_end_no_service(broker: BrokerProcess) -> None:
    """Proves: of signals that come faster than they are seen none reaches the thread of librdkafka
    that would end by it: clients are served on."""
    statuses = []
    for status in Path(f"/proc/{broker.pid}/task").glob("*/status"):
        # Some threads are there for a moment only.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            statuses.append(status.read_text())
    (mock,) = (each for each in statuses if each.startswith("Name:\trdk:mock\n"))
    for number in (signal.SIGHUP, signal.SIGTERM):
        assert has_signal(mock, "SigBlk", number)
    for _ in range(200):
        broker.process.send_signal(signal.SIGHUP)
    assert metadata_of(broker.bootstrap).topics


def test_an_address_of_another_machine_is_one_clear_line() -> None:
    """Proves: a host that can't be listened on is named by its own flag."""
    result = run_broker("--listen-host", "192.0.2.1", "--listen-port", str(free_port()))
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--listen-host" in result.stderr


def test_health_and_metrics(absent_broker: BrokerProcess) -> None:
    """Proves: the broker tells whoever watches that it answers, and counts from 0."""
    metrics_port = free_port()
    absent_broker.argv += ["--metrics-port", str(metrics_port)]
    absent_broker.start_until_ready()
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/health", timeout=5) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    for topic in PARTITIONS:
        assert f'evd_broker_messages_total{{topic="{topic}"}} 0.0' in lines


def test_two_brokers_on_one_machine(tmp_path: Path) -> None:
    """Proves: brokers on different ports know nothing of each other."""
    with broker_in(tmp_path) as first, broker_in(tmp_path) as second:
        first.start_until_ready()
        second.start_until_ready()
        ids = {metadata_of(each.bootstrap).cluster_id for each in (first, second)}
        assert len(ids) == 2


def test_on_all_addresses_it_names_one_that_can_be_reached() -> None:
    """Proves: a broker on 0.0.0.0 never sends its clients to 0.0.0.0."""
    cluster = MockCluster(bound_socket("0.0.0.0", 0), {"t": 1})
    try:
        (node,) = metadata_of(cluster.address).brokers.values()
        with socket.create_connection((node.host, node.port), timeout=5):
            assert node.host != "0.0.0.0"
    finally:
        cluster.close()


def test_forgetting_old_messages() -> None:
    """Proves: what is deleted is gone, what comes after it stays, and beyond the end is refused."""
    cluster = MockCluster(bound_socket("127.0.0.1", 0), {"t": 1})
    try:
        producer = confluent_kafka.Producer({"bootstrap.servers": cluster.address})
        for _ in range(10):
            producer.produce("t", b"x")
            producer.flush(5)
        cluster.delete_before("t", 0, 7)
        assert cluster.watermarks("t", 0).low == 7
        assert cluster.watermarks("t", 0).high == 10
        with pytest.raises(MockClusterFailed, match=r"t\[0\]"):
            cluster.delete_before("t", 0, 11)
    finally:
        cluster.close()


def test_retention_forgets_only_what_is_old_enough() -> None:
    """Proves: no message of a short log is forgotten before its time."""
    retention = Retention(60.0)
    assert retention.obsolete_before(0.0, 100) == 0
    assert retention.obsolete_before(59.9, 1000) == 0
    assert retention.obsolete_before(60.0, 1200) == 100
    assert retention.obsolete_before(119.0, 1400) == 100
    assert retention.obsolete_before(119.9, 1400) == 1000
    assert retention.obsolete_before(1000.0, 1400) == 1400


def test_a_long_log_is_shortened_sooner() -> None:
    """Proves: the newest EASY_MESSAGES and those of the last CROWDED_S are kept, whichever are
    more."""
    retention = Retention(60.0)
    assert retention.obsolete_before(0.0, EASY_MESSAGES + 100) == 0
    assert retention.obsolete_before(CROWDED_S - 0.1, 9_000) == 0
    assert retention.obsolete_before(CROWDED_S, 9_000) == EASY_MESSAGES + 100
    assert retention.obsolete_before(2 * CROWDED_S, 9_100) == 9_100 - EASY_MESSAGES
    assert retention.obsolete_before(3 * CROWDED_S, 20_000) == 9_100
