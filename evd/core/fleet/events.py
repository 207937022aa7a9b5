"""The effects of a played fleet: its monitors' connections, and messages that are JSON already."""

import attrs

from evd.core.effects import Send
from evd.core.wire import codec
from evd.core.wire.messages import Message


@attrs.frozen(slots=True)
class Dial:
    """Connect the monitor of this charging point to Central."""

    cp_id: str


@attrs.frozen(slots=True)
class Say:
    """Send a message, its JSON, on the connection of this charging point's monitor."""

    cp_id: str
    data: bytes


@attrs.frozen(slots=True)
class HangUp:
    """Close the connection of this charging point's monitor."""

    cp_id: str


@attrs.frozen(slots=True)
class Post:
    """Produce a message on Kafka's `topic` under `key`, from its JSON up to the closing brace.

    Most of a fleet's messages are this: a check of each would cost more than all else.
    """

    topic: str
    key: str
    opened: bytes

    @property
    def message(self) -> Message:
        """The message as its receiver reads it."""
        return codec.decode(self.topic, self.opened + b"}")


@attrs.frozen(slots=True)
class Metered(Post):
    """The same of a reading: its session, and the kWh that it says."""

    session_id: str
    kwh: float


@attrs.frozen(slots=True)
class Progress:
    """A driver was told of a reading, and of nothing else: nearly all that drivers are told."""

    request_id: str
    session_id: str
    kwh: float


Effect = Dial | Say | HangUp | Send | Post
