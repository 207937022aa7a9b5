"""Dead letters on a node of Apache Kafka: sent again once, also over its restart."""

import pytest

from evd.adapters.kafka import RawMessage, open_producer
from evd.adapters.kafka.letters import DeadLetters, Replay
from evd.adapters.kafka.messenger import Messenger
from evd.core.wire.messages import SESSIONS
from tests.kafka.conftest import KafkaNetwork
from tests.network.tap import Tap

pytestmark = pytest.mark.kafka

LETTERS = 600


def replay(bootstrap: str) -> Replay:
    """Send all again."""
    with DeadLetters(bootstrap) as letters:
        return letters.replay(lambda _: True)


async def test_letters_outlive_their_node(kafka_network: KafkaNetwork) -> None:
    """Proves: letters that were sent again, with their keys, are known as such after a crash of the
    only node, and are not sent a second time."""
    cluster = kafka_network(count=1, partitions=4)
    async with open_producer(cluster.bootstrap, "p") as producer:
        messenger = Messenger(producer, list[str]().append)
        for number in range(LETTERS):
            key = b"CP-%03d" % (number % 40)
            value = b'{"message_id": "m-%d"}' % number
            messenger.put_aside(RawMessage(SESSIONS, 0, number, key, value), "it is bad")
        assert await producer.flush(20.0)
    assert replay(cluster.bootstrap).sent == {SESSIONS: LETTERS}
    cluster.restart()
    again = replay(cluster.bootstrap)
    assert (again.sent, again.sent_before) == ({}, LETTERS)
    with DeadLetters(cluster.bootstrap) as letters:
        newest = letters.newest(10)
    assert [each.is_replayed for each in newest] == [True] * 10
    heard = Tap(cluster.bootstrap).read(SESSIONS)
    assert sorted((each.value or b"", each.key or b"") for each in heard) == sorted(
        (b'{"message_id": "m-%d"}' % number, b"CP-%03d" % (number % 40))
        for number in range(LETTERS)
    )
