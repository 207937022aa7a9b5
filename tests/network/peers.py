"""A monitor's two peers, an engine that is well and a Central that takes all, over any stream."""

import attrs
import trio

from evd.adapters.tcp import FramedStream
from evd.core.wire import codec
from evd.core.wire.control import Ack, MonitorMessage, Ping, Pong, Register
from evd.core.wire.framing import BadFrame
from evd.core.wire.messages import CpState

BOUND_S = 60.0


def pong(seq: int) -> Pong:
    """The engine's answer to the PING `seq`."""
    return Pong(seq, "CP-001", CpState.ACTIVATED, None, 22.0, 0.3, None, "boot-1", 1.0, 5)


async def answer_pings(stream: FramedStream) -> None:
    """Be the engine, until the connection is over."""
    while True:
        for frame in await stream.receive():
            assert not isinstance(frame, BadFrame)
            ping = codec.decode_health(frame)
            assert isinstance(ping, Ping)
            await stream.send(codec.encode_control(pong(ping.seq)))


@attrs.define
class Central:
    """Takes each message and keeps it."""

    heard: list[MonitorMessage] = attrs.field(factory=list)
    _news: trio.Event = attrs.field(factory=trio.Event)

    async def talk(self, stream: FramedStream) -> None:
        while True:
            for frame in await stream.receive():
                assert not isinstance(frame, BadFrame)
                message = codec.structure_monitor(codec.load_object(frame))
                self.heard.append(message)
                first = 1.0 if isinstance(message, Register) else None
                ack = Ack(message.seq, "central-1", heartbeat_s=first)
                await stream.send(codec.encode_control(ack))
                self._news.set()

    async def hear(self, kind: type[MonitorMessage], count: int = 1) -> MonitorMessage:
        """The newest message of exactly that class, once there are `count`."""
        with trio.fail_after(BOUND_S):
            while True:
                found = [message for message in self.heard if type(message) is kind]
                if len(found) >= count:
                    return found[-1]
                self._news = trio.Event()
                await self._news.wait()
