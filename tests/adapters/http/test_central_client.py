"""The one client of Central's HTTP, against a server that answers as a test says."""

import socket
from collections.abc import Callable
from typing import Any

import attrs
import orjson
import pytest
import trio

from evd.adapters.http.central_client import (
    ANSWER_BYTES_MAX,
    Central,
    CentralAway,
    CentralRefused,
    url_of,
)
from tests.adapters.http.site import served_at

WAIT_S_MAX = 10.0


@attrs.define
class Answering:
    """An app that answers all alike, and notes what it was asked."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    asked: list[tuple[str, str, Any]] = attrs.Factory(list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        query = scope["query_string"].decode()
        target = f"{scope['path']}?{query}" if query else scope["path"]
        self.asked.append((scope["method"], target, orjson.loads(body) if body else None))
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


async def ask(app: Answering, call: Callable[[Central], Any]) -> Any:
    """The outcome of `call` with a client that asks `app`: a value or an error."""
    with trio.fail_after(WAIT_S_MAX):
        async with served_at(app) as port:
            try:
                return await trio.to_thread.run_sync(call, Central(url_of("127.0.0.1", port)))
            except (CentralAway, CentralRefused) as error:
                return error


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        (lambda central: central.health(), ("GET", "/health", None)),
        (lambda central: central.charging_point("CP-1"), ("GET", "/cp/CP-1", None)),
        (lambda central: central.stop_cp("CP-1"), ("POST", "/cp/CP-1/stop", None)),
        (lambda central: central.resume_cp("CP-1"), ("POST", "/cp/CP-1/resume", None)),
        (lambda central: central.forget_cp("a/b"), ("DELETE", "/cp/a/b", None)),
        (lambda central: central.request("req-1"), ("GET", "/requests/req-1", None)),
        (lambda central: central.judge("s-1", "void"), ("POST", "/sessions/s-1/void", None)),
        (lambda central: central.accept_recovery(), ("POST", "/recovery/accept", None)),
        (
            lambda central: central.sessions(cp_id="CP-1", limit=1, before=None),
            ("GET", "/sessions?cp_id=CP-1&limit=1", None),
        ),
        (
            lambda central: central.charge({"driver_id": "d"}),
            ("POST", "/request/charge", {"driver_id": "d"}),
        ),
    ],
)
async def test_each_call_is_one_request(call: Callable[[Central], Any], asked: Any) -> None:
    """Proves: a call asks the path that Central has for it, with its filters and its body."""
    app = Answering(body=b'{"sessions": [], "request_id": "req-1"}')
    assert not isinstance(await ask(app, call), Exception)
    assert app.asked == [asked]


async def test_what_central_refuses_is_told_with_all_that_it_says() -> None:
    """Proves: a refusal has its status, its sentence, its field, and when to ask again."""
    body = b'{"error": "its monitor is connected", "field": "cp_id"}'
    refused = await ask(Answering(409, body), lambda central: central.forget_cp("CP-1"))
    assert isinstance(refused, CentralRefused)
    assert (refused.status, str(refused)) == (409, "its monitor is connected")
    assert (refused.field, refused.retry_s) == ("cp_id", None)
    later = Answering(503, b'{"error": "not now"}', ((b"retry-after", b"2"),))
    refused = await ask(later, lambda central: central.health())
    assert (refused.status, refused.field, refused.retry_s) == (503, None, 2.0)


async def test_a_charging_point_that_nobody_knows_is_none() -> None:
    """Proves: that Central does not know a charging point is an answer, and no refusal."""
    unknown = Answering(404, b'{"error": "unknown", "field": "cp_id"}')
    assert await ask(unknown, lambda central: central.charging_point("CP-1")) is None


@pytest.mark.parametrize(
    "app",
    [
        Answering(200, b"<html>another server</html>"),
        Answering(200, b"[]"),
        Answering(404, b"not found"),
        Answering(500, b'{"error": 5}'),
        Answering(302),
        Answering(200, b" " * (ANSWER_BYTES_MAX + 1)),
    ],
    ids=["page", "list", "text", "number", "elsewhere", "endless"],
)
async def test_what_answers_in_central_s_place_is_not_believed(app: Answering) -> None:
    """Proves: whatever does not answer as Central does is taken for its absence."""
    away = await ask(app, lambda central: central.health())
    assert isinstance(away, CentralAway)
    assert "is not Central" in str(away)


async def test_nobody_there_is_told_with_the_address() -> None:
    """Proves: who can't reach Central reads where it was looked for, and why it failed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = url_of("0.0.0.0", server.getsockname()[1])
        with pytest.raises(CentralAway, match=f"{url} does not answer within 0.1 s"):
            Central(url, 0.1).health()
    with pytest.raises(CentralAway, match=f"{url} can't be reached: Connection refused"):
        Central(url).health()
    with pytest.raises(CentralAway, match="can't be reached"):
        Central("http://a..b:8000").health()
    assert url_of("::1", 8000) == "http://[::1]:8000"
