"""The topics, and their making on a real Kafka (the embedded broker makes them at its start)."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Final, TypeVar

import attrs
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._metadata import ClusterMetadata, TopicMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from evd.adapters.kafka.link import (
    EMBEDDED_CLUSTER_PREFIX,
    MESSAGE_BYTES_MAX,
    client_settings,
    text_of,
)
from evd.core.wire.messages import (
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
ANSWER_TIMEOUT_S: Final = 15.0
RETRY_S: Final = 0.2
# With this many copies or more a write waits for two, so that one broker may be lost with its disk.
SAFE_REPLICATION: Final = 3

T = TypeVar("T")

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


@attrs.frozen
class Topic:
    """How a topic is made; without `partitions` their number is the operator's choice, without
    `message_bytes_max` the size of its messages is the broker's."""

    name: str
    retention_s: int = 7 * _DAY_S
    partitions: int | None = None
    message_bytes_max: int | None = None


TOPICS: Final = (
    Topic(BEACONS, _HOUR_S, partitions=1),
    Topic(COMMANDS),
    Topic(DEAD_LETTERS, message_bytes_max=MESSAGE_BYTES_MAX),
    Topic(REQUESTS),
    Topic(SESSIONS),
    Topic(STATUS),
    Topic(TELEMETRY, _DAY_S),
    Topic(UPDATES),
)


class TopicsFailed(Exception):
    """The topics could not be made; a sentence for the operator."""


@attrs.frozen
class Ensured:
    """The outcome for one topic: a line to read, and whether it says more than that all is well."""

    line: str
    is_news: bool = True


def ensure_topics(bootstrap: str, partitions: int = 16, replication: int = 1) -> list[Ensured]:
    """Make the topics that are missing and add partitions that are missing; safe to repeat.

    Returns the changes, and where a topic that was there differs from what is asked for: nothing
    is ever taken away, and no setting of a topic changed. Blocks for seconds. Raises TopicsFailed.
    """
    # Referred to until every answer is there: with the client its futures would be gone.
    admin = AdminClient(client_settings(bootstrap, "evd-topics"))
    try:
        cluster = admin.list_topics(timeout=METADATA_TIMEOUT_S)
    except KafkaException as error:
        raise TopicsFailed(f"no broker answers at {bootstrap}: {text_of(error)}") from None
    # The embedded broker knows no request of an administrator, and breaks the connection off.
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
) -> Ensured:
    wanted = topic.partitions or partitions
    if found is None:
        new = NewTopic(topic.name, wanted, replication, config=_config(topic, replication))
        if not _create(admin, new):
            return Ensured(f"{topic.name}: somebody else has just made it")
        return Ensured(f"{topic.name}: made, {_counted(wanted)}, replication {replication}")
    existing = len(found.partitions)
    if existing < wanted:
        _await(admin.create_partitions([NewPartitions(topic.name, wanted)]))
        return Ensured(f"{topic.name}: {_counted(wanted)} instead of {existing}")
    differences = [
        f"{name} {is_} instead of {should_be}"
        for name, is_, should_be in (
            ("partitions", str(existing), str(wanted)),
            ("replication", str(_replication(found)), str(replication)),
            *_other_settings(admin, topic, replication),
        )
        if is_ != should_be
    ]
    if differences:
        return Ensured(f"{topic.name}: there already, but with {', '.join(differences)}")
    return Ensured(f"{topic.name}: there already, {_counted(existing)}", is_news=False)


def _create(admin: AdminClient, new: NewTopic) -> bool:
    """Make the topic; False if somebody else has just made it."""
    deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        try:
            _await(admin.create_topics([new]))
            return True
        except TopicsFailed as failure:
            code = _code(failure)
            if code == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            # There are brokers enough, or we had not begun: some have just come up, or were too
            # busy for a heartbeat, and are let in again soon.
            if code != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() > deadline_s:
                raise
        time.sleep(RETRY_S)


def _counted(partitions: int) -> str:
    return f"{partitions} partition{'s' if partitions > 1 else ''}"


def _replication(found: TopicMetadata) -> int:
    return min((len(each.replicas) for each in found.partitions.values()), default=0)


def _other_settings(
    admin: AdminClient, topic: Topic, replication: int
) -> Iterator[tuple[str, str, str]]:
    """Each setting that we make a topic with: its name, its value there, and ours."""
    answers = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic.name)])
    there = _result(topic.name, next(iter(answers.values())))
    for name, ours in _config(topic, replication).items():
        yield name, str(there[name].value), ours


def _config(topic: Topic, replication: int) -> dict[str, str]:
    settings = {
        "retention.ms": str(topic.retention_s * 1000),
        "min.insync.replicas": "2" if replication >= SAFE_REPLICATION else "1",
    }
    if topic.message_bytes_max is not None:
        settings["max.message.bytes"] = str(topic.message_bytes_max)
    return settings


def _await(changes: Mapping[str, "Future[None]"]) -> None:
    ((name, change),) = changes.items()
    _result(name, change)


def _result(name: str, answer: "Future[T]") -> T:
    try:
        return answer.result(ANSWER_TIMEOUT_S)
    except KafkaException as error:
        raise TopicsFailed(f"{name}: {text_of(error)}") from error
    except TimeoutError:
        raise TopicsFailed(f"{name}: no answer within {ANSWER_TIMEOUT_S:.0f} s") from None


def _code(failure: TopicsFailed) -> int | None:
    cause = failure.__cause__
    return cause.args[0].code() if isinstance(cause, KafkaException) else None
