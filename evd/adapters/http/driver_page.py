"""A driver's page: where it could charge, what charges now, what it was told; without a script."""

from collections.abc import Sequence
from html import escape
from typing import Final

from evd.adapters.http.driver_central import Occupancy, PointShown
from evd.adapters.http.pages import whole_page
from evd.core.driver.events import CurrentSession
from evd.core.driver.lines import text_of
from evd.core.wire.fields import format_time
from evd.core.wire.messages import DriverUpdate

REFRESH_S: Final = 2
NOTIFICATIONS_SHOWN: Final = 30

# The colours of the one stylesheet that all pages have.
_CLASSES: Final = {
    Occupancy.FREE: "on",
    Occupancy.OCCUPIED: "broken",
    Occupancy.OFFLINE: "disconnected",
}


def driver_page(
    driver_id: str,
    points: Sequence[PointShown],
    current: CurrentSession | None,
    notifications: Sequence[DriverUpdate],
    lost: str,
) -> str:
    """The page; `lost` says why Central can't be asked, empty while it can."""
    warning = f'<p class="warning" role="alert">connection lost: {escape(lost)}</p>' if lost else ""
    rows = "\n".join(_point(point) for point in points)
    empty = "" if points or lost else '<p class="quiet">No charging point is known yet.</p>'
    sessions = f"/drivers/{escape(driver_id)}/sessions/history"
    told = "\n".join(_told(update) for update in notifications[:NOTIFICATIONS_SHOWN])
    body = f"""<header>
<h1>{escape(driver_id)}</h1>
{_session(current)}
<nav><a href="{sessions}">Sessions</a><a href="/docs">API</a></nav>
</header>
<main>{warning}
<h2>Charging points</h2>
<div class="wide"><table>
<thead><tr><th scope="col">Charging point</th><th scope="col">Status</th>
<th scope="col">Power</th><th scope="col">Price</th><th scope="col">Location</th></tr></thead>
<tbody>
{rows}
</tbody>
</table></div>{empty}
<h2 id="told">Notifications</h2>
<ol role="log" aria-labelledby="told">
{told}
</ol>
</main>"""
    return whole_page(f"{driver_id}: EV charging", body, refresh_s=REFRESH_S)


def _point(point: PointShown) -> str:
    cp_id = escape(point.cp_id)
    power = "" if point.kw_rate is None else f"{point.kw_rate:g} kW"
    price = "" if point.euro_rate is None else f"{point.euro_rate:.2f} €/kWh"
    return (
        f'<tr><th scope="row"><a href="/charging-points/{cp_id}">{cp_id}</a></th>'
        f'<td><span class="state {_CLASSES[point.status]}">{point.status}</span></td>'
        f'<td class="number">{power}</td><td class="number">{price}</td>'
        f"<td>{escape(point.location or '')}</td></tr>"
    )


def _session(current: CurrentSession | None) -> str:
    if current is None:
        return "<p>Nothing is being charged.</p>"
    amounts = [
        text
        for text, value in (
            (f"{current.kw or 0:.1f} kW", current.kw),
            (f"{current.kwh or 0:.3f} kWh", current.kwh),
            (f"{current.euros or 0:.2f} €", current.euros),
        )
        if value is not None
    ]
    return (
        f"<p>Charging at <strong>{escape(current.cp_id)}</strong> since"
        f" {format_time(current.started_at)}: {', '.join(amounts) or 'no reading yet'}</p>"
    )


def _told(update: DriverUpdate) -> str:
    when = "" if update.ts is None else f"{format_time(update.ts)} "
    return (
        f"<li>{when}<strong>{update.status}</strong> {escape(update.cp_id or 'any')}"
        f" {escape(text_of(update))}</li>"
    )
