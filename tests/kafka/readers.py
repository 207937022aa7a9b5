"""A writer and a reader of ours on one topic, and what each of them knows."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from evd.adapters.kafka import (
    Consumer,
    Producer,
    RawMessage,
    Start,
    open_consumer,
    open_producer,
)
from tests.adapters.kafka.delivery import delivered

TOPIC = "cp.sessions"
READ_S_MAX = 20.0
BURST = 10
GAP_S = 0.01


@attrs.define
class Pair:
    """A producer and a consumer of TOPIC, and what has been read so far."""

    producer: Producer
    consumer: Consumer
    read: list[RawMessage] = attrs.field(factory=list)

    @property
    def values(self) -> list[bytes]:
        """What was read, in order."""
        return [message.value for message in self.read]

    async def collect(self) -> None:
        """Reads until cancelled."""
        async for batch in self.consumer.batches:
            self.read.extend(batch)

    async def until_read(self, *values: bytes, within_s: float = READ_S_MAX) -> None:
        """Waits until all of them have been read."""
        with trio.fail_after(within_s):
            while not set(values) <= set(self.values):
                await trio.sleep(GAP_S)

    async def send(self, value: bytes, key: str = "CP-001", within_s: float = READ_S_MAX) -> None:
        """Sends it until the brokers have it."""
        with trio.fail_after(within_s):
            while not await delivered(self.producer, TOPIC, key, value, within_s=within_s):
                await trio.sleep(GAP_S)


@asynccontextmanager
async def open_pair(
    bootstrap: str,
    start: Start = "committed-else-earliest",
    *,
    group_id: str = "group",
    message_timeout_s: float = 30.0,
) -> AsyncIterator[Pair]:
    """Both, the reader at its place and being read."""
    async with (
        open_producer(bootstrap, "writer", message_timeout_s=message_timeout_s) as producer,
        open_consumer(
            bootstrap, "reader", {TOPIC: "all"}, start=start, group_id=group_id
        ) as consumer,
        trio.open_nursery() as nursery,
    ):
        pair = Pair(producer, consumer)
        nursery.start_soon(pair.collect)
        with trio.fail_after(READ_S_MAX):
            await consumer.placed.wait()
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
        """Sends until cancelled."""
        producer = self.pair.producer
        for first in itertools.count(step=BURST):
            values = [b"%d" % number for number in range(first, first + BURST)]
            failed_count = producer.failed_count
            posted = [producer.post(TOPIC, f"CP-{first % 47:03d}", value) for value in values]
            flushed = await producer.flush(READ_S_MAX)
            if all(posted) and flushed and producer.failed_count == failed_count:
                self.confirmed += values
            else:
                self.failed_count += 1
            await trio.sleep(GAP_S)

    async def nothing_is_lost(self) -> None:
        """All that was confirmed is read, once, and no send ever failed."""
        await self.pair.until_read(*self.confirmed)
        assert self.failed_count == 0
        assert self.pair.consumer.logs_lost_count == 0
        values = self.pair.values
        assert len(values) == len(set(values)), "an idempotent producer never doubles"

    async def until_confirmed(self, count: int, within_s: float = READ_S_MAX) -> None:
        """Waits until so many more have been confirmed."""
        wanted = len(self.confirmed) + count
        with trio.fail_after(within_s):
            while len(self.confirmed) < wanted:
                await trio.sleep(GAP_S)
