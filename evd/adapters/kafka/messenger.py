"""Messages of ours over a producer and a consumer: stamped when sent, checked when read.

Bytes that are no message are put aside on the topic of dead letters, counted, and the next one is
taken: a bad message is never obeyed and never fatal.
"""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from evd.adapters.kafka.consumer import Batch
from evd.adapters.kafka.link import MESSAGE_BYTES_MAX
from evd.adapters.kafka.placement import RawMessage
from evd.adapters.kafka.producer import Producer
from evd.core.wire import codec
from evd.core.wire.messages import DEAD_LETTERS, Message
from evd.logs import Repeats

ERROR_CHARS_MAX = 300
# A flood of bad messages is counted whole and shown in part: so many lines a topic in SHOWN_S.
SHOWN_MAX = 20
SHOWN_S = 60.0
# Key, value and headers must fit into what the topic of dead letters takes.
KEY_BYTES_MAX = 1024
# The header of a letter that does not hold the whole message: the bytes that it had.
CUT_FROM = "cut_from"
LETTER_BYTES_MAX = MESSAGE_BYTES_MAX - KEY_BYTES_MAX - 4 * ERROR_CHARS_MAX - 1024
# Bad messages count as recent for so long, to a minute.
RECENT_S = 600.0

logger = logging.getLogger(__name__)


class Messenger:
    """The messages of one process.  `on_dead_letter` is called with the topic of each bad one."""

    def __init__(self, producer: Producer, on_dead_letter: Callable[[str], None]) -> None:
        self._producer = producer
        self._on_dead_letter = on_dead_letter
        self._prefix = uuid4().hex
        self._numbers = itertools.count(1)
        self._repeats = Repeats(SHOWN_S, lines_max=SHOWN_MAX)
        # The bad messages of each of the last minutes.
        self._recent: dict[int, int] = {}

    def send(self, topic: str, key: str, message: Message) -> bool:
        """Queue a message and return at once; False when it was dropped."""
        raw = codec.encode(message, datetime.now(UTC), self._next_id())
        return self._producer.post(topic, key, raw)

    def send_opened(self, topic: str, key: str, opened: bytes) -> bool:
        """Queue a message whose JSON stands in `opened` up to the closing brace; else as `send`."""
        raw = codec.close(opened, datetime.now(UTC), self._next_id())
        return self._producer.post(topic, key, raw)

    def _next_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"

    def read(self, batch: Batch) -> list[Message]:
        """The good messages of a batch, in order."""
        return [message for message, _ in self.read_pairs(batch)]

    def read_pairs(self, batch: Sequence[RawMessage]) -> list[tuple[Message, RawMessage]]:
        """The good messages of a batch, in order, each with what it was read from."""
        self._repeats.log_rest(logger, logging.WARNING)
        messages = []
        for raw in batch:
            try:
                messages.append((codec.decode(raw.topic, raw.value), raw))
            except codec.BadMessage as error:
                self.put_aside(raw, str(error))
        return messages

    def put_aside(self, raw: RawMessage, error: str) -> None:
        """Send a bad message to the dead letters as it was, or cut where it is too large."""
        error, value, key = error[:ERROR_CHARS_MAX], raw.value, raw.key
        cut: dict[str, bytes] = {}
        if len(value) + len(key or b"") > LETTER_BYTES_MAX:
            told = f"cut to its first {LETTER_BYTES_MAX} of {len(value)} bytes; "
            error = (told + error)[:ERROR_CHARS_MAX]
            cut = {CUT_FROM: str(len(value)).encode()}
            value, key = value[:LETTER_BYTES_MAX], (key or b"")[:KEY_BYTES_MAX]
        text = "Bad message put aside, %s %d at %d: %s"
        place = (raw.topic, raw.partition, raw.offset)
        self._repeats.log(logger, logging.WARNING, raw.topic, text, *place, error)
        headers = {
            "topic": raw.topic.encode(),
            "partition": str(raw.partition).encode(),
            "offset": str(raw.offset).encode(),
            "error": error.encode(),
            **cut,
        }
        if not self._producer.post(DEAD_LETTERS, key, value, headers):
            text = "A bad message is not among the dead letters, %s %d at %d: it was dropped"
            self._repeats.log(logger, logging.ERROR, f"{raw.topic}, not kept", text, *place)
        minute = int(time.monotonic() // 60)
        self._recent[minute] = self._recent.get(minute, 0) + 1
        self._on_dead_letter(raw.topic)

    def recent_dead_letters(self) -> int:
        """Return how many bad messages were put aside within RECENT_S."""
        oldest = int((time.monotonic() - RECENT_S) // 60)
        self._recent = {each: count for each, count in self._recent.items() if each > oldest}
        return sum(self._recent.values())
