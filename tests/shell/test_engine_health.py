"""The engine's health port, over memory streams."""

import contextlib

import pytest
import trio
import trio.testing

from evd.adapters.tcp import CONNECTION_OVER, FramedStream
from evd.core.wire import codec
from evd.core.wire.control import Ping, Pong
from evd.core.wire.framing import encode
from evd.core.wire.messages import CpState
from evd.daemons.credentials import Held, WantedToken
from evd.daemons.engine.health_port import CONNECTIONS_MAX, HealthPort
from evd.daemons.engine.metrics import Counts

TOKEN = "evd_monitor_" + "x" * 43


class Ready:
    """A loop whose engine is well; `settled` has the peers that counted as the monitor's."""

    def __init__(self) -> None:
        self.settled: set[str] = set()

    def pong(self, ping: Ping, peer: str, is_settled: bool) -> Pong:
        if is_settled:
            self.settled.add(peer)
        return Pong(ping.seq, "CP-001", CpState.ACTIVATED, None, 22.0, 0.3, None, "b", 1.0, 5)


async def test_silent_connections_keep_no_monitor_out() -> None:
    """Proves: where every place is taken the one that was silent longest gives way; a monitor that
    asks keeps its place, and a new one gets one."""
    port = HealthPort(Ready(), Counts())  # type: ignore[arg-type]
    peers: list[FramedStream] = []

    async def serve(stream: FramedStream) -> None:
        with contextlib.suppress(*CONNECTION_OVER):
            await port.serve(stream)

    async def connect() -> FramedStream:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(serve, FramedStream(theirs))
        await trio.testing.wait_all_tasks_blocked()
        peers.append(FramedStream(ours))
        return peers[-1]

    async def is_answered(peer: FramedStream) -> bool:
        await peer.send(codec.encode_control(Ping(1, None)))
        with trio.fail_after(5):
            (frame,) = await peer.receive()
        return isinstance(frame, bytes) and isinstance(codec.decode_health(frame), Pong)

    async with trio.open_nursery() as nursery:
        monitor = await connect()
        for _ in range(3 * CONNECTIONS_MAX):
            await connect()
            assert await is_answered(monitor)
        assert await is_answered(await connect())
        with trio.fail_after(5), pytest.raises(CONNECTION_OVER):
            await peers[1].receive()
        nursery.cancel_scope.cancel()


async def test_who_asks_much_at_once_and_reads_is_answered() -> None:
    """Proves: hundreds of PINGs in one packet each get their PONG, wrong ones between them too."""
    port = HealthPort(Ready(), Counts())  # type: ignore[arg-type]
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(port.serve, FramedStream(theirs))
        ping = encode(codec.encode_control(Ping(1, None)))
        await ours.send_all((ping + encode(b'{"type":"PING","seq":-1}')) * 500)
        peer, answers = FramedStream(ours), 0
        with trio.fail_after(5):
            while answers < 500:
                answers += len(await peer.receive())
        nursery.cancel_scope.cancel()


async def test_a_wrong_token_is_hung_up_on() -> None:
    """Proves: where a token is wanted a PING without it, or with another, is never answered: its
    connection is closed and counted; the right one is answered."""
    held, counts = Held("--token-file", lambda: TOKEN), Counts()
    port = HealthPort(Ready(), counts, WantedToken(held))  # type: ignore[arg-type]
    for wrong in (None, "", TOKEN[:-1], TOKEN.upper()):
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(port.serve, FramedStream(theirs))
            peer = FramedStream(ours)
            await peer.send(codec.encode_control(Ping(1, None, token=wrong)))
            await trio.testing.wait_all_tasks_blocked()
            assert not nursery.child_tasks
            await theirs.aclose()
            with pytest.raises(CONNECTION_OVER):
                await peer.receive()
    assert counts.wrong_tokens == 4
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(port.serve, FramedStream(theirs))
        peer = FramedStream(ours)
        await peer.send(codec.encode_control(Ping(1, None, token=TOKEN)))
        (frame,) = await peer.receive()
        assert isinstance(frame, bytes)
        assert isinstance(codec.decode_health(frame), Pong)
        nursery.cancel_scope.cancel()
    assert counts.wrong_tokens == 4


async def test_only_the_monitors_connection_is_believed_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: beside the connection that has PINGed longest no other counts as the monitor's; when
    that one is closed, the next does after its own time."""
    loop = Ready()
    port = HealthPort(loop, Counts())  # type: ignore[arg-type]

    async def serve(stream: FramedStream) -> None:
        with contextlib.suppress(*CONNECTION_OVER):
            await port.serve(stream)

    async def ping(*peers: FramedStream) -> None:
        for _ in range(8):
            for peer in peers:
                await peer.send(codec.encode_control(Ping(1, "central-2")))
                await peer.receive()
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        ends = {}
        for name in ("monitor", "stranger"):
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(serve, FramedStream(theirs, peer=name))
            ends[name] = FramedStream(ours)
        await ping(ends["monitor"], ends["stranger"])
        assert loop.settled == {"monitor"}
        await ends["monitor"].aclose()
        await ping(ends["stranger"])
        assert loop.settled == {"monitor", "stranger"}
        nursery.cancel_scope.cancel()
