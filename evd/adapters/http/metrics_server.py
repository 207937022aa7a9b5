"""`/metrics` and `/health` for daemons that have no other HTTP, without a web framework."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import orjson
import trio

from evd.adapters.http.connection import METRICS_BOUNDS, Bounds
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.metrics import CONTENT_TYPE
from evd.adapters.http.refused import JSON, NO_PARAMETER, Refused
from evd.adapters.http.serving import serve_app

Health = Callable[[], str | None]
Answer = tuple[int, str, bytes]


async def serve_metrics(
    listeners: list[trio.SocketListener],
    *,
    service: str,
    render: Callable[[], bytes],
    health: Health,
    hosts: Iterable[str],
    bounds: Bounds = METRICS_BOUNDS,
) -> None:
    """Serve until cancelled.

    `render` gives the body of /metrics.  `health` gives None while `service` can do its work, else
    the reason why not.  `hosts` are names of this machine, --metrics-host among them.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        status, content_type, body = _answer(scope, service, render, health)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(body)),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    ours = Hosts(hosts, f"--metrics-host of {service}")
    await serve_app(app, listeners, stopping=trio.Event(), bounds=bounds, hosts=ours)


def _answer(scope: Any, service: str, render: Callable[[], bytes], health: Health) -> Answer:
    if scope["path"] not in ("/metrics", "/health"):
        return _error(Refused(404, "no such path: there are /metrics and /health"))
    # The server hands on a HEAD as a GET.
    if scope["method"] != "GET":
        return _error(Refused(405, "only GET and HEAD are possible here"))
    for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        return _error(Refused(400, f"{name} {NO_PARAMETER}", field=name))
    if scope["path"] == "/metrics":
        return 200, CONTENT_TYPE, render()
    reason = health()
    if reason is None:
        return 200, JSON, orjson.dumps({"status": "healthy", "service": service})
    failed = {"status": "unhealthy", "service": service, "error": reason}
    return 503, JSON, orjson.dumps(failed)


def _error(refused: Refused) -> Answer:
    return refused.status, JSON, refused.body
