"""The operator's tool, as far as it needs no process: names, ports, lines, sentences."""

import os
import socket
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import evd.cli
from evd.adapters.http.central_client import CentralRefused
from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus, Program
from evd.cli.broker import _node_at
from evd.cli.command_line import CommandLineWrong
from evd.cli.cp import add_charging_points, remove_charging_point
from evd.cli.doctor import double_uses, hung
from evd.cli.driver import add_drivers
from evd.cli.errors import ToolFailed
from evd.cli.finding import Finding
from evd.cli.follow import LogFollower, Tail, last_lines
from evd.cli.names import cp_ids_from, doubts, new_cp_ids, new_driver_ids
from evd.cli.ports import PortChoice, endpoints, given_twice, holder, is_free, refuse_taken
from evd.cli.programs import program_named
from evd.cli.request import ask, follow
from evd.cli.start_lock import changing
from tests.unit.cli.scene import Answers, Supervised, answering, central_at, port_of


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
    assert new_cp_ids(names, count) == expected


def test_names_twice_or_of_programs() -> None:
    """Proves: what is removed may be named twice; what is added may not be named twice, nor like a
    program or like the wish for any charging point, nor as no program would take it; each is one
    sentence that fits, before anything is written."""
    assert cp_ids_from(["5", "CP-005", "evd-engine"]) == ["CP-005", "evd-engine"]
    for names, count, why in (
        (["evd-engine"], 1, "what begins with 'evd-' is a program"),
        (["any"], 1, "'any' can't be an id: in a request it means any charging point"),
        (["5", "5"], 1, "Each can be added once"),
        (["7", "CP-007"], 1, "Each can be added once"),
        (["depot"], 2, "one id that ends in a number, such as CP-007"),
        (["a b"], 1, "must be 1 to 32"),
        (["../x"], 1, "must be 1 to 32"),
        (["9" * 5000], 1, "must be 1 to 32"),
    ):
        with pytest.raises(ToolFailed, match=why) as caught:
            new_cp_ids(names, count)
        assert caught.value.exit_code == 2
    with pytest.raises(ToolFailed, match="is a program"):
        new_driver_ids(["evd-driver"], 1)
    with pytest.raises(ToolFailed, match="one name that ends in a number, such as driver-7"):
        new_driver_ids(["alice"], 3)
    assert new_driver_ids(["any"], 1) == ["any"]
    assert new_driver_ids(["d-1"], 3) == ["d-1", "d-2", "d-3"]


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
            refuse_taken([program], Supervised())
    assert found is not None
    assert str(caught.value) == (
        f"Port {port} (--health-port of evd-engine:CP-001) is in use by {found.command}"
        f" (process {found.pid}): nothing was started. Stop that, or change --health-port in"
        " /net/evd-engine:CP-001.conf."
    )


def test_a_port_given_twice() -> None:
    """Proves: two programs with one port are found before they fight for it, by the doctor too,
    with the two places of which one has to be changed."""
    other = Program("evd-engine", "CP-002", ("--cp-id", "CP-002", "--health-port=18001"))
    what = (
        "Port 18001 is given to both evd-engine:CP-001 (--health-port)"
        " and evd-engine:CP-002 (--health-port)"
    )
    where = (
        "CP_ENGINE_HEALTH_PORT in /net/supervisord.conf,"
        " or --health-port in /net/evd-engine:CP-002.conf"
    )
    with pytest.raises(ToolFailed) as caught:
        refuse_taken([ENGINE, other], Supervised())
    assert str(caught.value) == f"{what}: change {where}."
    assert [*double_uses([ENGINE, other], Supervised())] == [
        Finding(f"{what}.", f"Change {where}; then: evd reload")
    ]


def test_an_address_that_is_all_addresses_meets_every_other() -> None:
    """Proves: a port on all addresses and the same port on one of them are given twice; on two
    addresses of their own they are not."""
    everywhere, here, there = (
        Program("evd-central", None, ("--http-host", host, "--feed-port", "18765"))
        for host in ("0.0.0.0", "127.0.0.1", "127.0.0.2")
    )
    assert {one.port for one, _ in given_twice([everywhere, here])} == {8000, 9999, 18765}
    assert {one.port for one, _ in given_twice([here, there])} == {9999}


def test_port_choice() -> None:
    """Proves: a port that a stopped program was given, or that anybody holds, is not handed out;
    where the operator chose it, it is refused with who that is. No port is given twice."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = server.getsockname()[1]
        choice = PortChoice([ENGINE])
        free = (port for port in range(held + 1, 65535) if is_free("127.0.0.1", port))
        one, other = next(free), next(free)
        assert choice.take([18001, held, one]) == one
        why = r"given to evd-engine:CP-001 \(--health-port\) already: choose another --http-port"
        with pytest.raises(ToolFailed, match=why):
            choice.claim(18001, "--http-port")
        with pytest.raises(ToolFailed, match=f"Port {held} is in use by .*: choose another"):
            choice.claim(held, "--http-port")
        choice.claim(other, "--http-port")
        with pytest.raises(ToolFailed, match="No port"):
            choice.take([18001, held, one, other])


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


def test_a_log_that_is_no_file(tmp_path: Path) -> None:
    """Proves: a FIFO in the place of a log, or of the lock of two commands, is an error at once."""
    log, lock = tmp_path / "a.log", tmp_path / "run" / "change.lock"
    lock.parent.mkdir()
    for path in (log, lock):
        os.mkfifo(path)
    reads = [lambda: last_lines(log, 3), Tail(log).skip, lambda: list(Tail(log).lines())]
    for read in (*reads, changing(Supervised(var=tmp_path)).__enter__):
        with pytest.raises(OSError, match="is no regular file"):
            read()


def test_the_follower_shows_what_matters(tmp_path: Path) -> None:
    """Proves: of all logs a person sees what drivers are told, what Central says, and trouble, in
    its order, by program and level whatever the words, on lines that nobody else's text can forge
    or colour."""
    out, log, engine_log = (tmp_path / name for name in ("driver.out", "central.log", "e.log"))
    out.write_text(
        "2026-01-31T12:00:02.5Z | COMPLETED | req-1 | CP-001 | 0.061 kWh, 0.02 €\nhalf a line | x\n"
    )
    log.write_text(
        "2026-01-31 12:00:01 | DEBUG | Central | a quiet line\n"
        "2026-01-31 12:00:01 | WARNING | Central | [bold]CP-001 marked as FAULTY\n"
        "2026-01-31 12:00:03 | INFO | Central | CP CP-001 recovered: its engine answers\n"
    )
    engine_log.write_text(
        "2026-01-31 12:00:04 | INFO | CP_E:CP-001 | Central CP-001 registered\n"
        "2026-01-31 12:00:04 | ERROR | CP_E:CP-001 | the disk fails\n"
    )
    text = StringIO()
    follower = LogFollower(Console(file=text, width=200, highlight=False))
    programs = [
        Program("evd-driver", "driver-alice", (), output_log=out),
        Program("evd-central", None, (), log=log),
        Program("evd-engine", "CP-001", (), log=engine_log),
    ]
    follower.follow(programs, from_now=False)
    assert follower.show() == 4
    assert [" ".join(line.split()) for line in text.getvalue().splitlines()] == [
        "12:00:01 Central WARNING [bold]CP-001 marked as FAULTY",
        "12:00:02 driver-alice COMPLETED CP-001 0.061 kWh, 0.02 €",
        "12:00:03 Central INFO CP CP-001 recovered: its engine answers",
        "12:00:04 CP_E:CP-001 ERROR the disk fails",
    ]


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
        ["cp", "stop"],
        ["faults", "--since", "yesterday"],
        ["sessions", "--limit", "0"],
        ["sessions", "--status", "active"],
        ["dead-letters", "show", "first"],
        ["dead-letters", "list", "--topic", "nonsense"],
    ],
)
def test_wrong_command_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: a wrong command line is code 2 and one line that says where the help is."""
    with pytest.raises(CommandLineWrong):
        evd.cli.parse(arguments)
    with pytest.raises(SystemExit) as caught:
        evd.cli.main(arguments)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("evd: ")
    assert "--help" in lines[0]


def test_a_configuration_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: a network that does not exist is named, with what named it, flag or variable; a
    folder in its place is no file."""

    def told(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            evd.cli.main([*arguments, "status"])
        assert caught.value.code == 2
        return capsys.readouterr().err

    named = "name the network's supervisord.conf with"
    assert told("--config", "/nowhere/s.conf") == (
        f"evd: There is no /nowhere/s.conf: {named} --config.\n"
    )
    assert told("--config", str(tmp_path)) == f"evd: {tmp_path} is no file: {named} --config.\n"
    monkeypatch.setenv("EVD_CONFIG", "/nope")
    assert told() == f"evd: There is no /nope: {named} EVD_CONFIG.\n"


def test_a_program_is_found_by_the_end_of_its_name() -> None:
    """Proves: a short name will do where it is clear, and where not, both are named."""

    supervisor = Supervised(
        [
            Program("evd-central", None, ()),
            Program("evd-engine", "CP-001", ()),
            Program("evd-monitor", "CP-001", ()),
            Program("evd-driver", "driver-alice", ()),
        ]
    )
    assert program_named(supervisor, "central").name == "evd-central"
    assert program_named(supervisor, "driver-alice").name == "evd-driver:driver-alice"
    assert program_named(supervisor, "engine:CP-001").name == "evd-engine:CP-001"
    with pytest.raises(ToolFailed, match="evd-engine:CP-001 or evd-monitor:CP-001"):
        program_named(supervisor, "CP-001")
    with pytest.raises(ToolFailed, match="There is no program 'x'"):
        program_named(supervisor, "x")


def test_a_charging_point_that_only_central_knows() -> None:
    """Proves: what was removed while Central was away is taken off its list by the same command,
    and one that nobody knows is a sentence."""
    answers = Answers([(200, {"cp_id": "CP-009"}, {}), (204, {}, {}), (404, {"error": "no"}, {})])
    with answering(answers) as central:
        supervisor = Supervised([central_at(central)])
        remove_charging_point(supervisor, "CP-009", False, print)
        assert answers.asked[-1][:2] == ("DELETE", "/cp/CP-009")
        with pytest.raises(ToolFailed, match="There is no charging point CP-010 here"):
            remove_charging_point(supervisor, "CP-010", False, print)


def test_the_doctor_names_a_cause_once() -> None:
    """Proves: programs that all lack the same are one finding, with their names."""
    with answering(Answers([(503, {"error": "Central was not heard yet"}, {})])) as central:
        programs = [
            Program(
                "evd-driver", name, ("--driver-id", name, "--metrics-port", str(port_of(central)))
            )
            for name in ("alice", "bob")
        ]
        status = [ProcessStatus(each.name, ProcessState.RUNNING, 1, 60.0, "") for each in programs]
        (finding,) = hung(Supervised(), programs, status)
    assert finding.what == (
        "evd-driver:alice, evd-driver:bob can't do their work: Central was not heard yet."
    )


@pytest.mark.parametrize("bootstrap", ["a:9092,b:9092", "0.0.0.0:9092"])
def test_a_kafka_that_is_no_node_of_this_host(bootstrap: str) -> None:
    """Proves: where Central looks for several brokers, or for every address, no node is defined."""
    with pytest.raises(ToolFailed, match=f"looks for Kafka at {bootstrap}, which can't be"):
        _node_at(bootstrap, PortChoice([]))


def test_ports_count_on_from_the_networks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: in a network that was moved, a new charging point's, driver's or Kafka's ports follow
    those that its programs have, each kind its own; --port is the first one's, and is refused where
    somebody has it or where there is none so high."""
    monkeypatch.setattr("evd.cli.ports.is_free", lambda *_: True)
    moved = (
        ("evd-engine", "a", "--cp-id a --health-port 18001 --metrics-port 19201"),
        ("evd-engine", "b", "--cp-id b --health-port 18005 --metrics-port 19202"),
        ("evd-monitor", "a", "--cp-id a --cp-e-port 18001 --metrics-port 19301"),
        ("evd-driver", "x", "--driver-id x --http-port 18006 --metrics-port 19401"),
    )
    programs = [Program(group, name, tuple(flags.split())) for group, name, flags in moved]
    supervisor = Supervised(programs)

    def ports_of(unit: str) -> list[list[int]]:
        return [
            [int(x) for x in each.arguments if x.isdecimal()] for each in supervisor.units[unit]
        ]

    add_charging_points(supervisor, ["c", "d"], None, None)
    assert ports_of("cp-c") == [[18007, 19203], [18007, 19302]]
    assert ports_of("cp-d") == [[18008, 19204], [18008, 19303]]
    assert add_drivers(supervisor, ["y"], None, None) == {"y": 18009}
    assert ports_of("driver-y") == [[18009, 19402]]
    add_charging_points(supervisor, ["e", "f"], None, None, 30000)
    assert ports_of("cp-f") == [[30001, 19206], [30001, 19305]]
    for port, why in ((18001, "is given to evd-engine:a"), (65535, "There is no port 65536")):
        with pytest.raises(ToolFailed, match=why):
            add_charging_points(supervisor, ["g", "h"], None, None, port)
    assert "--controller-port 19093" in " ".join(
        _node_at("127.0.0.1:19092", PortChoice([])).arguments
    )
    # The last port has none after it: the count begins where a new network does.
    last = Program("evd-engine", "z", ("--cp-id", "z", "--health-port", "65535"))
    assert PortChoice([last]).count_on("evd-engine", "--health-port", [8001]) == 8001


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["cp-001"], "cp-001 differs from CP-001 by case alone"),
        (["a", "A"], "a differs from A by case alone"),
        (["7.5"], "7.5 looks like a number and is none"),
        (["1-3"], "1-3 looks like a number and is none"),
        (
            ["0x7", "1E3"],
            "0x7 looks like a number and is none, 1E3 looks like a number and is none",
        ),
        (["7", "CP-001", "1-a", "depot-A9", "10.pier"], ""),
    ],
)
def test_ids_that_may_be_slips_of_the_finger(names: list[str], why: str) -> None:
    """Proves: an id like one that is there, or like a number, is not taken without a word; what an
    operator means by a number, or a name with a number, is."""
    assert ", ".join(doubts(new_cp_ids(names, 1), {"CP-001", "CP-002", None})) == why
