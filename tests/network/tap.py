"""A stranger on the broker: sends any bytes, reads what was sent, sends everything again."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs
import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from evd.core.wire.messages import TOPICS

ANSWER_S_MAX = 10.0
POLL_S = 0.05
FETCH_WAIT_MS = 20
# A message with this header was sent again already.
AGAIN = "again"


@attrs.frozen
class Heard:
    """A message as it lies on its topic."""

    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] = attrs.field(factory=dict)


class Tap:
    """Reads and writes raw messages at `bootstrap`."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer = new_producer(bootstrap)

    def put(self, topic: str, key: str, *values: bytes | None) -> None:
        """Send these, and wait until the broker has them."""
        for value in values:
            self._producer.produce(topic, value=value, key=key)
        left = self._producer.flush(ANSWER_S_MAX)
        if left:
            raise AssertionError(f"{left} messages did not reach {topic}")

    def values(self, topic: str) -> list[bytes]:
        return [each.value for each in self.read(topic) if each.value]

    def read(self, topic: str) -> list[Heard]:
        consumer = new_consumer(self._bootstrap)
        try:
            found: list[Heard] = []
            for place in places(consumer, [topic]):
                low, high = consumer.get_watermark_offsets(place, timeout=ANSWER_S_MAX)
                if low == high:
                    continue
                consumer.assign([TopicPartition(topic, place.partition, low)])
                found += self._until(consumer, high)
            return found
        finally:
            consumer.close()

    @staticmethod
    def _until(consumer: Consumer, high: int) -> list[Heard]:
        found = []
        end_s = time.monotonic() + ANSWER_S_MAX
        while time.monotonic() < end_s:
            message = consumer.poll(POLL_S)
            if message is None or message.error() is not None:
                continue
            found.append(Heard(message.key(), message.value(), headers_of(message)))
            if (message.offset() or 0) + 1 >= high:
                return found
        raise AssertionError("a topic could not be read to its end")


class Follower:
    """Reads the messages of one topic that are sent from now on."""

    def __init__(self, bootstrap: str, topic: str, fetch_wait_ms: int) -> None:
        self._consumer = new_consumer(bootstrap, fetch_wait_ms)
        found = places(self._consumer, [topic])
        for place in found:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=ANSWER_S_MAX)[1]
        self._consumer.assign(found)
        self._newest: dict[str, Any] = {}

    def next(self) -> dict[str, Any]:
        found = self._poll(ANSWER_S_MAX)
        if found is None:
            raise TimeoutError("nothing came")
        return found

    def newest(self) -> dict[str, Any]:
        """The newest message of all so far; waits for the first."""
        if not self._newest:
            self._newest = self.next()
        while found := self._poll(0):
            self._newest = found
        return self._newest

    def _poll(self, within_s: float) -> dict[str, Any] | None:
        message = self._consumer.poll(within_s)
        if message is None or message.error() is not None:
            return None
        fields: dict[str, Any] = orjson.loads(message.value() or b"{}")
        return fields

    def close(self) -> None:
        self._consumer.close()


class Echo:
    """Sends each message of every topic once more, `delay_s` after it was sent."""

    def __init__(self, bootstrap: str, delay_s: float = 0.0) -> None:
        self._bootstrap = bootstrap
        self._delay_s = delay_s
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        # So many were sent again so far.
        self.count = 0

    def __enter__(self) -> "Echo":
        self._thread.start()
        if not self._ready.wait(ANSWER_S_MAX):
            raise AssertionError("the broker did not answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(ANSWER_S_MAX)

    def _run(self) -> None:
        producer = new_producer(self._bootstrap)
        consumer = new_consumer(self._bootstrap)
        consumer.assign(places(consumer, list(TOPICS)))
        self._ready.set()
        waiting: deque[tuple[float, Message]] = deque()
        while not self._stopping.is_set():
            message = consumer.poll(POLL_S / 5)
            if message is not None and message.error() is None and AGAIN not in headers_of(message):
                waiting.append((time.monotonic() + self._delay_s, message))
            while waiting and waiting[0][0] <= time.monotonic():
                again = waiting.popleft()[1]
                producer.produce(
                    str(again.topic()),
                    value=again.value(),
                    key=again.key(),
                    partition=again.partition() or 0,
                    headers={AGAIN: b"1"},
                )
                self.count += 1
            producer.poll(0)
        producer.flush(ANSWER_S_MAX)
        consumer.close()


def new_producer(bootstrap: str, **settings: str | int | bool) -> Producer:
    """A producer that puts each key where ours do; `settings` with _ in the place of dots."""
    more = {name.replace("_", "."): value for name, value in settings.items()}
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 0,
            "log_level": 0,
            **more,
        }
    )


def new_consumer(bootstrap: str, fetch_wait_ms: int = FETCH_WAIT_MS) -> Consumer:
    """A consumer that remembers nothing anywhere."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tap",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": fetch_wait_ms,
            "log_level": 0,
        }
    )


def places(consumer: Consumer, topics: Sequence[str]) -> list[TopicPartition]:
    """Every partition of these topics, from its first message on."""
    known = consumer.list_topics(timeout=ANSWER_S_MAX).topics
    return [
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for topic in topics
        if topic in known
        for partition in known[topic].partitions
    ]


def headers_of(message: Message) -> dict[str, bytes]:
    """A message's headers."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return {
        name: value.encode() if isinstance(value, str) else value or b"" for name, value in pairs
    }
