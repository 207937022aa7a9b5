"""The frame of every page, and its Content-Security-Policy.

A page loads nothing from another host, and its policy says so to the browser.  Whatever was not
written here is escaped.
"""

from html import escape
from typing import Final, Self

import attrs
from litestar import Response

from evd.adapters.http.access.passes import Pass
from evd.core.access.roles import Auth

STYLESHEETS: Final = ("tokens.css", "theme.css", "document.css")

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
# Images by data: are the icon of a tab, which tells of trouble.
_APP_POLICY: Final = (
    f"{_POLICY}; script-src 'self'; img-src 'self' data:; manifest-src 'self'; worker-src 'self'"
)


@attrs.frozen
class PageAccess:
    """The reader of a page, as the daemon's flag `auth` wants to know them; a stranger's role is
    empty."""

    auth: str = "off"
    role: str = ""
    name: str = ""

    @classmethod
    def of(cls, auth: Auth, caller: Pass) -> Self:
        """The reader who calls for a page."""
        known = caller.caller
        return cls(auth) if known is None else cls(auth, known.role, known.name)

    @property
    def metas(self) -> str:
        """The same as HTML for the head of the page; nothing where it does not matter."""
        if self.auth == "off":
            return ""
        told = {"evd-auth": self.auth, "evd-role": self.role, "evd-user": self.name}
        return "".join(
            f'<meta name="{name}" content="{escape(content)}">\n' for name, content in told.items()
        )


EVERYBODY: Final = PageAccess()


def html_response(page: str, policy: str = _POLICY) -> Response[str]:
    """A page with its policy; without another one it runs no script."""
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": policy})


def app_response(page: str, *connect: str, access: PageAccess = EVERYBODY) -> Response[str]:
    """A page whose scripts are files of this server; they call it, and the `connect` sources."""
    sources = " ".join(("'self'", *connect))
    response = html_response(page, f"{_APP_POLICY}; connect-src {sources}")
    if access.auth != "off":
        # It names its reader, and is another page for another one.
        response.headers["Cache-Control"] = "no-store"
    return response


def whole_page(title: str, body: str) -> str:
    """A page of `body`, which is HTML."""
    sheets = "\n".join(f'<link rel="stylesheet" href="/web/shared/{name}">' for name in STYLESHEETS)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n{sheets}\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
