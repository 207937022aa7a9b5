"""The HTTP server over real sockets: what a client may cost, and how the server stops."""

import errno
import logging
from collections.abc import AsyncIterator

import attrs
import pytest
import trio
import trio.testing

from evd.adapters.http.connection import BODY_BYTES_MAX
from evd.adapters.http.serving import serve_app
from tests.adapters.http.site import (
    HERE,
    PATIENT,
    QUICK,
    WAIT_S_MAX,
    Accepting,
    Site,
    drip,
    parsed,
    read_all,
    served_at,
    serving,
    until_reset,
)


async def asked_over(stream: trio.abc.Stream, listener: Accepting) -> None:
    """Ask over `stream`, whose other end `listener` accepts, until a stop."""
    stopping = trio.Event()
    with trio.fail_after(WAIT_S_MAX):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: serve_app(Site(), [listener], stopping=stopping, hosts=HERE))
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 OK\r\n")
            stopping.set()


async def test_a_body_at_the_bound_is_taken_and_one_above_is_refused() -> None:
    """Proves: a body may have 64 KiB; of more the client hears a 413, even if it only sends."""
    async with serving() as served, served.client() as client:
        whole = b"x" * BODY_BYTES_MAX
        assert (await client.post("/", content=whole)).content == whole
        answer = await client.post("/", content=b"x" * (4 * 1024 * 1024))
        assert answer.status_code == 413
        assert str(BODY_BYTES_MAX) in answer.json()["error"]
        assert served.site.bodies == [whole]


async def test_a_body_in_chunks_is_bounded_too() -> None:
    """Proves: a body without a length can't grow beyond the bound."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 4096

    async with serving() as served, served.client() as client:
        assert (await client.post("/", content=chunks())).status_code == 413
        assert served.site.bodies == []


async def test_a_body_that_does_not_come_is_not_awaited() -> None:
    """Proves: a client that drips its body holds its place for seconds only."""
    async with serving() as served:
        request = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx"
        status, body = parsed(await served.exchange(request))
        assert status == 408
        assert "body" in body["error"]


async def test_a_client_that_says_nothing_is_dropped() -> None:
    """Proves: who connects, or stays connected, and sends nothing gives its place back."""
    async with serving() as served, await served.connect() as silent:
        assert await read_all(silent) == b""
        answer = await served.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("start", [b"GET / HTT", b"GET / HTTP/1.1\r\nX-Slow: "])
async def test_a_head_that_drips_is_not_awaited(start: bytes) -> None:
    """Proves: a head has so many seconds as a whole, however often a byte of it comes."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(start)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, stream, b"x")
            status, body = parsed(await read_all(stream))
            nursery.cancel_scope.cancel()
        assert status == 408
        assert "head" in body["error"]


async def test_an_app_that_does_not_answer_is_not_awaited() -> None:
    """Proves: no client waits for ever for an answer that does not come."""
    async with serving() as served, served.client() as client:
        answer = await client.get("/slow")
        assert answer.status_code == 503
        assert "0.5 s" in answer.json()["error"]


async def test_a_stream_lasts_as_long_as_it_is_read() -> None:
    """Proves: an answer may take longer than `answer_s` in all while part after part is taken; the
    app is told when its client leaves."""
    # Server and client are one process: where it gets no turn for so long, the stream ends.
    bounds = attrs.evolve(QUICK, answer_s=1.0, send_s=1.0)
    async with serving(bounds) as served, await served.connect() as stream:
        await stream.send_all(b"GET /stream HTTP/1.1\r\nHost: here\r\n\r\n")
        until = trio.current_time() + 2 * bounds.answer_s
        while trio.current_time() < until:
            assert await stream.receive_some()
        assert not served.site.go.is_set()
        await stream.aclose()
        with trio.fail_after(WAIT_S_MAX):
            await served.site.go.wait()


async def test_a_stream_that_is_not_read_is_ended() -> None:
    """Proves: the app behind a stream is told that its client does not read."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(b"GET /stream HTTP/1.1\r\nHost: here\r\n\r\n")
        with trio.fail_after(WAIT_S_MAX):
            await served.site.go.wait()


async def test_a_head_of_a_stream_has_an_end() -> None:
    """Proves: a HEAD is answered by its head, and the app behind it is told that this is all."""
    async with serving() as served:
        answer = await served.exchange(
            b"HEAD /stream HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\n")
        assert served.site.go.is_set()


async def test_a_client_that_does_not_read_is_dropped() -> None:
    """Proves: an answer that nobody takes does not stay in memory."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        with trio.fail_after(WAIT_S_MAX):
            await served.site.begun.wait()
        await until_reset(stream)


async def test_beyond_the_last_place_clients_are_turned_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Proves: one address has half of all places, who comes too late is told so and when to come
    again, the log has a shortage's two ends alone, and places come back."""
    caplog.set_level(logging.INFO)
    patient = attrs.evolve(PATIENT, connections_max=4, idle_s=60.0, linger_s=60.0)
    async with serving(patient) as served:
        first, second = await served.connect(), await served.connect()
        async with first, second:
            for _ in range(3):
                async with await served.connect() as third:
                    # It is read, so that closing does not reset the answer.
                    await third.send_all(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
                    answer = await read_all(third)
                    status, body = parsed(answer)
                    assert status == 503
                    assert "too many connections" in body["error"]
                    assert b"\r\nretry-after: 60\r\n" in answer.lower()
        async with served.client() as client:
            while (await client.get("/")).status_code != 200:
                await trio.sleep(0.02)
    assert [each.getMessage() for each in caplog.records if "HTTP conn" in each.getMessage()] == [
        "HTTP connections are turned away: 127.0.0.1 has all of its 2 places",
        "HTTP connections of 127.0.0.1 are taken again",
    ]


async def test_many_addresses_share_all_places() -> None:
    """Proves: what one address leaves is for the others, up to all places together."""
    async with serving(attrs.evolve(QUICK, connections_max=2, idle_s=60.0)) as served:

        async def status_from(host: str) -> int:
            stream = trio.SocketStream(trio.socket.socket())
            held.append(stream)
            await stream.socket.bind((host, 0))
            await stream.socket.connect(("127.0.0.1", served.port))
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return int((await stream.receive_some()).split()[1])

        held: list[trio.SocketStream] = []
        statuses = [await status_from(f"127.0.0.{host}") for host in (2, 2, 3, 4)]
        assert statuses == [200, 503, 200, 503]
        for stream in held:
            await stream.aclose()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
async def test_no_free_file_is_waited_out(code: int, caplog: pytest.LogCaptureFixture) -> None:
    """Proves: a process without a free file goes on, says so once, and accepts again; the end of
    the shortage is told when it has lasted, as at the framed port. The server needs no socket, but
    serves whatever carries bytes both ways, such as TLS."""
    caplog.set_level(logging.INFO)
    ours, theirs = trio.testing.memory_stream_pair()
    accepted = [OSError(code, "no file is free"), OSError(code, "no file is free"), theirs]
    await asked_over(ours, Accepting(accepted))
    told = [(each.levelname, each.exc_info) for each in caplog.records]
    assert told == [("ERROR", None)]


async def test_a_stop_lets_the_work_at_hand_end() -> None:
    """Proves: a clean stop answers what it has begun, lets nobody new in, and drops the idle."""
    async with serving(attrs.evolve(QUICK, idle_s=60.0, stop_grace_s=60.0)) as served:
        answers: list[int] = []

        async def ask() -> None:
            async with served.client() as client:
                answers.append((await client.get("/slow")).status_code)

        async with await served.connect() as idle, trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await served.site.begun.wait()
            served.stopping.set()
            assert await read_all(idle) == b""
            with pytest.raises(OSError, match=r".*"):
                await served.connect()
            served.site.go.set()
        assert answers == [200]
        with trio.fail_after(WAIT_S_MAX):
            await served.ended.wait()


async def test_a_connection_has_so_many_requests() -> None:
    """Proves: no client keeps one connection for ever, and its last answer says so."""
    async with serving(attrs.evolve(QUICK, requests_max=2)) as served:
        answers = await served.exchange(3 * b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answers.count(b"HTTP/1.1 200 ") == 2
        assert answers.lower().count(b"connection: close") == 1


@pytest.mark.parametrize("path", ["/large", "/slow"])
async def test_a_stop_does_not_wait_for_a_client(path: str) -> None:
    """Proves: neither a client that does not read nor an answer that does not come holds a stop."""
    async with serving(PATIENT) as served, await served.connect() as stream:
        await stream.send_all(b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n" % path.encode())
        await served.site.begun.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        served.stopping.set()
        with trio.fail_after(PATIENT.stop_grace_s + 0.5):
            await served.ended.wait()


async def test_a_cancellation_ends_it_at_once() -> None:
    """Proves: what cancels a daemon is not held up by a client that does not read."""
    site = Site()
    with trio.fail_after(WAIT_S_MAX):
        async with served_at(site, bounds=PATIENT) as port:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await site.begun.wait()
    await stream.aclose()
    with pytest.raises(OSError, match=r".*"):
        await trio.open_tcp_stream("127.0.0.1", port)
