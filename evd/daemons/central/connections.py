"""Central's side of the monitors' connections: frames in, events out, answers back."""

import contextlib
import itertools
import logging
import math
from collections.abc import Callable
from typing import Any, cast

import trio

from evd.adapters.tcp import CONNECTION_OVER, FramedStream, decode_object
from evd.core.central.events import Answer, FrameRefused, HangUp, MonitorLeft, MonitorSaid
from evd.core.wire import codec
from evd.core.wire.control import Ack, FromCentral, FromMonitor, Heartbeat, Nack, NackCode
from evd.core.wire.fields import COUNT_MAX
from evd.core.wire.framing import BadFrame, BadFrameStreak
from evd.daemons.central.inbox import Inbox
from evd.logs import Repeats

# Frames of one connection that were read and not yet answered: beyond them it is read no further,
# so who sends more is slowed.
ANSWERS_WAITING_MAX = 64
# A connection that is turned away has so long to send a first frame, and then to read the answer.
TURN_AWAY_S = 1.0
# A monitor without a place comes back every few seconds: after so long without one all have theirs.
FULL_S = 10.0
REPEAT_S = 60.0

logger = logging.getLogger(__name__)


class Connections:
    """The open connections of monitors, by number.

    A connection is refused unless `is_serving`, and closed after `silence_s_max` without a byte.
    `acknowledge` returns the ACK of a heartbeat that says nothing new, which is sent at once.
    """

    def __init__(
        self,
        inbox: Inbox,
        is_serving: Callable[[], bool],
        acknowledge: Callable[[int, Heartbeat], Ack | None],
        silence_s_max: float,
    ) -> None:
        self._inbox = inbox
        self._is_serving = is_serving
        self._acknowledge = acknowledge
        self._silence_s_max = silence_s_max
        self._numbers = itertools.count(1)
        self._answers: dict[int, trio.MemorySendChannel[FromCentral]] = {}
        self._repeats = Repeats(REPEAT_S, clock=trio.current_time)
        self._full_s = -math.inf

    @property
    def count(self) -> int:
        """How many connections are open and served."""
        return len(self._answers)

    async def handle(self, stream: FramedStream) -> None:
        """Serve one connection, from its first byte to its last."""
        if not self._is_serving():
            return
        number = next(self._numbers)
        send, answers = trio.open_memory_channel[FromCentral](ANSWERS_WAITING_MAX)
        self._answers[number] = send
        room = trio.Semaphore(ANSWERS_WAITING_MAX)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, stream, answers, room, nursery.cancel_scope)
                nursery.start_soon(self._read, number, stream, room, nursery.cancel_scope)
        finally:
            del self._answers[number]
        await self._inbox.put(MonitorLeft(number))

    def on_full(self) -> None:
        """Note that a connection found no place."""
        self._full_s = trio.current_time()

    def why_full(self) -> str | None:
        """Return why monitors find no place, if one found none of late."""
        is_full = trio.current_time() - self._full_s < FULL_S
        return "all of its places for connections are taken" if is_full else None

    async def turn_away(self, stream: FramedStream, count: Callable[[Nack], None]) -> None:
        """Answer a connection for which there is no place with NACK `full`, and be done with it.

        `count` is called with the answer.
        """
        seq = None
        with trio.move_on_after(TURN_AWAY_S):
            (frame, *_) = await stream.receive()
            seq = _seq_of(frame if isinstance(frame, BadFrame) else decode_object(frame))
        nack = Nack(seq, "Central has no place for one more monitor", code=NackCode.FULL)
        count(nack)
        await stream.send(codec.encode_control(nack))
        await stream.send_end()
        with trio.move_on_after(TURN_AWAY_S):
            # Bytes that nobody has read would make the close a reset, and lose the answer.
            while True:
                await stream.receive()

    async def _read(
        self, number: int, stream: FramedStream, room: trio.Semaphore, scope: trio.CancelScope
    ) -> None:
        streak = BadFrameStreak()
        address = _host(stream)
        while True:
            frames = None
            with trio.move_on_after(self._silence_s_max):
                with contextlib.suppress(*CONNECTION_OVER):
                    frames = await stream.receive()
            if frames is None:
                scope.cancel()
                return
            # A frame counts from here, however long it then waits for its turn.
            at_s = trio.current_time()
            for frame in frames:
                fields = frame if isinstance(frame, BadFrame) else decode_object(frame)
                last = isinstance(fields, BadFrame) and streak.bad()
                event = _event(number, fields, last, at_s, address)
                if (ack := self._ack_of(event, room)) is not None:
                    streak.good()
                    # An end is met again by the next `receive`.
                    with contextlib.suppress(*CONNECTION_OVER):
                        await stream.send(codec.encode_control(ack))
                    continue
                await room.acquire()
                await self._inbox.put(event)
                if last:
                    text = "%s sends nothing but bad frames: hung up"
                    self._repeats.log(logger, logging.WARNING, address, text, stream.peer)
                    return
                if not isinstance(fields, BadFrame):
                    streak.good()

    def _ack_of(self, event: MonitorSaid | FrameRefused, room: trio.Semaphore) -> Ack | None:
        """Return the ACK that needs no turn of the loop, if there is one.

        A frame before this one that still waits for its answer is heard and answered first.
        """
        is_alone = room.value == ANSWERS_WAITING_MAX
        if not is_alone or not isinstance(event, MonitorSaid):
            return None
        message = event.message
        if not isinstance(message, Heartbeat):
            return None
        return self._acknowledge(event.connection, message)

    async def _write(
        self,
        stream: FramedStream,
        answers: trio.MemoryReceiveChannel[FromCentral],
        room: trio.Semaphore,
        scope: trio.CancelScope,
    ) -> None:
        try:
            async for answer in answers:
                await stream.send(codec.encode_control(answer))
                room.release()
        except CONNECTION_OVER:
            # The reader ends by the same error.
            pass
        scope.cancel()

    def answer(self, effect: Answer) -> None:
        """Queue the answer to a frame; there is room for those of all frames that were read."""
        send = self._answers.get(effect.connection)
        if send is None:
            return
        # Unless the connection is ending already.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            send.send_nowait(effect.message)

    def hang_up(self, effect: HangUp) -> None:
        """Close a connection once its answers are out."""
        send = self._answers.get(effect.connection)
        if send is not None:
            send.close()

    def hang_up_all(self) -> None:
        """Close every connection: Central can't serve them now."""
        for send in self._answers.values():
            send.close()


def _event(
    number: int, fields: dict[str, Any] | BadFrame, last: bool, at_s: float, address: str
) -> MonitorSaid | FrameRefused:
    if isinstance(fields, BadFrame):
        why = f"bad frame: {fields.reason}"
        return FrameRefused(number, NackCode.BAD_FRAME, None, why, last, at_s)
    try:
        message = cast(FromMonitor, codec.structure_monitor(fields))
        return MonitorSaid(number, message, at_s, address)
    except codec.BadMessage as error:
        seq = _seq_of(fields)
        return FrameRefused(number, NackCode.BAD_FIELD, seq, str(error), at_s=at_s)


def _seq_of(fields: dict[str, Any] | BadFrame) -> int | None:
    seq = None if isinstance(fields, BadFrame) else fields.get("seq")
    return seq if type(seq) is int and 0 <= seq <= COUNT_MAX else None


def _host(stream: FramedStream) -> str:
    return stream.peer.rpartition(":")[0]
