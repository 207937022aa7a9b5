"""Whether a Kafka cluster answers, seen from outside: for programs that start one and wait."""

import time
from typing import Final

import attrs
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from evd.adapters.kafka.link import Settings, client_settings

QUERY_TIMEOUT_S: Final = 0.5
RETRY_S: Final = 0.05
# The start of a broker waits for this answer: half a second more would be lost.
_IMPATIENT: Final[Settings] = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50}


@attrs.frozen
class Cluster:
    """A cluster as one of its brokers describes it."""

    cluster_id: str
    broker_ids: frozenset[int]


def await_cluster(bootstrap: str, brokers: int, timeout_s: float) -> Cluster | None:
    """The cluster as soon as so many of its brokers serve; None if that takes longer.

    Blocks the thread. Brokers count when the cluster lets clients use them, not when they listen.
    """
    admin = AdminClient(client_settings(bootstrap, "evd-survey") | _IMPATIENT)
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            found = admin.list_topics(timeout=QUERY_TIMEOUT_S)
        except KafkaException:
            continue
        if len(found.brokers) >= brokers:
            return Cluster(str(found.cluster_id), frozenset(found.brokers))
        time.sleep(RETRY_S)
    return None
