"""The real programs together: a request becomes a session, a bill, and a row; and each part stops
cleanly in the middle of one."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from evd.core.wire import framing
from tests.network.network import Network
from tests.network.processes import free_port
from tests.network.waiting import wait_until

SHORT = ("--session-seconds", "2")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network that several tests look at, none of which breaks it."""
    with Network(tmp_path_factory.mktemp("network")) as network:
        yield network.up("CP-001", "CP-002", engine_flags=SHORT)


def test_a_request_becomes_a_session_and_a_bill(shared: Network) -> None:
    """Proves: ACCEPTED, IN_PROGRESS with kW and euros, COMPLETED with totals, DENIED with the
    reason, each request with one final line, and one settled row for each session."""
    driver = shared.driver("driver-alice", "# one", "CP-001", "", "any", "CP-404")
    driver.argv += ["--request-interval", "0.2"]
    driver.start()
    driver.wait_for_line("CP-404 is known", 20.0)
    lines = [line.split(" | ") for line in driver.printed().splitlines()]
    finals = [line for line in lines if line[1] in ("COMPLETED", "DENIED", "FAILED")]
    assert [line[1] for line in finals] == ["COMPLETED", "COMPLETED", "DENIED"]
    assert len({line[2] for line in finals}) == 3
    assert any(line[1] == "IN_PROGRESS" and "kW" in line[4] for line in lines)
    rows = shared.rows(
        "SELECT status, total_kwh, total_cost, estimated, billable FROM charging_sessions"
        " WHERE driver_id = 'driver-alice'"
    )
    assert len(rows) == 2
    for status, kwh, cost, estimated, billable in rows:
        assert (status, bool(estimated), bool(billable)) == ("COMPLETED", False, True)
        # 22 kW for 2 s, by the engine's own clock.
        assert kwh == pytest.approx(22 * 2 / 3600, abs=0.003)
        assert cost == pytest.approx(kwh * 0.30, abs=0.006)
    assert driver.stop() == 0


def test_http_tells_the_same_as_the_database(shared: Network) -> None:
    """Proves: a request by HTTP is 202, ends COMPLETED, and stands in /sessions and /cp."""
    request_id = shared.request_charge("driver-web", "CP-002")
    row = shared.wait_request(request_id, "COMPLETED")
    (session,) = shared.sessions(driver_id="driver-web")
    assert (session["session_id"], session["cp_id"]) == (row["session_id"], "CP-002")
    assert session["total_cost"] is not None
    assert shared.cp("CP-002")["state"] == "ON"
    assert shared.metric('evd_sessions_total{status="COMPLETED"}') > 0


def test_a_session_s_course_and_story(shared: Network) -> None:
    """Proves: a running session has its course so far, which is kept once it has ended; begin and
    end, a stop by the operator and the refusal that it caused stand in its charging point's
    story."""
    request_id = shared.request_charge("driver-course", "CP-002")
    session_id = shared.wait_request(request_id, "IN_PROGRESS")["session_id"]
    so_far = wait_until(lambda: shared.get(f"/sessions/{session_id}")["curve"], 5.0, "a reading")
    shared.wait_request(request_id, "COMPLETED")
    ended = shared.get(f"/sessions/{session_id}")
    assert ended["curve"][: len(so_far) - 1] == so_far[:-1]
    assert [kw for _, kw, _ in ended["curve"]] == [22.0] * len(ended["curve"])
    assert 0 < ended["curve"][-1][2] <= ended["total_kwh"]

    assert shared.http.post("/cp/CP-002/stop").status_code == 202
    refused = shared.request_charge("driver-course", "CP-002")
    shared.wait_request(refused, "DENIED")
    assert shared.http.post("/cp/CP-002/resume").status_code == 202
    story = shared.get("/timeline", cp_id="CP-002")["timeline"]
    assert [entry["kind"] for entry in story[:5]] == [
        "RESUMED",
        "REFUSED",
        "STOPPED",
        "SESSION_ENDED",
        "SESSION_STARTED",
    ]
    assert "stopped by the operator" in story[1]["text"]
    (states,) = shared.get("/states", cp_id="CP-002")["states"]
    assert [span["state"] for span in states["spans"]] == [None, "ON"]
    assert shared.cp("CP-002")["state_since"] <= states["spans"][1]["since"]
    assert 22.0 in [point["kw"] for point in shared.get("/power", cp_id="CP-002")["power"]]


def test_bad_frames_are_refused_one_by_one_and_ten_end_the_connection(shared: Network) -> None:
    """Proves: NACK with `seq` null for each bad frame, the end after ten, and no harm to others."""
    with closing(socket.create_connection(("127.0.0.1", shared.control_port), 5)) as client:
        client.sendall(b"\x02{}\x03\xff" * 10)
        deframer, answers = framing.Deframer(), []
        while chunk := client.recv(65536):
            answers += [orjson.loads(each) for each in deframer.feed(chunk) if each]  # type: ignore[arg-type]
    assert [(each["type"], each["seq"]) for each in answers] == [("NACK", None)] * 10
    with closing(socket.create_connection(("127.0.0.1", shared.control_port), 5)) as client:
        client.sendall(framing.encode(b'{"type":"HEARTBEAT","cp_id":"CP-001","seq":4}'))
        (answer,) = framing.Deframer().feed(client.recv(65536))
    assert isinstance(answer, bytes)
    assert orjson.loads(answer)["seq"] == 4
    assert shared.cp("CP-001")["state"] == "ON"


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["evd-central", "--http-port", "none"], "--http-port"),
        (["evd-engine"], "--cp-id"),
        (["evd-engine", "--cp-id", "a b"], "--cp-id"),
        (["evd-engine", "--cp-id", "CP-1", "--kw-rate", "nan"], "--kw-rate"),
        (["evd-monitor", "--cp-id", "CP-1", "--health-interval", "0"], "--health-interval"),
        (["evd-driver", "--driver-id", "d", "--requests-file", "/nowhere"], "--requests-file"),
        (["evd-broker", "--listen-port", "70000"], "--listen-port"),
    ],
)
def test_a_bad_flag_is_one_line_and_exit_code_2(tmp_path: Path, argv: list[str], name: str) -> None:
    """Proves: a bad flag ends with code 2 and exactly one line that names it."""
    with Network(tmp_path) as network:
        program = network.program("bad", *argv).start()
        assert program.wait() == 2
        (line,) = program.logged().splitlines()
        assert name in line


def test_a_port_in_use_is_one_line_and_exit_code_2(shared: Network) -> None:
    """Proves: a second Central, engine, driver or broker on the same port says which flag, and
    ends."""
    port = str(shared.http_port)
    state = str(shared.folder / "second")
    listens = ("--listen-port", str(free_port()), "--feed-port", str(free_port()))
    others = ("--listen-port", str(free_port()), "--http-port", str(free_port()))
    for name, argv, flag in (
        ("c2", ["evd-central", "--http-port", port, *listens], "--http-port"),
        ("c3", ["evd-central", "--feed-port", port, *others], "--feed-port"),
        ("b2", ["evd-broker", "--listen-port", port], "--listen-port"),
        ("e2", ["evd-engine", "--cp-id", "CP-9", "--health-port", port], "--health-port"),
        ("d2", ["evd-driver", "--driver-id", "d", "--http-port", port], "--http-port"),
        ("d3", ["evd-driver", "--driver-id", "d", "--metrics-port", port], "--metrics-port"),
    ):
        more = [] if name == "b2" else ["--state-dir", state]
        program = shared.program(name, *argv, *more).start()
        assert program.wait() == 2
        (line,) = program.logged().splitlines()
        assert flag in line


def test_each_part_stops_cleanly_in_the_middle_of_a_session(tmp_path: Path) -> None:
    """Proves: SIGTERM is exit code 0 within 5 s for each part; the engine's session ends FAILED
    `engine stopped`, saved and sent; the monitor says goodbye; nothing is lost."""
    with Network(tmp_path) as network:
        network.up("CP-001", "CP-002", engine_flags=("--session-seconds", "60"))
        first = network.request_charge("driver-a", "CP-001")
        second = network.request_charge("driver-b", "CP-002")
        for request_id in (first, second):
            network.wait_request(request_id, "IN_PROGRESS")
        assert network.points["CP-001"].engine.stop() == 0
        row = network.wait_request(first, "FAILED")
        assert row["reason"] == "engine stopped"
        assert network.points["CP-002"].monitor.stop() == 0
        network.wait_state("CP-002", "DISCONNECTED", 0.5)
        assert network.request(second)["status"] == "IN_PROGRESS"
        assert network.central().stop() == 0
        assert network.points["CP-002"].engine.stop() == 0
        network.central().start()
        network.wait_healthy()
        network.points["CP-002"].engine.start()
        network.points["CP-002"].monitor.start()
        row = network.wait_request(second, "FAILED")
        assert row["reason"] == "engine stopped"
        (session,) = network.sessions(driver_id="driver-b")
        assert session["total_kwh"] > 0
        assert not session["estimated"]


def test_a_network_that_is_stopped_and_started_has_no_fault(tmp_path: Path) -> None:
    """Proves: a part that ends because it is told to is down, and is not counted as a fault."""
    with Network(tmp_path) as network:
        network.up("CP-001")
        point = network.points["CP-001"]
        parts = (point.monitor, point.engine, network.central())
        assert [part.stop() for part in parts] == [0, 0, 0]
        for part in reversed(parts):
            part.start()
        network.wait_available("CP-001")
        # A state is shown from memory, maybe before the commit that stores its event is done.
        wait_until(lambda: len(network.faults("CP-001")) >= 2, 5.0)
        events = [fault["event_type"] for fault in network.faults("CP-001")]
        assert events == ["RECONNECTED", "DISCONNECTED"]


def test_a_broker_that_comes_back_empty_loses_no_session(tmp_path: Path) -> None:
    """Proves: a session whose broker died with all its data ends in one row and one final status,
    and no other process was restarted."""
    with Network(tmp_path) as network:
        network.up("CP-001", engine_flags=("--session-seconds", "4"))
        driver = network.driver("driver-alice", "CP-001").start()
        driver.wait_for_line("IN_PROGRESS", 15.0)
        with network.only(network.broker):
            network.broker.restart()
            driver.wait_for_line("| COMPLETED |", 15.0)
            (session,) = network.sessions()
            assert session["status"] == "COMPLETED"
        network.wait_available("CP-001", within_s=10.0)
