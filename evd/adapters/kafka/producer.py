"""Messages out: one idempotent producer, used from Trio, polled by one thread of its own.

Posting a message never blocks the daemon: while the broker is away messages wait in a bounded
queue, each for `message_timeout_s`. A message given up may still arrive: only ids and expiry
protect from that.
"""

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Mapping
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
    text_of,
)

QUEUE_MESSAGES_MAX: Final = 20_000
QUEUE_KBYTES_MAX: Final = 16_384
MESSAGE_TIMEOUT_S: Final = 5.0
FLUSH_TIMEOUT_S: Final = 0.3
# Bounds how long a stop waits for the polling thread.
POLL_S: Final = 0.1
GIVE_UP_S_MAX: Final = 0.5

Headers = Mapping[str, bytes]


class Producer:
    """Open it with `open_producer`. The counters begin at 0 and only rise."""

    def __init__(
        self, bootstrap: str, client_id: str, message_timeout_s: float, linger_s: float = 0.0
    ) -> None:
        self.link = BrokerLink(bootstrap)
        self.delivered_count = 0
        # Queued, but given up or refused by the brokers.
        self.failed_count = 0
        # Never queued: no room, too large, or the producer closed.
        self.dropped_count = 0
        settings = producer_settings(bootstrap, client_id, message_timeout_s)
        self._settings = {**settings, "linger.ms": linger_s * 1000, **self.link.callbacks()}
        self._client = confluent_kafka.Producer(self._settings)
        self._queued_count = 0
        self._progress_s = time.monotonic()
        self._closing = threading.Event()
        # Set when nothing is in flight any more: a flush waits for it.
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
        """Queue a message and return at once.

        False when it was dropped, and counted: the queue is full, the message too large, or the
        producer closed.
        """
        if not self.in_flight:
            self._progress_s = time.monotonic()
        if self._closing.is_set():
            return self._drop(topic, "the producer is closed")
        try:
            self._client.produce(
                topic,
                value,
                key.encode(errors="surrogatepass") if isinstance(key, str) else key,
                on_delivery=self._on_delivery,
                headers=list(headers.items()) if headers else None,
            )
        except BufferError:
            return self._drop(topic, "the queue of unsent messages is full")
        except KafkaException as error:
            return self._drop(topic, text_of(error))
        self._queued_count += 1
        return True

    async def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight, for `timeout_s` at the most; whether it got there.

        For one task at a time.
        """
        # Set up before looking: the last delivery may come in between.
        self._emptied = trio.Event()
        if self.in_flight:
            with trio.move_on_after(timeout_s):
                await self._emptied.wait()
        return not self.in_flight

    def purge(self) -> None:
        """Forget all that is queued or sent and not yet confirmed."""
        self._client.purge()

    def _drop(self, topic: str, why: str) -> bool:
        self.dropped_count += 1
        self._warning.log("message dropped: %s: %s", topic, why)
        return False

    def _poll_until_closed(self) -> None:
        """The polling thread: every callback of librdkafka runs here."""
        while not self._closing.is_set():
            if not self.link.up:
                self._look_for_broker()
            if self.link.is_stranded:
                self._renew("the cluster named no broker")
            try:
                self._client.poll(POLL_S)
            except KafkaException as error:
                self._renew(text_of(error))
        _give_up(self._client)

    def _renew(self, why: str) -> None:
        self._warning.log("a new producer takes over: %s", why)
        dead, self._client = self._client, confluent_kafka.Producer(self._settings)
        _give_up(dead)
        self.link.is_stranded = False

    def _look_for_broker(self) -> None:
        # By itself librdkafka asks a broker that is back for its topics up to 1 s later.
        with contextlib.suppress(KafkaException):
            self._client.list_topics(timeout=QUERY_TIMEOUT_S)
            self.link.on_answer()

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.delivered_count += 1
            self._progress_s = time.monotonic()
            self.link.on_answer()
        else:
            self.failed_count += 1
            self._warning.log("message not delivered: %s", error.str())
        if not self.in_flight and not self._emptied.is_set():
            self._trio_token.run_sync_soon(self._emptied.set)


@asynccontextmanager
async def open_producer(
    bootstrap: str,
    client_id: str,
    *,
    message_timeout_s: float = MESSAGE_TIMEOUT_S,
    flush_timeout_s: float = FLUSH_TIMEOUT_S,
    linger_s: float = 0.0,
) -> AsyncIterator[Producer]:
    """A producer; at the end it sends what it still holds for `flush_timeout_s`, and no longer.

    If no broker answers then, it does not even try.
    Messages wait `linger_s` for others to go with them: where thousands a second go out, each alone
    costs both ends a multiple.  It needs no broker to open, or to close.
    """
    producer = Producer(bootstrap, client_id, message_timeout_s, linger_s)
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
    """End a client: the messages that it still holds fail."""
    client.purge()
    deadline_s = time.monotonic() + GIVE_UP_S_MAX
    while len(client) and time.monotonic() < deadline_s:
        # One that is beyond help says so again, and serves its callbacks all the same.
        with contextlib.suppress(KafkaException):
            client.poll(0.01)
    client.close()


def producer_settings(bootstrap: str, client_id: str, message_timeout_s: float) -> Settings:
    """librdkafka's settings of a producer of ours."""
    return {
        **client_settings(bootstrap, client_id),
        # Implies acks=all; a retry never makes a second copy or another order.
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 0,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "message.timeout.ms": int(message_timeout_s * 1000),
        "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
        "queue.buffering.max.kbytes": QUEUE_KBYTES_MAX,
    }
