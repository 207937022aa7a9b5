"""A port whose connections one task serves: its bounds, its turns, and how a connection ends."""

import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from evd.adapters.accepting import BurstListener
from evd.adapters.framed_port import (
    END_S_MAX,
    FRAMES_A_TURN,
    TURN_AWAY_S,
    TURNED_AWAY_MAX,
    Caller,
    FramedPort,
)
from evd.adapters.tcp import (
    CONNECTION_OVER,
    KEEPALIVE,
    SEND_TIMEOUT_S,
    DialRefused,
    FramedStream,
    Places,
    dial_framed,
)
from evd.core.wire.framing import FRAME_BYTES_MAX, BadFrame, encode
from tests.adapters.framed_echo import Echo, connect

HOST = "127.0.0.1"
SILENCE_S_MAX = 30.0
BURST = 2_000


@attrs.define
class Site:
    """A port that sends frames back, over pairs of sockets."""

    host: Echo
    port: FramedPort

    def connect(self) -> trio.SocketStream:
        """The other end of one more connection."""
        return connect(self.port)


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """A port for as long as the block."""
    host = Echo()
    port = FramedPort(host, Places(1_000), silence_s_max=SILENCE_S_MAX)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(port.serve, ())
        yield Site(host, port)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def listening(
    connections_max: int, counted: list[int], host: Echo | None = None
) -> AsyncIterator[int]:
    """The number of a port with so many places; `counted` has those that found none."""
    listeners = [BurstListener(each) for each in await trio.open_tcp_listeners(0, host=HOST)]
    places = Places(connections_max, lambda: counted.append(1))
    port = FramedPort(host or Echo(), places, silence_s_max=SILENCE_S_MAX)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(port.serve, listeners)
            yield listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel()


async def echoes(framed: FramedStream, data: bytes = b"{}") -> bool:
    """Whether a frame comes back."""
    await framed.send(data)
    return await framed.receive() == [data]


async def test_who_sends_much_at_once_delays_nobody_else() -> None:
    """Proves: thousands of frames in one go are each answered, in order, and another connection is
    heard before they have had a few turns."""
    async with site() as found:
        flood, other = FramedStream(found.connect()), FramedStream(found.connect())
        frames = [b"%d" % number for number in range(BURST)]
        answers: list[bytes | BadFrame] = []
        with trio.fail_after(10):
            await flood._stream.send_all(b"".join(map(encode, frames)))
            await other.send(b"other")
            while len(answers) < BURST:
                answers += await flood.receive()
            assert await other.receive() == [b"other"]
        assert answers == frames
        assert found.host.heard.index(2) <= 4 * FRAMES_A_TURN


async def test_who_does_not_read_is_cut(autojump_clock: MockClock) -> None:
    """Proves: a peer that sends and never reads is read no further, and is closed after 5 s; its
    host learns of that end once, and others are served meanwhile."""
    async with site() as found:
        deaf, other = found.connect(), FramedStream(found.connect())
        began_s = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await deaf.send_all(encode(b"x" * 10_000))
        assert trio.current_time() - began_s == pytest.approx(SEND_TIMEOUT_S, abs=1.0)
        assert [each.number for each in found.host.parted] == [1]
        assert await echoes(other)


async def test_who_reads_late_loses_nothing(autojump_clock: MockClock) -> None:
    """Proves: a peer that reads within 5 s has each answer whole, however much was kept for it."""
    frames = [bytes([letter]) * FRAME_BYTES_MAX for letter in b"abcdefghijklmnop"]
    async with site() as found:
        framed = FramedStream(found.connect(), send_timeout_s=60.0)
        received: list[bytes | BadFrame] = []
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                for each in frames:
                    await framed.send(each)

            nursery.start_soon(send)
            await trio.sleep(0.8 * SEND_TIMEOUT_S)
            while len(received) < len(frames):
                received += await framed.receive()
        assert received == frames


async def test_who_is_silent_is_closed(autojump_clock: MockClock) -> None:
    """Proves: a connection without a byte is closed after its time, one that speaks is not, nor
    one whose frames wait for its host."""
    async with site() as found:
        silent, held, speaks = (FramedStream(found.connect()) for _ in range(3))
        await held.send(b"1")
        assert await held.receive() == [b"1"]
        found.host.callers[1].hold()
        for _ in range(4):
            await trio.sleep(0.4 * SILENCE_S_MAX)
            assert await echoes(speaks)
        with trio.fail_after(1), pytest.raises(trio.EndOfChannel):
            await silent.receive()
        assert [each.number for each in found.host.parted] == [1]
        found.host.callers[1].go_on()
        assert await echoes(held)


async def test_a_process_that_stood_still_cuts_nobody(mock_clock: MockClock) -> None:
    """Proves: where it was this process that stood still, no connection was silent."""
    async with site() as found:
        framed = FramedStream(found.connect())
        assert await echoes(framed)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(10 * SILENCE_S_MAX)
        await trio.testing.wait_all_tasks_blocked()
        assert await echoes(framed)


async def test_one_that_is_held_is_read_no_further(autojump_clock: MockClock) -> None:
    """Proves: a host that holds a connection hears nothing of it until it goes on, and then hears
    all in order."""
    async with site() as found:
        framed = FramedStream(found.connect())
        assert await echoes(framed)
        (caller,) = found.host.callers
        caller.hold()
        await framed.send(b"1")
        await framed.send(b"2")
        with trio.move_on_after(1) as waited:
            await framed.receive()
        assert waited.cancelled_caught
        caller.go_on()
        answers: list[bytes | BadFrame] = []
        while len(answers) < 2:
            answers += await framed.receive()
        assert answers == [b"1", b"2"]


async def test_one_that_is_hung_up_on_reads_the_last_answer(autojump_clock: MockClock) -> None:
    """Proves: all that was said arrives although more was sent than anybody reads, nothing more is
    heard of it, and its place is free soon."""
    async with site() as found:
        stream = found.connect()
        framed = FramedStream(stream)
        frames = [b"1", b"end", *([b"x" * 1_000] * 100)]
        await stream.send_all(b"".join(map(encode, frames)))
        answers: list[bytes | BadFrame] = []
        with pytest.raises(trio.EndOfChannel):
            while True:
                answers += await framed.receive()
        assert answers == [b"1", b"end"]
        assert len(found.host.parted) == 1
        await trio.sleep(END_S_MAX + 1.0)
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"more")


async def test_a_hosts_own_mistake_is_not_hidden() -> None:
    """Proves: a bug ends the daemon, and its supervisor knows."""

    class Mistaken(Echo):
        def hear(self, caller: Caller, frame: bytes | BadFrame) -> None:
            raise KeyError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        async with listening(10, [], Mistaken()) as port:
            await (await dial_framed(HOST, port, 1)).send(b"{}")
            await trio.sleep_forever()
    assert caught.group_contains(KeyError, match="a bug")


async def test_one_over_the_bound_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: one too many is counted and turned away at its first frame, and that is told once at
    its beginning and once at its end, however many come; when one leaves there is a place again."""
    caplog.set_level(logging.INFO)
    counted: list[int] = []
    host = Echo()
    async with listening(2, counted, host) as port:
        within = [await dial_framed(HOST, port, 1) for _ in range(2)]
        for framed in within:
            assert await echoes(framed)
        for _ in range(20):
            framed = await dial_framed(HOST, port, 1)
            await framed.send(b"1")
            assert await framed.receive() == [b"full: 1"]
            with pytest.raises(trio.EndOfChannel):
                await framed.receive()
        assert len(counted) == 20
        assert len(host.callers) == 2
        await within[0].aclose()
        while len(caplog.records) < 2:
            await trio.sleep(0.01)
        assert await echoes(await dial_framed(HOST, port, 1))
        assert await echoes(within[1])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_those_that_are_turned_away_are_bounded(autojump_clock: MockClock) -> None:
    """Proves: one without a place that says nothing is answered after a second; beyond so many at
    a time they are just closed, and none of them takes a place, or the host's time, for long."""
    host = Echo()
    port = FramedPort(host, Places(0), silence_s_max=SILENCE_S_MAX)
    with ExitStack() as files:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(port.serve, ())
            began_s = trio.current_time()
            peers = [files.enter_context(connect(port).socket) for _ in range(TURNED_AWAY_MAX + 1)]
            assert await peers[-1].recv(100) == b""
            for peer in (peers[0], peers[-2]):
                assert await peer.recv(100) == encode(b"full")
            assert trio.current_time() - began_s == pytest.approx(TURN_AWAY_S, abs=0.5)
            await trio.sleep(END_S_MAX + 1)
            late = FramedStream(connect(port))
            await late.send(b"2")
            assert await late.receive() == [b"full: 2"]
            assert (host.callers, host.parted) == ([], [])
            nursery.cancel_scope.cancel()


async def test_a_peer_whose_host_vanishes_is_given_up() -> None:
    """Proves: the kernel is told to probe the peer of each connection that was accepted."""
    host = Echo()
    async with listening(1, [], host) as port:
        assert await echoes(await dial_framed(HOST, port, 1))
        for (level, option), value in KEEPALIVE.items():
            assert host.callers[0]._socket.getsockopt(level, option) == value


async def test_cancelling_the_port_closes_it_and_its_connections() -> None:
    """Proves: a stop leaves nothing open, and a peer sees the end at once."""
    async with listening(10, []) as port:
        framed = await dial_framed(HOST, port, 1)
        assert await echoes(framed)
    with trio.fail_after(5):
        with pytest.raises(CONNECTION_OVER):
            await framed.receive()
        with pytest.raises(DialRefused):
            await dial_framed(HOST, port, 1)
