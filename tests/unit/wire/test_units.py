"""Energy and money as whole numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.wire import units

KWH = st.integers(min_value=0, max_value=10**12)
RATES = st.integers(min_value=0, max_value=10_000).map(lambda thousandths: thousandths / 1000)


@given(KWH, st.integers(min_value=0, max_value=10**11))
def test_energy_and_money_survive_the_wire(energy_mwh: int, cents: int) -> None:
    """Proves: mWh to a message's kWh and back is the same number, and so are cents by euros."""
    assert units.mwh_from_kwh(units.kwh_from_mwh(energy_mwh)) == energy_mwh
    assert units.cents_from_euros(units.euros_from_cents(cents)) == cents


@pytest.mark.parametrize(
    ("kw", "elapsed_s", "energy_mwh"),
    [
        (22.0, 0.0, 0),
        (22.0, 3600.0, 22_000_000),
        (22.0, 10.0, 61_111),
        (0.001, 3600.0, 1_000),
        (36.0, 0.1, 1_000),
        (36.0, -1.0, 0),
    ],
)
def test_energy_is_power_times_time(kw: float, elapsed_s: float, energy_mwh: int) -> None:
    """Proves: energy is reckoned in whole mWh from the whole span, rounded down, never negative."""
    assert units.energy_mwh(kw, elapsed_s) == energy_mwh


@given(
    st.floats(min_value=0.001, max_value=10_000),
    st.floats(min_value=0, max_value=86_400),
    st.floats(min_value=0, max_value=86_400),
)
def test_a_longer_session_never_has_less(kw: float, first_s: float, second_s: float) -> None:
    """Proves: a meter does not run backwards."""
    early, late = sorted((first_s, second_s))
    assert units.energy_mwh(kw, early) <= units.energy_mwh(kw, late)


@pytest.mark.parametrize(
    ("energy_mwh", "euro_rate", "cents"),
    [
        (61_111, 0.30, 2),
        # Exactly half a cent: up.
        (50_000, 0.30, 2),
        (49_999, 0.30, 1),
        (1_000_000, 0.005, 1),
        (0, 0.30, 0),
        (1_000_000_000, 0.1, 10_000),
    ],
)
def test_a_bill_is_rounded_half_up_once(energy_mwh: int, euro_rate: float, cents: int) -> None:
    """Proves: the bill is the exact product of energy and rate as they were written, half a cent
    up."""
    assert units.bill_cents(energy_mwh, euro_rate) == cents


@given(KWH, RATES)
def test_the_last_running_amount_is_the_bill_to_a_cent(energy_mwh: int, euro_rate: float) -> None:
    """Proves: what the driver saw last and what is billed differ by rounding alone."""
    running = units.running_euros(energy_mwh, euro_rate)
    bill = units.euros_from_cents(units.bill_cents(energy_mwh, euro_rate))
    assert abs(running - bill) <= 0.0051
    assert round(running, 4) == running
