"""A wall clock that is stepped by an hour: it stamps, and decides nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.network import checker
from tests.network.clocks import WallClock
from tests.network.scenes import CP_ID, DRIVER_ID, scene
from tests.network.waiting import BUSY_S_MAX, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

HOUR_S = 3600
SESSION_S = 6
KW = 22.0
KWH = SESSION_S * KW / 3600
PARTS = ("broker", "central", f"engine:{CP_ID}", f"monitor:{CP_ID}", DRIVER_ID)


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S], ids=["back", "forward"])
@pytest.mark.parametrize(
    "stepped",
    [PARTS, ("central",), (f"engine:{CP_ID}",)],
    ids=["everywhere", "at Central", "at the engine"],
)
def test_a_wall_clock_that_is_stepped_by_an_hour_costs_nothing(
    tmp_path: Path, stepped: tuple[str, ...], step_s: int
) -> None:
    """Proves: a clock that jumps in mid-session, on one host or on all, and is another one than
    that of the others from then on, changes no length of a session, no bill, nobody's health and no
    request; after a restart of Central neither."""
    clock = WallClock(tmp_path)
    envs = dict.fromkeys(stepped, clock.env)
    flags = ("--session-seconds", str(SESSION_S))
    driver_flags = ("--request-interval", "1")
    with scene(
        tmp_path,
        CP_ID,
        CP_ID,
        engine_flags=flags,
        driver_flags=driver_flags,
        envs=envs,
        at="in mid-session",
    ) as here:
        before = here.network.faults()
        clock.step(step_s)
        assert here.wait_finals(1, within_s=SESSION_S + 6.0)[0].status == "COMPLETED"
        wait_until(lambda: here.network.cp(CP_ID).get("telemetry"), 10.0)
        here.parts["central"].restart()
        assert here.wait_finals(2, within_s=SESSION_S + 10.0)[1].status == "COMPLETED"
        kinds = [fault["event_type"] for fault in here.network.faults()]
        assert kinds.count("FAULT") == [fault["event_type"] for fault in before].count("FAULT")
        here.charge_again()
        # The stamps of whose clock was stepped, or the test would prove nothing.
        by_central = "central" in stepped
        stamp = "updated_at FROM requests" if by_central else "end_time FROM charging_sessions"
        stamps = [datetime.fromisoformat(row[0]) for row in here.network.rows(f"SELECT {stamp}")]
        off_s = max(abs((datetime.now(UTC) - each).total_seconds()) for each in stamps)
        assert off_s > 0.9 * HOUR_S
        for row in checker.check(here.network).sessions:
            assert row["total_kwh"] == pytest.approx(KWH, abs=BUSY_S_MAX * KW / 3600)
