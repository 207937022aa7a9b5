"""What waits for Central's loop: events from Kafka, from monitors, from HTTP, from the clock.

Bounded: who brings events waits while it is full, so pressure reaches back to sockets and broker.
"""

from collections.abc import Mapping, Sequence

import attrs
import trio

from evd.core.central.events import Event

WAITING_MAX = 256
# Events taken at once: they share one commit.
EVENTS_MAX = 2_000

Offsets = Mapping[tuple[str, int], int]


@attrs.frozen
class Delivery:
    """Events that came together; `offsets`: what Kafka is told once they are done with."""

    events: Sequence[Event]
    offsets: Offsets = attrs.field(factory=dict)


class Inbox:
    """A bounded queue whose reader takes all that is there."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Delivery](WAITING_MAX)

    async def put(self, *events: Event, offsets: Offsets | None = None) -> None:
        """Hand over events, in order; waits while the inbox is full."""
        await self._send.send(Delivery(events, offsets or {}))

    async def take(self) -> Delivery:
        """Wait for events and take all that are there, up to EVENTS_MAX or so."""
        first = await self._receive.receive()
        events, offsets = list(first.events), dict(first.offsets)
        while len(events) < EVENTS_MAX:
            try:
                more = self._receive.receive_nowait()
            except trio.WouldBlock:
                break
            events.extend(more.events)
            offsets.update(more.offsets)
        return Delivery(events, offsets)
