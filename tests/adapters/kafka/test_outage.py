"""Producer and consumer while the broker is away, hangs, or comes back without its data."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import confluent_kafka
import pytest
import trio
from confluent_kafka import TopicPartition

from evd.adapters.kafka import Consumer, Start, marks_after
from tests.adapters.conftest import BrokerProcess
from tests.network import pairs
from tests.network.pairs import TOPIC, Pair, eventually

KEY = "CP-001"
RECOVERY_S_MAX = 5.0
HANG_S_MAX = 10.0
CLOSE_S_MAX = 2.0


@asynccontextmanager
async def open_pair(
    bootstrap: str, start: Start = "end", message_timeout_s: float = 5.0
) -> AsyncIterator[Pair]:
    """A pair whose reader reads one key, and need not be at its place yet."""
    async with pairs.open_pair(
        bootstrap,
        start,
        key=KEY,
        message_timeout_s=message_timeout_s,
        within_s=RECOVERY_S_MAX,
        placed=False,
    ) as pair:
        yield pair


async def until_lost(consumer: Consumer, count: int = 1) -> None:
    """Waits until the reader has found the log to be another one."""
    await eventually(lambda: consumer.logs_lost_count >= count, RECOVERY_S_MAX)


async def until_health_is(pair: Pair, *, good: bool, timeout_s: float) -> None:
    """Waits until both say so."""
    await eventually(lambda: {pair.producer.broker_up, pair.consumer.healthy} == {good}, timeout_s)


async def test_a_broker_that_comes_later_is_found(absent_broker: BrokerProcess) -> None:
    """Proves: daemons may start before their broker, in any order."""
    async with open_pair(absent_broker.bootstrap) as pair:
        assert pair.producer.post(TOPIC, KEY, b"early")
        await absent_broker.come_up()
        await eventually(pair.consumer.placed.is_set, RECOVERY_S_MAX)
        await pair.send(b"late")
        await pair.until_read(b"late")


@pytest.mark.parametrize("start", ["end", "committed-else-earliest"])
async def test_a_broker_that_lost_everything(broker: BrokerProcess, start: Start) -> None:
    """Proves: after the broker's death with its data both go on by themselves within 5 s."""
    async with open_pair(broker.bootstrap, start) as pair:
        await eventually(pair.consumer.placed.is_set, RECOVERY_S_MAX)
        for number in range(20):
            await pair.send(b"old %d" % number)
        await pair.until_read(b"old 19")
        broker.kill()
        await broker.come_up()
        began_s = time.monotonic()
        # Lower offsets than the reader's: it may not wait for the log to reach them again.
        await pair.send(b"new 0")
        await until_lost(pair.consumer)
        await pair.send(b"new 1")
        await pair.until_read(b"new 1")
        assert time.monotonic() - began_s < RECOVERY_S_MAX
        new = [value for value in pair.values if value.startswith(b"new")]
        # From the end, what was written before the reader was there again may be missed.
        assert start == "end" or set(new) == {b"new 0", b"new 1"}
        await until_health_is(pair, good=True, timeout_s=RECOVERY_S_MAX)


async def test_a_new_log_that_has_outgrown_the_old_place(broker: BrokerProcess) -> None:
    """Proves: a reader whose old place lies within the new log by chance still reads all of it."""
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        for number in range(5):
            await pair.send(b"old %d" % number)
        await pair.until_read(b"old 4")
        broker.kill()
        await broker.come_up()
        writer = confluent_kafka.Producer(
            {"bootstrap.servers": broker.bootstrap, "partitioner": "murmur2_random"}
        )
        for number in range(100):
            writer.produce(TOPIC, b"new %d" % number, KEY)
        await trio.to_thread.run_sync(writer.flush, 5.0)
        await pair.until_read(b"new 0")
        await pair.until_read(b"new 99")
        assert {b"new %d" % number for number in range(100)} <= set(pair.values)


async def test_a_commit_of_the_old_log_is_not_stored_in_the_new(broker: BrokerProcess) -> None:
    """Proves: an offset of the lost log never makes a later reader skip messages of the new one."""
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        for number in range(20):
            await pair.send(b"old %d" % number)
        await pair.until_read(b"old 19")
        stale = pair.read[-1]
        broker.kill()
        await broker.come_up()
        await until_lost(pair.consumer)
        for number in range(30):
            await pair.send(b"new %d" % number)
        await pair.until_read(b"new 29")
        # So late that the new log was read beyond it.
        pair.consumer.commit(marks_after([stale]))
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        await pair.until_read(b"new 0")


async def test_a_commit_that_a_broker_stores_says_of_which_log_it_is(broker: BrokerProcess) -> None:
    """Proves: one that was on its way when the broker lost its data is no place in the new log."""
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        for number in range(3):
            await pair.send(b"%d" % number)
        await pair.until_read(b"2")
        pair.consumer.commit(marks_after(pair.read))
    client = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "group"})
    place = (TOPIC, pair.read[0].partition)
    (found,) = client.committed([TopicPartition(*place)], timeout=RECOVERY_S_MAX)
    assert (found.offset, found.metadata) == (3, pair.read[0].log)
    client.commit(offsets=[TopicPartition(*place, 2, "another cluster")], asynchronous=False)
    client.close()
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        await pair.until_read(b"0")


async def test_a_commit_during_an_outage_is_stored_after_it(broker: BrokerProcess) -> None:
    """Proves: what was done is not done again because the broker hung when it was committed."""
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        for number in range(10):
            await pair.send(b"%d" % number)
        await pair.until_read(b"9")
        broker.freeze()
        last = pair.read[-1]
        pair.consumer.commit(marks_after([last]))
        await trio.sleep(0.5)
        broker.thaw()
        await pair.send(b"mark")
        await pair.until_read(b"mark")
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        await pair.until_read(b"mark")
        assert pair.values == [b"mark"]


async def test_a_dead_and_a_hanging_broker_are_noticed(broker: BrokerProcess) -> None:
    """Proves: health tells of a broker that is gone at once, and of one that hangs in seconds."""
    async with open_pair(broker.bootstrap, message_timeout_s=10) as pair:
        await eventually(pair.consumer.placed.is_set, RECOVERY_S_MAX)
        await pair.send(b"x")
        await until_health_is(pair, good=True, timeout_s=RECOVERY_S_MAX)
        broker.freeze()
        pair.producer.post(TOPIC, KEY, b"y")
        await until_health_is(pair, good=False, timeout_s=HANG_S_MAX)
        broker.thaw()
        await until_health_is(pair, good=True, timeout_s=RECOVERY_S_MAX)
        broker.kill()
        await until_health_is(pair, good=False, timeout_s=RECOVERY_S_MAX)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < CLOSE_S_MAX


async def test_the_end_is_quick_at_a_broker_that_hangs(broker: BrokerProcess) -> None:
    """Proves: a stop does not wait for the answer to what a broker that hangs was told last."""
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        await pair.send(b"first")
        await pair.until_read(b"first")
        broker.freeze()
        first = pair.read[-1]
        pair.consumer.commit(marks_after([first]))
        pair.producer.post(TOPIC, KEY, b"second")
        await eventually(lambda: not pair.consumer._commits, RECOVERY_S_MAX)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < CLOSE_S_MAX


async def test_what_waits_is_delivered_when_the_broker_is_back(broker: BrokerProcess) -> None:
    """Proves: an outage shorter than the messages' time loses none, and keeps their order."""
    async with open_pair(broker.bootstrap, "committed-else-earliest") as pair:
        await pair.send(b"first")
        # A reader that has no place in the old log cannot find that it was lost.
        await pair.until_read(b"first")
        broker.kill()
        await until_health_is(pair, good=False, timeout_s=RECOVERY_S_MAX)
        for number in range(100):
            assert pair.producer.post(TOPIC, KEY, b"%d" % number)
        await broker.come_up()
        # Until the log is found to be another one, the old place in it may be behind its start.
        await until_lost(pair.consumer)
        waited = [b"%d" % number for number in range(100)]
        await eventually(lambda: pair.values[-len(waited) :] == waited, RECOVERY_S_MAX)
        assert pair.producer.failed_count == 0
