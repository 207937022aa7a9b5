"""One connection to Central's HTTP that says any bytes."""

import contextlib
import functools
import logging
import re
from typing import Final

import orjson
import trio
import trio.testing

from evd.adapters.http.connection import Bounds, Connection
from evd.adapters.http.hosts import Hosts
from evd.core.access.roles import Auth
from tests.adapters.http.access_scene import gate_of
from tests.adapters.http.fake_central import SUPPLYING, FakeCentral, serve_for, shared
from tests.fuzz.promises import Broken

HOST: Final = "here"
LOCATION: Final = str(SUPPLYING.location).encode()
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [A-Za-z -]*\r\n")


class _Told(logging.Handler):
    """Keeps what evd logs as an error: no bytes of a client may be one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@functools.cache
def _told() -> _Told:
    told = _Told()
    logging.getLogger("evd").addHandler(told)
    return told


def feed_http(data: bytes) -> None:
    """Whatever a client says, to a Central that takes everybody and to one that knows nobody: the
    answers are HTTP, none is a 500, and no error is logged."""
    told = _told()
    told.lines.clear()
    for auth in (Auth.OFF, Auth.REQUIRED):
        clock = trio.testing.MockClock(autojump_threshold=0)
        answers = trio.run(_answers, data, auth, clock=clock)
        if told.lines:
            raise Broken("\n".join(told.lines))
        if answers:
            check_answers(answers)
        if auth is Auth.REQUIRED and LOCATION in answers:
            raise Broken("a stranger sees a charging point")


async def _answers(data: bytes, auth: Auth) -> bytes:
    serve_for(FakeCentral())
    app, logins = shared(auth)
    gate = gate_of(logins)
    ours, theirs = trio.testing.memory_stream_pair()

    async def serve() -> None:
        # The server drops a connection that breaks.
        async with theirs:
            with contextlib.suppress(trio.BrokenResourceError):
                await Connection(app, Bounds(), Hosts((HOST,)), theirs, gate=gate).serve()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await ours.send_all(data)
        # A client that has left is not answered: it stays until the server has said all.
        answers = bytearray()
        while part := await ours.receive_some():
            answers += part
        return bytes(answers)


def check_answers(answers: bytes) -> None:
    """Raise Broken unless a client may have these answers; a last one that refuses says why."""
    status = _STATUS_LINE.match(answers)
    if status is None or not 100 <= int(status[1]) < 600 or int(status[1]) == 500:
        raise Broken(f"{answers[:200]!r} is no answer to a client")
    last = answers[answers.rfind(b"HTTP/1.1 ") :]
    head, _, body = last.partition(b"\r\n\r\n")
    if b"connection: close" in head.lower() and head[9:10] == b"4" and body:
        error = orjson.loads(body)
        if not isinstance(error, dict) or not error.get("error"):
            raise Broken(f"{body[:200]!r} says of no error")
