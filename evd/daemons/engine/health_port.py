"""The engine's health port: a PONG for each PING; all else is counted and passed over."""

import logging
from typing import Final

import trio

from evd.adapters.tcp import FramedStream, decode_object
from evd.core.engine.pingers import Pingers
from evd.core.wire import codec
from evd.core.wire.control import Ping
from evd.core.wire.framing import BadFrame, BadFrameStreak
from evd.daemons.credentials import WantedToken
from evd.daemons.engine.loop import Loop
from evd.daemons.engine.metrics import Counts
from evd.logs import Repeats

# Room for its monitor, and for people who look at it by hand.
CONNECTIONS_MAX: Final = 16
REPEAT_S: Final = 30.0

logger = logging.getLogger(__name__)


class HealthPort:
    """The connections of monitors, CONNECTIONS_MAX at most, which show the `wanted` token."""

    def __init__(self, loop: Loop, counts: Counts, wanted: WantedToken | None = None) -> None:
        self._wanted = wanted
        self._heard_s: dict[FramedStream, float] = {}
        self._pingers = Pingers()
        self._loop = loop
        self._counts = counts
        self._repeats = Repeats(REPEAT_S)

    async def serve(self, stream: FramedStream) -> None:
        """Answer one connection until it is over; too many bad frames in a row end it."""
        if len(self._heard_s) >= CONNECTIONS_MAX:
            # A monitor is never the one that has been silent longest.
            await min(self._heard_s, key=self._heard_s.__getitem__).aclose_forcefully()
        self._heard_s[stream] = trio.current_time()
        try:
            await self._serve(stream)
        finally:
            del self._heard_s[stream]
            self._pingers.forget(stream)

    async def _serve(self, stream: FramedStream) -> None:
        streak = BadFrameStreak()
        while True:
            frames = await stream.receive()
            self._heard_s[stream] = trio.current_time()
            for frame in frames:
                found = frame if isinstance(frame, BadFrame) else decode_object(frame)
                if isinstance(found, BadFrame):
                    self._complain(stream, f"bad frame: {found.reason}")
                    if streak.bad():
                        return
                    continue
                streak.good()
                if isinstance(frame, bytes) and not await self._answer(stream, frame):
                    return

    async def _answer(self, stream: FramedStream, frame: bytes) -> bool:
        """Answer a frame; False where its sender is no monitor of this engine."""
        try:
            ping = codec.decode_health(frame)
        except codec.BadMessage as error:
            self._complain(stream, str(error))
            return True
        if not isinstance(ping, Ping):
            self._complain(stream, "type must be PING")
            return True
        if self._wanted is not None and not self._wanted.is_right(ping.token):
            self._counts.wrong_tokens += 1
            why = "its PING has a wrong token" if ping.token else "its PING has no token"
            self._repeats.log(logger, logging.WARNING, why, "Hung up on %s: %s", stream.peer, why)
            return False
        is_settled = self._pingers.on_ping(stream, trio.current_time())
        pong = self._loop.pong(ping, stream.peer, is_settled)
        if pong is not None:
            await stream.send(codec.encode_control(pong))
        return True

    def _complain(self, stream: FramedStream, why: str) -> None:
        self._counts.bad_frames += 1
        self._repeats.log(logger, logging.WARNING, why, "Ignored from %s: %s", stream.peer, why)
