"""The effects of a played fleet besides messages on Kafka: its monitors' connections."""

import attrs

from evd.core.effects import Send


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


Effect = Dial | Say | HangUp | Send
