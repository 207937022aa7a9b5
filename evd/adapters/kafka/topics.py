"""The topics, and their making on a real Kafka (the embedded broker makes them at its start)."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final

import attrs
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata, TopicMetadata
from confluent_kafka.cimpl import NewPartitions, NewTopic

from evd.adapters.kafka.link import EMBEDDED_CLUSTER_PREFIX, client_settings
from evd.core.messages import (
    BEACONS,
    COMMANDS,
    DEAD_LETTERS,
    REQUESTS,
    SESSIONS,
    STATUS,
    TELEMETRY,
    UPDATES,
)

METADATA_TIMEOUT_S: Final = 5.0
CHANGE_TIMEOUT_S: Final = 15.0
# From this many copies on a write waits for two, so that one broker may be lost with its disk.
SAFE_REPLICATION: Final = 3

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


@attrs.frozen
class Topic:
    """How a topic is made; without `partitions` their number is the operator's choice."""

    name: str
    retention_s: int = 7 * _DAY_S
    partitions: int | None = None


TOPICS: Final = (
    Topic(BEACONS, _HOUR_S, partitions=1),
    Topic(COMMANDS),
    Topic(DEAD_LETTERS),
    Topic(REQUESTS),
    Topic(SESSIONS),
    Topic(STATUS),
    Topic(TELEMETRY, _DAY_S),
    Topic(UPDATES),
)


class TopicsFailed(Exception):
    """The topics could not be made; a sentence for the operator."""


def ensure_topics(bootstrap: str, partitions: int = 16, replication: int = 1) -> list[str]:
    """Makes the topics that are missing and adds partitions that are missing; safe to repeat.

    Returns a line for each topic that says what was done. Nothing is ever taken away: topics with
    more partitions or other settings stay as they are. Blocks for seconds. Raises TopicsFailed.
    """
    # Referred to until every answer is there: with the client its futures would be gone.
    admin = AdminClient(client_settings(bootstrap, "evd-topics"))
    try:
        cluster = admin.list_topics(timeout=METADATA_TIMEOUT_S)
    except KafkaException as error:
        raise TopicsFailed(f"no broker answers at {bootstrap}: {_sentence(error)}") from None
    # It knows no request of an administrator, and breaks the connection off.
    if str(cluster.cluster_id).startswith(EMBEDDED_CLUSTER_PREFIX):
        raise TopicsFailed(
            f"{bootstrap} is the embedded broker, which makes its topics itself at its start"
        )
    _check_replication(cluster, replication)
    return [
        _ensure(admin, cluster.topics.get(topic.name), topic, partitions, replication)
        for topic in TOPICS
    ]


def _check_replication(cluster: ClusterMetadata, replication: int) -> None:
    if replication > len(cluster.brokers):
        raise TopicsFailed(
            f"a replication of {replication} needs as many brokers; "
            f"this cluster has {len(cluster.brokers)}"
        )


def _ensure(
    admin: AdminClient,
    found: TopicMetadata | None,
    topic: Topic,
    partitions: int,
    replication: int,
) -> str:
    wanted = topic.partitions or partitions
    if found is None:
        new = NewTopic(topic.name, wanted, replication, config=_config(topic, replication))
        if not _await(admin.create_topics([new]), KafkaError.TOPIC_ALREADY_EXISTS):
            return f"{topic.name}: somebody else has just made it"
        return f"{topic.name}: made, {wanted} partitions, replication {replication}"
    existing = len(found.partitions)
    if existing < wanted:
        _await(admin.create_partitions([NewPartitions(topic.name, wanted)]))
        return f"{topic.name}: {wanted} partitions instead of {existing}"
    return f"{topic.name}: there already, {existing} partitions"


def _config(topic: Topic, replication: int) -> dict[str, str]:
    return {
        "retention.ms": str(topic.retention_s * 1000),
        "min.insync.replicas": "2" if replication >= SAFE_REPLICATION else "1",
    }


def _await(changes: Mapping[str, "Future[None]"], tolerated: int | None = None) -> bool:
    """Waits for the one change; False if it failed with the error that is `tolerated`."""
    ((name, change),) = changes.items()
    try:
        change.result(CHANGE_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() == tolerated:
            return False
        raise TopicsFailed(f"{name}: {_sentence(error)}") from None
    except TimeoutError:
        raise TopicsFailed(f"{name}: no answer within {CHANGE_TIMEOUT_S:.0f} s") from None
    return True


def _sentence(error: KafkaException) -> str:
    text: str = error.args[0].str()
    return text
