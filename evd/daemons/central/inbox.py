"""The queue before Central's loop: events from Kafka, from monitors, from HTTP, from the clock.

Bounded: a full inbox makes its senders wait, so pressure reaches back to sockets and broker.
"""

import attrs
import trio

from evd.core.central.events import Event
from evd.daemons.central.steps import Offsets

WAITING_MAX = 256
# Events taken at once share one commit; the newest delivery may bring a few more.
EVENTS_MAX = 2_000


@attrs.frozen
class Delivery:
    """Events in order, and the `offsets` that Kafka is told once they are done with."""

    events: list[Event]
    offsets: dict[tuple[str, int], int]


class Inbox:
    """A bounded queue whose reader takes all that is there."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Delivery](WAITING_MAX)

    async def put(self, *events: Event, offsets: Offsets | None = None) -> None:
        """Hand over events, in order; waits while the inbox is full."""
        await self._send.send(Delivery(list(events), dict(offsets or {})))

    async def take(self) -> Delivery:
        """Wait for events and take all that are there, up to EVENTS_MAX or so."""
        delivery = await self._receive.receive()
        while len(delivery.events) < EVENTS_MAX:
            try:
                more = self._receive.receive_nowait()
            except trio.WouldBlock:
                break
            delivery.events.extend(more.events)
            delivery.offsets.update(more.offsets)
        return delivery
