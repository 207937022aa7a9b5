"""Which partitions a reader reads, and from where.

The reader chooses them itself, so no group has to find itself anew when somebody dies. They
follow from the cluster's metadata, and are worked out again whenever the connection was lost:
topics may not exist yet, may have got more partitions, or the whole log may be another one (a
broker that keeps nothing was restarted). Another log has another cluster id, and is read from
its beginning or its end whatever the position in the old one was: that position may lie within
the new log by chance. Where the id stays the same (a topic deleted and made again by hand), a
position beyond the new log's end is noticed by the broker, one within it by nobody.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

import attrs
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin._metadata import ClusterMetadata

from evd.adapters.kafka.link import READER_QUERY_TIMEOUT_S, RareWarning, logger, text_of
from evd.core.wire.partition import Mark, Place, partition_for

ALL_PARTITIONS: Final = "all"
# Each is asked for READER_QUERY_TIMEOUT_S; a coordinator that has just come up needs a second.
UNANSWERED_MAX: Final = 5

Start = Literal["end", "committed-else-earliest"]


class RawMessage(NamedTuple):
    """One message as it lay in the log of that name; a value of null is empty bytes."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    log: str = ""


def marks_after(messages: Iterable[RawMessage]) -> dict[Place, Mark]:
    """How far a partition is read by the one who has read these, in order."""
    return {(each.topic, each.partition): Mark(each.log, each.offset + 1) for each in messages}


@attrs.frozen
class Reading:
    """The topics to read: each to "all", or to the one key whose partition is wanted."""

    topics: Mapping[str, str]
    start: Start


class Placement:
    """The places of one reader. Used by the thread that owns its client, and by no other."""

    def __init__(self, reading: Reading) -> None:
        # Whether every topic exists and is being read.
        self.is_complete = False
        # How often the log was found to be another one.
        self.logs_lost_count = 0
        # The cluster whose log is being read.
        self.log = ""
        self._reading = reading
        # The offset after the last message read, or the one to begin at.
        self._positions: dict[Place, int] = {}
        self._assigned: set[Place] = set()
        # How often in a row the brokers did not say where the group was.
        self._unanswered_count = 0
        self._warning = RareWarning()

    def forget_client(self) -> None:
        """Forget what the client was told, since it is another one."""
        self._assigned = set()

    def advance(self, messages: Iterable[RawMessage]) -> None:
        """Take notice of messages that were read."""
        for message in messages:
            self._positions[message.topic, message.partition] = message.offset + 1

    def update(self, client: Consumer, metadata: ClusterMetadata) -> None:
        """Read from all that the cluster has by now. Raises KafkaException: then do it again."""
        places = self._wanted(metadata)
        cluster_id = str(metadata.cluster_id)
        is_lost = self._is_lost(cluster_id)
        has_all = {topic for topic, _ in places} == set(self._reading.topics)
        if is_lost or not has_all:
            # Set before anything below can fail: nobody reads all of this log yet.
            self.is_complete = False
        if not has_all:
            # All or none: a reader of some would hear requests whose answers it can't hear yet.
            if is_lost:
                client.unassign()
                self._assigned = set()
            return
        if is_lost or self._assigned != set(places):
            known = {} if is_lost else self._positions
            new = self._first(client, [each for each in places if each not in known], cluster_id)
            self._positions = {place: (known | new)[place] for place in places}
            client.assign([TopicPartition(*place, at) for place, at in self._positions.items()])
            self._assigned = set(places)
        if is_lost:
            self.logs_lost_count += 1
            start = "end" if self._reading.start == "end" else "beginning"
            logger.warning("the broker's data is gone: reading what is new from its %s", start)
        # Remembered last: whatever failed above is done again.
        self.log = cluster_id
        self.is_complete = True

    def _is_lost(self, cluster_id: str) -> bool:
        return self.log not in ("", cluster_id)

    def _wanted(self, metadata: ClusterMetadata) -> list[Place]:
        places: list[Place] = []
        for topic, key in self._reading.topics.items():
            found = metadata.topics.get(topic)
            if found is None or not found.partitions:
                self._warning.log("topic %s does not exist yet (`evd topics` makes it)", topic)
            elif key == ALL_PARTITIONS:
                places += [(topic, partition) for partition in found.partitions]
            else:
                places.append((topic, partition_for(key.encode(), len(found.partitions))))
        return places

    def _first(self, client: Consumer, places: list[Place], cluster_id: str) -> dict[Place, int]:
        """Where to begin in `places`, of which nothing was read before."""
        if self._reading.start == "end":
            return {place: _end_of(client, place) for place in places}
        if self._is_lost(cluster_id) or not places:
            return dict.fromkeys(places, OFFSET_BEGINNING)
        return self._committed(client, places, cluster_id)

    def _committed(
        self, client: Consumer, places: list[Place], cluster_id: str
    ) -> dict[Place, int]:
        """Where the group was; the beginning where it never was in this log.

        A coordinator can be out of order for as long as its node runs: one that was told to load
        the offsets, to let go of them and to load them again may stay at that. A reader that waited
        for it would wait for ever. So then the end is the place: a message that lies before it is
        repeated by the one who still wants an answer, and days of messages would delay that.
        """
        try:
            found = client.committed(
                [TopicPartition(*place) for place in places], timeout=READER_QUERY_TIMEOUT_S
            )
            for each in found:
                if each.error is not None:
                    raise KafkaException(each.error)
        except KafkaException as error:
            self._unanswered_count += 1
            if self._unanswered_count < UNANSWERED_MAX:
                raise
            logger.warning(
                "no broker knows where we were (%s): going on at the end", text_of(error)
            )
            return dict.fromkeys(places, OFFSET_END)
        self._unanswered_count = 0
        return {(each.topic, each.partition): _place_in(cluster_id, each) for each in found}


def _place_in(cluster_id: str, committed: TopicPartition) -> int:
    # A commit that was on its way when the broker lost its data is stored by the new one.
    is_ours = (committed.metadata or cluster_id) == cluster_id
    return committed.offset if is_ours and committed.offset >= 0 else OFFSET_BEGINNING


def _end_of(client: Consumer, place: Place) -> int:
    # Asked for, and not left to the first fetch: nothing that is written from now on is missed.
    marks = client.get_watermark_offsets(TopicPartition(*place), timeout=READER_QUERY_TIMEOUT_S)
    if marks is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    return marks[1]
