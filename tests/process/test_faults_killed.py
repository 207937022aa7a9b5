"""Each part killed with SIGKILL, alone and together, at each of the moments that hurt."""

from itertools import combinations
from pathlib import Path

import pytest

from tests.network.checker import check
from tests.network.scenes import CP_ID, IDLE_S, MOMENTS, scene

pytestmark = [pytest.mark.slow, pytest.mark.faults]

PARTS = ("engine", "monitor", "driver", "central", "broker")
COMPANIES = [*((part,) for part in PARTS), ("monitor", "driver", "central")]


def may_end(parts: tuple[str, ...], moment: str) -> set[str]:
    """The final statuses that a driver may be told of the session that was hit."""
    if "engine" in parts and moment not in ("idle", "before the confirmation"):
        # Its engine went on to a new boot: what it had begun is over.
        return {"FAILED"}
    if moment == "at a START" and {"central", "broker"} & set(parts):
        # The START may have died with them, and is good for 5 s only.
        return {"COMPLETED", "FAILED"}
    return {"COMPLETED"}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("parts", COMPANIES, ids="+".join)
def test_a_killed_part_costs_no_session_and_no_bill(
    tmp_path: Path, parts: tuple[str, ...], moment: str
) -> None:
    """Proves: killed at this moment and started again, the session has one row with its engine's
    reading and one bill, the driver one final status, the charging point charges again, and
    nobody else was restarted."""
    idle = moment == "idle"
    requests = (CP_ID, CP_ID) if idle else (CP_ID,)
    with scene(tmp_path, *requests, driver_flags=("--request-interval", str(IDLE_S))) as here:
        here.reach(moment)
        with here.only(*parts):
            here.strike(parts, moment)
            finals = here.wait_finals(len(requests))
            facts = check(here.network) if idle else here.finish()
        assert finals[0].status in may_end(parts, moment)
        assert {final.status for final in finals[1:]} <= {"COMPLETED"}
        assert not [row for row in facts.sessions if row["estimated"]]


@pytest.mark.parametrize("parts", list(combinations(PARTS, 2)), ids="+".join)
def test_two_parts_killed_together_in_mid_session_cost_nothing_more(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    """Proves: any two at once are no worse than each alone."""
    with scene(tmp_path, at="in mid-session") as here:
        with here.only(*parts):
            here.strike(parts, "in mid-session")
            (final,) = here.wait_finals(1)
            facts = here.finish()
        assert final.status in may_end(parts, "in mid-session")
        assert not [row for row in facts.sessions if row["estimated"]]
