"""`evd topics` on Apache Kafka: the topics as they are documented, made once."""

from collections.abc import Mapping

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from evd.adapters.kafka import TOPICS
from evd.cli.topics import main
from tests.kafka.cluster import KafkaCluster
from tests.kafka.conftest import KafkaNetwork
from tests.network.waiting import wait_until

pytestmark = pytest.mark.kafka

DAY_MS = 24 * 3600 * 1000
RETENTION_MS = {"central.beacons": DAY_MS // 24, "cp.telemetry": DAY_MS}
ANSWER_S_MAX = 10.0


def shape_of(cluster: KafkaCluster) -> dict[str, tuple[int, int]]:
    """Each topic's number of partitions, and of copies that the least kept of them has."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    return {
        name: (len(topic.partitions), min(len(each.replicas) for each in topic.partitions.values()))
        for name, topic in admin.list_topics(timeout=ANSWER_S_MAX).topics.items()
        if not name.startswith("__")
    }


def wait_for_shape(cluster: KafkaCluster, partitions: int, copies: int) -> None:
    """Waits until a broker shows all topics with so many; the controller knows sooner."""
    wanted = {topic.name: (topic.partitions or partitions, copies) for topic in TOPICS}
    wait_until(lambda: shape_of(cluster) == wanted, ANSWER_S_MAX, f"the topics are {wanted}")


def settings_of(cluster: KafkaCluster, topic: str) -> Mapping[str, str]:
    """The settings of a topic as the brokers tell them."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    try:
        return {name: entry.value for name, entry in answer.result(ANSWER_S_MAX).items()}
    except KafkaException:
        # The one of several that was asked has not heard of the topic yet.
        return {}


def test_topics_are_made_as_documented_and_once(
    kafka_network: KafkaNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: the documented partitions, copies and retention; repeated it changes nothing."""
    cluster = kafka_network(partitions=0)
    flags = ["--kafka-bootstrap", cluster.bootstrap]
    assert main(flags, {}) == 0
    assert capsys.readouterr().out.count(": made, ") == len(TOPICS)
    wait_for_shape(cluster, 16, 1)
    for topic in TOPICS:
        settings = settings_of(cluster, topic.name)
        assert int(settings["retention.ms"]) == RETENTION_MS.get(topic.name, 7 * DAY_MS)
        assert settings["min.insync.replicas"] == "1"

    for fewer in ("16", "4"):
        assert main([*flags, "--partitions", fewer], {}) == 0
        assert capsys.readouterr().out.count(": there already, ") == len(TOPICS)
        wait_for_shape(cluster, 16, 1)

    assert main([*flags, "--partitions", "20"], {}) == 0
    wait_for_shape(cluster, 20, 1)


def test_three_nodes_keep_three_copies(kafka_network: KafkaNetwork) -> None:
    """Proves: `--replication 3` keeps each message on three nodes, and confirms it from two on."""
    cluster = kafka_network(3, partitions=0)
    assert main(["--kafka-bootstrap", cluster.bootstrap, "--replication", "3"], {}) == 0
    wait_for_shape(cluster, 16, 3)
    wait_until(
        lambda: settings_of(cluster, "cp.sessions").get("min.insync.replicas") == "2", ANSWER_S_MAX
    )


def test_too_few_brokers_for_the_copies_is_one_line(
    kafka: KafkaCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: copies that this cluster can't hold are refused in a sentence."""
    assert main(["--kafka-bootstrap", kafka.bootstrap, "--replication", "3"], {}) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "3" in line and "1" in line
