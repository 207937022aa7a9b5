"""The node as a program: one process, one line of a mistake, a clean end."""

import os
from pathlib import Path

import pytest

from evd.kafka_node.installation import Installation
from tests.kafka.cluster import HOST, KafkaCluster, KafkaNode
from tests.kafka.conftest import KafkaNetwork
from tests.network.waiting import wait_until

pytestmark = pytest.mark.kafka

# Java's own code for an end by SIGTERM.
EXIT_TERMINATED = 143
STOP_S_MAX = 10.0
RESIDENT_MB_MAX = 429


def test_the_process_is_java_and_ends_by_sigterm(kafka_network: KafkaNetwork) -> None:
    """Proves: a supervisor signals the broker itself, which leaves no other process behind."""
    cluster = kafka_network()
    (node,) = cluster.nodes
    assert "java" in os.readlink(f"/proc/{node.pid}/exe")
    assert node.resident_mb < RESIDENT_MB_MAX
    wait_until(lambda: "topics: " in node.logged(), 20)
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text()
    assert children == ""
    assert node.stop(STOP_S_MAX) == EXIT_TERMINATED
    assert "Traceback" not in node.logged()


def test_a_port_in_use_is_one_line(kafka: KafkaCluster, tmp_path: Path) -> None:
    """Proves: the operator reads which flag to change, not a stack trace."""
    taken = KafkaNode(tmp_path, 1, 0, ("--listen-port", str(kafka.nodes[0].port)))
    assert taken.start().wait() == 2
    (line,) = taken.logged().splitlines()
    assert "--listen-port" in line
    assert not taken.data_dir.exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--voters", "1@host:9093"], "--voters"),
        (["--voters", f"1@{HOST}:9093:{'a' * 22}"], "--cluster-id"),
        (["--cluster-id", "short"], "--cluster-id"),
        (["--listen-host", "0.0.0.0"], "--listen-host"),
        (["--heap-mb", "1"], "--heap-mb"),
    ],
)
def test_a_bad_flag_is_one_line(
    flags: list[str], named: str, tmp_path: Path, installed_kafka: Installation
) -> None:
    """Proves: a flag that can't work is refused before anything is written."""
    node = KafkaNode(tmp_path, 1, 0, flags)
    assert node.start().wait() == 2
    (line,) = node.logged().splitlines()
    assert named in line
    assert not node.data_dir.exists()
