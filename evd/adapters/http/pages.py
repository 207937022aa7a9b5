"""The frame of every page, and its Content-Security-Policy.

A page loads nothing from another host, and its policy says so to the browser.  Whatever was not
written here is escaped.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from litestar import Response

from evd.core.central.views import CpView

REFRESH_S: Final = 2
STYLESHEETS: Final = ("tokens.css", "theme.css", "document.css")

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
# Images by data: are the icon of a tab, which tells of trouble.
_APP_POLICY: Final = (
    f"{_POLICY}; script-src 'self'; img-src 'self' data:; manifest-src 'self'; worker-src 'self'"
)
_COLUMNS: Final = (
    "Charging point",
    "State",
    "Available",
    "Driver",
    "kW",
    "kWh",
    "Euros",
    "Rate",
    "Breaker",
    "Location",
)


def html_response(page: str, policy: str = _POLICY) -> Response[str]:
    """A page with its policy; without another one it runs no script."""
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": policy})


def app_response(page: str, *connect: str) -> Response[str]:
    """A page whose scripts are files of this server; they call it, and the `connect` sources."""
    sources = " ".join(("'self'", *connect))
    return html_response(page, f"{_APP_POLICY}; connect-src {sources}")


def whole_page(title: str, body: str, *, refresh_s: int | None = None) -> str:
    """A page of `body`, which is HTML; `refresh_s`: loaded again after so many seconds."""
    refresh = "" if refresh_s is None else f'<meta http-equiv="refresh" content="{refresh_s}">\n'
    sheets = "\n".join(f'<link rel="stylesheet" href="/web/shared/{name}">' for name in STYLESHEETS)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n{refresh}'
        f"<title>{escape(title)}</title>\n{sheets}\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def network_page(
    points: Sequence[CpView], active_requests: int, unhealthy: str | None, central_id: str
) -> str:
    """The network at a glance."""
    shown = {state: sum(point.state == state for point in points) for state in _STATES}
    counts = ", ".join(f"{count} {state}" for state, count in shown.items())
    warning = (
        "" if unhealthy is None else f'<p class="warning" role="alert">{escape(unhealthy)}</p>'
    )
    head = "".join(f'<th scope="col">{column}</th>' for column in _COLUMNS)
    rows = "\n".join(_row(point) for point in points)
    empty = "" if points else '<p class="quiet">No charging point has registered yet.</p>'
    body = f"""<header>
<h1>EV charging network</h1>
<p>{len(points)} charging points: {counts}. Open requests: {active_requests}.</p>
<p class="quiet">Central <code>{escape(central_id)}</code></p>
<nav><a href="/sessions">Sessions</a><a href="/faults">Faults</a><a href="/docs">API</a></nav>
</header>
<main>{warning}
<div class="wide"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>{empty}
</main>"""
    return whole_page("EV charging network", body, refresh_s=REFRESH_S)


_STATES: Final = ("ON", "BROKEN", "DISCONNECTED")


def _row(point: CpView) -> str:
    # A cp_id has no character that a URL or HTML knows, by its form; escaped all the same.
    cp_id = escape(point.cp_id)
    available = "yes" if point.available else escape(point.unavailable_reason or "no")
    meter = point.telemetry
    amounts = ("", "", "")
    if meter is not None:
        amounts = (f"{meter.kw:.1f}", f"{meter.kwh:.3f}", f"{meter.euros:.2f}")
    rate = ""
    if point.kw_rate is not None and point.euro_rate is not None:
        rate = f"{point.kw_rate:g} kW at {point.euro_rate:.2f} €/kWh"
    cells = [
        f'<th scope="row"><a href="/cp/{cp_id}">{cp_id}</a></th>',
        f'<td><span class="state {point.state.lower()}">{point.state}</span></td>',
        f"<td>{available}</td>",
        f"<td>{escape(point.current_driver or '')}</td>",
        *(f'<td class="number">{amount}</td>' for amount in amounts),
        f"<td>{rate}</td>",
        f"<td>{point.breaker}</td>",
        f"<td>{escape(point.location or '')}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"
