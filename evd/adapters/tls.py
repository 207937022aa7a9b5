"""TLS under Trio: contexts made of PEM files, bounded handshakes, and why one failed.

Only this module and `trust` import the library `ssl`.  A connection of either end is closed without
a last word of TLS: frames and HTTP know by themselves where they end.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from evd.adapters.accepting import accept_one

HANDSHAKE_S: Final = 5.0
HANDSHAKES_MAX: Final = 200

# The other end has closed, and said nothing.
CLOSED: Final = "it closed instead of speaking TLS"

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name.
_NO_CHECK_TIME: Final = 0x200000
# The type of the first record that a client of TLS sends.
_RECORD_OF_HANDSHAKE: Final = b"\x16"
# A record of TLS with a ClientHello: its type, its version, its length, the message's type.
_HELLO_BYTES: Final = 6

# A socket that does not block says so.
NOTHING_TO_READ: Final = (BlockingIOError, ssl.SSLWantReadError)
NO_ROOM_TO_SEND: Final = (BlockingIOError, ssl.SSLWantWriteError)

_PLACES: Final = trio.lowlevel.RunVar[trio.CapacityLimiter]("handshakes")

TlsStream = trio.SSLStream[trio.SocketStream]


class CertWrong(Exception):
    """A file of certificates that can't be used; the text says why."""


class KeyWrong(Exception):
    """A file of a key that can't be used; the text says why, without what is in it."""


class HandshakeFailed(Exception):
    """TLS could not be begun; `reason` says why, for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen
class Certificate:
    """The names of a server in its certificate, and the Unix time at which that ends."""

    names: frozenset[str]
    not_after_s: float


@attrs.frozen
class ServerSide:
    """A certificate and its key, as a server uses them."""

    context: ssl.SSLContext
    certificate: Certificate


@attrs.frozen
class ClientSide:
    """The certificates that vouch for servers; `not_after_s`: None where the system's are used."""

    context: ssl.SSLContext
    not_after_s: float | None


def load_server(cert: Path, key: Path) -> ServerSide:
    """A server's side; raises CertWrong and KeyWrong."""
    try:
        ssl.create_default_context(cafile=str(cert))
    except OSError as error:
        raise CertWrong(f"{str(cert)!r}: {_why_no_pem(error)}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Nothing is resumed here.  A ticket that a client has not read would make its close a reset.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    try:
        # A key with a password would be asked for on the terminal.
        context.load_cert_chain(cert, key, password=lambda: "")
    except OSError as error:
        raise KeyWrong(f"{str(key)!r}: {_why_no_key(error)}") from None
    return ServerSide(context, _look_at(context, cert))


def load_client(ca: Path | None) -> ClientSide:
    """A client's side: `ca` vouches for servers, where it is None the system; raises CertWrong."""
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as error:
        raise CertWrong(f"{str(ca)!r}: {_why_no_pem(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is None:
        return ClientSide(context, None)
    found = [ssl.cert_time_to_seconds(str(each["notAfter"])) for each in context.get_ca_certs()]
    return ClientSide(context, float(min(found)) if found else None)


def _why_no_pem(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "holds no certificate in PEM"
    return error.strerror or str(error)


def _why_no_key(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "is not the key of --tls-cert"
    return "holds no key in PEM that needs no password"


def _look_at(context: ssl.SSLContext, cert: Path) -> Certificate:
    """The words of a certificate, as a client reads them that trusts the file itself.

    The library has no other public way to read one.
    """
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.load_verify_locations(cert)
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A host's clock may be wrong; the end of the time is shown, and refused by those who dial.
    trusting.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        _shake_in_memory(client, server)
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason
        raise CertWrong(f"{str(cert)!r}: can't be a server's certificate: {why}") from None
    words: Any = client.getpeercert()
    names = {value for kind, value in words.get("subjectAltName", ()) if kind == "DNS"}
    ends = ssl.cert_time_to_seconds(words["notAfter"])
    return Certificate(frozenset(names), float(ends))


def _shake_in_memory(*sides: ssl.SSLObject) -> None:
    waiting = [*sides]
    while waiting:
        for side in sides:
            if side in waiting:
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                waiting.remove(side)


def has_ended(not_after_s: float | None) -> bool:
    """Whether a certificate's time is over, by this host's clock."""
    return not_after_s is not None and not_after_s < time.time()


class EitherStream(trio.abc.Stream):
    """A client's connection by TLS or without: its first byte tells, and `begin` reads no more.

    A client that says nothing for the time of a handshake has none.  `on_plain` is told of one
    without TLS.
    """

    def __init__(
        self, transport: trio.SocketStream, context: ssl.SSLContext, on_plain: Callable[[], None]
    ) -> None:
        self.transport_stream = transport
        self._context = context
        self._on_plain = on_plain
        self._inner: trio.abc.Stream = transport

    @property
    def is_tls(self) -> bool:
        """Whether it speaks TLS."""
        return self._inner is not self.transport_stream

    async def settle(self, first_s: float) -> "trio.SSLStream[Any] | None":
        """Wait for the first byte; the stream to shake hands on where it is one of TLS."""
        first = b""
        with trio.move_on_after(first_s):
            try:
                first = await self.transport_stream.socket.recv(1, socket.MSG_PEEK)
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from None
        if first != _RECORD_OF_HANDSHAKE:
            if first:
                self._on_plain()
            return None
        shaken = trio.SSLStream(
            self.transport_stream, self._context, server_side=True, https_compatible=True
        )
        self._inner = shaken
        return shaken

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, as the stream below does."""
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait, as the stream below does."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive, as the stream below does."""
        return await self._inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._inner.aclose()


def is_tls(stream: trio.abc.Stream) -> bool:
    """Whether the bytes of a stream go out encrypted."""
    return stream.is_tls if isinstance(stream, EitherStream) else isinstance(stream, trio.SSLStream)


async def begin(stream: trio.abc.Stream, handshake_s: float = HANDSHAKE_S) -> None:
    """Shake hands where `stream` speaks TLS; after an error the stream is of no use.

    A client has as long to wait for its turn as for its handshake.  Raises HandshakeFailed, and
    BrokenResourceError where the client has just left.
    """
    settled = await _settled(stream, handshake_s)
    if settled is not None:
        async with _turn(stream, handshake_s):
            await _shake(settled.do_handshake, handshake_s)


async def begin_apart(stream: trio.abc.Stream, handshake_s: float = HANDSHAKE_S) -> socket.socket:
    """Do as `begin`, on the socket that carries `stream`; return it, which then never blocks.

    The stream is of no use any more.
    """
    settled = await _settled(stream, handshake_s)
    transport = transport_of(stream)
    if not isinstance(transport, trio.SocketStream):
        raise TypeError(f"{transport} has no socket")
    raw = socket.socket(fileno=transport.socket.detach())
    try:
        raw.setblocking(False)
        if settled is None:
            return raw
        async with _turn(stream, handshake_s):
            apart = _Apart(raw, settled.context)
            raw = apart.socket
            await _shake(apart.do_handshake, handshake_s)
    except BaseException:
        raw.close()
        raise
    return raw


async def _settled(stream: trio.abc.Stream, handshake_s: float) -> "trio.SSLStream[Any] | None":
    """The stream to shake hands on, where it is one of TLS."""
    if isinstance(stream, EitherStream):
        return await stream.settle(handshake_s)
    return stream if isinstance(stream, trio.SSLStream) else None


@contextlib.asynccontextmanager
async def _turn(stream: trio.abc.Stream, handshake_s: float) -> AsyncIterator[None]:
    """Wait for a place among the handshakes, and hold it."""
    places = _places()
    with trio.move_on_after(handshake_s) as waiting:
        await places.acquire_on_behalf_of(stream)
    if waiting.cancelled_caught:
        raise HandshakeFailed("too many others were before it")
    try:
        yield
    except HandshakeFailed as error:
        if error.reason == CLOSED:
            raise trio.BrokenResourceError(error.reason) from None
        raise
    finally:
        places.release_on_behalf_of(stream)


class _Apart:
    """A server's end of TLS on a socket that does not block."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        """Take `raw` over; raises HandshakeFailed where its peer has just reset it."""
        try:
            self.socket = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        except OSError as error:
            raise HandshakeFailed(_why_broken(error)) from None

    async def do_handshake(self) -> None:
        """Shake hands; raises BrokenResourceError, its cause the error."""
        while True:
            try:
                self.socket.do_handshake()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self.socket)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self.socket)
            except OSError as error:
                raise trio.BrokenResourceError from error
            else:
                return


def _places() -> trio.CapacityLimiter:
    """The handshakes under way of all servers of this process."""
    try:
        return _PLACES.get()
    except LookupError:
        _PLACES.set(trio.CapacityLimiter(HANDSHAKES_MAX))
        return _PLACES.get()


async def connect(
    stream: trio.SocketStream, side: ClientSide, host: str, handshake_s: float = HANDSHAKE_S
) -> TlsStream:
    """Speak TLS with the server of this name; raises HandshakeFailed, `stream` then closed."""
    # An address names no interface in a certificate.
    name = host.partition("%")[0].removesuffix(".")
    found = trio.SSLStream(stream, side.context, server_hostname=name, https_compatible=True)
    try:
        await _shake(found.do_handshake, handshake_s)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return found


async def _shake(do_handshake: Callable[[], Awaitable[None]], handshake_s: float) -> None:
    try:
        with trio.fail_after(handshake_s):
            await do_handshake()
    except trio.TooSlowError:
        raise HandshakeFailed(f"no TLS within {handshake_s:g} s") from None
    except trio.BrokenResourceError as error:
        raise HandshakeFailed(_why_broken(error.__cause__)) from None
    except trio.ClosedResourceError:
        raise HandshakeFailed("closed") from None


def _why_broken(error: BaseException | None) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not good: {error.verify_message}"
        case ssl.SSLEOFError() | None:
            return CLOSED
        case ssl.SSLError() if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return "it does not speak TLS"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or 'unknown').lower().replace('_', ' ')}"
        case OSError():
            return error.strerror or str(error)
    return "connection broken"


class TlsListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener whose connections speak TLS, once `begin` has shaken hands on each.

    `side` gives the certificate that counts now.  With `on_plain` clients without TLS are served
    too, and it is told of each.
    """

    def __init__(
        self,
        listener: trio.abc.Listener[trio.SocketStream],
        side: Callable[[], ServerSide],
        *,
        on_plain: Callable[[], None] | None = None,
    ) -> None:
        self._listener = listener
        self._side = side
        self._on_plain = on_plain

    async def accept(self) -> trio.abc.Stream:
        """The next connection, before its handshake."""
        stream = await accept_one(self._listener)
        context = self._side().context
        if self._on_plain is not None:
            return EitherStream(stream, context, self._on_plain)
        return trio.SSLStream(stream, context, server_side=True, https_compatible=True)

    async def aclose(self) -> None:
        """Accept no more."""
        await self._listener.aclose()


def transport_of(stream: trio.abc.Stream) -> trio.abc.Stream:
    """The stream that carries the bytes of `stream`."""
    if isinstance(stream, EitherStream | trio.SSLStream):
        transport: trio.abc.Stream = stream.transport_stream
        return transport
    return stream


def speaks_tls(data: bytes | bytearray) -> bool:
    """Whether the first bytes of a peer begin TLS."""
    is_record = data[:2] == b"\x16\x03" and data[2:3] <= b"\x04"
    return len(data) >= _HELLO_BYTES and is_record and data[5] == 1
