"""The consumer against a real broker: where it begins, what it reads, how it ends."""

import time

import pytest
import trio

from evd.adapters.kafka import (
    Batch,
    Consumer,
    RawMessage,
    marks_after,
    open_consumer,
    open_producer,
)
from evd.adapters.kafka.pace import EASY_AT_ONCE, EASY_PER_S
from evd.core.wire.partition import partition_for
from tests.adapters.conftest import BrokerProcess
from tests.adapters.kafka.test_link import STRANDED
from tests.network.pairs import delivered, eventually

TOPIC = "driver.updates"
OTHER_TOPIC = "central.commands"


async def read_all(consumer: Consumer, count: int, timeout_s: float = 5.0) -> Batch:
    """The next messages, so many."""
    read: list[RawMessage] = []
    with trio.fail_after(timeout_s):
        while len(read) < count:
            read += await consumer.batches.receive()
    return read


async def write(bootstrap: str, topic: str, *values: bytes) -> None:
    """Writes and waits until the broker has all of it."""
    async with open_producer(bootstrap, "writer") as producer:
        for value in values:
            assert await delivered(producer, topic, "CP-001", value)


async def test_from_the_end_it_reads_what_comes_after(
    steady_broker: BrokerProcess, topic: str
) -> None:
    """Proves: once placed, a reader from the end misses nothing and gets nothing older."""
    await write(steady_broker.bootstrap, topic, b"old")
    async with open_consumer(steady_broker.bootstrap, "c", {topic: "all"}, start="end") as consumer:
        await eventually(consumer.placed.is_set, 5)
        assert consumer.healthy
        await write(steady_broker.bootstrap, topic, b"new")
        assert [message.value for message in await read_all(consumer, 1)] == [b"new"]


async def test_a_reader_without_any_address_is_replaced(
    steady_broker: BrokerProcess, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: where a client has lost every broker's address, which it never finds again, another
    goes on behind what was read, and misses nothing that was written meanwhile."""
    async with open_consumer(steady_broker.bootstrap, "c", {topic: "all"}, start="end") as consumer:
        await consumer.placed.wait()
        await write(steady_broker.bootstrap, topic, b"first")
        assert [message.value for message in await read_all(consumer, 1)] == [b"first"]
        consumer.link.on_statistics(STRANDED)
        await write(steady_broker.bootstrap, topic, b"second")
        assert [message.value for message in await read_all(consumer, 1)] == [b"second"]
        await eventually(lambda: not consumer.link.is_stranded, 5)
    assert "a new reader takes over: the cluster named no broker" in caplog.messages


async def test_a_key_is_read_from_its_partition_alone(
    steady_broker: BrokerProcess, topic: str
) -> None:
    """Proves: an engine gets its own commands, and none from other partitions."""
    keys = [f"CP-{number:03}" for number in range(20)]
    async with open_consumer(
        steady_broker.bootstrap, "c", {topic: "CP-003", OTHER_TOPIC: "CP-003"}, start="end"
    ) as consumer:
        await consumer.placed.wait()
        async with open_producer(steady_broker.bootstrap, "writer") as producer:
            for key in keys:
                assert await delivered(producer, topic, key, b"x")
            assert await delivered(producer, OTHER_TOPIC, "CP-003", b"last")
        wanted = partition_for(b"CP-003", 4)
        expected = {key.encode() for key in keys if partition_for(key.encode(), 4) == wanted}
        read = await read_all(consumer, len(expected) + 1)
    assert {message.key for message in read if message.topic == topic} == expected
    assert {message.partition for message in read} == {wanted}


async def test_goes_on_behind_what_was_committed(steady_broker: BrokerProcess, topic: str) -> None:
    """Proves: a restarted reader takes up where its last commit stood; without one at the start."""

    async def read_as(group_id: str, count: int) -> Batch:
        async with open_consumer(
            steady_broker.bootstrap,
            "c",
            {topic: "all"},
            start="committed-else-earliest",
            group_id=group_id,
        ) as consumer:
            read = await read_all(consumer, count)
            middle = read[: count // 2]
            # Latest wins, and the last one is stored at the end.
            for message in middle:
                consumer.commit(marks_after([message]))
            return read

    await write(steady_broker.bootstrap, topic, *(b"%d" % number for number in range(10)))
    assert len(await read_as("alice", 10)) == 10
    again = await read_as("alice", 5)
    assert [int(message.value) for message in again] == [5, 6, 7, 8, 9]
    assert len(await read_as("bob", 10)) == 10


async def test_a_reader_from_the_committed_needs_a_group(absent_broker: BrokerProcess) -> None:
    """Proves: a forgotten group id is an error at once, not offsets that go nowhere."""
    with pytest.raises(ValueError, match="group_id"):
        async with open_consumer(
            absent_broker.bootstrap, "c", {TOPIC: "all"}, start="committed-else-earliest"
        ):
            pass


async def test_a_null_value_is_empty(steady_broker: BrokerProcess, topic: str) -> None:
    """Proves: a message without a value (a tombstone) is read like any bad message."""
    async with (
        open_consumer(steady_broker.bootstrap, "c", {topic: "all"}, start="end") as consumer,
        open_producer(steady_broker.bootstrap, "p") as producer,
    ):
        await consumer.placed.wait()
        assert await delivered(producer, topic, "CP-001", None)  # type: ignore[arg-type]
        (message,) = await read_all(consumer, 1)
    assert message.value == b""


async def test_a_slow_reader_loses_nothing(steady_broker: BrokerProcess, topic: str) -> None:
    """Proves: whoever does not take batches holds up the reading, within bounds, and no more."""
    async with (
        open_consumer(
            steady_broker.bootstrap, "c", {topic: "all"}, start="end", batch_max=10
        ) as consumer,
        open_producer(steady_broker.bootstrap, "p") as producer,
    ):
        await consumer.placed.wait()
        for number in range(3000):
            producer.post(topic, "CP-001", b"%d" % number)
        assert await producer.flush(5)
        await eventually(lambda: consumer.batches.statistics().tasks_waiting_send > 0, 5)
        read = await read_all(consumer, 3000)
    assert [int(message.value) for message in read] == list(range(3000))


async def test_the_end_is_quick_without_a_broker(absent_broker: BrokerProcess) -> None:
    """Proves: a stop does not wait for a broker that never was."""
    async with open_consumer(absent_broker.bootstrap, "c", {TOPIC: "all"}, start="end") as consumer:
        await trio.sleep(0.2)
        assert not consumer.healthy
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1


async def test_the_end_is_quick_while_nobody_takes_a_batch(
    steady_broker: BrokerProcess, topic: str
) -> None:
    """Proves: an owner thread that waits to hand over a batch ends with its reader."""
    async with open_consumer(
        steady_broker.bootstrap, "c", {topic: "all"}, start="end", batch_max=1
    ) as consumer:
        await consumer.placed.wait()
        await write(steady_broker.bootstrap, topic, *(b"x" for _ in range(10)))
        await eventually(lambda: consumer.batches.statistics().tasks_waiting_send > 0, 5)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1


async def test_a_busy_reader_gathers(steady_broker: BrokerProcess, topic: str) -> None:
    """Proves: what comes in a fast stream is read in a few batches, whole and in order, while a
    reader to which little comes waits for nothing."""
    count, gather_s = 4_000, 0.3
    async with (
        open_consumer(
            steady_broker.bootstrap, "c", {topic: "all"}, start="end", gather_s=gather_s
        ) as consumer,
        open_producer(steady_broker.bootstrap, "writer") as producer,
        trio.open_nursery() as nursery,
    ):
        await consumer.placed.wait()

        async def write_steadily() -> None:
            for number in range(count):
                assert producer.post(topic, "CP-001", b"%d" % number)
                if number % 50 == 0:
                    await trio.sleep(0.01)

        nursery.start_soon(write_steadily)
        batches: list[Batch] = []
        with trio.fail_after(10):
            while sum(map(len, batches)) < count:
                batches.append(await consumer.batches.receive())
        assert [int(each.value) for batch in batches for each in batch] == [*range(count)]
        assert sum(len(batch) for batch in batches if len(batch) > 400) > count // 2
        await trio.sleep(EASY_AT_ONCE / EASY_PER_S)
        began_s = trio.current_time()
        assert await delivered(producer, topic, "CP-001", b"last")
        await read_all(consumer, 1)
        assert trio.current_time() - began_s < gather_s
