"""The producer against a real broker: it delivers in order, never blocks, and tells the truth."""

import ctypes
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import confluent_kafka
import pytest
import trio

from evd.adapters.kafka import RawMessage, open_consumer, open_producer
from evd.adapters.kafka.messenger import SHOWN_MAX, Messenger
from evd.adapters.kafka.producer import QUEUE_MESSAGES_MAX
from evd.adapters.mock_cluster import MockCluster, bound_socket
from evd.core.wire.messages import DEAD_LETTERS
from tests.adapters.conftest import BrokerProcess
from tests.adapters.kafka.test_link import STRANDED
from tests.network.pairs import delivered, eventually
from tests.network.tap import Tap

TOPIC = "cp.status"
INIT_PRODUCER_ID = 22
CLUSTER_AUTHORIZATION_FAILED = 31


@asynccontextmanager
async def everything_of(bootstrap: str, topic: str) -> AsyncIterator[list[RawMessage]]:
    """All that is written to the topic from now on, as it comes."""
    read: list[RawMessage] = []
    async with (
        open_consumer(bootstrap, "reader", {topic: "all"}, start="end") as consumer,
        trio.open_nursery() as nursery,
    ):

        async def collect() -> None:
            async for batch in consumer.batches:
                read.extend(batch)

        nursery.start_soon(collect)
        await consumer.placed.wait()
        yield read
        nursery.cancel_scope.cancel()


async def test_keeps_the_order_of_a_partition(steady_broker: BrokerProcess, topic: str) -> None:
    """Proves: messages of one key arrive once each and in the order in which they were sent."""
    async with (
        everything_of(steady_broker.bootstrap, topic) as read,
        open_producer(steady_broker.bootstrap, "p") as p,
    ):
        for number in range(2000):
            assert p.post(topic, f"CP-{number % 7}", b"%d" % number)
        await eventually(lambda: len(read) >= 2000, 5)
        assert await p.flush(5)
    for cp in range(7):
        own = [int(message.value) for message in read if message.key == b"CP-%d" % cp]
        assert own == list(range(cp, 2000, 7))
    assert p.delivered_count == 2000
    assert p.in_flight == 0


async def test_a_writer_without_any_address_is_replaced(
    steady_broker: BrokerProcess, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: where a client has lost every broker's address, which it never finds again, another
    writes on."""
    async with open_producer(steady_broker.bootstrap, "p") as producer:
        assert await delivered(producer, topic, "CP-001", b"first")
        producer.link.on_statistics(STRANDED)
        await eventually(lambda: not producer.link.is_stranded, 5)
        assert await delivered(producer, topic, "CP-001", b"second")
    assert "a new producer takes over: the cluster named no broker" in caplog.messages


async def test_carries_any_bytes(steady_broker: BrokerProcess, topic: str) -> None:
    """Proves: keys and values that are no UTF-8, and messages without a key, get through."""
    async with (
        everything_of(steady_broker.bootstrap, topic) as read,
        open_producer(steady_broker.bootstrap, "p") as p,
    ):
        assert await delivered(p, topic, b"\xff\x00", b"\x80", headers={"error": b"\xfe"})
        assert await delivered(p, topic, None, b"")
        assert await delivered(p, topic, "\udc80", b"x")
        await eventually(lambda: len(read) >= 3, 5)
    assert {(message.key, message.value) for message in read} == {
        (b"\xff\x00", b"\x80"),
        (None, b""),
        (b"\xed\xb2\x80", b"x"),
    }


async def test_dead_letters_keep_their_headers(steady_broker: BrokerProcess) -> None:
    """Proves: the headers of a message arrive as they were given."""
    async with open_producer(steady_broker.bootstrap, "p") as producer:
        assert await delivered(
            producer, "evd.dead-letters", None, b"?", headers={"topic": b"cp.status", "error": b"x"}
        )
    settings = {"bootstrap.servers": steady_broker.bootstrap, "group.id": "any"}
    reader = confluent_kafka.Consumer(settings)
    try:
        reader.assign(
            [confluent_kafka.TopicPartition("evd.dead-letters", each, 0) for each in range(4)]
        )
        message = await trio.to_thread.run_sync(reader.poll, 5.0)
        assert message is not None
        assert message.headers() == [("topic", b"cp.status"), ("error", b"x")]
    finally:
        reader.close()


async def test_the_largest_bad_message_is_put_aside(steady_broker: BrokerProcess) -> None:
    """Proves: what a broker takes by default fits among the dead letters, with its headers."""
    raw = RawMessage("cp.telemetry", 0, 7, b"CP-001", bytes(1_048_500))
    dead: list[str] = []
    async with open_producer(steady_broker.bootstrap, "p") as producer:
        Messenger(producer, dead.append).put_aside(raw, "no JSON object")
        assert await producer.flush(5.0)
        assert (producer.delivered_count, producer.dropped_count) == (1, 0)
    assert dead == ["cp.telemetry"]


async def test_a_message_too_large_is_refused_at_once(
    steady_broker: BrokerProcess, topic: str
) -> None:
    """Proves: one impossible message is dropped and counted, and the next one is sent."""
    async with open_producer(steady_broker.bootstrap, "p") as producer:
        assert not producer.post(topic, "CP-001", bytes(3_000_000))
        assert await delivered(producer, topic, "CP-001", b"x")
        assert producer.dropped_count == 1
        assert producer.delivered_count == 1


async def test_a_full_queue_says_so(absent_broker: BrokerProcess) -> None:
    """Proves: while the broker is away memory is bounded, and what finds no room is refused."""
    async with open_producer(absent_broker.bootstrap, "p") as producer:
        for _ in range(QUEUE_MESSAGES_MAX):
            assert producer.post(TOPIC, "CP-001", b"x")
        assert not producer.post(TOPIC, "CP-001", b"x")
        assert producer.dropped_count == 1
        assert producer.in_flight == QUEUE_MESSAGES_MAX


async def test_without_a_broker_a_message_fails_in_its_time(absent_broker: BrokerProcess) -> None:
    """Proves: a message is given up within its time, and counted as failed."""
    async with open_producer(absent_broker.bootstrap, "p", message_timeout_s=0.3) as producer:
        assert not await delivered(producer, TOPIC, "CP-001", b"x", within_s=3.0)
        assert producer.in_flight == 0
        assert not producer.broker_up
        assert producer.failed_count == 1
        assert producer.delivered_count == 0


async def test_the_end_is_quick_without_a_broker(absent_broker: BrokerProcess) -> None:
    """Proves: a stop does not wait for a broker that is away, whatever is still queued."""
    async with open_producer(absent_broker.bootstrap, "p") as producer:
        for _ in range(1000):
            producer.post(TOPIC, "CP-001", b"x")
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1
    assert producer.failed_count == 1000
    assert not producer.post(TOPIC, "CP-001", b"x")


async def test_the_end_sends_what_is_queued(steady_broker: BrokerProcess, topic: str) -> None:
    """Proves: a stop loses no message that a working broker could still take."""
    async with everything_of(steady_broker.bootstrap, topic) as read:
        async with open_producer(steady_broker.bootstrap, "p") as producer:
            assert await delivered(producer, topic, "CP-001", b"first")
            for _ in range(500):
                producer.post(topic, "CP-001", b"x")
        await eventually(lambda: len(read) >= 501, 5)
    assert producer.delivered_count == 501


async def test_a_stop_from_outside_sends_what_is_queued(
    steady_broker: BrokerProcess, topic: str
) -> None:
    """Proves: being cancelled is an end like any other."""
    async with everything_of(steady_broker.bootstrap, topic) as read:
        with trio.CancelScope() as scope:
            async with open_producer(steady_broker.bootstrap, "p") as producer:
                assert await delivered(producer, topic, "CP-001", b"first")
                producer.post(topic, "CP-001", b"last")
                scope.cancel()
                await trio.sleep_forever()
        await eventually(lambda: len(read) >= 2, 5)


async def test_a_client_that_cannot_go_on_is_replaced() -> None:
    """Proves: a fatal error of librdkafka costs the messages in flight, never the daemon."""
    cluster = MockCluster(bound_socket("127.0.0.1", 0), {TOPIC: 4})
    try:
        push_errors = ctypes.CDLL(confluent_kafka.cimpl.__file__).rd_kafka_mock_push_request_errors
        push_errors.argtypes = [ctypes.c_void_p, ctypes.c_int16, ctypes.c_size_t, ctypes.c_int]
        push_errors.restype = None
        push_errors(cluster._cluster, INIT_PRODUCER_ID, 1, CLUSTER_AUTHORIZATION_FAILED)
        async with open_producer(cluster.address, "p") as producer:
            with trio.fail_after(10):
                while not await delivered(producer, TOPIC, "CP-001", b"x"):
                    await trio.sleep(0.02)
            assert producer.failed_count + producer.dropped_count >= 1
            assert producer.in_flight == 0
    finally:
        cluster.close()


@pytest.mark.parametrize("size", [2_097_000, 3_000_000])
async def test_a_bad_message_that_is_too_large_is_cut(
    steady_broker: BrokerProcess, size: int
) -> None:
    """Proves: what no broker takes with its headers lies among the dead letters as far as it
    fits, and its header `error` says so beside what was wrong."""
    raw = RawMessage("cp.telemetry", 0, size, b"k" * 70_000, bytes(size))
    async with (
        everything_of(steady_broker.bootstrap, DEAD_LETTERS) as read,
        open_producer(steady_broker.bootstrap, "p") as producer,
    ):
        Messenger(producer, list[str]().append).put_aside(raw, "no JSON object")
        assert await producer.flush(5.0)
        assert (producer.delivered_count, producer.dropped_count) == (1, 0)
        await eventually(lambda: read, 5)
    value = read[0].value
    assert 2_000_000 < len(value) < 2_097_152
    letters = Tap(steady_broker.bootstrap).read(DEAD_LETTERS)
    (errors,) = [e.headers["error"] for e in letters if e.headers.get("offset") == b"%d" % size]
    assert errors == b"cut to its first %d of %d bytes; no JSON object" % (len(value), size)


async def test_bad_messages_are_told_each_minute_anew(
    steady_broker: BrokerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: a topic's flood of bad messages is some lines and 'and n more', another topic has its
    own, and the next minute has lines again; they count as recent for a while."""
    now, dead = [0.0], list[str]()
    async with open_producer(steady_broker.bootstrap, "p") as producer:
        messenger = Messenger(producer, dead.append)
        messenger._repeats._clock = lambda: now[0]
        for minute in range(3):
            caplog.clear()
            for topic in ("cp.telemetry", "cp.status"):
                messenger.read([RawMessage(topic, 0, each, None, b"?") for each in range(50)])
            assert len(caplog.records) == 2 * SHOWN_MAX
            now[0] = 60.0 * (minute + 1)
            messenger.read([])
            assert [each.getMessage() for each in caplog.records[-2:]] == [
                f"{topic}: and {50 - SHOWN_MAX} more like it within 60 s"
                for topic in ("cp.telemetry", "cp.status")
            ]
        assert messenger.recent_dead_letters() == len(dead) == 300


async def test_a_dead_letter_that_is_dropped_is_told(
    absent_broker: BrokerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: a bad message that did not even reach the queue of dead letters is named."""
    async with open_producer(absent_broker.bootstrap, "p") as producer:
        producer._closing.set()
        raw = RawMessage("cp.status", 1, 7, None, b"?")
        Messenger(producer, list[str]().append).put_aside(raw, "x")
    assert "not among the dead letters, cp.status 1 at 7" in caplog.text
