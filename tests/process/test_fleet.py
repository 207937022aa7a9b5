"""`evd fleet` against a real Central and its broker."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.network import Network
from tests.network.processes import Program
from tests.network.waiting import wait_until

CPS = 20
# The time of a fleet besides what it measures: to register, to begin, to end, to be removed.
AROUND_S_MAX = 90.0
# A machine with many tests at once may hold up a heartbeat for some seconds: no fault here.
PATIENT = ("--heartbeat-timeout", "15")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A broker and a Central that knows nobody."""
    with Network(tmp_path) as made:
        made.broker.start()
        made.central(*PATIENT).start()
        made.wait_healthy()
        yield made


def fleet_of(network: Network, seconds: int) -> Program:
    """The tool, which plays twenty charging points of which ten charge, four seconds each."""
    return network.program(
        "fleet",
        "evd",
        *("--central-url", network.url, "fleet"),
        *("--cps", str(CPS), "--seconds", str(seconds), "--json"),
        *("--charging", "0.5", "--requests", "2.5"),
        *("--central-port", str(network.control_port)),
        *("--kafka-bootstrap", network.bootstrap),
    ).start()


def are_all_on(network: Network) -> bool:
    """Whether Central shows the whole fleet ON."""
    return [each["state"] for each in network.shown().values()] == ["ON"] * CPS


def assert_nothing_left(network: Network) -> None:
    """Nothing of the fleet is there but its history, which is whole."""
    assert network.get("/cp") == {"charging_points": [], "active_requests": 0}
    rows = network.sessions()
    assert rows
    for row in rows:
        assert row["status"] == "COMPLETED" and row["total_cost"] is not None
        assert row["billable"] and not (row["estimated"] or row["stray"] or row["suspect"])
    finals = network.rows("SELECT status, count(*) FROM requests GROUP BY status")
    assert dict(finals).keys() <= {"COMPLETED", "DENIED"}


def test_a_fleet_is_carried_and_leaves_nothing_behind(network: Network) -> None:
    """Proves: twenty played charging points are all ON, their sessions are billed like any other,
    the report has the figures, and afterwards Central knows none of them."""
    fleet = fleet_of(network, 5)
    wait_until(lambda: are_all_on(network), AROUND_S_MAX, "all are ON")
    code = fleet.wait(AROUND_S_MAX)
    report = json.loads(fleet.printed())
    assert code == int(not report["kept_up"]), fleet.logged()
    assert report["registered"] == CPS
    assert (report["nacks"], report["lost"]) == ({}, 0)
    central = report["central"]
    assert (central["disconnected"], central["broken"], central["not_on"]) == (0, 0, 0)
    assert central["cores"] > 0 and central["resident_mb"] > 20 and central["list_ms"] > 0
    for figure in ("accepted", "shown", "acked"):
        assert report[figure]["count"] > 0, figure
    assert report["finals"].get("COMPLETED", 0) > 0
    assert_nothing_left(network)


def test_an_interrupted_fleet_leaves_nothing_behind(network: Network) -> None:
    """Proves: Ctrl-C in the middle ends the sessions, removes the charging points, and is told by
    the exit code 130."""
    fleet = fleet_of(network, 600)
    wait_until(lambda: network.sessions(status="ACTIVE"), AROUND_S_MAX, "some charge")
    fleet.process.send_signal(signal.SIGINT)
    assert fleet.wait(AROUND_S_MAX) == 130, fleet.logged()
    assert_nothing_left(network)


def test_a_central_that_wants_tokens_is_told_apart(tmp_path: Path) -> None:
    """Proves: with `--auth required` the fleet is refused before it has registered anybody, by a
    sentence that says what is missing."""
    with Network(tmp_path) as made:
        made.broker.start()
        made.central("--auth", "required").start()
        made.wait_healthy()
        fleet = fleet_of(made, 5)
        assert fleet.wait(AROUND_S_MAX) != 0
        assert "--token-file" in fleet.logged()
