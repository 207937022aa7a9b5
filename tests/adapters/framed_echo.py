"""Two servers that send each good frame back: with a task for each connection, and one for all."""

import socket
from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from evd.adapters.framed_port import Caller, FramedPort
from evd.adapters.tcp import FramedStream, Places, serve_framed
from evd.core.wire.framing import BadFrame

Serve = Callable[[Sequence[trio.abc.Listener[trio.abc.Stream]]], Awaitable[None]]


async def echo(framed: FramedStream) -> None:
    """Send each good frame back, until the peer is gone."""
    while True:
        for item in await framed.receive():
            if isinstance(item, bytes):
                await framed.send(item)


async def echo_in_tasks(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
    """Serve each connection in a task of its own."""
    await serve_framed(listeners, echo)


@attrs.define
class Echo:
    """The host of a port that sends frames back; one that says `end` is hung up on."""

    callers: list[Caller] = attrs.field(factory=list)
    # The number of the caller of each frame.
    heard: list[int] = attrs.field(factory=list)
    parted: list[Caller] = attrs.field(factory=list)

    def greet(self, caller: Caller) -> bool:
        self.callers.append(caller)
        return True

    def hear(self, caller: Caller, frame: bytes | BadFrame) -> None:
        self.heard.append(caller.number)
        if isinstance(frame, bytes):
            caller.say(frame)
        if frame == b"end":
            caller.hang_up()

    def part(self, caller: Caller) -> None:
        self.parted.append(caller)

    def turn_away(self, caller: Caller, frame: bytes | BadFrame | None) -> None:
        caller.say(b"full: %b" % frame if isinstance(frame, bytes) else b"full")


def connect(port: FramedPort) -> trio.SocketStream:
    """The other end of one more connection of a port."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    port.take(theirs, "10.0.0.1:5")
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours))


async def echo_in_one_task(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
    """Serve all connections in one task."""
    await FramedPort(Echo(), Places(1_000), silence_s_max=30.0).serve(listeners)
