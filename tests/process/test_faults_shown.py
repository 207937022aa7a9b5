"""A fault as an operator sees it: a line in the log, the history, its figures, the metrics."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from evd.core.central.breaker import FAILURES_MAX
from tests.network import checker
from tests.network.scenes import CP_ID, Scene, scene
from tests.network.waiting import BUSY_S_MAX, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def metric(here: Scene, name: str) -> float:
    """The value of one of Central's metrics for the charging point."""
    return here.network.metric(f'{name}{{cp_id="{CP_ID}"}}')


def statistics(here: Scene) -> dict[str, Any]:
    """The charging point's figures."""
    (found,) = here.network.get("/faults/statistics", cp_id=CP_ID, days=1)["statistics"]
    return dict(found)


def test_a_fault_and_its_recovery_are_logged_stored_counted_and_timed(tmp_path: Path) -> None:
    """Proves: an engine that is held down and comes back is one fault and one recovery: a line
    each in Central's log, a row each in the history, one each in figures and metrics; they outlive
    Central."""
    with scene(tmp_path) as here:
        central = here.parts["central"]
        assert metric(here, "evd_faults_total") == 0
        here.point.engine.kill()
        here.network.wait_state(CP_ID, "BROKEN", 3.5 + BUSY_S_MAX)
        central.wait_for_line(f"CP {CP_ID} marked as FAULTY: nothing listens on")
        here.point.engine.start()
        here.network.wait_state(CP_ID, "ON", 10.0)
        central.wait_for_line(f"CP {CP_ID} recovered: ")
        assert [row["event_type"] for row in here.network.faults(CP_ID)] == ["RECOVERY", "FAULT"]
        stored = here.network.rows("SELECT event_type FROM fault_events ORDER BY timestamp")
        assert [kind for (kind,) in stored] == ["FAULT", "RECOVERY"]
        assert metric(here, "evd_faults_total") == metric(here, "evd_recoveries_total") == 1
        figures = statistics(here)
        assert (figures["faults"], figures["recoveries"]) == (1, 1)
        assert 0 < figures["mttr_s"] < 15
        assert 0 < figures["uptime"] < 1
        central.restart()
        here.network.wait_available(CP_ID)
        assert statistics(here)["faults"] == 1
        here.finish()


def test_an_engine_that_is_restarted_at_once_is_a_fault_and_a_recovery_too(tmp_path: Path) -> None:
    """Proves: a supervisor that is quicker than the verdict hides nothing: the new boot shows."""
    with scene(tmp_path) as here:
        here.point.engine.restart()
        wait_until(lambda: len(here.network.faults(CP_ID)) == 2, 10.0)
        assert [row["event_type"] for row in here.network.faults(CP_ID)] == ["RECOVERY", "FAULT"]
        here.finish()


def test_central_is_after_a_crash_what_it_was(tmp_path: Path) -> None:
    """Proves: registry, session, open request, stops by the operator and an open breaker are
    read back from disk by a Central that was killed."""
    with scene(tmp_path, engine_flags=("--session-seconds", "12")) as here:
        for cp_id in ("CP-002", "CP-003"):
            here.network.charging_point(cp_id).start()
        here.network.wait_available("CP-002", "CP-003")
        assert here.network.http.post("/cp/CP-002/stop").status_code == 202
        fail_until_open(here, "CP-003")
        here.reach("in mid-session")
        before = shown(here)
        here.parts["central"].restart()
        here.network.wait_healthy()
        assert wait_until(lambda: shown(here) == before, 10.0, f"as before: {before}")
        here.wait_final("COMPLETED")
        checker.check(here.network)


def shown(here: Scene) -> list[tuple[Any, ...]]:
    """The charging points as they are shown, and the number of open requests."""
    try:
        answer = here.network.get("/cp")
    except httpx.HTTPError:
        return []
    names = ("cp_id", "state", "available", "breaker", "current_driver", "current_session")
    points = [tuple(each[name] for name in names) for each in answer["charging_points"]]
    return [*points, (answer["active_requests"],)]


def fail_until_open(here: Scene, cp_id: str) -> None:
    """Let a charging point's sessions fail by its own fault until its breaker has opened."""
    engine = here.network.points[cp_id].engine
    for number in range(FAILURES_MAX):
        here.network.wait_available(cp_id)
        request_id = here.network.request_charge(f"driver-{number}", cp_id)
        here.network.wait_request(request_id, "IN_PROGRESS")
        engine.restart()
        here.network.wait_request(request_id, "FAILED")
    # From then on only time changes it: all that its monitor had to say of restarts is said.
    wait_until(lambda: len(here.network.faults(cp_id)) == 2 * FAILURES_MAX, 5.0)
    assert here.network.cp(cp_id)["breaker"] in ("OPEN", "HALF_OPEN")
