"""The engine's health port: a PING, a PONG; what is neither a frame nor a PING is passed over."""

import logging
from typing import Final

from evd.adapters.control import FramedStream, decode_object
from evd.core import codec
from evd.core.control import Ping
from evd.core.framing import BadFrame, BadFrameStreak
from evd.daemons.engine_counts import Counts
from evd.daemons.engine_desk import Desk
from evd.logs import Repeats

REPEAT_S: Final = 30.0

logger = logging.getLogger(__name__)


class HealthPort:
    """Serves the connections of monitors."""

    def __init__(self, desk: Desk, counts: Counts) -> None:
        self._desk = desk
        self._counts = counts
        self._repeats = Repeats(REPEAT_S)

    async def serve(self, stream: FramedStream) -> None:
        """Answer one connection until it is over; too many bad frames in a row end it."""
        streak = BadFrameStreak()
        while True:
            for frame in await stream.receive():
                found = frame if isinstance(frame, BadFrame) else decode_object(frame)
                if isinstance(found, BadFrame):
                    self._complain(stream, f"bad frame: {found.reason}")
                    if streak.bad():
                        return
                    continue
                streak.good()
                if isinstance(frame, bytes):
                    await self._answer(stream, frame)

    async def _answer(self, stream: FramedStream, frame: bytes) -> None:
        try:
            ping = codec.decode_health(frame)
        except codec.BadMessage as error:
            self._complain(stream, str(error))
            return
        if not isinstance(ping, Ping):
            self._complain(stream, "type must be PING")
            return
        pong = self._desk.pong(ping)
        if pong is not None:
            await stream.send(codec.encode_control(pong))

    def _complain(self, stream: FramedStream, why: str) -> None:
        self._counts.bad_frames += 1
        self._repeats.log(logger, logging.WARNING, why, "Ignored from %s: %s", stream.peer, why)
