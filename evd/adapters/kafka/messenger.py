"""Messages of ours over a producer and a consumer: stamped when sent, checked when read.

Bytes that are no message are put aside on the topic of dead letters, counted, and the next one is
taken: a bad message is never obeyed and never fatal.
"""

import itertools
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from evd.adapters.kafka.consumer import Batch
from evd.adapters.kafka.placement import RawMessage
from evd.adapters.kafka.producer import Producer
from evd.core.wire import codec
from evd.core.wire.messages import DEAD_LETTERS, Message

ERROR_CHARS_MAX = 300
# A flood of bad messages is counted whole and shown in part.
SHOWN_MAX = 20

logger = logging.getLogger(__name__)


class Messenger:
    """The messages of one process.  `on_dead_letter` is called with the topic of each bad one."""

    def __init__(self, producer: Producer, on_dead_letter: Callable[[str], None]) -> None:
        self._producer = producer
        self._on_dead_letter = on_dead_letter
        self._prefix = uuid4().hex
        self._numbers = itertools.count(1)
        self._shown = 0

    def send(self, topic: str, key: str, message: Message) -> bool:
        """Queue a message and return at once; False when it was dropped."""
        raw = codec.encode(message, datetime.now(UTC), f"{self._prefix}-{next(self._numbers)}")
        return self._producer.post(topic, key, raw)

    def read(self, batch: Batch) -> list[Message]:
        """The good messages of a batch, in order."""
        return [message for message, _ in self.read_pairs(batch)]

    def read_pairs(self, batch: Batch) -> list[tuple[Message, RawMessage]]:
        """The good messages of a batch, in order, each with what it was read from."""
        messages = []
        for raw in batch:
            try:
                messages.append((codec.decode(raw.topic, raw.value), raw))
            except codec.BadMessage as error:
                self.put_aside(raw, str(error))
        return messages

    def put_aside(self, raw: RawMessage, error: str) -> None:
        """Send a bad message to the dead letters, as it was."""
        place = f"{raw.topic} {raw.partition} at {raw.offset}"
        if self._shown < SHOWN_MAX:
            self._shown += 1
            logger.warning("Bad message put aside, %s: %s", place, error[:ERROR_CHARS_MAX])
        headers = {
            "topic": raw.topic.encode(),
            "partition": str(raw.partition).encode(),
            "offset": str(raw.offset).encode(),
            "error": error[:ERROR_CHARS_MAX].encode(),
        }
        self._producer.post(DEAD_LETTERS, raw.key, raw.value, headers)
        self._on_dead_letter(raw.topic)
