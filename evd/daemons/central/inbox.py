"""The queue before Central's loop, in two lanes: Kafka's backlog, and everybody who waits.

The lanes take turns where both hold something, so monitors, HTTP calls and the clock wait for one
bounded piece of the backlog at the most, and for no commit of it that begins later.  A full lane
makes its senders wait, so pressure reaches back to callers and broker; monitors' connections bound
what they post.
"""

from collections import deque
from collections.abc import Mapping

import attrs
import trio

from evd.core.central.events import Event
from evd.core.wire.partition import Mark, Place

WAITING_MAX = 256
# Batches of Kafka, of some hundred messages each.
BATCHES_WAITING_MAX = 4
# Events taken at once share one commit; the last delivery may bring a few more.
EVENTS_MAX = 2_000
# So many frames of monitors at once: the clock, which comes first, waits for no more of them.
FRAMES_MAX = 500
# Everybody waits for a piece of Kafka's backlog, so it has fewer events, down to PIECE_MIN, where
# the one before took longer than this: telemetry is read quickly, while each request is a row.
PIECE_S_MAX = 0.2
PIECE_MIN = 250


@attrs.frozen
class Delivery:
    """Events in order, and the `marks` that Kafka is told once they are done with."""

    events: list[Event]
    marks: dict[Place, Mark]


class Inbox:
    """Two bounded lanes whose reader takes what is there in one of them."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Delivery](WAITING_MAX)
        self._send_batch, self._batches = trio.open_memory_channel[Delivery](BATCHES_WAITING_MAX)
        # The frames of monitors; they share the lane of callers and clock.
        self._posted = deque[Event]()
        # The lane whose turn it is comes first.
        self._lanes = [self._receive, self._batches]
        self._piece = PIECE_MIN
        self._piece_began_s: float | None = None
        self._news = trio.Event()

    async def put(self, *events: Event) -> None:
        """Hand over events of callers or the clock, in order; waits while it is full."""
        await self._send.send(Delivery(list(events), {}))
        self._news.set()

    def post(self, event: Event) -> None:
        """Hand over an event of a monitor's connection, which bounds how many of its wait."""
        self._posted.append(event)
        self._news.set()

    async def put_batch(self, events: list[Event], marks: Mapping[Place, Mark]) -> None:
        """Hand over what was read from Kafka; waits while other batches wait."""
        await self._send_batch.send(Delivery(events, dict(marks)))
        self._news.set()

    async def take(self) -> Delivery:
        """Wait for events, and take those of one lane."""
        self._fit_piece()
        await trio.lowlevel.checkpoint()
        while True:
            for lane in self._lanes:
                is_batched = lane is self._batches
                delivery = _taken(lane, self._piece) if is_batched else self._taken_first()
                if delivery is not None:
                    self._lanes.sort(key=lambda each: each is lane)
                    self._piece_began_s = trio.current_time() if is_batched else None
                    return delivery
            self._news = trio.Event()
            await self._news.wait()

    def _taken_first(self) -> Delivery | None:
        """Take what callers and the clock say, and then what monitors do."""
        delivery = _taken(self._receive, EVENTS_MAX)
        if self._posted:
            delivery = delivery or Delivery([], {})
            while self._posted and len(delivery.events) < FRAMES_MAX:
                delivery.events.append(self._posted.popleft())
        return delivery

    def _fit_piece(self) -> None:
        """Choose the size of the next piece of Kafka's by the time that the one before took."""
        if self._piece_began_s is None:
            return
        is_slow = trio.current_time() - self._piece_began_s > PIECE_S_MAX
        piece = self._piece // 2 if is_slow else self._piece * 2
        self._piece = min(max(piece, PIECE_MIN), EVENTS_MAX)
        self._piece_began_s = None


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
            delivery.marks.update(more.marks)
    return delivery
