"""The queue before Central's loop, in two lanes: Kafka's backlog, and everybody who waits.

The lanes take turns where both hold something, so monitors, HTTP calls and the clock wait for one
bounded piece of the backlog at the most, and for no commit of it that begins later.  A full lane
makes its senders wait, so pressure reaches back to sockets and broker.
"""

import attrs
import trio

from evd.core.central.events import Event
from evd.daemons.central.steps import Offsets

WAITING_MAX = 256
# Batches of Kafka, of some hundred messages each: one waits while another is handled.
BATCHES_WAITING_MAX = 2
# Events taken at once share one commit; the last delivery may bring a few more.  A piece of Kafka's
# is short, since everybody waits for it.
EVENTS_MAX = 2_000
BATCHED_MAX = 250


@attrs.frozen
class Delivery:
    """Events in order, and the `offsets` that Kafka is told once they are done with."""

    events: list[Event]
    offsets: dict[tuple[str, int], int]


class Inbox:
    """Two bounded lanes whose reader takes what is there in one of them."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Delivery](WAITING_MAX)
        self._send_batch, self._batches = trio.open_memory_channel[Delivery](BATCHES_WAITING_MAX)
        # The lane whose turn it is comes first, with the events of it that are taken at once.
        self._lanes = [(self._receive, EVENTS_MAX), (self._batches, BATCHED_MAX)]
        self._news = trio.Event()

    async def put(self, *events: Event) -> None:
        """Hand over events of monitors, callers or the clock, in order; waits while it is full."""
        await self._send.send(Delivery(list(events), {}))
        self._news.set()

    async def put_batch(self, events: list[Event], offsets: Offsets) -> None:
        """Hand over what was read from Kafka; waits while other batches wait."""
        await self._send_batch.send(Delivery(events, dict(offsets)))
        self._news.set()

    async def take(self) -> Delivery:
        """Wait for events, and take those of one lane."""
        await trio.lowlevel.checkpoint()
        while True:
            for lane, events_max in self._lanes:
                if delivery := _taken(lane, events_max):
                    self._lanes.sort(key=lambda each: each[0] is lane)
                    return delivery
            self._news = trio.Event()
            await self._news.wait()


def _taken(lane: trio.MemoryReceiveChannel[Delivery], events_max: int) -> Delivery | None:
    delivery = None
    while delivery is None or len(delivery.events) < events_max:
        try:
            more = lane.receive_nowait()
        except trio.WouldBlock:
            break
        if delivery is None:
            delivery = more
        else:
            delivery.events.extend(more.events)
            delivery.offsets.update(more.offsets)
    return delivery
