"""Central's page: each charging point in a row, made here and loaded again by itself.

No page runs a script or loads anything from another host, and its Content-Security-Policy says
so to the browser.  Whatever was not written here is escaped.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from litestar import Response, get

from evd.core.central.views import CpView

REFRESH_S: Final = 2
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
STYLESHEET: Final = "/page.css"

_STYLE = Path(__file__).with_name("page.css").read_bytes()
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


@get(STYLESHEET, media_type="text/css", include_in_schema=False)
async def page_stylesheet() -> Response[bytes]:
    """The style of every page."""
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "max-age=300"})


def html_response(page: str) -> Response[str]:
    """A page with its policy."""
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return Response(page, media_type="text/html", headers=headers)


def whole_page(title: str, body: str, *, refresh_s: int | None = None) -> str:
    """A page of `body`, which is HTML; `refresh_s`: loaded again after so many seconds."""
    refresh = "" if refresh_s is None else f'<meta http-equiv="refresh" content="{refresh_s}">\n'
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n{refresh}'
        f'<title>{escape(title)}</title>\n<link rel="stylesheet" href="{STYLESHEET}">\n'
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
