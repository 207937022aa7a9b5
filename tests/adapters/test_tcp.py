"""Frames over memory streams and over real sockets: every way a connection begins and ends."""

import errno
import itertools
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import orjson
import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from evd.adapters import accepting
from evd.adapters.tcp import (
    CONNECTION_OVER,
    DialFailed,
    DialRefused,
    FramedStream,
    _dial_error,
    _is_own_echo,
    decode_object,
    dial_framed,
    serve_framed,
)
from evd.core.wire.framing import FRAME_BYTES_MAX, BadFrame, FrameTooLong, encode
from tests.adapters.framed_echo import echo

HOST = "127.0.0.1"
Handler = Callable[[FramedStream], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler = echo, *, connections_max: int = 10) -> AsyncIterator[int]:
    """Serve at the port that is yielded, within 5 s, until the end of the block."""
    listeners = await trio.open_tcp_listeners(0, host=HOST)
    run = partial(serve_framed, connections_max=connections_max)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(run, listeners, handler)
            yield listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel()


async def still_echoes(port: int) -> None:
    """Fail unless a new connection is served."""
    framed = await dial_framed(HOST, port, 1)
    await framed.send(b"{}")
    assert await framed.receive() == [b"{}"]
    await framed.aclose()


async def test_frames_come_through_in_order() -> None:
    """Proves: what one end sends the other receives, several in one chunk or one in several."""
    ours, theirs = memory_stream_pair()
    framed = FramedStream(theirs)
    await FramedStream(ours).send(b"1")
    await ours.send_all(encode(b"2") + encode(b"3")[:2])
    assert await framed.receive() == [b"1", b"2"]
    await ours.send_all(encode(b"3")[2:])
    assert await framed.receive() == [b"3"]


async def test_receive_waits_until_a_frame_has_ended() -> None:
    """Proves: noise and half frames wake nobody, and a bad frame is told like a good one."""
    ours, theirs = memory_stream_pair()
    received: list[bytes | BadFrame] = []

    async def receive() -> None:
        received.extend(await FramedStream(theirs).receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for byte in b"noise" + encode(b"ab")[:-1]:
            await ours.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
            assert received == []
        await ours.send_all(b"\x00")
    assert received == [BadFrame("lrc")]


@pytest.mark.parametrize("half", [b"", encode(b"abc")[:-1]])
async def test_a_peer_that_closes_ends_the_channel(half: bytes) -> None:
    """Proves: a close is a close, in the middle of a frame too."""
    ours, theirs = memory_stream_pair()
    await ours.send_all(half)
    await ours.aclose()
    with pytest.raises(trio.EndOfChannel):
        await FramedStream(theirs).receive()


async def test_a_peer_that_does_not_read_is_given_up(autojump_clock: MockClock) -> None:
    """Proves: a send is bounded; it closes the connection, and a waiting receive raises."""
    ours, _ = lockstep_stream_pair()
    framed = FramedStream(ours, send_timeout_s=5)
    with trio.fail_after(5.1), pytest.raises(trio.BrokenResourceError, match="within 5 s"):
        await framed.send(b"{}")
    with trio.fail_after(1), pytest.raises(trio.ClosedResourceError):
        await framed.receive()
    with pytest.raises(trio.ClosedResourceError):
        await framed.send(b"{}")


async def test_senders_at_the_same_time_do_not_mix_their_frames() -> None:
    """Proves: a heartbeat and a fault sent at one moment both arrive whole."""
    ours, theirs = lockstep_stream_pair()
    sender, receiver = FramedStream(ours), FramedStream(theirs)
    sent = [bytes([letter]) * 1000 for letter in b"abcdefgh"]
    received: list[bytes | BadFrame] = []
    async with trio.open_nursery() as nursery:
        for data in sent:
            nursery.start_soon(sender.send, data)
        while len(received) < len(sent):
            received.extend(await receiver.receive())
    assert sorted(map(str, received)) == sorted(map(str, sent))


async def test_a_frame_over_the_bound_is_not_sent() -> None:
    """Proves: the sender learns of it, and the connection can go on."""
    ours, theirs = memory_stream_pair()
    framed = FramedStream(ours)
    with pytest.raises(FrameTooLong):
        await framed.send(b"a" * (FRAME_BYTES_MAX + 1))
    await framed.send(b"{}")
    assert await FramedStream(theirs).receive() == [b"{}"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"7",
        b"null",
        b'"a"',
        b"[{}]",
        b"{",
        b"{} {}",
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b"[" * 999,
    ],
)
def test_what_is_no_json_object_is_a_bad_frame(data: bytes) -> None:
    """Proves: anything but one JSON object is bad, and never an exception."""
    assert decode_object(data) == BadFrame("no JSON object")


def test_an_object_with_any_fields_is_a_good_frame() -> None:
    """Proves: which fields it must have is not judged here."""
    assert decode_object(b'{"a":[1,null]}') == {"a": [1, None]}
    assert decode_object(orjson.dumps({})) == {}


async def test_a_served_connection_carries_the_longest_frame() -> None:
    """Proves: 65,536 bytes, each of them stuffed, go there and back."""
    async with serving() as port:
        framed = await dial_framed(HOST, port, 1)
        await framed.send(b"\x1b" * FRAME_BYTES_MAX)
        assert await framed.receive() == [b"\x1b" * FRAME_BYTES_MAX]
        assert framed.peer == f"{HOST}:{port}"


async def test_both_ends_send_at_once_and_notice_a_vanished_peer() -> None:
    """Proves: no frame waits for another to fill a packet, and keep-alive probes are short."""
    options: list[tuple[int, ...]] = []
    served = trio.Event()

    def read(framed: FramedStream) -> tuple[int, ...]:
        stream = framed._stream
        assert isinstance(stream, trio.SocketStream)
        names = ("TCP_NODELAY", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        tcp = [stream.socket.getsockopt(socket.IPPROTO_TCP, getattr(socket, n)) for n in names]
        return (stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *tcp)

    async def note_options(framed: FramedStream) -> None:
        options.append(read(framed))
        served.set()

    async with serving(note_options) as port:
        options.append(read(await dial_framed(HOST, port, 1)))
        await served.wait()
    assert options == [(1, 1, 5, 2, 3, 10_000)] * 2


async def test_a_reset_connection_is_over_for_one_handler_only() -> None:
    """Proves: a peer that resets ends its own connection, not the listener."""
    ended: list[type[BaseException]] = []
    served = trio.Event()

    async def note_end(framed: FramedStream) -> None:
        try:
            await echo(framed)
        except CONNECTION_OVER as error:
            ended.append(type(error))
            served.set()
            raise

    async with serving(note_end) as port:
        peer = await trio.open_tcp_stream(HOST, port)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await peer.aclose()
        await served.wait()
        assert ended == [trio.BrokenResourceError]
        await still_echoes(port)


async def test_a_handler_with_a_nursery_ends_alike() -> None:
    """Proves: a lost connection that arrives in an exception group ends that connection only."""

    async def in_a_nursery(framed: FramedStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, framed)
            nursery.start_soon(trio.sleep_forever)

    async with serving(in_a_nursery) as port:
        for _ in range(3):
            await still_echoes(port)


async def test_a_handlers_own_mistake_is_not_hidden() -> None:
    """Proves: only lost connections are taken; a bug ends the daemon, and its supervisor knows."""

    async def mistaken(framed: FramedStream) -> None:
        raise KeyError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        async with serving(mistaken) as port:
            await dial_framed(HOST, port, 1)
            await trio.sleep_forever()
    assert caught.group_contains(KeyError, match="a bug")


async def test_connections_over_the_bound_are_closed_and_room_is_given_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Proves: the bound holds, is told once, costs those within it nothing, and lifts."""
    async with serving(connections_max=2) as port:
        within = [await dial_framed(HOST, port, 1) for _ in range(2)]
        for framed in within:
            await framed.send(b"1")
            assert await framed.receive() == [b"1"]
        for _ in range(3):
            over = await dial_framed(HOST, port, 1)
            with pytest.raises(CONNECTION_OVER):
                await over.receive()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        await within[0].send(b"2")
        assert await within[0].receive() == [b"2"]
        await within[1].aclose()
        while True:
            framed = await dial_framed(HOST, port, 1)
            try:
                await framed.send(b"3")
                assert await framed.receive() == [b"3"]
                break
            except CONNECTION_OVER:
                continue


async def test_out_of_descriptors_is_two_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: accepts that fail for want of files are tried again; the shortage is one line at its
    beginning and one at its end, without a traceback, also where one accept in two succeeds; the
    framed port and the HTTP port do so alike."""
    accept = trio.SocketListener.accept
    failures = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS] * 2
    turns = itertools.count()
    monkeypatch.setattr(accepting, "ACCEPT_PAUSE_S", 0.01)
    monkeypatch.setattr(accepting, "SHORTAGE_OVER_S", 0.3)
    caplog.set_level(logging.INFO)

    async def fail_often(listener: trio.SocketListener) -> trio.SocketStream:
        if failures and next(turns) % 3:
            raise OSError(failures.pop(), "out of resources")
        return await accept(listener)

    monkeypatch.setattr(trio.SocketListener, "accept", fail_often)
    async with serving() as port:
        while failures:
            await still_echoes(port)
        while "are accepted again" not in caplog.text:
            await trio.sleep(0.01)
    assert [record.getMessage() for record in caplog.records] == [
        "No framed connections can be accepted: out of resources",
        "Framed connections are accepted again",
    ]
    assert not any(record.exc_info for record in caplog.records)


async def test_dialling_a_port_where_nothing_listens_is_refused() -> None:
    """Proves: 'nothing listens' is told from everything else, by name and by address."""
    with socket.socket() as held:
        # Bound but not listening: nobody else can take the port meanwhile.
        held.bind((HOST, 0))
        port = held.getsockname()[1]
        with pytest.raises(DialRefused, match=f"nothing listens on {HOST}:{port}"):
            await dial_framed(HOST, port, 5)
        with pytest.raises(DialRefused):
            await dial_framed("localhost", port, 5)


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([errno.ECONNREFUSED, errno.ECONNREFUSED], DialRefused),
        ([errno.EADDRNOTAVAIL, errno.ECONNREFUSED], DialRefused),
        ([errno.EADDRNOTAVAIL], DialFailed),
        ([errno.EHOSTUNREACH, errno.ECONNREFUSED], DialFailed),
    ],
)
def test_refused_is_said_only_if_no_address_may_still_have_a_listener(
    numbers: list[int], kind: type[DialFailed]
) -> None:
    """Proves: a host of several addresses, of which one can't be reached, has not refused."""
    error = OSError("all attempts failed")
    error.__cause__ = ExceptionGroup("", [OSError(number, "why") for number in numbers])
    assert type(_dial_error("host", 1, error)) is kind


async def test_dialling_a_host_that_does_not_answer_fails_in_time() -> None:
    """Proves: a listener whose queue is full is a time-out, not a refusal."""
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        with trio.fail_after(5), pytest.raises(DialFailed, match=r"within 0\.1 s") as caught:
            # The queue takes one or two more than it says.
            for _ in range(5):
                waiting.append(await dial_framed(HOST, port, 0.1))
        assert not isinstance(caught.value, DialRefused)
        for framed in waiting:
            await framed.aclose()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "255.255.255.255"])
async def test_dialling_a_host_that_is_none_fails_with_a_reason(host: str) -> None:
    """Proves: a name or address that can't be reached is one sentence, and never 'refused'."""
    with pytest.raises(DialFailed) as caught:
        await dial_framed(host, 9, 5)
    assert not isinstance(caught.value, DialRefused)
    assert host in caught.value.reason


async def test_a_connection_to_itself_is_recognised() -> None:
    """Proves: a port of the ephemeral range that nobody serves can't answer by echoing us."""
    with trio.socket.socket() as alone:
        await alone.bind((HOST, 0))
        await alone.connect(alone.getsockname())
        assert _is_own_echo(trio.SocketStream(alone))
    async with serving() as port:
        assert not _is_own_echo(await trio.open_tcp_stream(HOST, port))


async def test_cancelling_the_server_closes_its_port_and_its_connections() -> None:
    """Proves: a stop leaves nothing open, and a peer sees the end at once."""
    with trio.fail_after(5):
        async with serving() as port:
            framed = await dial_framed(HOST, port, 1)
            await framed.send(b"{}")
            assert await framed.receive() == [b"{}"]
        with pytest.raises(CONNECTION_OVER):
            await framed.receive()
        with pytest.raises(DialRefused):
            await dial_framed(HOST, port, 1)
