"""A writer and a reader of ours on one topic, with the knowledge of each."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from evd.adapters.kafka import Consumer, Producer, RawMessage, Start, open_consumer, open_producer
from evd.adapters.kafka.producer import Headers

TOPIC = "cp.sessions"
READ_S_MAX = 20.0
GAP_S = 0.01
BURST = 10


@attrs.define
class Pair:
    """A producer and a consumer of TOPIC, and the messages read so far."""

    producer: Producer
    consumer: Consumer
    # The bound of each wait that names none.
    within_s: float = READ_S_MAX
    read: list[RawMessage] = attrs.field(factory=list)

    @property
    def values(self) -> list[bytes]:
        return [message.value for message in self.read]

    async def collect(self) -> None:
        async for batch in self.consumer.batches:
            self.read.extend(batch)

    async def until_read(self, *values: bytes, within_s: float | None = None) -> None:
        await eventually(lambda: set(values) <= set(self.values), within_s or self.within_s)

    async def send(self, value: bytes, key: str = "CP-001", within_s: float | None = None) -> None:
        with trio.fail_after(within_s or self.within_s):
            while not await self.delivered(key, value):
                await trio.sleep(GAP_S)

    async def delivered(self, key: str, *values: bytes) -> bool:
        return await delivered(self.producer, TOPIC, key, *values)


async def delivered(
    producer: Producer,
    topic: str,
    key: str | bytes | None,
    *values: bytes,
    headers: Headers | None = None,
    within_s: float = READ_S_MAX,
) -> bool:
    """Post these; whether the brokers have confirmed each, as long as nobody else sends."""
    failed_count = producer.failed_count
    posted = [producer.post(topic, key, value, headers) for value in values]
    flushed = await producer.flush(within_s)
    return all(posted) and flushed and producer.failed_count == failed_count


async def eventually(condition: Callable[[], object], within_s: float) -> None:
    """Waits until the condition holds; raises trio.TooSlowError after `within_s`."""
    with trio.fail_after(within_s):
        while not condition():
            await trio.sleep(GAP_S)


@asynccontextmanager
async def open_pair(
    bootstrap: str,
    start: Start = "committed-else-earliest",
    *,
    key: str = "all",
    group_id: str = "group",
    message_timeout_s: float = 30.0,
    within_s: float = READ_S_MAX,
    placed: bool = True,
) -> AsyncIterator[Pair]:
    """A pair whose reader is being read, and is at its place unless `placed` is false."""
    async with (
        open_producer(bootstrap, "writer", message_timeout_s=message_timeout_s) as producer,
        open_consumer(
            bootstrap, "reader", {TOPIC: key}, start=start, group_id=group_id
        ) as consumer,
        trio.open_nursery() as nursery,
    ):
        pair = Pair(producer, consumer, within_s)
        nursery.start_soon(pair.collect)
        if placed:
            await eventually(consumer.placed.is_set, READ_S_MAX)
        yield pair
        nursery.cancel_scope.cancel()


@attrs.define
class Stream:
    """Sends numbered messages for ever, BURST at a time."""

    pair: Pair
    # The values that the brokers have confirmed.
    confirmed: list[bytes] = attrs.field(factory=list)
    failed_count: int = 0

    async def run(self) -> None:
        for first in itertools.count(step=BURST):
            values = [b"%d" % number for number in range(first, first + BURST)]
            if await self.pair.delivered(f"CP-{first % 47:03d}", *values):
                self.confirmed += values
            else:
                self.failed_count += 1
            await trio.sleep(GAP_S)

    async def assert_nothing_is_lost(self) -> None:
        await self.pair.until_read(*self.confirmed)
        assert self.failed_count == 0
        assert self.pair.consumer.logs_lost_count == 0
        values = self.pair.values
        assert len(values) == len(set(values)), "an idempotent producer never doubles"

    async def until_confirmed(self, count: int, within_s: float = READ_S_MAX) -> None:
        wanted = len(self.confirmed) + count
        await eventually(lambda: len(self.confirmed) >= wanted, within_s)
