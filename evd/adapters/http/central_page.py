"""Central's dashboard: one page; its scripts stand in `web/central` and live by the status feed."""

from string import Template
from typing import Final

from litestar import Response

from evd.adapters.http.pages import EVERYBODY, PageAccess, app_response
from evd.adapters.http.web_files import FOLDER
from evd.addresses import host_and_port

_PAGE: Final = Template((FOLDER / "central" / "page.html").read_text())


def central_page(authority: str, feed_port: int, access: PageAccess = EVERYBODY) -> Response[str]:
    """The page for a browser that calls this server by `authority`, its Host header."""
    page = _PAGE.substitute(feed_port=feed_port, access=access.metas)
    return app_response(page, _feed_source(authority, feed_port), access=access)


def _feed_source(authority: str, feed_port: int) -> str:
    """Where the page may open a WebSocket; `ws:` stands for `wss:` of the same place as well."""
    name, _ = host_and_port(authority.removesuffix(":"))
    # A policy has no form for an IPv6 address.
    return "ws: wss:" if ":" in name else f"ws://{name}:{feed_port}"
