"""Many charging points at one moment, and newcomers beside a session that runs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.network import checker
from tests.network.network import Network
from tests.network.scenes import SESSION_S, scene
from tests.network.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

COUNT = 20
CP_IDS = [f"CP-{number:03d}" for number in range(1, COUNT + 1)]
# Forty programs begin on few cores; what is promised is counted from when they are ready.
UP_S_MAX = 90.0
BACK_S_MAX = 10.0


def test_twenty_charging_points_register_at_once_and_each_takes_one_driver(tmp_path: Path) -> None:
    """Proves: twenty monitors that come in one moment are all registered, at Central's start and
    after its SIGKILL; twenty drivers who want any get one each, and one more is denied."""
    with Network(tmp_path) as network:
        network.broker.start()
        flags = ("--session-seconds", "12")
        points = [network.charging_point(each, engine_flags=flags).start() for each in CP_IDS]
        for point in points:
            point.engine.wait_for_line("Ready", UP_S_MAX)
        central = network.central()
        central.start()
        network.wait_healthy(UP_S_MAX)
        network.wait_available(*CP_IDS, within_s=UP_S_MAX)
        with ThreadPoolExecutor(COUNT) as pool:
            drivers = [f"driver-{number}" for number in range(COUNT)]
            asked = list(pool.map(lambda driver: network.request_charge(driver, None), drivers))
        one_more = network.request_charge("driver-late", None)
        assert network.wait_request(one_more, "DENIED")["reason"]
        central.restart()
        network.wait_healthy()
        states = wait_until(
            lambda: {network.cp(each).get("state") for each in CP_IDS} == {"ON"}, BACK_S_MAX
        )
        assert states
        rows = [network.wait_request(each, "COMPLETED", within_s=40.0) for each in asked]
        assert sorted(row["cp_id"] for row in rows) == CP_IDS
        checker.check(network)


def test_newcomers_are_served_beside_a_session_that_runs(tmp_path: Path) -> None:
    """Proves: a charging point and a driver that are added in mid-session are there at once, and
    neither the session nor anybody's process notices."""
    with scene(tmp_path, engine_flags=("--session-seconds", "12"), at="in mid-session") as here:
        with here.only():
            flags = ("--session-seconds", str(SESSION_S))
            here.network.charging_point("CP-002", engine_flags=flags).start()
            here.network.wait_available("CP-002")
            carol = here.network.driver("driver-carol", "CP-002").start()
            carol.wait_for_line("| COMPLETED |", 20.0)
            here.wait_final("COMPLETED")
        assert here.network.faults() == []
        assert len(checker.check(here.network).sessions) == 2
