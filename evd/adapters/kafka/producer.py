"""Messages out: one idempotent producer, used from Trio, polled by one thread of its own.

`post` hands a message over and forgets it; `send` waits until the brokers have it. Neither ever
blocks the daemon: while the broker is away messages wait in a bounded queue, each for
`message_timeout_s`. A message given up may still arrive: only ids and expiry protect from that.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import confluent_kafka
import trio
from confluent_kafka import KafkaError, KafkaException, Message

from evd.adapters.kafka.link import (
    ANSWER_TIMEOUT_S,
    MESSAGE_BYTES_MAX,
    QUERY_TIMEOUT_S,
    BrokerLink,
    RareWarning,
    Settings,
    client_settings,
)

QUEUE_MESSAGES_MAX: Final = 20_000
QUEUE_KBYTES_MAX: Final = 16_384
MESSAGE_TIMEOUT_S: Final = 5.0
FLUSH_TIMEOUT_S: Final = 0.3
# Bounds how long a stop waits for the polling thread.
POLL_S: Final = 0.1
GIVE_UP_S_MAX: Final = 0.5

Headers = Mapping[str, bytes]
_OnDelivery = Callable[[KafkaError | None, Message], None]


class SendFailed(Exception):
    """The brokers did not confirm the message in time, or it could not be queued.

    It may arrive all the same.
    """


class Producer:
    """Open it with `open_producer`. The counters begin at 0 and only rise."""

    def __init__(self, bootstrap: str, client_id: str, message_timeout_s: float) -> None:
        self.link = BrokerLink(bootstrap)
        self.delivered_count = 0
        # Queued, but given up or refused by the brokers.
        self.failed_count = 0
        # Never queued: no room, or too large.
        self.dropped_count = 0
        # By time.monotonic(); None before the first.
        self.last_delivery_s: float | None = None
        self._settings = _settings(bootstrap, client_id, message_timeout_s, self.link)
        self._client = confluent_kafka.Producer(self._settings)
        self._client_is_dead = False
        self._queued_count = 0
        self._progress_s = time.monotonic()
        self._closing = threading.Event()
        # From the polling thread to Trio, in bursts: one wake-up for as many as there are.
        self._settled: deque[_Delivery] = deque()
        self._wake_up_sent = False
        # What a flush waits for.
        self._emptied = trio.Event()
        self._trio_token = trio.lowlevel.current_trio_token()
        self._warning = RareWarning()

    @property
    def in_flight(self) -> int:
        """How many messages are queued or sent and not yet confirmed or given up."""
        return self._queued_count - self.delivered_count - self.failed_count

    @property
    def broker_up(self) -> bool:
        """Whether the broker answers, and confirms what was sent to it."""
        stalled_s = time.monotonic() - self._progress_s if self.in_flight else 0.0
        return self.link.up and stalled_s < ANSWER_TIMEOUT_S

    def post(
        self, topic: str, key: str | bytes | None, value: bytes, headers: Headers | None = None
    ) -> bool:
        """Queues a message and returns at once.

        False when it was dropped, and counted: the queue is full, or the message too large.
        """
        try:
            self._produce(topic, key, value, headers, self._count)
        except SendFailed as error:
            self._warning.log("message dropped: %s", error)
            return False
        return True

    async def send(
        self, topic: str, key: str | bytes | None, value: bytes, headers: Headers | None = None
    ) -> None:
        """Queues a message and returns when the brokers have it. Raises SendFailed."""
        delivery = _Delivery()

        def settle(error: KafkaError | None, message: Message) -> None:
            self._count(error, message)
            delivery.error = error
            self._tell_trio(delivery)

        self._produce(topic, key, value, headers, settle)
        await delivery.settled.wait()
        if delivery.error is not None:
            raise SendFailed(f"{topic}: {delivery.error.str()}")

    async def flush(self, timeout_s: float) -> bool:
        """Waits until nothing is in flight, for `timeout_s` at the most; whether it got there."""
        # Set up before looking: the last delivery may come in between.
        self._emptied = trio.Event()
        if self.in_flight:
            with trio.move_on_after(timeout_s):
                await self._emptied.wait()
        return not self.in_flight

    def _produce(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes,
        headers: Headers | None,
        on_delivery: _OnDelivery,
    ) -> None:
        if not self.in_flight:
            self._progress_s = time.monotonic()
        try:
            if self._closing.is_set():
                raise SendFailed(f"{topic}: the producer is closed")
            self._client.produce(
                topic,
                value,
                key.encode(errors="surrogatepass") if isinstance(key, str) else key,
                on_delivery=on_delivery,
                headers=list(headers.items()) if headers else None,
            )
        except BufferError:
            self.dropped_count += 1
            raise SendFailed(f"{topic}: the queue of unsent messages is full") from None
        except KafkaException as error:
            self.dropped_count += 1
            raise SendFailed(f"{topic}: {error.args[0].str()}") from None
        self._queued_count += 1

    def _poll_until_closed(self) -> None:
        """The polling thread: every callback of librdkafka runs here."""
        while not self._closing.is_set():
            if not self.link.up:
                self._look_for_broker()
            try:
                self._client.poll(POLL_S)
            except KafkaException as error:
                self._warning.log("a new producer takes over: %s", error.args[0].str())
                dead, self._client = self._client, confluent_kafka.Producer(self._settings)
                _give_up(dead)
        _give_up(self._client)

    def _look_for_broker(self) -> None:
        # By itself librdkafka asks a broker that is back for its topics up to 1 s later.
        with contextlib.suppress(KafkaException):
            self._client.list_topics(timeout=QUERY_TIMEOUT_S)
            self.link.answered()

    def _count(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.delivered_count += 1
            self.last_delivery_s = self._progress_s = time.monotonic()
            self.link.answered()
        else:
            self.failed_count += 1
            self._warning.log("message not delivered: %s", error.str())
        if not self.in_flight and not self._emptied.is_set():
            self._trio_token.run_sync_soon(self._emptied.set)

    def _tell_trio(self, delivery: "_Delivery") -> None:
        self._settled.append(delivery)
        if not self._wake_up_sent:
            self._wake_up_sent = True
            self._trio_token.run_sync_soon(self._wake_senders)

    def _wake_senders(self) -> None:
        # Cleared first: what is added from here on is either seen below or wakes us again.
        self._wake_up_sent = False
        while self._settled:
            self._settled.popleft().settled.set()


class _Delivery:
    """One message that its sender waits for."""

    __slots__ = ("error", "settled")

    def __init__(self) -> None:
        self.error: KafkaError | None = None
        self.settled = trio.Event()


@asynccontextmanager
async def open_producer(
    bootstrap: str,
    client_id: str,
    *,
    message_timeout_s: float = MESSAGE_TIMEOUT_S,
    flush_timeout_s: float = FLUSH_TIMEOUT_S,
) -> AsyncIterator[Producer]:
    """A producer; at the end it sends what it still holds for `flush_timeout_s`, and no longer.

    If no broker answers then, it does not even try.
    It needs no broker to open, or to close.
    """
    producer = Producer(bootstrap, client_id, message_timeout_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_polling_thread, producer)
        try:
            yield producer
        finally:
            if producer.link.up:
                with trio.CancelScope(shield=True):
                    await producer.flush(flush_timeout_s)
            producer._closing.set()


async def _run_polling_thread(producer: Producer) -> None:
    # Shielded: it ends by itself, after the last flush. The limiter is its own, so that it never
    # waits for a free thread.
    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(producer._poll_until_closed, limiter=trio.CapacityLimiter(1))


def _give_up(client: confluent_kafka.Producer) -> None:
    """Ends a client; whoever waits for one of its messages is told that it failed."""
    client.purge()
    deadline_s = time.monotonic() + GIVE_UP_S_MAX
    while len(client) and time.monotonic() < deadline_s:
        # One that is beyond help says so again, and serves its callbacks all the same.
        with contextlib.suppress(KafkaException):
            client.poll(0.01)
    client.close()


def _settings(
    bootstrap: str, client_id: str, message_timeout_s: float, link: BrokerLink
) -> Settings:
    return {
        **client_settings(bootstrap, client_id),
        **link.callbacks(),
        # Implies acks=all; a retry never makes a second copy or another order.
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 0,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "message.timeout.ms": int(message_timeout_s * 1000),
        "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
        "queue.buffering.max.kbytes": QUEUE_KBYTES_MAX,
    }
