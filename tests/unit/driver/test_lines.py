"""The lines that a driver reads, for each status and what may be missing in it."""

from datetime import UTC, datetime

import pytest

from evd.core.driver.core import NO_COORDINATOR
from evd.core.driver.lines import line_of, text_of
from evd.core.wire.messages import DriverUpdate, RequestStatus

WALL = datetime(2026, 1, 31, 12, tzinfo=UTC)


def update(
    status: RequestStatus,
    reason: str = "",
    *,
    cp_id: str | None = "CP-001",
    session_id: str | None = None,
    kw: float | None = None,
    kwh: float | None = None,
    euros: float | None = None,
) -> DriverUpdate:
    """An update of Central's for Alice."""
    return DriverUpdate(
        "req-a",
        "driver-alice",
        cp_id,
        status,
        reason,
        session_id=session_id,
        kw=kw,
        kwh=kwh,
        euros=euros,
    )


@pytest.mark.parametrize(
    ("told_update", "text"),
    [
        (update(RequestStatus.ACCEPTED, session_id="session-1"), "session-1"),
        (
            update(RequestStatus.IN_PROGRESS, kw=22.0, kwh=0.061, euros=0.0183),
            "22.0 kW, 0.061 kWh, 0.0183 €",
        ),
        (update(RequestStatus.IN_PROGRESS, "CP-001 is broken"), "CP-001 is broken"),
        (update(RequestStatus.COMPLETED, kwh=0.061, euros=0.02), "0.061 kWh, 0.02 €"),
        (update(RequestStatus.COMPLETED, kwh=0.061), "0.061 kWh, no bill yet"),
        (
            update(RequestStatus.FAILED, "engine restarted", kwh=1.5, euros=0.45),
            "1.500 kWh, 0.45 € (engine restarted)",
        ),
        (update(RequestStatus.DENIED, "CP-001\nis\x1b[2J busy"), "CP-001\\nis\\x1b[2J busy"),
    ],
)
def test_the_text_of_a_line(told_update: DriverUpdate, text: str) -> None:
    """Proves: amounts with their units, the reason, and nothing that could forge a line."""
    assert text_of(told_update) == text


def test_a_line() -> None:
    """Proves: the five columns that other programs read, `-` while no CP is chosen."""
    told_update = update(RequestStatus.FAILED, NO_COORDINATOR, cp_id=None)
    line = line_of(told_update, WALL)
    assert line == "2026-01-31T12:00:00.000000Z | FAILED | req-a | - | no coordinator"
