"""This release beside the one before it: over the wire, and on the disks that both have used."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from evd.adapters.files.state_dir import FORMAT_FILE
from evd.version import VERSION
from tests.network import checker
from tests.network.network import Network
from tests.network.processes import BIN, Program, free_port
from tests.network.releases import BEFORE, need_history, release_before

CP_IDS = ("CP-001", "CP-002")
SESSION_S = 3
SHORT = ("--session-seconds", str(SESSION_S))
ENDED = ("COMPLETED", "FAILED", "DENIED")
STATEFUL = {
    "engine": ("evd-engine", "--cp-id", "CP-001"),
    "monitor": ("evd-monitor", "--cp-id", "CP-001"),
    "driver": ("evd-driver", "--driver-id", "driver-alice"),
}


@pytest.fixture(scope="module")
def before() -> Path:
    """The folder of the programs of the release before."""
    need_history()
    return release_before()


def release_of(program: Program, folder: Path) -> Program:
    """Let a program be that of the release in `folder`, from its next start on."""
    program.argv[0] = str(folder / Path(program.argv[0]).name)
    return program


def parts_of(network: Network) -> dict[str, list[Program]]:
    """The programs of a network by their kind, in the order of an upgrade."""
    points = network.points.values()
    return {
        "central": [network.programs["central"]],
        "engine": [point.engine for point in points],
        "monitor": [point.monitor for point in points],
        "driver": [network.programs["driver-alice"]],
    }


def build(folder: Path) -> Network:
    """A network with two charging points and a driver who goes on asking; nothing is started."""
    network = Network(folder)
    network.central()
    for cp_id in CP_IDS:
        network.charging_point(cp_id, engine_flags=SHORT)
    flags = ("--requests-repeat", "yes", "--request-interval", "0.2")
    network.driver("driver-alice", "CP-001", flags=flags)
    return network


def start(network: Network) -> None:
    """Start all, and wait until they serve."""
    network.broker.start()
    for programs in parts_of(network).values():
        for program in programs:
            program.start()
    network.wait_available("CP-002")
    network.wait_healthy()


def charge(network: Network, driver_id: str) -> None:
    """A session on the charging point that nobody else asks for: complete, and billed."""
    network.wait_available("CP-002")
    row = network.wait_request(network.request_charge(driver_id, "CP-002"), *ENDED)
    assert row["status"] == "COMPLETED", row
    (session,) = network.sessions(driver_id=driver_id)
    assert session["total_cost"] is not None


def finish(network: Network) -> checker.Facts:
    """Let the driver come to an end, and hold the network to its promises."""
    driver = network.programs["driver-alice"]
    driver.set_flag("--requests-repeat", "no")
    driver.stop()
    # It is told the end of what it had asked for.
    driver.start()
    return checker.check(network)


@pytest.mark.slow
@pytest.mark.parametrize("old", [("central",), ("engine", "monitor", "driver")], ids="+".join)
def test_releases_side_by_side(old: Sequence[str], before: Path, tmp_path: Path) -> None:
    """Proves: programs of this release and of the one before work together: sessions are charged
    and billed once, stopped and resumed, and what was killed comes back."""
    with build(tmp_path) as network:
        parts = parts_of(network)
        for program in (each for kind in old for each in parts[kind]):
            release_of(program, before)
        start(network)
        assert running_release(network) == (BEFORE if "central" in old else VERSION)
        charge(network, "driver-1")
        assert network.http.post("/cp/CP-002/stop").status_code == 202
        network.wait_request(network.request_charge("driver-2", "CP-002"), "DENIED")
        assert network.http.post("/cp/CP-002/resume").status_code == 202
        for kind in ("central", "monitor", "engine"):
            network.programs["driver-alice"].wait_for_line("kWh", 20.0)
            parts[kind][0].restart()
            charge(network, f"driver-after-{kind}")
        finish(network)


@pytest.mark.slow
def test_a_rolling_upgrade_and_the_way_back(before: Path, tmp_path: Path) -> None:
    """Proves: with sessions running, each part is changed to this release, one after the other,
    and back to the one before, on the same disks: no session is lost, none is billed twice."""
    with build(tmp_path) as network:
        parts = parts_of(network)
        for program in (each for programs in parts.values() for each in programs):
            release_of(program, before)
        start(network)
        charge(network, "driver-first")
        for folder, way in ((BIN, "up"), (before, "back")):
            for kind, programs in parts.items():
                for program in programs:
                    assert program.stop() == 0
                    release_of(program, folder).start()
                charge(network, f"driver-{way}-{kind}")
                assert running_release(network) == (BEFORE if folder == before else VERSION)
        facts = finish(network)
    assert len({row["session_id"] for row in facts.sessions}) > len(parts) * 2


def running_release(network: Network) -> str:
    """The release that Central's metrics tell."""
    text = network.http.get("/metrics").text
    (line,) = (each for each in text.splitlines() if each.startswith("evd_build_info{"))
    return line.split('"')[1]


@pytest.mark.parametrize("kind", STATEFUL)
def test_a_newer_release_s_files_end_a_daemon_with_one_sentence(kind: str, tmp_path: Path) -> None:
    """Proves: after a downgrade that went too far a daemon says which release it is and which one
    wrote its files, ends with 2, and leaves them as they are."""
    note = tmp_path / FORMAT_FILE
    note.write_text("99 9.8.7\n")
    port = ("--health-port", str(free_port())) if kind == "engine" else ()
    daemon = Program(kind, (*STATEFUL[kind], *port, "--state-dir", str(tmp_path)), tmp_path)
    refused(daemon)
    assert note.read_text() == "99 9.8.7\n"


def test_a_newer_release_s_tables_end_central_with_one_sentence(tmp_path: Path) -> None:
    """Proves: on a database of a newer release Central says so, and names both releases."""
    path = tmp_path / "central.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for table in ("alembic_version (version_num)", "meta (id)", "charging_sessions (seq)"):
            connection.execute(f"CREATE TABLE {table}")
        connection.execute("CREATE TABLE schema_release (release)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.execute("INSERT INTO schema_release VALUES ('9.8.7')")
    refused(Program("central", ("evd-central", "--state-dir", str(tmp_path)), tmp_path))


def refused(daemon: Program) -> None:
    """Start it; it ends with 2 and one line that names 9.8.7 and this release."""
    try:
        assert daemon.start().wait(10.0) == 2
    finally:
        daemon.end()
    (line,) = daemon.logged().splitlines()
    assert "evd 9.8.7" in line
    assert f"this is evd {VERSION}" in line
