"""Energy and money as whole numbers: milliwatt-hours and cents, never a running float sum.

1 kWh is 1,000,000 mWh, so the six decimals that a wire carries are exact here.
"""

from decimal import ROUND_HALF_UP, Decimal

MWH_PER_KWH = 1_000_000
CENTS_PER_EURO = 100

_CENT = Decimal("0.01")
_TENTH_OF_MILLE = Decimal("0.0001")
_MILLIWATTS_PER_KW = 1_000_000
_NS_PER_HOUR = 3_600_000_000_000
_NS_PER_S = 1_000_000_000


def mwh_from_kwh(kwh: float) -> int:
    """Whole mWh of a wire's kWh."""
    return round(kwh * MWH_PER_KWH)


def kwh_from_mwh(energy_mwh: int) -> float:
    """A wire's kWh, at most 6 decimals."""
    return energy_mwh / MWH_PER_KWH


def cents_from_euros(euros: float) -> int:
    """Whole cents of a wire's final amount."""
    return round(euros * CENTS_PER_EURO)


def euros_from_cents(cents: int) -> float:
    """A wire's final amount, exactly 2 decimals."""
    return cents / CENTS_PER_EURO


def energy_mwh(kw: float, elapsed_s: float) -> int:
    """Energy that `kw` delivers in `elapsed_s`, in whole mWh, rounded down.

    Worked out from the whole span at once, so that no rounding adds up over a session.
    """
    milliwatts = round(kw * _MILLIWATTS_PER_KW)
    elapsed_ns = max(0, round(elapsed_s * _NS_PER_S))
    return milliwatts * elapsed_ns // _NS_PER_HOUR


def price(mwh: int, euro_rate: float) -> Decimal:
    """The cost of `mwh` in euros, not rounded."""
    # repr keeps the rate as it was written: 0.30 stays 0.30 and is not 0.299999….
    return Decimal(mwh) / MWH_PER_KWH * Decimal(repr(euro_rate))


def running_euros(mwh: int, euro_rate: float) -> float:
    """The cost of `mwh` so far, in euros with at most 4 decimals, for telemetry."""
    return float(price(mwh, euro_rate).quantize(_TENTH_OF_MILLE, ROUND_HALF_UP))


def bill_cents(mwh: int, euro_rate: float) -> int:
    """The final bill in cents, rounded half up, once."""
    return int(price(mwh, euro_rate).quantize(_CENT, ROUND_HALF_UP) * CENTS_PER_EURO)
