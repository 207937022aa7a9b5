"""A writer and a reader of ours on one topic, and what each of them knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from evd.adapters.kafka import (
    Consumer,
    Producer,
    RawMessage,
    SendFailed,
    Start,
    open_consumer,
    open_producer,
)

TOPIC = "cp.sessions"
READ_S_MAX = 20.0
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
            while True:
                try:
                    await self.producer.send(TOPIC, key, value)
                    return
                except SendFailed:
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
    """Sends numbered messages for ever, each as soon as there is time, several at once."""

    pair: Pair
    # What a send that returned was about.
    confirmed: list[bytes] = attrs.field(factory=list)
    # The longest that a send took, in seconds, since it was last set to 0.
    longest_s: float = 0.0
    failed_count: int = 0
    _number: int = 0

    async def run(self, interval_s: float = GAP_S) -> None:
        """Sends until cancelled; a send that waits holds up no other."""
        async with trio.open_nursery() as nursery:
            while True:
                self._number += 1
                nursery.start_soon(self._send, b"%d" % self._number)
                await trio.sleep(interval_s)

    async def _send(self, value: bytes) -> None:
        began_s = trio.current_time()
        try:
            await self.pair.producer.send(TOPIC, f"CP-{int(value) % 50:03d}", value)
        except SendFailed:
            self.failed_count += 1
            return
        self.longest_s = max(self.longest_s, trio.current_time() - began_s)
        self.confirmed.append(value)

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
