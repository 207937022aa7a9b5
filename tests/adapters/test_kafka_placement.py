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
    """A consumer whose group's coordinator answers with `offset`, or with an error where None."""

    def __init__(self, offset: int | None) -> None:
        self.offset = offset
        self.assigned: list[int] = []

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """What the coordinator knows."""
        if self.offset is None:
            raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
        return [TopicPartition(each.topic, each.partition, self.offset) for each in places]

    def assign(self, places: list[TopicPartition]) -> None:
        """Take notice of the offsets."""
        self.assigned = [each.offset for each in places]


def metadata() -> ClusterMetadata:
    """A cluster with one topic of one partition."""
    topic, found = TopicMetadata(), ClusterMetadata()
    topic.partitions = {0: PartitionMetadata()}
    found.topics = {TOPIC: topic}
    return found


def update(placement: Placement, client: Client) -> None:
    """A look at the metadata."""
    placement.update(cast(Consumer, client), metadata())


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
