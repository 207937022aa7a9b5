"""TLS on ports and dials: what gets through, what is hung up on, and how little is said of it."""

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from evd.adapters import tls
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.serving import Listeners, serve_app
from evd.adapters.tcp import (
    CONNECTION_OVER,
    DialFailed,
    DialRefused,
    FramedStream,
    dial_framed,
    serve_framed,
)
from evd.core.wire.framing import encode
from tests.adapters.framed_echo import Serve, echo_in_one_task, echo_in_tasks
from tests.adapters.http.site import Site
from tests.network.certificates import HOST, Certificates, secret, year
from tests.network.processes import free_port

WAIT_S = 5.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A site's authority and this machine's certificate."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Side:
    """A server's certificate, which a test may renew."""

    def __init__(self, certificates: Certificates) -> None:
        self.now = tls.load_server(certificates.cert, certificates.key)

    def __call__(self) -> tls.ServerSide:
        return self.now

    def listener(self, listener: trio.SocketListener) -> tls.TlsListener:
        return tls.TlsListener(listener, self)


class EitherSide(Side):
    """The same, of a port that takes clients without TLS as well; the number of them."""

    plain_count = 0

    def listener(self, listener: trio.SocketListener) -> tls.TlsListener:
        return tls.TlsListener(listener, self, on_plain=self._count)

    def _count(self) -> None:
        self.plain_count += 1


FramedPorts = Callable[[Side | None], AbstractAsyncContextManager[int]]


@pytest.fixture(params=[echo_in_tasks, echo_in_one_task])
def framed_port(request: pytest.FixtureRequest) -> FramedPorts:
    """A port of frames that are sent back, by TLS where there is a certificate."""
    serve: Serve = request.param

    @asynccontextmanager
    async def port_of(side: Side | None) -> AsyncIterator[int]:
        sockets = await trio.open_tcp_listeners(0, host=HOST)
        listeners: Listeners = sockets if side is None else [side.listener(x) for x in sockets]
        with trio.fail_after(4 * WAIT_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve, listeners)
                yield sockets[0].socket.getsockname()[1]
                nursery.cancel_scope.cancel()

    return port_of


@asynccontextmanager
async def http_port(side: Side) -> AsyncIterator[int]:
    """A port of HTTP over TLS."""
    sockets = await trio.open_tcp_listeners(0, host=HOST)
    listeners = [side.listener(each) for each in sockets]
    async with trio.open_nursery() as nursery:
        hosts = Hosts(certified=lambda: side.now.certificate.names)
        serve = partial(serve_app, Site(), listeners, stopping=trio.Event(), hosts=hosts)
        await nursery.start(serve)
        yield sockets[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def echoes(framed: FramedStream) -> bool:
    """Whether a frame comes back, one that is larger than a record of TLS."""
    data = b'{"x":"%s"}' % (b"y" * 60_000)
    await framed.send(data)
    received = await framed.receive()
    return received == [data]


async def answered(stream: trio.abc.Stream) -> bytes:
    """All that a server says until it has closed, which it must."""
    said = b""
    with trio.fail_after(WAIT_S), suppress(trio.BrokenResourceError):
        while part := await stream.receive_some():
            said += part
    return said


async def test_frames_go_through_tls(certificates: Certificates, framed_port: FramedPorts) -> None:
    """Proves: a connection by TLS carries frames as a plain one does, is alive by the same probes,
    and its end is told by the same errors, whichever side ends it."""
    client = tls.load_client(certificates.ca)
    async with framed_port(Side(certificates)) as port:
        framed = await dial_framed(HOST, port, WAIT_S, client)
        assert framed.peer == f"{HOST}:{port}"
        assert await echoes(framed)
        transport = tls.transport_of(framed._stream)
        assert isinstance(transport, trio.SocketStream)
        assert transport.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ends, framed)
            await trio.testing.wait_all_tasks_blocked()
            await framed.aclose_forcefully()
        framed = await dial_framed(HOST, port, WAIT_S, client)
        assert await echoes(framed)
    await _ends(framed)


async def _ends(framed: FramedStream) -> None:
    with trio.fail_after(WAIT_S), pytest.raises(CONNECTION_OVER):
        await framed.receive()


async def test_a_half_spoken_end(certificates: Certificates) -> None:
    """Proves: a peer that was killed in the middle of a frame is an end like another."""
    sockets = await trio.open_tcp_listeners(0, host=HOST)
    side, ended = Side(certificates), trio.Event()

    async def hear(framed: FramedStream) -> None:
        await _ends(framed)
        ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(
            partial(serve_framed, [tls.TlsListener(x, side) for x in sockets], hear)
        )
        port = sockets[0].socket.getsockname()[1]
        framed = await dial_framed(HOST, port, WAIT_S, tls.load_client(certificates.ca))
        await framed._stream.send_all(encode(b"{}")[:2])
        await trio.aclose_forcefully(tls.transport_of(framed._stream))
        with trio.fail_after(WAIT_S):
            await ended.wait()
        nursery.cancel_scope.cancel()


async def test_http_goes_through_tls(certificates: Certificates) -> None:
    """Proves: HTTP is served over TLS under the certificate's names, and an error is read whole."""
    async with http_port(Side(certificates)) as port:
        url = f"https://{HOST}:{port}"
        async with httpx.AsyncClient(verify=certificates.trusting(), timeout=WAIT_S) as client:
            assert (await client.get(f"{url}/fast")).status_code == 200
            refused = await client.get(f"{url}/fast", headers={"Host": "other.example"})
            assert refused.status_code == 421
            named = await client.get(f"{url}/fast", headers={"Host": "central.example"})
            assert named.status_code == 200
            # More than the server reads: its answer must not be lost by the close.
            assert (await client.post(f"{url}/fast", content=b"x" * 2_000_000)).status_code == 413


@pytest.mark.parametrize(
    ("said", "is_http"),
    [
        (encode(b'{"type":"REGISTER"}'), False),
        (b"GET / HTTP/1.1\r\n\r\n", False),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", True),
    ],
)
async def test_a_plain_client_on_a_port_with_tls(
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    said: bytes,
    is_http: bool,
    framed_port: FramedPorts,
) -> None:
    """Proves: who speaks no TLS where it is spoken is hung up on, however often it comes, with one
    line in the log; others are served as before."""
    side = Side(certificates)
    async with (http_port if is_http else framed_port)(side) as port:
        for _ in range(5):
            stream = await trio.open_tcp_stream(HOST, port)
            await stream.send_all(said)
            assert b"PONG" not in await answered(stream)
            await stream.aclose()
        if not is_http:
            client = tls.load_client(certificates.ca)
            assert await echoes(await dial_framed(HOST, port, WAIT_S, client))
    lines = [each for each in caplog.records if "could not begin" in each.getMessage()]
    assert [each.levelno for each in lines] == [logging.WARNING]
    assert "does not speak TLS" in lines[0].getMessage()


async def test_a_client_with_tls_on_a_plain_port(
    certificates: Certificates, caplog: pytest.LogCaptureFixture, framed_port: FramedPorts
) -> None:
    """Proves: who speaks TLS where it is not spoken learns so at once, and the log has one line."""
    client = tls.load_client(certificates.ca)
    async with framed_port(None) as port:
        for _ in range(5):
            with pytest.raises(DialFailed, match="closed instead of speaking TLS"):
                await dial_framed(HOST, port, WAIT_S, client)
        assert await echoes(await dial_framed(HOST, port, WAIT_S))
    (line,) = [each for each in caplog.records if "could not begin" in each.getMessage()]
    assert "it speaks TLS, and this port does not" in line.getMessage()


async def test_a_client_that_only_looks_is_no_news(
    certificates: Certificates, caplog: pytest.LogCaptureFixture, framed_port: FramedPorts
) -> None:
    """Proves: a connection that is opened and closed, as doctor and monitoring do, is in no log."""
    async with framed_port(Side(certificates)) as port:
        for _ in range(3):
            await (await trio.open_tcp_stream(HOST, port)).aclose()
        assert await echoes(await dial_framed(HOST, port, WAIT_S, tls.load_client(certificates.ca)))
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_port_that_takes_both(certificates: Certificates, framed_port: FramedPorts) -> None:
    """Proves: where both are taken a client is served by TLS and without it, each as on a port of
    its own, those without are counted, and one that says nothing is none of them."""
    side = EitherSide(certificates)
    async with framed_port(side) as port:
        silent = await trio.open_tcp_stream(HOST, port)
        by_tls = await dial_framed(HOST, port, WAIT_S, tls.load_client(certificates.ca))
        plain = await dial_framed(HOST, port, WAIT_S)
        assert await echoes(by_tls)
        assert await echoes(plain)
        assert side.plain_count == 1
        await silent.aclose()
        assert await echoes(by_tls)
    async with http_port(side) as port:
        for scheme in ("https", "http"):
            async with httpx.AsyncClient(verify=certificates.trusting(), timeout=WAIT_S) as client:
                assert (await client.get(f"{scheme}://{HOST}:{port}/fast")).status_code == 200
                refused = await client.post(f"{scheme}://{HOST}:{port}/fast", content=b"x" * 99_999)
                assert refused.status_code == 413
    assert side.plain_count > 1


@pytest.mark.parametrize(
    ("names", "ends", "why"),
    [
        (("other.example",), None, "mismatch|not valid for"),
        ((HOST,), year(2020), "has expired"),
    ],
)
async def test_a_server_that_is_another(
    tmp_path: Path, names: tuple[str, ...], ends: object, why: str, framed_port: FramedPorts
) -> None:
    """Proves: a server with the name of another, or whose certificate has ended, is not spoken to,
    and the error says why."""
    certificates = Certificates(tmp_path)
    certificates.issue(*names, ends=ends)  # type: ignore[arg-type]
    async with framed_port(Side(certificates)) as port:
        with pytest.raises(DialFailed, match=f"certificate is not good: .*({why})"):
            await dial_framed(HOST, port, WAIT_S, tls.load_client(certificates.ca))


async def test_a_server_of_another_authority(
    certificates: Certificates, tmp_path: Path, framed_port: FramedPorts
) -> None:
    """Proves: a server that --tls-ca does not vouch for is not spoken to; neither is one that only
    the system's authorities would have to know."""
    stranger = Certificates(tmp_path)
    async with framed_port(Side(certificates)) as port:
        for ca in (stranger.ca, None):
            with pytest.raises(DialFailed, match="certificate is not good"):
                await dial_framed(HOST, port, WAIT_S, tls.load_client(ca))
    with pytest.raises(DialRefused):
        await dial_framed(HOST, free_port(), WAIT_S, tls.load_client(certificates.ca))


async def test_a_renewed_certificate(tmp_path: Path, framed_port: FramedPorts) -> None:
    """Proves: after a renewal new connections get the new certificate, and the old ones go on."""
    certificates = Certificates(tmp_path)
    side, client = Side(certificates), tls.load_client(certificates.ca)
    async with framed_port(side) as port:
        before = await dial_framed(HOST, port, WAIT_S, client)
        assert await echoes(before)
        certificates.issue("renewed.example")
        side.now = tls.load_server(certificates.cert, certificates.key)
        with pytest.raises(DialFailed, match="certificate is not good"):
            await dial_framed(HOST, port, WAIT_S, client)
        assert await echoes(before)


async def test_an_old_version_is_refused(
    certificates: Certificates, framed_port: FramedPorts
) -> None:
    """Proves: nothing older than TLS 1.2 is spoken, whatever a client offers."""
    context = certificates.trusting()
    async with framed_port(Side(certificates)) as port:
        for version, is_taken in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            context.minimum_version = context.maximum_version = version
            side = tls.ClientSide(context, None)
            assert await echoes(await dial_framed(HOST, port, WAIT_S, side)) is is_taken
    assert Side(certificates).now.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.load_client(certificates.ca).context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_a_handshake_has_its_time(
    certificates: Certificates, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: a client that says nothing has 5 s; while 200 do so one more waits for its turn no
    longer than for a handshake, and when they are gone the next has its own 5 s."""
    side = Side(certificates)
    outcomes: dict[str, float] = {}

    async def begin(handshake_s: float = tls.HANDSHAKE_S) -> None:
        began_s = trio.current_time()
        _, theirs = trio.testing.memory_stream_pair()
        with pytest.raises(tls.HandshakeFailed) as caught:
            await tls.begin(_wrapped(side, theirs), handshake_s)
        outcomes.setdefault(caught.value.reason, trio.current_time() - began_s)

    async with trio.open_nursery() as nursery:
        for _ in range(tls.HANDSHAKES_MAX):
            nursery.start_soon(begin)
        await trio.testing.wait_all_tasks_blocked()
        await begin(3.0)
    assert outcomes == {
        "too many others were before it": pytest.approx(3.0),
        "no TLS within 5 s": pytest.approx(5.0),
    }
    outcomes.clear()
    await begin()
    assert outcomes == {"no TLS within 5 s": pytest.approx(5.0)}


def _wrapped(side: Side, stream: trio.abc.Stream) -> trio.abc.Stream:
    return trio.SSLStream(stream, side.now.context, server_side=True, https_compatible=True)


def test_the_words_of_a_certificate(tmp_path: Path) -> None:
    """Proves: names and end are read from the file, also of one that has ended or is not yet good:
    no host's clock decides what can be shown."""
    certificates = Certificates(tmp_path)
    for ends in (year(2020), year(2040)):
        certificates.issue("a.example", "b.example", "10.0.0.1", ends=ends)
        side = tls.load_server(certificates.cert, certificates.key)
        assert side.certificate.names == {"a.example", "b.example"}
        assert side.certificate.not_after_s == ends.timestamp()
        assert tls.has_ended(side.certificate.not_after_s) is (ends == year(2020))
    assert tls.load_client(certificates.ca).not_after_s is not None


def test_files_that_can_not_be_used(certificates: Certificates, tmp_path: Path) -> None:
    """Proves: each wrong file is told by what is wrong with it, and nothing of a key is shown."""
    other = Certificates(tmp_path / "other")
    locked = secret(tmp_path / "locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n")
    for cert, key, wrong, why in (
        (tmp_path / "missing", certificates.key, tls.CertWrong, "No such file"),
        (certificates.key, certificates.key, tls.CertWrong, "no certificate in PEM"),
        (certificates.cert, tmp_path / "missing", tls.KeyWrong, "No such file"),
        (certificates.cert, certificates.cert, tls.KeyWrong, "no key in PEM"),
        (certificates.cert, locked, tls.KeyWrong, "needs no password"),
        (certificates.cert, other.key, tls.KeyWrong, "is not the key of --tls-cert"),
    ):
        with pytest.raises(wrong, match=why):
            tls.load_server(cert, key)
    for ca in (certificates.key, tmp_path / "missing", tmp_path):
        with pytest.raises(tls.CertWrong):
            tls.load_client(ca)


@pytest.mark.parametrize(
    ("data", "is_hello"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", True),
        (b"\x16\x03\x03\x00\xc8\x01", True),
        (b"\x16\x03\x01\x02\x00", False),
        (b"\x16\x03\x01\x02\x00\x02", False),
        (encode(b"{}"), False),
        (b"\x16\x16\x16\x16\x16\x16", False),
        (b"", False),
    ],
)
def test_the_first_bytes_of_tls(data: bytes, is_hello: bool) -> None:
    """Proves: only what begins as TLS does is taken for it; noise before a frame is skipped."""
    assert tls.speaks_tls(data) is is_hello
