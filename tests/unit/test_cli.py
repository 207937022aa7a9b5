"""The operator's tool, as far as it needs no process: names, ports, lines, sentences."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

import evd.cli
from evd.adapters.supervisor import ProcessState, ProcessStatus, Program
from evd.cli.central import Central, CentralAway, CentralRefused
from evd.cli.charge import ask, follow
from evd.cli.doctor import hung
from evd.cli.errors import ToolFailed
from evd.cli.flags import CommandLineWrong, parse
from evd.cli.follow import Life, Tail, last_lines
from evd.cli.network import Network, cp_ids_from, driver_ids_from
from evd.cli.ports import PortChoice, endpoints, holder, is_free, refuse_taken
from evd.cli.status import Snapshot, draw

POINT = {
    "cp_id": "CP-001",
    "state": "ON",
    "available": False,
    "unavailable_reason": "a session is assigned to it",
    "engine_state": "SUPPLYING",
    "breaker": "CLOSED",
    "current_driver": "driver-alice",
    "current_session": "session-1",
    "telemetry": {"kw": 22.0, "kwh": 0.0367, "euros": 0.011},
}


@pytest.mark.parametrize(
    ("names", "count", "expected"),
    [
        (["7"], 1, ["CP-007"]),
        (["7"], 3, ["CP-007", "CP-008", "CP-009"]),
        (["99"], 2, ["CP-099", "CP-100"]),
        (["0007"], 1, ["CP-007"]),
        (["depot-A"], 1, ["depot-A"]),
        (["depot-A9"], 2, ["depot-A9", "depot-A10"]),
        (["1", "depot-A"], 1, ["CP-001", "depot-A"]),
    ],
)
def test_names_of_charging_points(names: list[str], count: int, expected: list[str]) -> None:
    """Proves: a number is a charging point's number, anything else its id, and --count counts."""
    assert cp_ids_from(names, count) == expected


@pytest.mark.parametrize(
    ("names", "count"),
    [(["depot-A"], 2), (["a b"], 1), (["../x"], 1), (["7", "CP-007"], 1), (["9" * 5000], 1)],
)
def test_names_that_cannot_be(names: list[str], count: int) -> None:
    """Proves: an id that no program would take is refused before anything is written."""
    with pytest.raises(ToolFailed) as caught:
        cp_ids_from(names, count)
    assert caught.value.exit_code == 2


def test_names_of_drivers() -> None:
    """Proves: a driver's name is taken as it is."""
    assert driver_ids_from(["carol"], 1) == ["carol"]
    assert driver_ids_from(["d-1"], 3) == ["d-1", "d-2", "d-3"]


ENGINE = Program("evd-engine", "CP-001", ("--cp-id", "CP-001"), {"CP_ENGINE_HEALTH_PORT": "18001"})


def test_endpoints_are_what_the_program_will_use() -> None:
    """Proves: a port is known from flag, variable and default, as the program itself reads them."""
    central = Program("evd-central", None, ("--http-host", "0.0.0.0", "--feed-port", "18765"))
    found = {(each.flag, each.host, each.port) for each in endpoints([ENGINE, central])}
    assert found == {
        ("--health-port", "127.0.0.1", 18001),
        ("--listen-port", "127.0.0.1", 9999),
        ("--http-port", "0.0.0.0", 8000),
        ("--feed-port", "0.0.0.0", 18765),
    }


def test_a_taken_port_is_named_with_its_holder() -> None:
    """Proves: before anything is started, one sentence says which port, whose, and who has it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = Program("evd-engine", "CP-001", ("--cp-id", "CP-001", "--health-port", str(port)))
        assert not is_free("127.0.0.1", port)
        found = holder(port)
        with pytest.raises(ToolFailed) as caught:
            refuse_taken([program])
    assert found is not None
    assert str(caught.value) == (
        f"Port {port} (--health-port of evd-engine:CP-001) is in use by {found.command}"
        f" (process {found.pid}): nothing was started."
    )


def test_a_port_given_twice() -> None:
    """Proves: two programs with one port are found before they fight for it."""
    other = Program("evd-engine", "CP-002", ("--cp-id", "CP-002", "--health-port", "18001"))
    with pytest.raises(ToolFailed, match="18001 is given to both evd-engine:CP-001"):
        refuse_taken([ENGINE, other])


def test_port_choice() -> None:
    """Proves: a port that a stopped program was given, or that anybody holds, is not handed out,
    nor any port twice."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = server.getsockname()[1]
        choice = PortChoice([ENGINE])
        free = next(port for port in range(held + 1, 65535) if is_free("127.0.0.1", port))
        assert choice.take([18001, held, free]) == free
        with pytest.raises(ToolFailed, match="No port"):
            choice.take([18001, held, free])


def test_wrong_flags_of_a_program() -> None:
    """Proves: what a program would refuse at its start is said when it is added."""
    with pytest.raises(ToolFailed, match="--kw-rate: must be from") as caught:
        list(endpoints([Program("evd-engine", "CP-001", ("--cp-id", "CP-001", "--kw-rate", "-1"))]))
    assert caught.value.exit_code == 2


def test_tail(tmp_path: Path) -> None:
    """Proves: whole lines come as they are written, also over a rotation of the file."""
    path = tmp_path / "a.log"
    tail = Tail(path)
    assert list(tail.lines()) == []
    with path.open("w") as file:
        file.write("one\ntw")
        file.flush()
        assert list(tail.lines()) == ["one"]
        file.write("o\nthree\n")
    path.rename(tmp_path / "a.log.1")
    path.write_text("four\n")
    assert list(tail.lines()) == ["two", "three", "four"]
    path.write_text("5\n")
    assert list(tail.lines()) == ["5"]


def test_tail_skips_what_was(tmp_path: Path) -> None:
    """Proves: a new start shows nothing of the last one."""
    path = tmp_path / "a.log"
    path.write_text("old\n")
    tail = Tail(path)
    tail.skip()
    assert list(tail.lines()) == []
    with path.open("a") as file:
        file.write("new\n")
    assert list(tail.lines()) == ["new"]


def test_last_lines(tmp_path: Path) -> None:
    """Proves: the end of a log of any size is found, and no log is no error."""
    path = tmp_path / "a.log"
    assert last_lines(path, 3) == []
    path.write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert last_lines(path, 2) == ["line 99998", "line 99999"]


def test_life_shows_what_matters(tmp_path: Path) -> None:
    """Proves: of all logs a person sees what drivers are told, and trouble, in its order, on lines
    that nobody else's text can forge or colour."""
    out, log = tmp_path / "driver.out", tmp_path / "central.log"
    out.write_text(
        "2026-01-31T12:00:02.5Z | COMPLETED | req-1 | CP-001 | 0.061 kWh, 0.02 €\nhalf a line | x\n"
    )
    log.write_text(
        "2026-01-31 12:00:01 | INFO | Central | a quiet line\n"
        "2026-01-31 12:00:01 | WARNING | Central | [bold]CP-001 marked as FAULTY\n"
        "2026-01-31 12:00:03 | INFO | Central | CP CP-001 recovered: its engine answers\n"
    )
    text = StringIO()
    life = Life(Console(file=text, width=200, highlight=False))
    programs = [
        Program("evd-driver", "driver-alice", (), output_log=out),
        Program("evd-central", None, (), log=log),
    ]
    life.follow(programs, from_now=False)
    assert life.show() == 3
    assert [" ".join(line.split()) for line in text.getvalue().splitlines()] == [
        "12:00:01 Central WARNING [bold]CP-001 marked as FAULTY",
        "12:00:02 driver-alice COMPLETED CP-001 0.061 kWh, 0.02 €",
        "12:00:03 Central INFO CP CP-001 recovered: its engine answers",
    ]


def test_status_table() -> None:
    """Proves: the table has what an operator looks for, and says what could not be asked."""
    text = StringIO()
    lame = ProcessStatus("evd-engine:CP-002", ProcessState.FAILING, None, None, "exited")
    snapshot = Snapshot([POINT], 1, [lame], ("Central can't be reached.",))
    Console(file=text, width=200, highlight=False).print(draw(snapshot))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert lines[0] == "CP STATE ENGINE DRIVER kW kWh euros BREAKER NOTE"
    assert lines[1] == "CP-001 ON SUPPLYING driver-alice 22.0 0.037 0.01 CLOSED"
    assert lines[2:] == [
        "1 charging points, 1 active requests",
        "evd-engine:CP-002 is FAILING: exited",
        "Central can't be reached.",
    ]
    assert not snapshot.is_well
    assert snapshot.as_json()["processes"][0]["state"] == "FAILING"


@attrs.define
class Answers:
    """Answers of a Central that is none: one after the other, the last one for ever."""

    answers: list[tuple[int, dict[str, Any], dict[str, str]]]
    asked: list[tuple[str, str, Any]] = attrs.field(factory=list)


@contextmanager
def answering(answers: Answers) -> Iterator[Central]:
    """A server that gives these answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            answers.asked.append((self.command, self.path, body))
            last = len(answers.answers) == 1
            status, fields, headers = answers.answers[0] if last else answers.answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(fields).encode())

        do_POST = do_GET  # noqa: N815
        do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Central("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_request_waits_for_central() -> None:
    """Proves: where Central says that it will take requests in a moment, the tool waits it out."""
    answers = Answers(
        [
            (503, {"error": "monitors are still coming back"}, {"Retry-After": "0"}),
            (202, {"request_id": "req-1"}, {}),
        ]
    )
    with answering(answers) as central:
        assert ask(central, "driver-alice", None) == "req-1"
    assert answers.asked[-1] == ("POST", "/request/charge", {"driver_id": "driver-alice"})


def test_a_request_is_followed_through_a_failing_database() -> None:
    """Proves: a Central that has no database for a moment still has the request: it is awaited."""
    row = {"status": "DENIED", "cp_id": None, "reason": "x"}
    answers = Answers([(503, {"error": "the database fails"}, {}), (200, row, {})])
    with answering(answers) as central:
        assert follow(central, "req-1", None) == row
    gone = Answers([(404, {"error": "request_id req-1 is not known"}, {})])
    with answering(gone) as central, pytest.raises(CentralRefused, match="not known"):
        follow(central, "req-1", None)


def test_central_says_no() -> None:
    """Proves: Central's own sentence reaches the operator."""
    answers = Answers([(409, {"error": "it is connected"}, {})])
    with (
        answering(answers) as central,
        pytest.raises(CentralRefused, match="it is connected") as caught,
    ):
        central.forget_cp("CP-001")
    assert caught.value.status == 409


def test_central_is_away() -> None:
    """Proves: a Central that is not there, or is not Central, is a sentence."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(CentralAway, match="can't be reached"):
            Central("127.0.0.1", unheard.getsockname()[1]).health()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["cp"],
        ["cp", "add"],
        ["cp", "add", "7", "--count", "0"],
        ["cp", "add", "7", "--count", "501"],
        ["cp", "add", "7", "--count", "9" * 5000],
        ["cp", "add", "7", "--kw", "nan"],
        ["cp", "add", "7", "--euro", "-1"],
        ["driver", "add", "carol", "--http-port", "70000"],
        ["status", "--jso"],
    ],
)
def test_wrong_command_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: a wrong command line is code 2 and one line that says where the help is."""
    with pytest.raises(CommandLineWrong):
        parse(arguments)
    with pytest.raises(SystemExit) as caught:
        evd.cli.main(arguments)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("evd: ")
    assert "--help" in lines[0]


def test_a_configuration_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: a network that does not exist is named, with the flag that names another."""
    with pytest.raises(SystemExit) as caught:
        evd.cli.main(["--config", "/nowhere/supervisord.conf", "status"])
    assert caught.value.code == 2
    assert "/nowhere/supervisord.conf" in capsys.readouterr().err


def test_a_program_is_found_by_the_end_of_its_name() -> None:
    """Proves: a short name will do where it is clear, and where not, both are named."""

    @attrs.frozen
    class Known:
        def programs(self) -> list[Program]:
            return [
                Program("evd-central", None, ()),
                Program("evd-engine", "CP-001", ()),
                Program("evd-monitor", "CP-001", ()),
                Program("evd-driver", "driver-alice", ()),
            ]

    network = Network(Known())  # type: ignore[arg-type]
    assert network.program("central").name == "evd-central"
    assert network.program("driver-alice").name == "evd-driver:driver-alice"
    assert network.program("engine:CP-001").name == "evd-engine:CP-001"
    with pytest.raises(ToolFailed, match="evd-engine:CP-001 or evd-monitor:CP-001"):
        network.program("CP-001")
    with pytest.raises(ToolFailed, match="There is no program 'x'"):
        network.program("x")


@attrs.frozen
class Stopped:
    """A supervisor that does not run, of a network without a program."""

    def pid(self) -> None:
        return None

    def programs(self) -> list[Program]:
        return [Program("evd-central", None, ("--http-port", str(self.http_port)))]

    def has(self, _: str) -> bool:
        return False

    http_port: int


def test_a_charging_point_that_only_central_knows() -> None:
    """Proves: what was removed while Central was away is taken off its list by the same command,
    and one that nobody knows is a sentence."""
    answers = Answers([(200, {"cp_id": "CP-009"}, {}), (204, {}, {}), (404, {"error": "no"}, {})])
    with answering(answers) as central:
        network = Network(Stopped(central.port))  # type: ignore[arg-type]
        network.remove_charging_point("CP-009", False, print)
        assert answers.asked[-1][:2] == ("DELETE", "/cp/CP-009")
        with pytest.raises(ToolFailed, match="There is no charging point CP-010 here"):
            network.remove_charging_point("CP-010", False, print)


def test_the_doctor_names_a_cause_once() -> None:
    """Proves: programs that all lack the same are one finding, with their names."""
    with answering(Answers([(503, {"error": "Central was not heard yet"}, {})])) as central:
        programs = [
            Program("evd-driver", name, ("--driver-id", name, "--metrics-port", str(central.port)))
            for name in ("alice", "bob")
        ]
        status = [ProcessStatus(each.name, ProcessState.RUNNING, 1, 60.0, "") for each in programs]
        (finding,) = hung(programs, status)
    assert finding.what == (
        "evd-driver:alice, evd-driver:bob can't do their work: Central was not heard yet."
    )
