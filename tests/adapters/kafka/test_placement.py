"""Where a reader begins when no broker can say where it was."""

from typing import cast

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin._metadata import ClusterMetadata, PartitionMetadata, TopicMetadata

from evd.adapters.kafka.placement import UNANSWERED_MAX, Placement, Reading

TOPIC = "driver.updates"


class Client:
    """A consumer whose group's coordinator answers with `offset`, or with an error where None.

    `log`: the name that was stored with it.
    """

    def __init__(self, offset: int | None, log: str = "") -> None:
        self.offset = offset
        self.log = log
        self.assigned: list[int] = []

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.offset is None:
            raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
        return [
            TopicPartition(each.topic, each.partition, self.offset, self.log) for each in places
        ]

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = [each.offset for each in places]

    def unassign(self) -> None:
        self.assigned = []


def metadata(*names: str, cluster_id: str = "cluster") -> ClusterMetadata:
    """A cluster with these topics, each of one partition."""
    found = ClusterMetadata()
    found.cluster_id = cluster_id  # type: ignore[assignment]
    for name in names:
        found.topics[name] = TopicMetadata()
        found.topics[name].partitions = {0: PartitionMetadata()}
    return found


def update(placement: Placement, client: Client, cluster: ClusterMetadata | None = None) -> None:
    """A look at the metadata."""
    placement.update(cast(Consumer, client), cluster or metadata(TOPIC))


@pytest.mark.parametrize(("answer", "at"), [(7, 7), (0, 0), (OFFSET_INVALID, OFFSET_BEGINNING)])
def test_it_begins_where_the_group_was(answer: int, at: int) -> None:
    """Proves: at the committed offset, and at the beginning where there is none."""
    placement, client = (
        Placement(Reading({TOPIC: "all"}, "committed-else-earliest")),
        Client(answer),
    )
    update(placement, client)
    assert client.assigned == [at]
    assert placement.is_complete


@pytest.mark.parametrize(("log", "at"), [("", 7), ("cluster", 7), ("older", OFFSET_BEGINNING)])
def test_a_commit_of_another_log_is_no_place_in_this_one(log: str, at: int) -> None:
    """Proves: a commit that reached a broker only after that had lost its data makes no reader skip
    what is new; one without a name is of this log."""
    placement = Placement(Reading({TOPIC: "all"}, "committed-else-earliest"))
    client = Client(7, log)
    update(placement, client)
    assert client.assigned == [at]


def test_a_coordinator_that_never_answers_is_not_waited_for() -> None:
    """Proves: some questions without an answer are asked again, and the reader does not claim to
    read; then it goes on at the end, where nobody who still wants an answer waits for long."""
    placement, client = Placement(Reading({TOPIC: "all"}, "committed-else-earliest")), Client(None)
    for _ in range(UNANSWERED_MAX - 1):
        with pytest.raises(KafkaException):
            update(placement, client)
        assert client.assigned == []
        assert not placement.is_complete
    update(placement, client)
    assert client.assigned == [OFFSET_END]
    assert placement.is_complete


def test_it_reads_all_of_its_topics_or_none() -> None:
    """Proves: who waits for a topic hears nothing of the others, also not in another log: nobody
    is asked who could not answer yet."""
    reading = Reading({TOPIC: "all", "central.beacons": "all"}, "committed-else-earliest")
    placement, client = Placement(reading), Client(7)
    update(placement, client)
    assert client.assigned == []
    update(placement, client, metadata(TOPIC, "central.beacons"))
    assert client.assigned == [7, 7]
    update(placement, client, metadata(TOPIC, cluster_id="another"))
    assert client.assigned == []
    update(placement, client, metadata(TOPIC, "central.beacons", cluster_id="another"))
    assert client.assigned == [OFFSET_BEGINNING, OFFSET_BEGINNING]
    assert placement.logs_lost_count == 1
