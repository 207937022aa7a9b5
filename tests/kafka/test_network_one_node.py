"""A whole network on one node of Apache Kafka that has no topics, or comes back empty."""

import time
from pathlib import Path

import pytest

from evd.cli.topics import main as evd_topics
from tests.kafka.cluster import KafkaCluster
from tests.kafka.conftest import KafkaNetwork
from tests.network import checker
from tests.network.network import Network
from tests.network.scenes import CP_ID, SESSION_S, SHORT, scene
from tests.network.waiting import never_for

pytestmark = pytest.mark.kafka

# The docs promise of one node that all is normal so soon after it serves.
RECOVERY_S_MAX = 10.0


def make_topics(cluster: KafkaCluster) -> None:
    """Make the topics as an operator does."""
    flags = ["--kafka-bootstrap", cluster.bootstrap, "--partitions", "4"]
    assert evd_topics(flags, {}) == 0


def test_topics_that_are_made_late(kafka_network: KafkaNetwork, tmp_path: Path) -> None:
    """Proves: a network that was started before its topics waits for them, says so, and then
    needs no restart."""
    cluster = kafka_network(partitions=0)
    with Network(tmp_path, nodes=cluster.nodes, bootstrap=cluster.bootstrap) as network:
        network.central().start()
        engine = network.charging_point(CP_ID, engine_flags=SHORT).start().engine
        engine.wait_for_line("does not exist yet (`evd topics` makes it)")
        network.central().wait_for_line("does not exist yet (`evd topics` makes it)")
        never_for(lambda: network.cp(CP_ID).get("available"), 3.0)
        assert network.http.get("/health").status_code == 503
        with network.only(*cluster.nodes):
            make_topics(cluster)
            network.wait_available(CP_ID, within_s=RECOVERY_S_MAX)
            driver = network.driver("driver-alice", CP_ID).start()
            driver.wait_for_line("| COMPLETED |", SESSION_S + RECOVERY_S_MAX)
            checker.check(network)


def test_all_data_gone_in_mid_session(kafka_network: KafkaNetwork, tmp_path: Path) -> None:
    """Proves: a node that comes back with another, empty log costs no session and no bill, where
    somebody makes the topics much later; of one that makes them itself process/test_network proves
    it on such a node."""
    cluster = kafka_network(partitions=0)
    make_topics(cluster)
    with (
        scene(
            tmp_path, nodes=cluster.nodes, bootstrap=cluster.bootstrap, at="in mid-session"
        ) as here,
        here.network.only(*cluster.nodes),
    ):
        cluster.kill()
        cluster.wipe()
        cluster.start()
        # The session ends, and its record has no topic to go to.
        time.sleep(SESSION_S + 2)
        assert not here.finals()
        make_topics(cluster)
        here.wait_finals(1, within_s=SESSION_S + RECOVERY_S_MAX)
        here.network.wait_available(CP_ID, within_s=RECOVERY_S_MAX)
        here.wait_final("COMPLETED")
        assert not [row for row in here.finish().sessions if row["estimated"]]
