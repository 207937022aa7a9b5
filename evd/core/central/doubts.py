"""Readings that can't be: more than power and time allow, or at another price than the rate.

Each function returns the reason as a sentence part, empty where nothing speaks against the reading.
Power and rate are those that the charging point's engine last gave; what is not known is not
judged.  Wall clocks judge nobody: a station without a clock says 1970.
"""

from decimal import Decimal

from evd.core.central.rows import ChargingPoint
from evd.core.wire.messages import SessionRecord, Telemetry
from evd.core.wire.units import mwh_from_kwh, price

# A reading may be beyond the bound by the larger of a share and an amount.
ENERGY_SHARE = 0.1
ENERGY_KWH = 0.1
PRICE_SHARE = Decimal("0.01")
PRICE_EUROS = Decimal("0.02")
POWER_SHARE = 0.1
POWER_KW = 1.0


def doubt_of_record(
    record: SessionRecord, row: ChargingPoint | None, elapsed_s: float | None
) -> str:
    """Return why a record can't be.

    `elapsed_s`: since its START by Central's own clock; None where Central has not been up since.
    """
    if record.started_at is not None and record.ended_at < record.started_at:
        return "it ended before it started"
    if elapsed_s is None and record.started_at is not None:
        elapsed_s = (record.ended_at - record.started_at).total_seconds()
    return _doubt(record.kwh, record.euros, row, elapsed_s)


def doubt_of_telemetry(
    message: Telemetry, row: ChargingPoint | None, elapsed_s: float | None
) -> str:
    """Return why a reading of a running session can't be; `elapsed_s` None: that is not known."""
    kw = row.kw_rate if row is not None else None
    if kw is not None and message.kw > kw * (1 + POWER_SHARE) + POWER_KW:
        return f"{message.kw:g} kW are more than {kw:g} kW"
    return _doubt(message.kwh, message.euros, row, elapsed_s)


def _doubt(kwh: float, euros: float, row: ChargingPoint | None, elapsed_s: float | None) -> str:
    if row is not None and row.kw_rate is not None and elapsed_s is not None:
        most_kwh = row.kw_rate * elapsed_s / 3600
        if kwh > most_kwh + max(most_kwh * ENERGY_SHARE, ENERGY_KWH):
            return f"{kwh:g} kWh are more than {row.kw_rate:g} kW give in {elapsed_s:.0f} s"
    if row is not None and row.euro_rate is not None:
        due = price(mwh_from_kwh(kwh), row.euro_rate)
        if abs(Decimal(repr(euros)) - due) > max(due * PRICE_SHARE, PRICE_EUROS):
            return f"{euros:g} euros are not the price of {kwh:g} kWh at {row.euro_rate:g} euros"
    return ""
