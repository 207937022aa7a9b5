"""The dead letters: read from the start of their topic, and sent again to where they came from.

That a letter was sent again is written beside it, on the same partition, as a message with the
header `replayed`: so each operator sees it, on whatever host, as long as the letter is there.
"""

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, NamedTuple, Self

import attrs
import confluent_kafka
import orjson
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, TopicPartition

from evd.adapters.kafka.link import Settings, client_settings, text_of
from evd.adapters.kafka.messenger import CUT_FROM
from evd.adapters.kafka.producer import producer_settings
from evd.core.wire.fields import FieldError, check_id
from evd.core.wire.messages import DEAD_LETTERS, TOPICS

CLIENT_ID: Final = "evd-dead-letters"
ANSWER_S_MAX: Final = 8.0
RETRY_S: Final = 0.2
# The broker has gone when nothing has come for so long.
SILENCE_S_MAX: Final = 10.0
SENT_S_MAX: Final = 10.0
POLL_S: Final = 0.1
BATCH_MESSAGES_MAX: Final = 200
BATCH_BYTES_MAX: Final = 8_388_608
FETCHED_KBYTES_MAX: Final = 8192
# Letters that are known to have been sent again, so that none is sent twice.
MARKS_MAX: Final = 1_000_000
ANY_PARTITION: Final = -1
# The header of a message that says: the letter with this origin was sent again.
REPLAYED: Final = "replayed"


class LettersFailed(Exception):
    """The dead letters can't be read or sent; a sentence for the operator."""


class Origin(NamedTuple):
    """The place at which a bad message lay."""

    topic: str
    partition: int
    offset: int


@attrs.frozen(kw_only=True)
class Letter:
    """A dead letter: where it lies among the others, and where its message lay.

    `origin` is None where its headers say nothing of use. `cut_from` is the size of a message that
    was too large to be kept whole. `value` is empty in a list.
    """

    partition: int
    offset: int
    at: datetime | None
    origin: Origin | None
    error: str
    size_bytes: int
    cut_from: int | None
    message_id: str | None
    key: bytes | None
    value: bytes
    is_replayed: bool = False

    @property
    def name(self) -> str:
        """Its place among the dead letters, by which an operator names it."""
        return f"{self.partition}:{self.offset}"

    @property
    def unfit(self) -> str:
        """Why it can't be sent again; empty where it can."""
        if self.origin is None or self.origin.topic not in TOPICS:
            return "it does not say from which of our topics it came"
        if self.cut_from is not None:
            return f"it holds only a part of its message, which had {self.cut_from} bytes"
        return ""


@attrs.define
class Replay:
    """How a replay went: the letters sent by topic, those sent before, those that can't be."""

    sent: dict[str, int] = attrs.field(factory=dict)
    sent_before: int = 0
    unfit: int = 0
    # The first that can't be sent, and why.
    first_unfit: tuple[str, str] | None = None


class _Marks:
    """The origins of letters that were sent again; LettersFailed beyond MARKS_MAX."""

    def __init__(self) -> None:
        # Offsets alone: a million of them fits.
        self._offsets: dict[tuple[str, int], set[int]] = {}
        self._count = 0

    def add(self, origin: Origin | None) -> None:
        if origin is None or origin in self:
            return
        if self._count >= MARKS_MAX:
            raise LettersFailed(f"{MARKS_MAX} letters that are still kept were sent again already")
        self._count += 1
        self._offsets.setdefault((origin.topic, origin.partition), set()).add(origin.offset)

    def __contains__(self, origin: Origin) -> bool:
        return origin.offset in self._offsets.get((origin.topic, origin.partition), ())

    def has(self, letter: Letter) -> bool:
        return letter.origin is not None and letter.origin in self


class DeadLetters:
    """The dead letters at `bootstrap`; each call blocks, and raises LettersFailed."""

    def __init__(self, bootstrap: str, answer_s_max: float = ANSWER_S_MAX) -> None:
        self._bootstrap = bootstrap
        self._answer_s_max = answer_s_max
        self._consumer = confluent_kafka.Consumer(_reader_settings(bootstrap))
        self._producer: confluent_kafka.Producer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def newest(self, limit: int, topic: str | None = None) -> list[Letter]:
        """The newest letters, of one topic or all, the newest last; their values are left out."""
        found: list[tuple[float, int, int, Letter]] = []
        marks = _Marks()
        for letter in self._letters(marks):
            if topic is not None and (letter.origin is None or letter.origin.topic != topic):
                continue
            at_s = letter.at.timestamp() if letter.at is not None else 0.0
            kept = (at_s, letter.partition, letter.offset, attrs.evolve(letter, value=b""))
            (heapq.heappush if len(found) < limit else heapq.heappushpop)(found, kept)
        return [
            attrs.evolve(letter, is_replayed=marks.has(letter))
            for *_, letter in sorted(found, key=lambda each: each[:3])
        ]

    def one(self, partition: int, offset: int) -> Letter | None:
        """The letter at this place, None where there is none."""
        marks, found = _Marks(), None
        for letter in self._letters(marks):
            if (letter.partition, letter.offset) == (partition, offset):
                found = letter
        return found and attrs.evolve(found, is_replayed=marks.has(found))

    def replay(self, is_wanted: Callable[[Letter], bool]) -> Replay:
        """Send the wanted letters again that were not sent before, each to its own topic.

        Letters with one origin or one message_id are one message. A letter is marked once the
        broker has its message: after a crash between the two it is sent a second time.
        """
        bounds = self._bounds()
        marks = _Marks()
        for _ in self._letters(marks, bounds):
            pass
        replay, message_ids, batch = Replay(), set[str](), list[Letter]()
        for letter in self._letters(_Marks(), bounds):
            if not is_wanted(letter):
                continue
            if letter.unfit:
                replay.unfit += 1
                replay.first_unfit = replay.first_unfit or (letter.name, letter.unfit)
            elif marks.has(letter):
                replay.sent_before += 1
            elif letter.message_id in message_ids:
                replay.sent_before += 1
                self._mark([letter])
            else:
                marks.add(letter.origin)
                if letter.message_id is not None:
                    message_ids.add(letter.message_id)
                batch.append(letter)
            if _is_full(batch):
                self._send(batch, replay)
                batch = []
        self._send(batch, replay)
        return replay

    def _bounds(self) -> dict[int, tuple[int, int]]:
        """The first offset of each partition, and the one after its last by now.

        A broker that has just come up may lead no partition yet, and is asked again.
        """
        end_s = time.monotonic() + self._answer_s_max
        while True:
            try:
                return self._bounds_now(max(POLL_S, end_s - time.monotonic()))
            except KafkaException as error:
                if time.monotonic() > end_s:
                    raise LettersFailed(
                        f"no broker answers at {self._bootstrap}: {text_of(error)}"
                    ) from None
                time.sleep(RETRY_S)

    def _bounds_now(self, within_s: float) -> dict[int, tuple[int, int]]:
        found = self._consumer.list_topics(timeout=within_s).topics.get(DEAD_LETTERS)
        if found is None or not found.partitions:
            raise LettersFailed(
                f"there is no topic {DEAD_LETTERS} at {self._bootstrap} (`evd topics` makes it)"
            )
        bounds = {}
        for partition in found.partitions:
            place = TopicPartition(DEAD_LETTERS, partition)
            marks = self._consumer.get_watermark_offsets(place, timeout=within_s)
            if marks is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            bounds[partition] = marks
        return bounds

    def _letters(
        self, marks: _Marks, bounds: Mapping[int, tuple[int, int]] | None = None
    ) -> Iterator[Letter]:
        """The letters within `bounds`; the origins of those that were sent again go to `marks`."""
        for message in self._messages(self._bounds() if bounds is None else bounds):
            headers = _headers(message)
            origin = _origin(headers)
            if REPLAYED not in headers:
                yield _letter(message, headers, origin)
            else:
                marks.add(origin)

    def _messages(self, bounds: Mapping[int, tuple[int, int]]) -> Iterator[confluent_kafka.Message]:
        ends = {partition: last for partition, (first, last) in bounds.items() if first < last}
        self._consumer.assign(
            [TopicPartition(DEAD_LETTERS, each, bounds[each][0]) for each in ends]
        )
        heard_s = time.monotonic()
        while ends:
            message = self._consumer.poll(POLL_S)
            if message is None:
                if time.monotonic() - heard_s > SILENCE_S_MAX:
                    raise LettersFailed(f"the broker at {self._bootstrap} answers no more")
                continue
            heard_s = time.monotonic()
            partition, offset, error = message.partition(), message.offset(), message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    ends.pop(partition or 0, None)
                continue
            # A message has both.
            last = ends.get(partition or 0, 0)
            if (offset or 0) < last:
                yield message
            if (offset or 0) + 1 >= last:
                ends.pop(partition or 0, None)

    def _send(self, letters: Sequence[Letter], replay: Replay) -> None:
        """Send these again and mark each that the broker has taken."""
        failures = self._post(
            (letter, letter.origin.topic, letter.value, {}, ANY_PARTITION)
            for letter in letters
            if letter.origin is not None
        )
        sent = [letter for letter in letters if letter.name not in failures]
        self._mark(sent)
        for letter in sent:
            if letter.origin is not None:
                topic = letter.origin.topic
                replay.sent[topic] = replay.sent.get(topic, 0) + 1
        if failures:
            name, why = next(iter(failures.items()))
            raise LettersFailed(
                f"the broker did not take {len(failures)} of {len(letters)}, the first of them"
                f" {name}: {why}; the others were sent"
            )

    def _mark(self, letters: Sequence[Letter]) -> None:
        """Write down that these were sent again."""
        failures = self._post(
            (letter, DEAD_LETTERS, b"", _mark_headers(letter.origin), letter.partition)
            for letter in letters
            if letter.origin is not None
        )
        if failures:
            name, why = next(iter(failures.items()))
            raise LettersFailed(f"{name} was sent, but that could not be written down: {why}")

    def _post(
        self,
        messages: Iterator[tuple[Letter, str, bytes, dict[str, bytes], int]],
    ) -> dict[str, str]:
        """Send messages with the keys of their letters; why some were not taken, by letter."""
        if self._producer is None:
            settings = producer_settings(self._bootstrap, CLIENT_ID, SENT_S_MAX)
            self._producer = confluent_kafka.Producer(settings)
        failures: dict[str, str] = {}

        def watch(name: str) -> Callable[[KafkaError | None, object], None]:
            failures[name] = f"no answer within {SENT_S_MAX:g} s"

            def on_delivery(error: KafkaError | None, _: object) -> None:
                if error is None:
                    del failures[name]
                else:
                    failures[name] = error.str()

            return on_delivery

        for letter, topic, value, headers, partition in messages:
            self._producer.produce(
                topic,
                value,
                letter.key,
                on_delivery=watch(letter.name),
                headers=list(headers.items()),
                partition=partition,
            )
        # Each message ends within its own time: a second more for the answer.
        self._producer.flush(SENT_S_MAX + 1.0)
        return failures


def _reader_settings(bootstrap: str) -> Settings:
    return {
        **client_settings(bootstrap, CLIENT_ID),
        "group.id": CLIENT_ID,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        # The embedded broker answers the last fetch only when this is over.
        "fetch.wait.max.ms": 20,
        "fetch.max.bytes": FETCHED_KBYTES_MAX * 1024,
        "queued.max.messages.kbytes": FETCHED_KBYTES_MAX,
        "max.poll.interval.ms": 86_400_000,
    }


def _headers(message: confluent_kafka.Message) -> dict[str, str]:
    """The headers as text; anybody may have written them."""
    return {
        name: value if isinstance(value, str) else (value or b"").decode(errors="replace")
        for name, value in dict(message.headers() or ()).items()
    }


def _origin(headers: Mapping[str, str]) -> Origin | None:
    try:
        topic, partition, offset = (headers[name] for name in ("topic", "partition", "offset"))
        return Origin(topic, int(partition), int(offset))
    except (KeyError, ValueError):
        return None


def _mark_headers(origin: Origin | None) -> dict[str, bytes]:
    topic, partition, offset = origin or ("", 0, 0)
    return {
        "topic": topic.encode(),
        "partition": str(partition).encode(),
        "offset": str(offset).encode(),
        "error": b"sent again",
        REPLAYED: b"yes",
    }


def _letter(
    message: confluent_kafka.Message,
    headers: Mapping[str, str],
    origin: Origin | None,
) -> Letter:
    value = message.value() or b""
    kind, ms = message.timestamp()
    cut_from = headers.get(CUT_FROM, "")
    key = message.key()
    return Letter(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        at=None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(ms / 1000, UTC),
        origin=origin,
        error=headers.get("error", ""),
        size_bytes=len(value),
        cut_from=int(cut_from) if cut_from.isdecimal() else None,
        message_id=_message_id(value),
        key=key.encode() if isinstance(key, str) else key,
        value=value,
    )


def _message_id(value: bytes) -> str | None:
    """The id that the message names, None where it is no object or has none that is well formed."""
    try:
        fields = orjson.loads(value)
        return check_id(fields["message_id"], "message_id") if isinstance(fields, dict) else None
    except (orjson.JSONDecodeError, KeyError, FieldError):
        return None


def _is_full(batch: Sequence[Letter]) -> bool:
    size = sum(letter.size_bytes for letter in batch)
    return len(batch) >= BATCH_MESSAGES_MAX or size >= BATCH_BYTES_MAX
