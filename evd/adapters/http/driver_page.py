"""A driver's page: a shell of files, which learns from the driver's events what it shows."""

from html import escape
from string import Template
from typing import Any, Final

from litestar import Request, Response, get

from evd.adapters.http.access.rights import needing
from evd.adapters.http.pages import EVERYBODY, PageAccess, app_response
from evd.adapters.http.web_files import FOLDER, served

# At the top, because a service worker serves no page above its own folder.
SERVICE_WORKER: Final = "/service_worker.js"
_PAGE: Final = Template((FOLDER / "driver" / "page.html").read_text())


def driver_page(driver_id: str, access: PageAccess = EVERYBODY) -> Response[str]:
    """The page of this driver."""
    page = _PAGE.substitute(driver_id=escape(driver_id), access=access.metas)
    return app_response(page, access=access)


@get(SERVICE_WORKER, media_type="text/javascript", include_in_schema=False, **needing(None))
async def service_worker(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The part of the page that opens it without a network."""
    return served(request, "driver/service_worker.js")
