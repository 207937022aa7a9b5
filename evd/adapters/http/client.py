"""HTTP as a client speaks it: one request to a server, over a connection of its own.

It needs the standard library alone: an HTTP library takes longer to import than the tool to run.
"""

import http.client
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from evd.adapters.trust import Context, TlsFailed, client_context, why_not_trusted
from evd.addresses import is_loopback

# A network of thousands of charging points fits; no other server there may fill our memory.
ANSWER_BYTES_MAX: Final = 16_000_000
READ_BYTES: Final = 65_536
# The longest path of a Unix socket that the kernel takes.
SOCKET_PATH_BYTES_MAX: Final = 107


class NotReached(OSError):
    """No connection was made, so nothing was sent; the cause says why."""


class NotHttp(Exception):
    """The server does not speak HTTP, or sends more than ANSWER_BYTES_MAX."""


class NotTrusted(Exception):
    """The server's certificate is not believed; the text says why, without a full stop."""


class NotSent(Exception):
    """A secret was kept from a way where others could read it; the text says why."""


@attrs.frozen
class HttpAnswer:
    """An HTTP server's answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@attrs.frozen
class Way:
    """How a server is reached, and as whom.

    `socket` is a Unix socket, which is tried before `url`. `token` gives the caller's token, for
    each request anew; `context` is what an https:// address needs, and may raise OSError.
    `connect_s_max` bounds the connection where it has less time than the answer.
    """

    url: str
    socket: Path | None = None
    token: Callable[[], str] | None = attrs.field(default=None, repr=False)
    context: Callable[[], Context] = attrs.field(factory=lambda: client_context)
    connect_s_max: float | None = None


class UnixConnection(http.client.HTTPConnection):
    """A connection to the Unix socket at `path`, however long that is."""

    def __init__(self, path: Path, answer_s_max: float) -> None:
        super().__init__("localhost", timeout=answer_s_max)
        self._path = path

    def connect(self) -> None:
        """Connect; OSError where nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        if len(os.fsencode(self._path)) <= SOCKET_PATH_BYTES_MAX:
            self.sock.connect(str(self._path))
            return
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


def url_of(host: str, port: int, *, is_tls: bool = False) -> str:
    """The address of a program of this machine that listens on `host`, for a client and a browser.

    A program that listens on every address is asked by 127.0.0.1.
    """
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def exchange(
    way: Way,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    answer_s_max: float,
    is_secret: bool = False,
) -> HttpAnswer:
    """One request to a server, over a connection of its own; `is_secret`: its body is.

    Raises OSError (NotReached before anything was sent, TimeoutError after `answer_s_max` without
    a byte, or in the whole body), NotHttp, NotTrusted and NotSent.
    """
    end_s = time.monotonic() + answer_s_max
    with asked(way, method, path, body, answer_s_max, is_secret=is_secret) as answer:
        read = bytearray()
        while part := answer.read1(READ_BYTES):
            read += part
            if len(read) > ANSWER_BYTES_MAX:
                raise NotHttp(f"more than {ANSWER_BYTES_MAX} bytes")
            if time.monotonic() > end_s:
                raise TimeoutError
        return HttpAnswer(answer.status, answer.headers, bytes(read))


@contextmanager
def asked(
    way: Way,
    method: str,
    path: str,
    body: bytes | None,
    answer_s_max: float,
    *,
    is_secret: bool = False,
) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request, whose body is to be read in the block."""
    parts = urlsplit(way.url)
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection = _by_socket(way, answer_s_max)
    if connection is None:
        headers |= _credentials(way, is_secret=is_secret)
        connection = _by_network(way, answer_s_max)
    try:
        _connect(connection, min(answer_s_max, way.connect_s_max or answer_s_max), answer_s_max)
        connection.request(method, parts.path + path, body, headers)
        yield connection.getresponse()
    except http.client.HTTPException as error:
        raise NotHttp(repr(error)) from None
    except TlsFailed as error:
        raise NotTrusted(why_not_trusted(error)) from None
    except UnicodeError as error:
        raise OSError(f"no name of a host: {error}") from None
    finally:
        connection.close()


def _connect(
    connection: http.client.HTTPConnection, connect_s_max: float, answer_s_max: float
) -> None:
    """Make the connection where there is none yet; raises NotReached."""
    # The library's type of it says that there is always one.
    if getattr(connection, "sock", None) is not None:
        return
    connection.timeout = connect_s_max
    try:
        connection.connect()
    except TlsFailed:
        raise
    except (OSError, UnicodeError) as error:
        raise NotReached(*error.args) from error
    connection.sock.settimeout(answer_s_max)


def check_way(url: str) -> None:
    """Raise NotSent where a secret that is sent to `url` could be read on its way."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "wss") and not is_loopback(parts.hostname or ""):
        raise NotSent(f"no token and no password is sent to {url}, where others could read it")


def _credentials(way: Way, *, is_secret: bool) -> dict[str, str]:
    """The headers that say who asks; NotSent where that must not be said."""
    if way.token is None:
        if is_secret:
            check_way(way.url)
        return {}
    check_way(way.url)
    token = way.token()
    # http.client would show a wrong one in its error.
    if not token.isascii() or not token.isprintable():
        raise NotSent("the token has characters that no token has")
    return {"Authorization": f"Bearer {token}"}


def _by_network(way: Way, answer_s_max: float) -> http.client.HTTPConnection:
    parts = urlsplit(way.url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=answer_s_max)
    return http.client.HTTPSConnection(host, port, timeout=answer_s_max, context=way.context())


def _by_socket(way: Way, answer_s_max: float) -> http.client.HTTPConnection | None:
    """A connection to the Unix socket, None where nobody listens there; raises other OSError."""
    if way.socket is None:
        return None
    connection = UnixConnection(way.socket, answer_s_max)
    try:
        connection.connect()
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return connection
