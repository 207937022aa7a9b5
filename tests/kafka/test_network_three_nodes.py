"""A whole network on three nodes of Apache Kafka, of which one and then two are dead."""

import time
from pathlib import Path

import pytest

from tests.kafka.cluster import KafkaCluster
from tests.kafka.conftest import KafkaNetwork
from tests.network import checker
from tests.network.scenes import CP_ID, SESSION_S, scene
from tests.network.waiting import never_for

pytestmark = pytest.mark.kafka

# Another node leads what the dead one did.
TAKEOVER_S_MAX = 10.0
RECOVERY_S_MAX = 10.0


@pytest.fixture
def cluster(kafka_network: KafkaNetwork) -> KafkaCluster:
    """Three nodes, each topic on all of them."""
    return kafka_network(3)


def test_any_one_of_three_may_die(cluster: KafkaCluster, tmp_path: Path) -> None:
    """Proves: whichever node dies in mid-session, the session is billed and the next one begins
    and ends before the node is back; nobody but the node is restarted."""
    with (
        scene(tmp_path, nodes=cluster.nodes, bootstrap=cluster.bootstrap) as here,
        here.network.only(*cluster.nodes),
    ):
        for node in cluster.nodes:
            driver = here.network.driver(f"driver-{node.node_id}", CP_ID).start()
            driver.wait_for_line(" kWh", TAKEOVER_S_MAX)
            node.kill()
            driver.wait_for_line("| COMPLETED |", SESSION_S + TAKEOVER_S_MAX)
            here.charge_again()
            node.start()
            cluster.wait_until_up()
        facts = checker.check(here.network)
        assert [row["status"] for row in facts.sessions] == ["COMPLETED"] * 6


def test_with_two_of_three_dead_nothing_is_said_and_nothing_is_lost(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    """Proves: one copy is not enough to confirm anything: no session is settled and no request
    begun; when a second node is back all of it goes on, and is billed once."""
    first, second, _ = cluster.nodes
    with (
        scene(
            tmp_path, nodes=cluster.nodes, bootstrap=cluster.bootstrap, at="in mid-session"
        ) as here,
        here.network.only(*cluster.nodes),
    ):
        first.kill()
        second.kill()
        late = here.network.driver("driver-late", CP_ID).start()
        time.sleep(SESSION_S)
        never_for(here.finals, 6.0)
        (row,) = here.network.sessions()
        assert (row["status"], row["total_cost"]) == ("ACTIVE", None)
        assert "| ACCEPTED |" not in late.printed()
        second.start()
        cluster.wait_until_up()
        here.wait_final("COMPLETED", within_s=RECOVERY_S_MAX)
        here.network.wait_available(CP_ID, within_s=RECOVERY_S_MAX)
        first.start()
        cluster.wait_until_up()
        here.finish()
