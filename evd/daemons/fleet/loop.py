"""The loop of a played fleet: what comes in goes to the core, and its effects are carried out.

One task turns round: it hears all monitors, and does what is due.  Another has all that comes
through Kafka.  No call of the core waits, so they need no lock.
"""

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Final, TypeVar

import trio

from evd.adapters.framed_crowd import FramedCrowd
from evd.adapters.tcp import DialFailed
from evd.core.effects import Now, Send
from evd.core.fleet.events import Dial, Effect, HangUp, Post, Progress, Say
from evd.core.fleet.fleet import Fleet
from evd.core.wire import codec
from evd.core.wire.framing import BadFrame
from evd.core.wire.messages import Message
from evd.daemons.clock import now

# Connections that are being made at a time: more would fill the queue of Central's port.
DIALS_MAX: Final = 64
DIAL_S_MAX: Final = 5.0
# Between two turns: answers gather for so long, since taken one by one they cost twice as much.
TURN_S: Final = 0.005
# Things of each kind that are done in a turn: answers are timed when they come in, not later.
DUE_MAX: Final = 100

B = TypeVar("B")
News = Iterable[Message | Progress]


class Loop:
    """The tasks of one fleet, and what it was told that is no message."""

    def __init__(
        self,
        core: Fleet,
        crowd: FramedCrowd,
        send: Callable[[str, str, Message], bool],
        send_opened: Callable[[str, str, bytes], bool],
    ) -> None:
        """`send` and `send_opened` hand over to Kafka, by topic and key, a message or its JSON up
        to the closing brace; False where that takes no more."""
        self._core = core
        self._crowd = crowd
        self._send = send
        self._send_opened = send_opened
        places = core.plan.cps
        self._to_dial, self._dialing = trio.open_memory_channel[str](places)
        # Answers of Central that are none.
        self.garbled_count = 0
        # Messages that Kafka did not take.
        self.dropped_count = 0
        self.dial_failure = ""

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Do what the core decided."""
        for effect in effects:
            match effect:
                case Say(cp_id, data):
                    if not self._crowd.say(cp_id, data):
                        self.carry_out(self._core.on_lost(cp_id, now()))
                case Post(topic, key, opened):
                    self.dropped_count += not self._send_opened(topic, key, opened)
                case Send(topic, key, message):
                    self.dropped_count += not self._send(topic, key, message)
                case Dial(cp_id):
                    self._to_dial.send_nowait(cp_id)
                case HangUp(cp_id):
                    self._crowd.hang_up(cp_id)

    async def run(self, batches: AsyncIterable[B], read: Callable[[B], News]) -> None:
        """Play until cancelled; `read` gives the messages of a batch from Kafka."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, batches, read)
            nursery.start_soon(self._turn)
            for _ in range(DIALS_MAX):
                nursery.start_soon(self._dial)

    async def _dial(self) -> None:
        async for cp_id in self._dialing:
            try:
                await self._crowd.dial(cp_id, DIAL_S_MAX)
            except DialFailed as error:
                self.dial_failure = error.reason
                self.carry_out(self._core.on_lost(cp_id, now()))
            else:
                self.carry_out(self._core.on_dialed(cp_id, now()))

    def _take(self, cp_id: str, frame: bytes | BadFrame, moment: Now) -> None:
        try:
            fields = codec.load_object(b"" if isinstance(frame, BadFrame) else frame)
            # Nearly all that comes in: taken without a look at the fields that it may have.
            seq = fields.get("seq") if fields.get("type") == "ACK" else None
            if type(seq) is int and self._core.on_beat_answered(cp_id, seq, moment):
                return
            answer = codec.structure_central(fields)
        except codec.BadMessage:
            self.garbled_count += 1
            return
        self.carry_out(self._core.on_answer(cp_id, answer, moment))

    async def _read(self, batches: AsyncIterable[B], read: Callable[[B], News]) -> None:
        async for batch in batches:
            moment = now()
            for message in read(batch):
                self.carry_out(self._core.on_message(message, moment))

    async def _turn(self) -> None:
        while True:
            moment = now()
            self._hear(moment)
            self.carry_out(self._core.tick(moment, DUE_MAX))
            await trio.sleep(0.0 if self._core.is_due(moment.mono_s) else TURN_S)

    def _hear(self, moment: Now) -> None:
        for cp_id, frames in self._crowd.receive():
            if frames is None:
                self.carry_out(self._core.on_lost(cp_id, moment))
                continue
            for frame in frames:
                self._take(cp_id, frame, moment)
