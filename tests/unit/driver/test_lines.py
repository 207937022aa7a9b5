"""The lines that a driver reads, for each status and what may be missing in it."""

import pytest

from evd.core.driver.core import NO_COORDINATOR
from evd.core.driver.lines import line_of, text_of
from evd.core.wire.messages import DriverUpdate, RequestStatus
from tests.unit.driver.scene import WALL, update


@pytest.mark.parametrize(
    ("told_update", "text"),
    [
        (update("req-a", RequestStatus.ACCEPTED, session_id="session-1"), "session-1"),
        (
            update("req-a", RequestStatus.IN_PROGRESS, kw=22.0, kwh=0.061, euros=0.0183),
            "22.0 kW, 0.061 kWh, 0.0183 €",
        ),
        (update("req-a", RequestStatus.IN_PROGRESS, "CP-001 is broken"), "CP-001 is broken"),
        (update("req-a", RequestStatus.COMPLETED, kwh=0.061, euros=0.02), "0.061 kWh, 0.02 €"),
        (update("req-a", RequestStatus.COMPLETED, kwh=0.061), "0.061 kWh, no bill yet"),
        (
            update("req-a", RequestStatus.FAILED, "engine restarted", kwh=1.5, euros=0.45),
            "1.500 kWh, 0.45 € (engine restarted)",
        ),
        (
            update("req-a", RequestStatus.DENIED, "CP-001\nis\x1b[2J busy"),
            "CP-001\\nis\\x1b[2J busy",
        ),
    ],
)
def test_the_text_of_a_line(told_update: DriverUpdate, text: str) -> None:
    """Proves: amounts with their units, the reason, and nothing that could forge a line."""
    assert text_of(told_update) == text


def test_a_line() -> None:
    """Proves: the five columns that other programs read, `-` while no CP is chosen."""
    told_update = update("req-a", RequestStatus.FAILED, NO_COORDINATOR, cp_id=None)
    line = line_of(told_update, WALL)
    assert line == "2026-01-31T12:00:00.000000Z | FAILED | req-a | - | no coordinator"
