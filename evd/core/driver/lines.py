"""An update as the line that its driver reads."""

from datetime import datetime

from evd.core.wire.fields import format_time, printable
from evd.core.wire.messages import DriverUpdate, RequestStatus

NO_CP = "-"


def line_of(update: DriverUpdate, when: datetime) -> str:
    """Return `<time> | <STATUS> | <request_id> | <cp_id or -> | <text>`, the time in UTC."""
    cp_id = update.cp_id or NO_CP
    return " | ".join((format_time(when), update.status, update.request_id, cp_id, text_of(update)))


def text_of(update: DriverUpdate) -> str:
    """Return the amounts, and the reason if any: `22.0 kW, 0.061 kWh, 0.0183 €`."""
    amounts = _amounts(update)
    reason = printable(update.reason)
    if not amounts:
        return reason or _without_reason(update)
    return f"{amounts} ({reason})" if reason else amounts


def _amounts(update: DriverUpdate) -> str:
    parts = []
    if update.kw is not None:
        parts.append(f"{update.kw:.1f} kW")
    if update.kwh is not None:
        parts.append(f"{update.kwh:.3f} kWh")
    if update.euros is not None:
        # A running amount has four decimals, a bill two.
        decimals = 2 if update.status.final else 4
        parts.append(f"{update.euros:.{decimals}f} €")
    elif update.kwh is not None and update.status.final:
        parts.append("no bill yet")
    return ", ".join(parts)


def _without_reason(update: DriverUpdate) -> str:
    if update.status is RequestStatus.ACCEPTED and update.session_id:
        return update.session_id
    return "no reason given" if update.status is RequestStatus.DENIED else update.status.lower()
