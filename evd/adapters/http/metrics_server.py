"""A small HTTP server for `/metrics` and `/health`, for daemons that have no other.

One request a connection, and everything about it bounded: a client that is slow, greedy or wrong
costs one of `CONNECTIONS_MAX` places for seconds, and the daemon nothing.
"""

import functools
from collections.abc import Callable

import h11
import orjson
import trio

from evd.adapters.http.metrics import CONTENT_TYPE

HEAD_BYTES_MAX = 8192
REQUEST_S_MAX = 5.0
RESPONSE_S_MAX = 5.0
LINGER_S_MAX = 1.0
CONNECTIONS_MAX = 32
_RECEIVE_BYTES = 4096

_JSON = "application/json"

Health = Callable[[], str | None]
Answer = tuple[int, str, bytes]


async def serve_metrics(
    listeners: list[trio.SocketListener],
    *,
    service: str,
    render: Callable[[], bytes],
    health: Health,
) -> None:
    """Serve until cancelled.

    `render` gives the body of /metrics.  `health` gives None while `service` can do its work, else
    the reason why not.
    """
    answer = functools.partial(_answer, service=service, render=render, health=health)
    places = trio.CapacityLimiter(CONNECTIONS_MAX)

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                places.acquire_nowait()
            except trio.WouldBlock:
                return
            try:
                await _serve_one(stream, answer)
            except trio.BrokenResourceError:
                # The client has gone; nobody is left to be told.
                pass
            finally:
                places.release()

    await trio.serve_listeners(handle, listeners)


async def _serve_one(stream: trio.SocketStream, answer: Callable[[h11.Request], Answer]) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
    response: Answer
    is_head = False
    with trio.move_on_after(REQUEST_S_MAX) as reading:
        try:
            request = await _read_request(stream, connection)
        except h11.RemoteProtocolError as error:
            response = _error(error.error_status_hint, str(error))
        else:
            if request is None:
                return
            is_head = request.method == b"HEAD"
            response = answer(request)
    if reading.cancelled_caught:
        response = _error(408, f"no request within {REQUEST_S_MAX:g} s")
    with trio.move_on_after(RESPONSE_S_MAX):
        await stream.send_all(_encode(connection, response, is_head))
        await _linger(stream)


async def _read_request(
    stream: trio.SocketStream, connection: h11.Connection
) -> h11.Request | None:
    """The request's head; None if the client closes before it has begun one."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if isinstance(event, h11.ConnectionClosed):
            return None
        connection.receive_data(await stream.receive_some(_RECEIVE_BYTES))


async def _linger(stream: trio.SocketStream) -> None:
    # Closing with unread bytes resets the connection, and the client may lose our answer.
    with trio.move_on_after(LINGER_S_MAX):
        await stream.send_eof()
        while await stream.receive_some(_RECEIVE_BYTES):
            pass


def _answer(
    request: h11.Request, *, service: str, render: Callable[[], bytes], health: Health
) -> Answer:
    path = request.target.partition(b"?")[0]
    if path not in (b"/metrics", b"/health"):
        return _error(404, "no such path: there are /metrics and /health")
    if request.method not in (b"GET", b"HEAD"):
        return _error(405, "only GET and HEAD are possible here")
    if path == b"/metrics":
        return 200, CONTENT_TYPE, render()
    reason = health()
    if reason is None:
        return 200, _JSON, orjson.dumps({"status": "healthy", "service": service})
    failed = {"status": "unhealthy", "service": service, "error": reason}
    return 503, _JSON, orjson.dumps(failed)


def _error(status: int, sentence: str) -> Answer:
    return status, _JSON, orjson.dumps({"error": sentence})


def _encode(connection: h11.Connection, answer: Answer, is_head: bool) -> bytes:
    status, content_type, body = answer
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    if status == 405:
        headers.append(("Allow", "GET, HEAD"))
    events: list[h11.Event] = [
        h11.Response(status_code=status, headers=headers, reason=_REASONS.get(status, b""))
    ]
    if not is_head:
        events.append(h11.Data(data=body))
    events.append(h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)


_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
