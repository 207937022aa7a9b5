"""Sessions and faults as the tool lists them: filters, pages, times, CSV, and the end of one."""

import json
import socket
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import evd.cli
from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.cli.errors import ToolFailed
from evd.cli.listing import clock, moment, newest
from evd.cli.session import course
from tests.unit.cli.scene import Answer, Supervised, central_at, run_verb

START = "2026-01-31T12:00:00.123456Z"


def a_session(number: int, **fields: Any) -> dict[str, Any]:
    """A session as Central shows it."""
    shown = {
        "session_id": f"session-{number:032x}",
        "request_id": f"req-{number}",
        "cp_id": "CP-001",
        "driver_id": "driver-alice",
        "start_time": START,
        "end_time": None,
        "total_kwh": 1.5,
        "total_cost": None,
        "status": "ACTIVE",
        "reason": "",
        "estimated": False,
        "billable": True,
        "stray": False,
        "suspect": False,
    }
    return shown | fields


def test_a_time_is_one_or_an_age() -> None:
    """Proves: a span is chosen by times with their offset or by how long ago; anything else is an
    error that shows both forms."""
    assert moment("2026-01-31T12:00:00+01:00") == "2026-01-31T12:00:00+01:00"
    for text, age in (("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800)):
        found = datetime.fromisoformat(moment(text))
        assert abs(datetime.now(UTC) - found - timedelta(seconds=age)) < timedelta(seconds=5)
    for text in ("2026-01-31T12:00:00", "yesterday", "2w", "", "-1h", "9999999d"):
        with pytest.raises(ArgumentTypeError, match=r"2026-01-31T12:00:00Z, or an age such as 2h"):
            moment(text)


def test_pages_are_followed() -> None:
    """Proves: more than one page holds is asked for page by page, each behind the last row of the
    one before, and never more than was wanted; the newest row stands last."""
    rows = [{"id": str(number)} for number in range(2500)]
    asked = []

    def ask(limit: int, before: str | None, cp_id: str) -> list[dict[str, Any]]:
        asked.append((limit, before, cp_id))
        start = 0 if before is None else int(before) + 1
        return rows[start : start + limit]

    found = newest(ask, "id", 2200, {"cp_id": "CP-001"})
    assert found == rows[2199::-1]
    assert asked == [(1000, None, "CP-001"), (1000, "999", "CP-001"), (200, "1999", "CP-001")]
    assert len(newest(ask, "id", 9000, {"cp_id": "CP-001"})) == 2500
    assert newest(lambda **_: [], "id", 10, {}) == []


def test_the_list_of_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: `evd sessions` and `evd session list` ask with each filter and show one line a
    session with its whole id, its amounts and its local time, the newest last."""
    ended = a_session(1, status="COMPLETED", total_cost=0.6, end_time="2026-01-31T12:30:00Z")
    answers: list[Answer] = [(200, {"sessions": [a_session(2), ended]}, {})]
    filters = ("--cp", "1", "--driver", "driver-alice", "--status", "ACTIVE", "--limit", "5")
    for verb in (["sessions"], ["session", "list"]):
        code, asked = run_verb(answers, *verb, *filters, "--since", START)
        assert code == 0
        assert asked == [
            "GET /sessions?cp_id=CP-001&driver_id=driver-alice&status=ACTIVE"
            "&since=2026-01-31T12%3A00%3A00.123456Z&limit=5"
        ]
        heads, first, last = capsys.readouterr().out.splitlines()
        names = "BEGUN ENDED CP DRIVER kWh euros STATUS SESSION"
        assert heads.split() == names.split()
        local = clock({"start_time": START}, "start_time")
        assert first.startswith(local)
        assert first.split()[-4:] == ["1.500", "0.60", "COMPLETED", f"session-{1:032x}"]
        assert last.split()[2:] == [
            *("-", "CP-001", "driver-alice", "1.500", "-", "ACTIVE", f"session-{2:032x}")
        ]
    run_verb(answers, "sessions", "--json")
    listed = json.loads(capsys.readouterr().out)["sessions"]
    assert [each["session_id"][-1] for each in listed] == ["1", "2"]
    run_verb([(200, {"sessions": []}, {})], "sessions")
    assert capsys.readouterr().out == "There are no sessions.\n"
    with pytest.raises(ToolFailed, match="--driver must be") as caught:
        run_verb(answers, "sessions", "--driver", "a b")
    assert caught.value.exit_code == 2


def test_the_story_of_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: `evd timeline` shows why a request for any charging point was refused, which is in no
    charging point's story; pages go on behind an entry's id."""
    entries = [
        {"id": "2d-req", "kind": "REFUSED", "cp_id": None, "ts": START, "text": "none is free"},
        {
            "id": "1c-5",
            "kind": "SHUTDOWN",
            "cp_id": "CP-001",
            "ts": START,
            "text": "by the\noperator",
        },
    ]
    answers: list[Answer] = [(200, {"timeline": entries}, {})]
    code, asked = run_verb(answers, "timeline", "--limit", "2")
    assert (code, asked) == (0, ["GET /timeline?limit=2"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(" CP-001 SHUTDOWN     by the\\noperator")
    assert second.endswith(" -      REFUSED      none is free")
    run_verb(answers, "timeline", "--json", "--limit", "2")
    assert json.loads(capsys.readouterr().out)["timeline"] == entries[::-1]
    run_verb([(200, {"timeline": []}, {})], "timeline", "--cp", "7")
    assert capsys.readouterr().out == "There are no events.\n"


def test_the_list_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: faults are one line each, the newest last, on lines that no reason can forge."""
    answers: list[Answer] = [
        (
            200,
            {
                "faults": [
                    {
                        "id": "7",
                        "cp_id": "CP-10",
                        "event_type": "FAULT",
                        "reason": "x\x1b[2J\ny",
                        "timestamp": START,
                    },
                    {
                        "id": "6",
                        "cp_id": "CP-001",
                        "event_type": "RECONNECTED",
                        "reason": "",
                        "timestamp": START,
                    },
                ]
            },
            {},
        )
    ]
    code, asked = run_verb(answers, "faults", "--until", START, "--limit", "2")
    assert (code, asked) == (0, ["GET /faults?until=2026-01-31T12%3A00%3A00.123456Z&limit=2"])
    local = clock({"at": START}, "at")
    assert capsys.readouterr().out.splitlines() == [
        f"{local} CP-001 RECONNECTED  ",
        f"{local} CP-10  FAULT        x\\x1b[2J\\ny",
    ]
    run_verb(answers, "faults", "--json")
    assert [each["id"] for each in json.loads(capsys.readouterr().out)["faults"]] == ["6", "7"]
    run_verb([(200, {"faults": []}, {})], "faults")
    assert capsys.readouterr().out == "There are no faults.\n"


def test_one_session_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: a session is told with its bill, its marks, its reason and the course of its power;
    an unknown one is Central's own sentence."""
    curve = [[0, 0.0, 0.0], [5, 11.0, 0.1], [10, 22.0, 0.2]]
    session = a_session(
        1, status="FAILED", total_cost=0.6, reason="a\nb", estimated=True, suspect=True, curve=curve
    )
    code, asked = run_verb([(200, session, {})], "session", "show", "session-1")
    assert (code, asked) == (0, ["GET /sessions/session-1"])
    shown = capsys.readouterr().out.splitlines()
    assert "status    FAILED, estimated, suspect" in shown
    assert "bill      1.500 kWh, 0.60 euros" in shown
    assert "reason    a\\nb" in shown
    assert shown[-1] == "power     ▁▅█ up to 22.0 kW"
    run_verb([(200, session, {})], "session", "show", "session-1", "--json")
    assert json.loads(capsys.readouterr().out) == session
    with pytest.raises(CentralRefused, match="not known"):
        run_verb([(404, {"error": "session-2 is not known"}, {})], "session", "show", "session-2")
    assert course([0.0, 0.0]) == "▁▁"


def test_a_session_is_stopped_when_it_has_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Proves: a stop is awaited until the session has its bill, over a moment without a database;
    one that has ended is refused in a sentence; --no-wait only asks."""
    taken: Answer = (202, {"session_id": "session-1"}, {})
    down: Answer = (503, {"error": "the database fails"}, {})
    ended = a_session(1, session_id="session-1", status="COMPLETED", total_cost=0.45)
    answers = [taken, (200, a_session(1), {}), down, (200, ended, {})]
    code, asked = run_verb(answers, "session", "stop", "session-1")
    assert (code, asked[0]) == (0, "POST /sessions/session-1/stop")
    assert capsys.readouterr().out == "session-1 ended: 1.500 kWh, 0.45 euros\n"
    code, asked = run_verb([taken], "session", "stop", "session-1", "--no-wait")
    assert (code, len(asked)) == (0, 1)
    with pytest.raises(CentralRefused, match="has ended"):
        run_verb([(409, {"error": "session-1 has ended"}, {})], "session", "stop", "session-1")


@contextmanager
def answering_raw(*parts: bytes) -> Iterator[Central]:
    """A server that answers one request with these bytes and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                for part in parts:
                    connection.sendall(part)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield Central(f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            thread.join()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_csv_comes_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Proves: the CSV of all sessions goes to standard output byte for byte, however long it is,
    with the filters and without a limit."""
    line = b'"session-1","=1+1",\xc3\xa9\r\n'
    answers: list[Answer] = [(200, line * 700_000, {})]
    code, asked = run_verb(answers, "sessions", "--csv", "--cp", "7")
    assert (code, asked) == (0, ["GET /sessions?cp_id=CP-007&format=csv"])
    assert capfdbinary.readouterr().out == line * 700_000


def test_csv_that_breaks_off_is_no_success(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Proves: a list that ends before its last chunk is an error and never a shorter list; a
    refusal is Central's own sentence."""
    with answering_raw(CHUNKED, b"5\r\nhello\r\n") as central:
        options = evd.cli.parse(["sessions", "--csv"])
        with pytest.raises(CentralAway, match="breaks off"):
            options.run(Supervised([central_at(central)]), options)
    with answering_raw(CHUNKED, b"5\r\nhello\r\n0\r\n\r\n") as central:
        assert b"".join(central.sessions_csv()) == b"hello"
    with pytest.raises(CentralRefused, match="format must be csv"):
        run_verb([(400, {"error": "format must be csv"}, {})], "sessions", "--csv")


@pytest.mark.parametrize(
    "verb", ["cp stop 1", "session list", "session stop s-1", "sessions --csv", "faults"]
)
def test_a_central_that_is_away(verb: str) -> None:
    """Proves: without Central a verb is one sentence that says so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        central = Central(f"http://127.0.0.1:{server.getsockname()[1]}")
    options = evd.cli.parse(verb.split())
    with pytest.raises(CentralAway, match="can't be reached: Connection refused"):
        options.run(Supervised([central_at(central)]), options)
