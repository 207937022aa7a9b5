"""Our producer and consumer on one node of Apache Kafka: quick, and whole after its death."""

import statistics
import subprocess
from collections.abc import Sequence
from functools import partial

import pytest
import trio

from evd.adapters.kafka import ensure_topics, marks_after, open_consumer, open_producer
from evd.adapters.kafka.consumer import REVIEW_RETRY_S
from evd.core.wire.partition import partition_for
from evd.kafka_node.installation import Installation
from tests.kafka.cluster import KafkaCluster
from tests.kafka.conftest import KafkaNetwork
from tests.network.pairs import TOPIC, Pair, Stream, eventually, open_pair

pytestmark = pytest.mark.kafka

# The docs promise so much after a crash of the only node, from its start on.
RECOVERY_S_MAX = 10.0
# A reader that slept out its fetch wait would need half of that on average.
FETCH_WAIT_MS = 500
LATENCY_S_MAX = 0.1
JAVA_S_MAX = 60.0
# A change in the metadata is seen so soon.
SEEN_S_MAX = 10.0
KEYS = [f"CP-{number:03d}" for number in range(60)] + [
    *("", "a", "ñandú", "driver-alice", "driver.böb", "日本", "x" * 32, "\x7f", "0", "CP_é-1")
]


async def round_trips(pair: Pair, count: int) -> list[float]:
    """How long each of `count` messages took from its sending to its reading, in seconds."""
    times = []
    for number in range(count):
        began_s = trio.current_time()
        await pair.send(b"trip %d" % number)
        await pair.until_read(b"trip %d" % number)
        times.append(trio.current_time() - began_s)
    return times


def is_healthy(pair: Pair) -> bool:
    """The reader's own word on itself, asked anew each time."""
    return pair.consumer.healthy


async def test_a_message_wakes_its_reader(kafka: KafkaCluster) -> None:
    """Proves: with Kafka's own fetch wait a message still is read at once."""
    async with open_pair(kafka.bootstrap, "end") as pair:
        assert pair.consumer._settings["fetch.wait.max.ms"] == FETCH_WAIT_MS
        await round_trips(pair, 20)
        assert statistics.median(await round_trips(pair, 40)) < LATENCY_S_MAX


async def test_keys_lie_where_java_puts_them(
    kafka: KafkaCluster, installed_kafka: Installation
) -> None:
    """Proves: an engine that reads one partition gets what any Java client sends to its key."""
    java_keys = [key for key in KEYS if key]
    java = installed_kafka.command(
        "org.apache.kafka.tools.ConsoleProducer",
        *("--bootstrap-server", kafka.bootstrap, "--topic", TOPIC),
        *("--reader-property", "parse.key=true", "--reader-property", "key.separator=:"),
    )
    lines = "".join(f"{key}:java {key}\n" for key in java_keys)
    async with open_pair(kafka.bootstrap, "end") as pair:
        await trio.to_thread.run_sync(_run, java, lines)
        for key in KEYS:
            await pair.send(b"ours", key=key)
        wanted = [f"java {key}".encode() for key in java_keys]
        await pair.until_read(*wanted)
        await eventually(lambda: pair.values.count(b"ours") >= len(KEYS), 10)
    found = {(m.key, m.partition) for m in pair.read if m.key is not None}
    assert found == {(key.encode(), partition_for(key.encode(), 4)) for key in KEYS}


def _run(command: Sequence[str], text: str) -> None:
    subprocess.run(command, input=text, encoding="utf-8", timeout=JAVA_S_MAX, check=True)


async def test_a_kill_loses_nothing_that_was_confirmed(kafka_network: KafkaNetwork) -> None:
    """Proves: SIGKILL under load, a restart: sends go on, and all that were confirmed are read."""
    cluster = await trio.to_thread.run_sync(kafka_network)
    async with open_pair(cluster.bootstrap) as pair, trio.open_nursery() as nursery:
        stream = Stream(pair)
        nursery.start_soon(stream.run)
        for _ in range(2):
            await stream.until_confirmed(200)
            await trio.to_thread.run_sync(cluster.nodes[0].kill)
            # An answer that has come in before the kill may still be on its way to us.
            await trio.sleep(0.5)
            confirmed_count = len(stream.confirmed)
            await trio.sleep(1)
            assert len(stream.confirmed) == confirmed_count
            cluster.nodes[0].start()
            await trio.to_thread.run_sync(cluster.wait_until_up)
            await stream.until_confirmed(1, within_s=RECOVERY_S_MAX)
        await stream.until_confirmed(200)
        await stream.assert_nothing_is_lost()
        nursery.cancel_scope.cancel()


async def test_a_wiped_node_is_taken_for_another_log(kafka_network: KafkaNetwork) -> None:
    """Proves: with all data gone topics are made again, and readers go on as they are told to."""
    cluster = await trio.to_thread.run_sync(kafka_network)
    async with open_pair(cluster.bootstrap) as earliest, open_pair(cluster.bootstrap, "end") as end:
        old = [b"old %d" % number for number in range(20)]
        for value in old:
            await earliest.send(value, key=value.decode())
        await earliest.until_read(*old)
        await end.until_read(*old)
        await trio.to_thread.run_sync(cluster.kill)
        cluster.wipe()
        await trio.to_thread.run_sync(cluster.start)
        await earliest.send(b"first", within_s=RECOVERY_S_MAX)
        readers = (earliest.consumer, end.consumer)
        await eventually(lambda: all(r.logs_lost_count == 1 for r in readers), RECOVERY_S_MAX)
        await earliest.until_read(b"first", within_s=RECOVERY_S_MAX)
        with trio.fail_after(RECOVERY_S_MAX):
            # Repeated, as Central does: its place may be behind what came before it looked.
            while b"again" not in end.values:
                await earliest.send(b"again")
                await trio.sleep(0.1)


async def test_committed_offsets_outlive_a_kill(kafka_network: KafkaNetwork) -> None:
    """Proves: a reader and the node die together; the reader still goes on where it was."""
    cluster = await trio.to_thread.run_sync(kafka_network)
    async with open_pair(cluster.bootstrap) as pair:
        for number in range(100):
            await pair.send(b"%d" % number, key="CP-001")
        await pair.until_read(b"99")
        assert len({message.partition for message in pair.read}) == 1
        pair.consumer.commit(marks_after([pair.read[49]]))
    await trio.to_thread.run_sync(cluster.restart)
    async with open_pair(cluster.bootstrap) as pair:
        await pair.until_read(b"99")
        assert pair.values == [b"%d" % number for number in range(50, 100)]


async def test_an_idle_reader_gets_its_questions_answered(
    kafka_network: KafkaNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: a reader of topics in which nothing is written still sees that they have changed:
    none of its questions is given up behind the fetch that waits on the same connection."""
    # As often as it would ask if every question had failed.
    monkeypatch.setattr("evd.adapters.kafka.consumer.REVIEW_INTERVAL_S", REVIEW_RETRY_S)
    cluster = await trio.to_thread.run_sync(kafka_network)
    async with open_consumer(cluster.bootstrap, "reader", {TOPIC: "all"}, start="end") as consumer:
        await eventually(consumer.placed.is_set, SEEN_S_MAX)
        # Many questions long: by now one of them has met a fetch at its beginning.
        await trio.sleep(6)
        await trio.to_thread.run_sync(ensure_topics, cluster.bootstrap, 8)
        await eventually(lambda: len(consumer._placement._assigned) >= 8, SEEN_S_MAX)


async def test_a_reader_without_its_topics_is_not_healthy(kafka_network: KafkaNetwork) -> None:
    """Proves: a reader says so when its topics are gone with the broker's data, and reads on
    without a restart when they have been made again."""
    cluster = await trio.to_thread.run_sync(partial(kafka_network, partitions=0))
    await trio.to_thread.run_sync(ensure_topics, cluster.bootstrap, 4)
    async with open_pair(cluster.bootstrap) as pair:
        await pair.send(b"before")
        await pair.until_read(b"before")
        assert is_healthy(pair)
        await trio.to_thread.run_sync(cluster.kill)
        cluster.wipe()
        await trio.to_thread.run_sync(cluster.start)
        for _ in range(200):
            assert not is_healthy(pair)
            await trio.sleep(0.01)
        await trio.to_thread.run_sync(ensure_topics, cluster.bootstrap, 4)
        await eventually(lambda: is_healthy(pair), SEEN_S_MAX)
        await pair.send(b"after")
        await pair.until_read(b"after")


async def test_more_partitions_are_taken_up(kafka_network: KafkaNetwork) -> None:
    """Proves: after topics got more partitions writers and readers agree on them within seconds,
    also a reader of one key alone, which may have to move to another partition."""
    cluster = await trio.to_thread.run_sync(kafka_network)
    key = next(each for each in KEYS if len({partition_for(each.encode(), n) for n in (4, 8)}) == 2)
    read: set[int] = set()
    async with (
        open_producer(cluster.bootstrap, "writer") as producer,
        open_consumer(cluster.bootstrap, "reader", {TOPIC: key}, start="end") as consumer,
    ):
        await eventually(consumer.placed.is_set, SEEN_S_MAX)
        await trio.to_thread.run_sync(ensure_topics, cluster.bootstrap, 8)
        with trio.fail_after(SEEN_S_MAX):
            while partition_for(key.encode(), 8) not in read:
                producer.post(TOPIC, key, b"value")
                with trio.move_on_after(0.1):
                    read |= {message.partition for message in await consumer.batches.receive()}
