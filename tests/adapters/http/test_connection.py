"""HTTP's rules over real sockets: each request gets its own answer, whole."""

import logging
import socket
import struct

import h11
import pytest
import trio
import trio.testing

from evd.adapters.http.connection import BODY_BYTES_MAX
from tests.adapters.http.site import PATIENT, WAIT_S_MAX, drip, parsed, read_all, serving


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_what_lay_in_a_socket_is_not_begun(method: str) -> None:
    """Proves: a change that was asked of a process that stood still is not made once it goes on,
    where the one who asked has left; to look at something for nobody does no harm."""
    async with serving() as served:
        # All before the server's loop turns again.
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        async with served.client() as later:
            assert (await later.get("/", params={"q": "x"})).status_code == 200
        assert len(served.site.bodies) == (2 if method == "GET" else 1)


async def test_an_answer_carries_the_safe_headers() -> None:
    """Proves: no answer is kept by a cache or guessed at, and none tells which server this is."""
    async with serving() as served, served.client() as client:
        answer = await client.post("/", content=b"hello")
        assert (answer.status_code, answer.content) == (200, b"hello")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


async def test_a_head_is_a_get_without_a_body() -> None:
    """Proves: HEAD is possible wherever GET is, and sends no body."""
    async with serving() as served:
        request = b"HEAD / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        head, _, body = (await served.exchange(request)).partition(b"\r\n\r\n")
        assert b"x-method: GET" in head
        assert body == b""


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: here\r\nContent-Length: -5\r\n\r\n", 400),
        ("GET /straße HTTP/1.1\r\nHost: here\r\n\r\n".encode(), 400),
        (b"GET / HTTP/1.1\r\nHost: here\r\nX-Large: " + b"x" * 20_000, 431),
        (b"GET /" + b"x" * 20_000, 414),
        (b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    ],
    ids=[
        *("nonsense", "no Host", "length", "path", "endless head", "endless path", "CONNECT"),
        *("HTTP/2", "encoding", "chunk"),
    ],
)
async def test_what_is_no_http_is_refused_in_json(request_bytes: bytes, expected: int) -> None:
    """Proves: what breaks HTTP's own rules, in its head or its body, gets an error as all others
    are, with the headers that all answers have, and costs its own connection alone."""
    async with serving() as served, served.client() as client:
        answer = await served.exchange(request_bytes)
        status, body = parsed(answer)
        assert (status, list(body)) == (expected, ["error"])
        head = answer.lower().partition(b"\r\n\r\n")[0]
        assert b"\r\ncontent-type: application/json\r\n" in head
        assert b"\r\nx-content-type-options: nosniff\r\n" in head
        assert b"\r\nconnection: close" in head
        assert (await client.get("/")).status_code == 200


async def test_a_client_that_leaves_ends_nothing() -> None:
    """Proves: a reset, before or during an answer, costs only that connection."""
    async with serving() as served, served.client() as client:
        for sent in (b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            stream = await served.connect()
            # Close with a reset instead of an end.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.send_all(sent)
            await stream.aclose()
        assert (await client.get("/")).status_code == 200


async def test_an_app_that_fails_costs_one_request(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: an error in an app is logged, and the server goes on."""
    async with serving() as served, served.client() as client:
        with caplog.at_level(logging.ERROR):
            assert (await client.get("/broken")).status_code == 500
            head = b"HEAD /broken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert statuses_of(await served.exchange(head), "HEAD") == [(500, b"")]
        told = [each.getMessage() for each in caplog.records]
        assert told == 2 * ["GET /broken failed: RuntimeError('broken by a test')"]
        assert (await client.get("/")).status_code == 200


async def test_a_websocket_is_refused_in_json() -> None:
    """Proves: a WebSocket on the wrong port gets an error that a person understands."""
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(
            b"GET /feed HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        status, body = parsed(await read_all(stream))
        assert status == 404
        assert "WebSocket" in body["error"]


def statuses_of(answers: bytes, *methods: str) -> list[tuple[int, bytes]]:
    """Each answer's status and body, read by HTTP's own rules."""
    client = h11.Connection(h11.CLIENT)
    client.receive_data(answers)
    client.receive_data(b"")
    found = []
    for method in methods:
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        event, body = client.next_event(), b""
        while isinstance(event, h11.InformationalResponse):
            event = client.next_event()
        assert isinstance(event, h11.Response), answers
        status = event.status_code
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        found.append((status, body))
        if client.our_state is h11.DONE and client.their_state is h11.DONE:
            client.start_next_cycle()
    assert isinstance(client.next_event(), h11.ConnectionClosed)
    return found


async def test_requests_that_come_at_once_are_answered_in_turn() -> None:
    """Proves: a connection is kept open, and requests sent ahead get their answers in order."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    head = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    async with serving() as served:
        request = post + b"one" + head + post + b"two" + last + b"3\r\nend\r\n0\r\n\r\n"
        answers = statuses_of(await served.exchange(request), "POST", "HEAD", "POST", "POST")
    assert answers == [(200, b"one"), (200, b""), (200, b"two"), (200, b"end")]


async def test_what_is_no_request_is_refused_in_words_after_a_head_too() -> None:
    """Proves: the error for bytes that are no request has its body, whatever came before them."""
    head = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving() as served:
        answers = statuses_of(await served.exchange(head + b"2d\r\n\r\n"), "HEAD", "GET")
    assert answers[0] == (200, b"")
    assert answers[1][0] == 400
    assert b"not HTTP" in answers[1][1]


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("more", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 100_000])
async def test_what_follows_the_last_request_is_ignored(method: str, more: bytes) -> None:
    """Proves: bytes after a request with `Connection: close` cost neither it nor its answer."""
    head = f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    async with serving() as served:
        answer = await served.exchange(head.encode() + b"hi" + more)
        assert statuses_of(answer, method) == [(200, b"hi")]
        assert served.site.bodies == [b"hi"]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_what_drips_after_the_last_request_is_ignored(method: str) -> None:
    """Proves: a client that goes on sending while it is answered gets the whole answer, and an end
    of the connection that does not reset it."""
    head = f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    async with serving(PATIENT) as served, await served.connect() as stream:
        await stream.send_all(head.encode())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, stream, b"GET / HTTP/1.1\r\n")
            answer = await read_all(stream)
            nursery.cancel_scope.cancel()
        assert statuses_of(answer, method) == [(200, b"hi")]
        assert served.site.bodies == [b"hi"]


async def test_a_client_may_ask_before_it_sends_its_body() -> None:
    """Proves: `Expect: 100-continue` is answered, and a body that is too large is not sent."""
    head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    async with serving() as served:
        async with await served.connect() as stream:
            await stream.send_all(head.format(2).encode())
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
            await stream.send_all(b"hi")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        answer = await served.exchange(head.format(BODY_BYTES_MAX + 1).encode())
        assert parsed(answer)[0] == 413


async def test_an_answer_in_parts_comes_in_chunks() -> None:
    """Proves: an app may send its answer in parts whose sum it does not know."""
    async with serving() as served:
        request = b"GET /parts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await served.exchange(request)
        assert b"\r\ntransfer-encoding: chunked\r\n" in answer.lower()
        assert statuses_of(answer, "GET") == [(200, b"one two ")]
        old = await served.exchange(b"GET /parts HTTP/1.0\r\nHost: x\r\n\r\n")
        assert old.endswith(b"\r\n\r\none two ")


async def test_an_app_is_told_that_its_client_has_left() -> None:
    """Proves: an app that waits for its client learns that it has left, and can end."""
    async with serving(PATIENT) as served:
        async with await served.connect() as stream:
            await stream.send_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            await served.site.begun.wait()
        with trio.fail_after(WAIT_S_MAX):
            await served.site.go.wait()
