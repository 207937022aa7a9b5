"""The operator's tool changing a network: what is added, removed, asked for or put back, and what
is said and undone where that does not come to its end."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import evd.cli
from evd.adapters.http.central_client import Central
from evd.adapters.supervisor.protocol import ProcessState, Program, SupervisorFailed
from evd.cli.central import restore
from evd.cli.cp import add_charging_points, not_on, remove_charging_point
from evd.cli.doctor import _central, charging_points, wrong_flags
from evd.cli.driver import add_drivers, remove_driver
from evd.cli.errors import ToolFailed
from evd.cli.finding import Finding
from evd.cli.programs import wait_until_none
from tests.network.processes import free_port
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, central_at, port_of

CP = "CP-007"
NAMES = ("evd-monitor:CP-007", "evd-engine:CP-007")
ENGINE = Program("evd-engine", CP, ("--cp-id", CP, "--health-port", "18001"))
MONITOR = Program("evd-monitor", CP, ("--cp-id", CP))

ON: Answer = (200, {"cp_id": CP, "stopped": False}, {})
# Its monitor is away too: that is then the reason which Central gives.
STOPPED: Answer = (
    200,
    {"cp_id": CP, "stopped": True, "unavailable_reason": "its monitor is not connected"},
    {},
)
ACCEPTED: Answer = (202, {"cp_id": CP}, {})
SESSION: Answer = (200, {"sessions": [{"session_id": "session-1"}]}, {})
NONE: Answer = (200, {"sessions": []}, {})
GONE: Answer = (204, {}, {})


def supervised(central: Central, **more: Any) -> Supervised:
    """A running network of Central and one charging point that was added."""
    found = Supervised([central_at(central)], is_up=True, **more)
    found.add(f"cp-{CP}", [ENGINE, MONITOR])
    found.sync()
    return found


def interrupt(_: float) -> None:
    """Somebody presses Ctrl-C while the tool waits."""
    raise KeyboardInterrupt


def asked(answers: Answers) -> list[str]:
    """The calls of Central that change something."""
    return [f"{method} {path}" for method, path, _ in answers.asked if method != "GET"]


def test_ctrl_c_while_a_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: an interrupted removal puts the charging point back into service, stops nothing, and
    says that nothing was removed."""
    monkeypatch.setattr("evd.cli.cp.time.sleep", interrupt)
    answers = Answers([ON, ON, ACCEPTED, SESSION, ACCEPTED])
    with answering(answers) as central:
        supervisor = supervised(central)
        with pytest.raises(ToolFailed, match="Interrupted: CP-007 was not removed") as caught:
            remove_charging_point(supervisor, CP, False, print)
    assert caught.value.exit_code == 130
    assert asked(answers) == ["POST /cp/CP-007/stop", "POST /cp/CP-007/resume"]
    assert supervisor.done == [("start", *sorted(NAMES))]
    assert supervisor.has(f"cp-{CP}")


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SupervisorFailed("still not stopped")])
def test_what_was_stopped_already_runs_again(failure: BaseException) -> None:
    """Proves: a removal that ends after its first stop starts again what it stopped."""
    answers = Answers([ON, ON, ACCEPTED, NONE, ACCEPTED])
    with answering(answers) as central:
        supervisor = supervised(central, stop_fails=failure)
        with pytest.raises((ToolFailed, SupervisorFailed)):
            remove_charging_point(supervisor, CP, False, print)
    assert asked(answers)[-1] == "POST /cp/CP-007/resume"
    assert supervisor.done == [("stop", NAMES[0]), ("start", *sorted(NAMES))]
    assert set(supervisor.states.values()) == {ProcessState.RUNNING}


def test_one_that_was_stopped_stays_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: what the operator had stopped before a removal that failed is still stopped."""
    monkeypatch.setattr("evd.cli.cp.SESSION_END_S", 0.0)
    answers = Answers([STOPPED, STOPPED, ACCEPTED, SESSION])
    with answering(answers) as central, pytest.raises(ToolFailed, match="Session session-1"):
        remove_charging_point(supervised(central), CP, False, print)
    assert asked(answers) == ["POST /cp/CP-007/stop"]


def test_a_central_that_can_not_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: where Central went away in the middle, the stop that it may remember is said."""
    said: list[str] = []
    with answering(Answers([ON, ON, ACCEPTED, SESSION])) as central:
        supervisor = supervised(central)
        monkeypatch.setattr("evd.cli.cp.time.sleep", interrupt)
        # Nobody listens at this port.
        monkeypatch.setattr(
            Central, "resume_cp", lambda _, cp_id: Central("http://127.0.0.1:1").stop_cp(cp_id)
        )
        with pytest.raises(ToolFailed, match="was not removed"):
            remove_charging_point(supervisor, CP, False, said.append)
    assert [line.partition(":")[0] for line in said] == ["CP-007 may stay out of service"]


def test_a_removal_to_its_end() -> None:
    """Proves: a charging point whose records are confirmed is stopped, monitor first, forgotten and
    undefined, also where its engine is not defined."""
    for programs in ([ENGINE, MONITOR], [MONITOR]):
        answers = Answers([ON, ON, ACCEPTED, NONE, GONE])
        with answering(answers) as central:
            supervisor = Supervised([central_at(central)], is_up=True)
            supervisor.add(f"cp-{CP}", programs)
            supervisor.sync()
            remove_charging_point(supervisor, CP, False, print)
        stops = [("stop", name) for name in NAMES[: len(programs)]]
        assert supervisor.done == [*stops, ("remove", f"cp-{CP}")]
        assert asked(answers) == ["POST /cp/CP-007/stop", "DELETE /cp/CP-007"]
        assert supervisor.states.keys() == {"evd-central"}


def test_the_hint_for_a_list_that_nobody_sees() -> None:
    """Proves: a forced removal while nothing runs claims nothing about a list that nobody sees."""
    said: list[str] = []
    supervisor = Supervised([Program("evd-central", None, ("--http-port", "1"))])
    supervisor.add(f"cp-{CP}", [ENGINE, MONITOR])
    remove_charging_point(supervisor, CP, True, said.append)
    assert said == [
        "Central at http://127.0.0.1:1 can't be reached: Connection refused. If CP-007 is on its"
        " list when it is back: evd cp remove CP-007"
    ]


def test_a_driver_and_a_charging_point_of_one_name() -> None:
    """Proves: the ids of drivers and of charging points are told apart."""
    supervisor = Supervised()
    add_charging_points(supervisor, [CP], None, None)
    add_drivers(supervisor, [CP], None, None)
    for again in (
        lambda: add_charging_points(supervisor, [CP], None, None),
        lambda: add_drivers(supervisor, [CP], None, None),
    ):
        with pytest.raises(ToolFailed, match="CP-007 is there already"):
            again()
    remove_driver(supervisor, CP)
    assert supervisor.units.keys() == {f"cp-{CP}"}


def test_a_chosen_port_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: the dashboard's port is neither one that a program was given while nothing runs, nor
    is it given to the same driver's metrics."""
    monkeypatch.setattr("evd.cli.ports.is_free", lambda *_: True)
    supervisor = Supervised([Program("evd-central", None, ())])
    with pytest.raises(ToolFailed, match="Port 8000 is given to evd-central"):
        add_drivers(supervisor, ["hal"], None, 8000)
    assert add_drivers(supervisor, ["hal"], None, 9201) == {"hal": 9201}
    [driver] = supervisor.units["driver-hal"]
    assert driver.arguments[-2:] == ("--metrics-port", "9202")


def test_requests_that_no_driver_could_read_again(tmp_path: Path) -> None:
    """Proves: a pipe, a folder and a file that is not there are refused at once, by the flag that
    the operator used."""
    os.mkfifo(tmp_path / "pipe")
    for name, why in (
        ("pipe", "is not a file"),
        (".", "is not a file"),
        ("none", "No such file or directory"),
    ):
        with pytest.raises(ToolFailed, match=why) as caught:
            add_drivers(Supervised(), ["hal"], tmp_path / name, None)
        assert str(caught.value).startswith(f"--requests: '{tmp_path / name}'")
        assert caught.value.exit_code == 2


@attrs.define
class Tool:
    """The tool, on a network that needs no process."""

    supervisor: Supervised
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[object, str, str]:
        """Its exit code, output and errors."""
        with pytest.raises(SystemExit) as caught:
            evd.cli.main([*arguments])
        printed = self.capsys.readouterr()
        return caught.value.code, printed.out, printed.err


@pytest.fixture
def tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tool:
    """On a running network whose Central is away."""
    away = Program("evd-central", None, ("--http-port", "1"))
    found = Tool(Supervised([away], is_up=True, var=tmp_path), capsys)
    monkeypatch.setattr("evd.cli.Supervisord", lambda _: found.supervisor)
    monkeypatch.setattr("evd.cli.programs.READY_S", 0.3)
    # The handlers that the tool sets are its own.
    monkeypatch.setattr("evd.cli.listen", lambda: None)
    return found


def test_adding_while_central_is_away(tool: Tool) -> None:
    """Proves: a Central that may come back is waited for, and a script is told what was added."""
    code, out, errors = tool.run("cp", "add", "7", "--json")
    assert code == 1
    assert json.loads(out) == {"added": [CP], "running": True, "on": False}
    assert errors.startswith("evd: Added CP-007. After 0.3 s: Central at http://127.0.0.1:1 can't")


def test_a_central_that_comes_back_in_time() -> None:
    """Proves: charging points are waited for through a Central that refuses for a moment."""
    point: Answer = (200, {"charging_points": [{"cp_id": CP, "state": "ON"}]}, {})
    with answering(Answers([(503, {"error": "it starts"}, {}), point])) as central:
        supervisor = Supervised([central_at(central)])
        wait_until_none(lambda: not_on(supervisor, [CP]), 5.0, "why")


@pytest.mark.parametrize(
    ("health", "missing"),
    [
        ((200, {"status": "healthy"}, {}), []),
        ((503, {"error": "no"}, {}), ["CP-007 is not registered with Central"]),
        (None, ["the monitor of CP-007 does not answer"]),
    ],
)
def test_a_host_that_may_not_ask_central(health: Answer | None, missing: list[str]) -> None:
    """Proves: where Central runs elsewhere and its HTTP is not open to this host, a charging
    point's monitor says whether Central has it."""
    with answering(Answers([health or (200, {}, {})])) as monitor:
        port = str(port_of(monitor) if health else free_port())
        flags = ("--cp-id", CP, "--metrics-port", port)
        away = f"http://127.0.0.1:{free_port()}"
        supervisor = Supervised([Program("evd-monitor", CP, flags)], elsewhere=away)
        assert not_on(supervisor) == missing


def test_a_host_without_charging_points_asks_nobody() -> None:
    """Proves: on a host of Kafka alone nothing of Central's is missed."""
    assert not_on(Supervised([Program("kafka", None, ())])) == []


def test_adding_a_driver_waits_for_its_process(tool: Tool) -> None:
    """Proves: a driver counts as added once its process runs; one that does not is named."""
    code, out, errors = tool.run("driver", "add", "carol")
    assert (code, errors) == (0, "")
    assert out.startswith("Added carol, its dashboard: http://127.0.0.1:")
    tool.supervisor.first_state = ProcessState.FAILING
    code, out, errors = tool.run("driver", "add", "hal", "--json")
    assert code == 1
    assert json.loads(out)["on"] is False
    assert errors == (
        "evd: Added hal. After 0.3 s: evd-driver:hal is FAILING. `evd doctor` may say why.\n"
    )


def test_a_file_that_can_not_be_used(tool: Tool) -> None:
    """Proves: whatever a file or a folder refuses is one sentence that names it."""
    lock = tool.supervisor.var / "run" / "change.lock"
    lock.mkdir(parents=True)
    for verb in (("cp", "remove", "7"), ("driver", "remove", "x"), ("up",)):
        assert tool.run(*verb) == (1, "", f"evd: {lock}: is no regular file.\n")


def test_no_longer_waiting_for_a_request(tmp_path: Path) -> None:
    """Proves: SIGTERM ends the tool as Ctrl-C does, and it says that the request goes on."""
    row = {"status": "ACCEPTED", "cp_id": CP, "reason": ""}
    with answering(Answers([(202, {"request_id": "req-1"}, {}), (200, row, {})])) as central:
        conf = tmp_path / "etc" / "supervisord.conf"
        conf.parent.mkdir()
        conf.write_text(
            "[supervisord]\n[program:evd-central]\n"
            f"command = evd-central --http-port {port_of(central)}\n"
        )
        evd_tool = Path(sys.executable).with_name("evd")
        with subprocess.Popen(
            [evd_tool, "--config", conf, "request", "zed", "any"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert "ACCEPTED" in process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == (
        "evd: No longer waiting: request req-1 goes on, and what it charges is billed.\n"
    )


def test_the_doctor_knows_what_was_stopped() -> None:
    """Proves: a charging point that somebody stopped is a finding, with the way to resume it."""
    view = STOPPED[1] | {"state": "ON", "breaker": "CLOSED"}
    with answering(Answers([(200, {"charging_points": [view]}, {})])) as central:
        found = [*charging_points(Supervised([central_at(central)]), [])]
    assert found == [
        Finding("CP-007 was stopped by the operator.", "If it is to charge: evd cp resume CP-007")
    ]


def test_the_doctor_names_rows_that_cannot_be_read() -> None:
    """Proves: a row that Central can't read is a finding that names it."""
    health = {"status": "healthy", "unreadable": ["session session-1", "request req-2"]}
    with answering(Answers([(200, health, {})])) as central:
        [found] = _central(Supervised([central_at(central)]), [])
    assert found.what == (
        "Central's database has rows that can't be read: session session-1, request req-2."
    )


def test_the_doctor_names_a_free_charging_point_that_takes_no_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Proves: one that is ON and free, and not available though no operator wants that, is a
    finding with its reason, unless it was so for a moment only."""
    monkeypatch.setattr("evd.cli.doctor.IDLE_S", 0.01)
    well = {"state": "ON", "breaker": "CLOSED", "stopped": False, "current_session": None}
    why = "its engine is FAULT: its meter fails"
    idle = well | {"available": False, "unavailable_reason": why}
    views = [idle | {"cp_id": "CP-001"}, idle | {"cp_id": "CP-002"}]
    later = [views[0], well | {"cp_id": "CP-002", "available": True, "unavailable_reason": ""}]
    bodies = [{"charging_points": each} for each in (views, later)]
    with answering(Answers([(200, body, {}) for body in bodies])) as central:
        found = [*charging_points(Supervised([central_at(central)]), [])]
    what = f"CP-001 is ON and free, yet takes no driver: {why}."
    assert found == [Finding(what, "See why: evd logs evd-engine:CP-001")]


def test_the_doctor_says_where_a_value_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: for a wrong value in a file the file is named, for one of the shell the shell."""
    engine = attrs.evolve(ENGINE, arguments=("--cp-id", CP, "--kw-rate", "x"))
    found = wrong_flags(engine, Supervised())
    assert found is not None
    assert found.remedy.startswith("Correct /net/evd-engine:CP-007.conf, or a variable in /net/sup")
    monkeypatch.setenv("CP_ENGINE_SESSION_SECONDS", "abc")
    found = wrong_flags(ENGINE, Supervised())
    assert found is not None
    assert "CP_ENGINE_SESSION_SECONDS" in found.what
    assert found.remedy.startswith("Correct or unset that variable in your shell")


def other_tables(path: Path) -> None:
    """An SQLite database of somebody else's."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: path.write_text("no database\n" * 100), "is not an SQLite database"),
        (lambda path: path.write_bytes(b""), "is no backup of Central's database"),
        (other_tables, "is no backup of Central's database"),
    ],
)
def test_what_is_no_backup_stops_nothing(
    write: Callable[[Path], object], why: str, tmp_path: Path
) -> None:
    """Proves: before Central is stopped for a restore, it is known that the file is a backup."""
    copy = tmp_path / "copy.db"
    write(copy)
    supervisor = Supervised([Program("evd-central", None, ())], is_up=True)
    with pytest.raises(ToolFailed, match=why):
        restore(supervisor, copy)
    assert supervisor.done == []
    assert [*tmp_path.iterdir()] == [copy]


@pytest.mark.parametrize("verb", ["cp", "driver"])
def test_a_strange_id_is_asked_about(
    verb: str, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: an id that differs by case alone from one of the network's, or of Central's list, is
    added where the operator says so, at the terminal or by --yes, and by a script never else."""
    tool.supervisor.is_up = False
    assert tool.run(verb, "add", "Pier")[0] == 0
    listed: Answer = (200, {"charging_points": [{"cp_id": "Quay"}]}, {})
    with answering(Answers([listed])) as central:
        tool.supervisor.defined[0] = central_at(central)
        told = "pier differs from Pier by case alone"
        refused = f"evd: {told}: nothing was added. If you mean it, say --yes.\n"
        assert tool.run(verb, "add", "pier") == (2, "", refused)
        if verb == "cp":
            assert tool.run(verb, "add", "QUAY")[0] == 2
        for answer, code in (("n\n", 1), ("", 1), ("y\n", 0)):
            terminal = io.StringIO(answer)
            monkeypatch.setattr(terminal, "isatty", lambda: True)
            monkeypatch.setattr("sys.stdin", terminal)
            got, _, asked_for = tool.run(verb, "add", "pier")
            assert (got, told in asked_for) == (code, True)
        assert tool.run(verb, "add", "PIER", "7.5", "--yes")[0] == 0
    assert tool.supervisor.units.keys() == {f"{verb}-{x}" for x in ("Pier", "pier", "PIER", "7.5")}
