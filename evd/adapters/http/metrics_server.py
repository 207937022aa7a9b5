"""`/metrics` and `/health` for daemons that have no other HTTP, without a web framework."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import attrs
import orjson
import trio

from evd.adapters.http.connection import METRICS_BOUNDS, Bounds
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.metrics import CONTENT_TYPE
from evd.adapters.http.refused import JSON, NO_PARAMETER, Refused
from evd.adapters.http.serving import Listeners, serve_app

Health = Callable[[], str | None]
Answer = tuple[int, str, bytes]


def _everybody(_: str | None) -> bool:
    return True


@attrs.frozen
class MetricsPort:
    """The listeners of a port, the names that it answers to, and who may read there.

    `hosts` are names of this machine, --metrics-host among them, and `certified` those of its
    certificate.  `may_read` judges the bearer token of a caller, None where it shows none.
    """

    listeners: Listeners
    hosts: Iterable[str]
    certified: Callable[[], Iterable[str]] = tuple
    may_read: Callable[[str | None], bool] = _everybody


async def serve_metrics(
    port: MetricsPort,
    *,
    service: str,
    render: Callable[[], bytes],
    health: Health,
    bounds: Bounds = METRICS_BOUNDS,
) -> None:
    """Serve until cancelled.

    `render` gives the body of /metrics.  `health` gives None while `service` can do its work, else
    the reason why not.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if port.may_read(_bearer(scope)):
            status, content_type, body = _answer(scope, service, render, health)
        else:
            status, content_type, body = _answer_stranger(scope, health)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(body)),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    ours = Hosts(port.hosts, f"--metrics-host of {service}", port.certified)
    await serve_app(app, port.listeners, stopping=trio.Event(), bounds=bounds, hosts=ours)


def _bearer(scope: Any) -> str | None:
    for name, value in scope["headers"]:
        kind, _, token = value.decode("latin-1").partition(" ")
        if name == b"authorization" and kind.lower() == "bearer":
            return str(token.strip())
    return None


def _answer_stranger(scope: Any, health: Health) -> Answer:
    """Whether the program is well, and nothing else: not even which paths there are."""
    if scope["path"] != "/health" or scope["method"] != "GET" or scope["query_string"]:
        return _error(Refused(401, "this needs the bearer token of --metrics-token-file"))
    is_well = health() is None
    status = {"status": "healthy" if is_well else "unhealthy"}
    return (200 if is_well else 503), JSON, orjson.dumps(status)


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
