"""The operator's verbs on a whole network: orders, sessions, faults, dead letters."""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evd.cli.programs import central_of
from evd.core.central.ledger import session_id_for
from evd.core.wire.messages import DEAD_LETTERS
from tests.network.supervised import Network, network_in
from tests.network.tap import new_producer
from tests.network.terminal import on_terminal
from tests.network.waiting import wait_until

BOUND_S = 30.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One charging point that is up."""
    with network_in(tmp_path_factory.mktemp("net")) as found:
        found.keep("broker", "central", "cp-CP-001")
        up = found.evd("up")
        assert up.returncode == 0, up.stderr
        yield found


def wait_for(what: str, condition: Callable[[], object]) -> None:
    """Until it holds."""
    wait_until(condition, BOUND_S, what)


def point(network: Network) -> dict[str, Any]:
    """The charging point as Central shows it."""
    return central_of(network.supervisord).charging_point("CP-001") or {}


def test_a_charging_point_is_stopped_and_resumed(network: Network) -> None:
    """Proves: `evd cp stop` ends the session and its bill is told; what `evd cp stop` and `resume`
    say is what Central shows then; the session and its bill are in the list and in the CSV; an
    unknown charging point is one sentence and code 1."""
    with subprocess.Popen(
        network.command("request", "yan", "CP-001"), stdout=subprocess.PIPE, text=True
    ) as request:
        wait_for("it supplies", lambda: point(network).get("telemetry"))
        stop = network.evd("cp", "stop", "1")
        told, _ = request.communicate(timeout=BOUND_S)
    assert (stop.returncode, stop.stderr) == (0, "")
    assert stop.stdout.startswith("CP-001 is stopped; session-")
    assert stop.stdout.strip().partition(": ")[2] == told.splitlines()[-1]
    assert point(network)["engine_state"] == "STOPPED"
    resume = network.evd("cp", "resume", "1")
    assert (resume.returncode, resume.stdout) == (0, "CP-001 is in service\n")
    assert point(network)["available"]
    (session,) = json.loads(network.evd("session", "list", "--cp", "1", "--json").stdout)[
        "sessions"
    ]
    assert session["driver_id"] == "yan"
    assert session["session_id"] in stop.stdout
    assert session["session_id"] in network.evd("sessions").stdout
    unknown = network.evd("cp", "stop", "9")
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (
        1,
        "",
        "evd: Central refuses: no charging point CP-009 is known.\n",
    )


@pytest.mark.slow
def test_a_session_is_shown_and_stopped(network: Network) -> None:
    """Proves: `evd session show` gives a running session with the course of its power; `evd session
    stop` tells the bill that its driver gets; the CSV has it; a second stop is a refusal."""
    with subprocess.Popen(
        network.command("request", "zoe", "CP-001"), stdout=subprocess.PIPE, text=True
    ) as request:
        wait_for("it supplies", lambda: point(network).get("telemetry"))
        session_id = point(network)["current_session"]
        shown = network.evd("session", "show", session_id).stdout.splitlines()
        assert "status    ACTIVE" in shown
        stop = network.evd("session", "stop", session_id)
        told, _ = request.communicate(timeout=BOUND_S)
    assert (stop.returncode, stop.stderr) == (0, "")
    assert stop.stdout == f"{session_id} ended: {told.splitlines()[-1]}\n"
    ended = network.evd("session", "show", session_id).stdout.splitlines()
    assert "reason    stopped by the operator" in ended
    assert ended[-1].endswith("up to 22.0 kW")
    heads, row = network.evd("sessions", "--csv", "--driver", "zoe").stdout.splitlines()
    assert heads.startswith("session_id,")
    assert row.startswith(f"{session_id},")
    again = network.evd("session", "stop", session_id)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"evd: Central refuses: session_id {session_id} has ended.\n"


@pytest.mark.slow
def test_an_engine_is_shut_down(network: Network) -> None:
    """Proves: an engine that was shut down has ended when the tool says so, the fault is listed,
    and `evd up` starts it again as the tool says."""
    done = network.evd("cp", "shutdown", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "CP-001 has no engine any more; evd up starts it again\n"
    assert "evd-engine:CP-001 is stopped" in network.evd("status").stdout
    assert "CP-001 FAULT" in network.evd("faults", "--cp", "1").stdout
    assert network.evd("up").returncode == 0
    wait_for("it is back", lambda: point(network)["state"] == "ON")
    assert network.evd("faults").stdout.splitlines()[-1].split()[2:4] == ["CP-001", "RECOVERY"]


@pytest.mark.slow
def test_a_dead_letter_goes_its_way_after_all(network: Network) -> None:
    """Proves: a record that was put aside is listed with its reason and shown with its bytes, on
    lines that it can't forge; it reaches Central by one command, and is there once after two."""
    begun, now = (
        (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat().replace("+00:00", "Z")
        for age_s in (60, 0)
    )
    record = {
        "session_id": session_id_for("req-late"),
        "request_id": "req-late",
        "cp_id": "CP-001",
        "driver_id": "yan",
        "boot_id": "boot-1",
        "started_at": begun,
        "ended_at": now,
        "kwh": 0.1,
        "euros": 0.03,
        "outcome": "FAILED",
        "reason": "x\x7f",
        "fault": False,
        "bill": True,
        "ts": now,
        "message_id": "m-late",
    }
    value = json.dumps(record, ensure_ascii=False).encode()
    headers = {"topic": b"cp.sessions", "partition": b"0", "offset": b"7", "error": b"a\nb is bad"}
    producer = new_producer(f"127.0.0.1:{network.ports[9092]}")
    producer.produce(DEAD_LETTERS, value, "CP-001", headers=list(headers.items()))
    assert producer.flush(BOUND_S) == 0
    (line,) = network.evd("dead-letters", "list").stdout.splitlines()
    letter = line.split()[0]
    assert line.endswith(f"cp.sessions 0/7, {len(value)} B: a\\nb is bad (m-late)")
    shown = network.evd("dead-letters", "show", letter).stdout
    assert shown.splitlines()[-1] == value.decode().replace("\x7f", "\\x7f")
    assert run_raw(network, "dead-letters", "show", letter, "--raw") == value
    sent = network.evd("dead-letters", "replay", letter)
    assert (sent.returncode, sent.stderr) == (0, "")
    assert sent.stdout.startswith("Sent 1 again to cp.sessions;")
    wait_for("it is stored", lambda: str(record["session_id"]) in network.evd("sessions").stdout)
    again = network.evd("dead-letters", "replay", "--topic", "cp.sessions")
    assert again.stdout == "1 had been sent again before: left\n"
    (listed,) = json.loads(network.evd("dead-letters", "list", "--json").stdout)["dead_letters"]
    assert (listed["letter"], listed["replayed"]) == (letter, True)
    none = network.evd("dead-letters", "show", "0:999")
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr == "evd: There is no dead letter 0:999: evd dead-letters list\n"


def test_the_window_and_the_feed_of_a_network(network: Network) -> None:
    """Proves: `evd feed` gives what Central shows; `evd watch` shows a charging point whose monitor
    is stopped as DISCONNECTED, with its event, and ON again, without a key."""
    wait_for("it is free", lambda: point(network).get("available"))
    snapshot = json.loads(network.evd("feed", "--once").stdout)
    assert [each["cp_id"] for each in snapshot["charging_points"]] == ["CP-001"]
    with on_terminal(network.command("watch")) as terminal:
        terminal.until(is_shown("ON"))
        network.ctl("stop", "evd-monitor:CP-001")
        terminal.until(is_shown("DISCONNECTED"))
        terminal.until_shown("CP-001: the monitor was stopped")
        network.ctl("start", "evd-monitor:CP-001")
        terminal.until(is_shown("ON"))
        terminal.press("q")
        assert terminal.end() == 0


def is_shown(state: str) -> Callable[[list[str]], bool]:
    """Whether the window's row of the charging point has this state."""
    return lambda lines: any(line.split()[:2] == ["CP-001", state] for line in lines)


def run_raw(network: Network, *arguments: str) -> bytes:
    """The output of the tool, byte for byte."""
    return subprocess.run(network.command(*arguments), stdout=subprocess.PIPE, check=True).stdout
