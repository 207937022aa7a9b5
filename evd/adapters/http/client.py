"""HTTP as a client speaks it: one request to a server, over a connection of its own.

It needs the standard library alone: an HTTP library takes longer to import than the tool to run.
"""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import attrs

# A network of thousands of charging points fits; no other server there may fill our memory.
ANSWER_BYTES_MAX: Final = 16_000_000
READ_BYTES: Final = 65_536


@attrs.frozen
class HttpAnswer:
    """An HTTP server's answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class NotHttp(Exception):
    """The server does not speak HTTP, or sends more than ANSWER_BYTES_MAX."""


def url_of(host: str, port: int) -> str:
    """The address of a program of this machine that listens on `host`, for a client and a browser.

    A program that listens on every address is asked by 127.0.0.1.
    """
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def exchange(
    url: str, method: str, path: str, body: bytes | None = None, *, answer_s_max: float
) -> HttpAnswer:
    """One request to the server at `url`, over a connection of its own.

    Raises OSError (TimeoutError after `answer_s_max` without a byte, or in the whole body) and
    NotHttp.
    """
    end_s = time.monotonic() + answer_s_max
    with asked(url, method, path, body, answer_s_max) as answer:
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
    url: str, method: str, path: str, body: bytes | None, answer_s_max: float
) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request, whose body is to be read in the block."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=answer_s_max)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, parts.path + path, body, headers)
        yield connection.getresponse()
    except http.client.HTTPException as error:
        raise NotHttp(repr(error)) from None
    except UnicodeError as error:
        raise OSError(f"no name of a host: {error}") from None
    finally:
        connection.close()
