"""Central's connections with monitors, over pairs of sockets: slowed, cut, and turned away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from evd.adapters.framed_port import FramedPort
from evd.adapters.tcp import CONNECTION_OVER, FramedStream, Places
from evd.core.central.events import Answer, FrameRefused, HangUp, MonitorLeft, MonitorSaid
from evd.core.wire import codec
from evd.core.wire.control import Ack, EngineStatus, Heartbeat, KoCause, Nack, NackCode
from evd.core.wire.framing import encode
from evd.daemons.central.connections import (
    ALL_ANSWERS_WAITING_MAX,
    ANSWERS_WAITING_MAX,
    FULL_S,
    Connections,
)
from evd.daemons.central.inbox import Inbox
from tests.adapters.framed_echo import connect
from tests.shell.alone import ALONE, StandingBy

BURST = 500

Acknowledge = Callable[[int, Heartbeat], str | None]


def never(_: int, __: Heartbeat) -> str | None:
    """Every heartbeat is for the loop."""
    return None


def at_once(_: int, message: Heartbeat) -> str | None:
    """No heartbeat is for the loop, but for a KO."""
    return "at-once" if message.engine_status is EngineStatus.OK else None


async def answer_all(inbox: Inbox, connections: Connections) -> None:
    """Answer each frame as the loop does: a whole batch at once, after its commit."""
    while True:
        for event in (await inbox.take()).events:
            if isinstance(event, MonitorSaid):
                ack = Ack(event.message.seq, "central-1")
                connections.answer(Answer(event.connection, ack))
            elif isinstance(event, FrameRefused):
                nack = Nack(event.seq, event.reason, code=event.code)
                connections.answer(Answer(event.connection, nack))
                if event.last:
                    connections.hang_up(HangUp(event.connection))


@attrs.define
class Site:
    """A port of Central's whose other ends a test holds."""

    inbox: Inbox
    connections: Connections
    port: FramedPort
    # The NACKs to those that found no place.
    counted: list[Nack]

    def connect(self) -> trio.SocketStream:
        """The other end of one more connection that is served."""
        return connect(self.port)


@asynccontextmanager
async def port_of(connections: Connections, places_max: int = 1_000) -> AsyncIterator[FramedPort]:
    """A port that hands its connections over."""
    port = FramedPort(connections, Places(places_max), silence_s_max=30.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(port.serve, ())
        yield port
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving(
    acknowledge: Acknowledge = never,
    answer: Callable[[Inbox, Connections], Awaitable[None]] = answer_all,
    *,
    places_max: int = 1_000,
) -> AsyncIterator[Site]:
    """A Central that serves connections for as long as the block."""
    inbox, counted = Inbox(), list[Nack]()
    connections = Connections(inbox, lambda: True, acknowledge, counted.append, ALONE)
    async with port_of(connections, places_max) as port, trio.open_nursery() as nursery:
        nursery.start_soon(answer, inbox, connections)
        yield Site(inbox, connections, port, counted)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(
    acknowledge: Acknowledge = never,
    answer: Callable[[Inbox, Connections], Awaitable[None]] = answer_all,
) -> AsyncIterator[trio.SocketStream]:
    """The other end of a connection that Central serves."""
    async with serving(acknowledge, answer) as site:
        yield site.connect()


def beat(seq: int) -> bytes:
    """A good frame."""
    return encode(codec.encode_control(Heartbeat("CP-001", seq, EngineStatus.OK, None)))


WRONG_FIELD = encode(b'{"type":"HEARTBEAT","cp_id":"CP-001","seq":-1}')
BAD_LRC = beat(1)[:-1] + bytes([beat(1)[-1] ^ 0xFF])


@pytest.mark.parametrize("frame", [beat(1), WRONG_FIELD, BAD_LRC + beat(1)])
async def test_who_sends_much_at_once_and_reads_is_answered(
    frame: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: hundreds of frames in one packet, good or bad, each get their answer."""
    async with connected() as stream:
        await stream.send_all(frame * BURST)
        framed, answers = FramedStream(stream), 0
        with trio.fail_after(30):
            while answers < BURST:
                answers += len(await framed.receive())
            await stream.send_all(beat(2))
            assert await framed.receive()


async def answer_none(_: Inbox, __: Connections) -> None:
    """Stand still, as the loop does while a commit is under way."""
    await trio.sleep_forever()


async def answer_late(inbox: Inbox, connections: Connections) -> None:
    """Answer as the loop does that is held up for a second."""
    await trio.sleep(1.0)
    await answer_all(inbox, connections)


async def ids_of_answers(stream: trio.abc.Stream, count: int) -> list[tuple[int, str]]:
    """The number and the id in each of the next ACKs."""
    framed, found = FramedStream(stream), list[tuple[int, str]]()
    with trio.fail_after(30):
        while len(found) < count:
            for each in await framed.receive():
                assert isinstance(each, bytes)
                answer = codec.decode_central(each)
                assert isinstance(answer, Ack)
                found.append((answer.seq, answer.central_id))
    return found


async def test_a_heartbeat_without_news_waits_for_no_loop(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: heartbeats that need no turn of the loop are each answered in order while it stands
    still, hundreds of them too."""
    async with connected(at_once, answer_none) as stream:
        await stream.send_all(b"".join(beat(seq) for seq in range(BURST)))
        found = await ids_of_answers(stream, BURST)
    assert found == [(seq, "at-once") for seq in range(BURST)]


async def test_a_heartbeat_overtakes_no_news(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: behind a frame that waits for the loop a heartbeat waits for it too; once all are
    answered the next one needs no loop."""
    broken = Heartbeat("CP-001", 2, EngineStatus.KO, KoCause.TIMEOUT)
    frames = [beat(1), encode(codec.encode_control(broken)), beat(3)]
    async with connected(at_once, answer_late) as stream:
        await stream.send_all(b"".join(frames))
        found = await ids_of_answers(stream, 3)
        await stream.send_all(beat(4))
        found += await ids_of_answers(stream, 1)
    assert found == [(1, "at-once"), (2, "central-1"), (3, "central-1"), (4, "at-once")]


@pytest.mark.parametrize("acknowledge", [never, at_once])
async def test_who_does_not_read_is_cut(
    acknowledge: Acknowledge, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: a peer that sends and never reads holds a bounded number of answers, and then
    loses its connection."""
    async with connected(acknowledge) as stream:
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            for _ in range(100):
                await stream.send_all(beat(1) * (2 * ANSWERS_WAITING_MAX))


async def test_the_last_bad_frame_in_a_row_is_answered_before_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: 10 bad frames in a row end the connection, each of them answered."""
    async with connected() as stream:
        await stream.send_all(BAD_LRC * 200)
        framed, codes = FramedStream(stream), []
        with pytest.raises(trio.EndOfChannel), trio.fail_after(10):
            while True:
                for each in await framed.receive():
                    assert isinstance(each, bytes)
                    answer = codec.decode_central(each)
                    assert isinstance(answer, Nack)
                    codes.append(answer.code)
        assert codes == [NackCode.BAD_FRAME] * 10


async def test_a_burst_of_one_monitor_delays_no_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: while the frames of one connection wait for the loop another's heartbeat is
    acknowledged at once."""
    async with serving(at_once, answer_none) as site:
        flood, other = site.connect(), site.connect()
        broken = Heartbeat("CP-001", 1, EngineStatus.KO, KoCause.TIMEOUT)
        await flood.send_all(encode(codec.encode_control(broken)) * BURST)
        await other.send_all(beat(5))
        assert await ids_of_answers(other, 1) == [(5, "at-once")]
        await trio.testing.wait_all_tasks_blocked()
        assert len((await site.inbox.take()).events) == ANSWERS_WAITING_MAX


async def test_the_frames_that_wait_for_the_loop_are_bounded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: while the loop stands still hundreds of connections that send much have a bounded
    number of frames before it; once it goes on each frame is answered."""
    open_loop = trio.Event()

    async def answer(inbox: Inbox, connections: Connections) -> None:
        await open_loop.wait()
        await answer_all(inbox, connections)

    count = ALL_ANSWERS_WAITING_MAX // ANSWERS_WAITING_MAX + 50
    async with serving(never, answer) as site:
        streams = [site.connect() for _ in range(count)]
        for stream in streams:
            await stream.send_all(beat(1) * (ANSWERS_WAITING_MAX + 1))
        await trio.testing.wait_all_tasks_blocked()
        waiting = len(site.inbox._posted)
        assert ALL_ANSWERS_WAITING_MAX <= waiting <= ALL_ANSWERS_WAITING_MAX + count
        open_loop.set()
        for stream in streams:
            assert len(await ids_of_answers(stream, ANSWERS_WAITING_MAX + 1)) > 0


async def test_the_end_of_a_connection_is_told_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: whoever ends a connection, the loop learns of it behind all of its frames, and a
    connection that Central can't serve is closed without one."""
    async with serving(never, answer_none) as site:
        left, hung_up = site.connect(), site.connect()
        await left.send_all(beat(1))
        await left.aclose()
        await trio.testing.wait_all_tasks_blocked()
        events = (await site.inbox.take()).events
        assert [type(event) for event in events] == [MonitorSaid, MonitorLeft]
        assert [site.connections.is_open(number) for number in (1, 2)] == [False, True]
        assert site.connections.count == 1
        site.connections.hang_up_all()
        assert (await site.inbox.take()).events == [MonitorLeft(2)]
        assert await hung_up.receive_some() == b""
        assert site.connections.count == 0


@pytest.mark.parametrize(("sent", "seq", "cp_id"), [(beat(7), 7, "CP-001"), (BAD_LRC, None, None)])
async def test_a_central_that_stands_by_sends_monitors_on(
    sent: bytes, seq: int | None, cp_id: str | None, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: a Central that stands by answers the first frame of a connection with NACK
    `standing_by` and who serves, closes it, and its loop learns nothing; from the time on when it
    serves itself a connection that had said nothing is heard like any other."""
    inbox, counted = Inbox(), list[Nack]()
    is_serving, standing = False, StandingBy("standing by for central1:8080")
    connections = Connections(inbox, lambda: is_serving, never, counted.append, standing)
    async with port_of(connections) as port:
        early, late = connect(port), connect(port)
        await early.send_all(sent)
        nack = Nack(seq, "standing by for central1:8080", code=NackCode.STANDING_BY)
        framed = FramedStream(early)
        with trio.fail_after(5):
            assert await framed.receive() == [codec.encode_control(nack)]
            with pytest.raises(CONNECTION_OVER):
                await framed.receive()
        assert counted == [nack]
        assert standing.dialled == ([] if cp_id is None else [cp_id])
        assert connections.count == 1
        is_serving, standing.why = True, ""
        await late.send_all(beat(1))
        with trio.fail_after(5):
            assert [type(event) for event in (await inbox.take()).events] == [MonitorSaid]
        await late.aclose()
        with trio.fail_after(5):
            assert [type(event) for event in (await inbox.take()).events] == [MonitorLeft]


async def test_a_monitor_that_comes_a_moment_early_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: a Central that serves soon sends nobody on, hears nothing before it serves, then all
    that was said meanwhile, and nothing of one that left."""
    inbox, is_serving = Inbox(), False
    standing = StandingBy(is_soon=True)
    connections = Connections(inbox, lambda: is_serving, never, lambda _: None, standing)
    async with port_of(connections) as port, trio.open_nursery() as nursery:
        early, silent, left = connect(port), connect(port), connect(port)
        await early.send_all(beat(1))
        await left.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert not inbox._posted
        is_serving, standing.why = True, ""
        connections.serve()
        nursery.start_soon(answer_all, inbox, connections)
        for stream, seq in ((early, 2), (silent, 1)):
            await stream.send_all(beat(seq))
        assert [seq for seq, _ in await ids_of_answers(early, 2)] == [1, 2]
        assert [seq for seq, _ in await ids_of_answers(silent, 1)] == [1]
        nursery.cancel_scope.cancel()


async def test_a_central_that_may_say_nothing_sends_newcomers_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: while the database does not answer the one that serves, a monitor that comes is told
    so at once, and one that is served is kept for the answer that may still come."""
    inbox, standing = Inbox(), StandingBy("")
    connections = Connections(inbox, lambda: True, never, lambda _: None, standing)
    async with port_of(connections) as port:
        served = connect(port)
        await served.send_all(beat(1))
        await inbox.take()
        standing.why = "the database does not answer"
        newcomer = connect(port)
        await newcomer.send_all(beat(5))
        nack = Nack(5, standing.why, code=NackCode.STANDING_BY)
        with trio.fail_after(5):
            assert await FramedStream(newcomer).receive() == [codec.encode_control(nack)]
        await served.send_all(beat(2))
        with trio.fail_after(5):
            assert [type(event) for event in (await inbox.take()).events] == [MonitorSaid]


@pytest.mark.parametrize(("sent", "seq"), [(beat(7), 7), (BAD_LRC, None), (b"", None)])
async def test_a_monitor_without_a_place_is_told(
    sent: bytes, seq: int | None, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: a connection over the limit is answered NACK `full`, with the number of its first
    frame if it has sent one, counted, and then closed."""
    async with serving(places_max=0) as site:
        stream = site.connect()
        if sent:
            await stream.send_all(sent)
        framed = FramedStream(stream)
        with trio.fail_after(5):
            (frame,) = await framed.receive()
            with pytest.raises(trio.EndOfChannel):
                await framed.receive()
    assert isinstance(frame, bytes)
    answer = codec.decode_central(frame)
    assert isinstance(answer, Nack) and (answer.seq, answer.code) == (seq, NackCode.FULL)
    assert site.counted == [answer]


async def test_that_there_is_no_place_is_told_while_somebody_finds_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: the trouble stands from the first that finds no place, and is over when for a while
    nobody found none."""
    connections = Connections(Inbox(), lambda: True, never, lambda _: None, ALONE)
    assert connections.why_full() is None
    for _ in range(3):
        connections.on_full()
        await trio.sleep(0.6 * FULL_S)
        assert connections.why_full()
    await trio.sleep(0.4 * FULL_S)
    assert connections.why_full() is None
