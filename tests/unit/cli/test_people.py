"""`evd user`, `evd token` and `evd audit`: the calls that they make, and what they show."""

import io
import json
from typing import Any

import pytest

import evd.cli
from evd.adapters.http.central_access import CentralAccess
from evd.adapters.http.central_client import CentralRefused
from evd.cli.errors import ToolFailed
from evd.cli.listing import clock
from evd.core.access.roles import Role
from evd.core.access.tokens import new_token
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, central_at, run_verb

PASSWORD = "correct horse"
TOKEN = new_token(Role.VIEWER, bytes(32))
AT = "2026-01-31T12:00:00.123456Z"
MADE: Answer = (201, {}, {})
DONE: Answer = (204, b"", {})


def run(answer: Answer, *words: str) -> tuple[int, list[tuple[str, str, Any]]]:
    """The exit code of a command, and the calls that it made with their bodies."""
    options, answers = evd.cli.parse([*words]), Answers([answer])
    with answering(answers) as central:
        code = int(options.run(Supervised([central_at(central)]), options))
    return code, answers.asked


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Give standard input this text."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_person_is_let_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: the password is the one line on standard input, whatever ends it, and is told to
    nobody else; the role stands behind the name or as a flag."""
    for words, text in (
        (("alice", "admin"), f"{PASSWORD}\n"),
        (("alice", "--role", "admin"), PASSWORD),
        (("alice", "admin", "--role", "admin"), f"{PASSWORD}\r\nmore\n"),
    ):
        typed(monkeypatch, text)
        code, asked = run((201, {"user": "alice", "role": "admin"}, {}), "user", "add", *words)
        body = {"user": "alice", "password": PASSWORD, "role": "admin"}
        assert (code, asked) == (0, [("POST", "/users", body)])
    assert PASSWORD not in capsys.readouterr().out
    typed(monkeypatch, PASSWORD)
    _, asked = run(DONE, "user", "passwd", "alice", "--json")
    assert asked == [("POST", "/users/alice/password", {"password": PASSWORD})]
    assert json.loads(capsys.readouterr().out) == {"user": "alice"}
    assert run(DONE, "user", "role", "alice", "viewer")[1] == [
        ("POST", "/users/alice/role", {"role": "viewer"})
    ]
    assert run(DONE, "user", "remove", "alice")[1] == [("DELETE", "/users/alice", None)]


@pytest.mark.parametrize(
    ("words", "text", "why"),
    [
        (("add", "alice", "admin"), "short\n", r"has 10 to 1024 characters, and this one 5\."),
        (("add", "alice", "admin"), "x" * 1025, r"and this one more\."),
        (("passwd", "alice"), "", r"and this one 0\."),
        (("add", "alice"), PASSWORD, "Say the role: viewer, operator, admin"),
        (("add", "alice", "admin", "--role", "viewer"), PASSWORD, "Say one role"),
        (("add", "a b", "admin"), PASSWORD, "USER must be"),
        (("remove", "../tokens"), "", "USER must be"),
    ],
)
def test_what_is_refused_before_central_is_asked(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], text: str, why: str
) -> None:
    """Proves: a password, a role or a name outside its form is code 2, and nobody is asked."""
    typed(monkeypatch, text)
    with pytest.raises(ToolFailed, match=why) as caught:
        run_verb([MADE], "user", *words)
    assert caught.value.exit_code == 2
    assert not text or text not in str(caught.value)


def test_a_password_of_any_length_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: both bounds are inside, and characters are counted, not bytes."""
    for password in ("x" * 10, "x" * 1024, "ü" * 1024):
        typed(monkeypatch, f"{password}\n")
        _, asked = run(MADE, "user", "add", "alice", "admin")
        assert asked[0][2]["password"] == password


def test_people_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: each person is shown with the role, and a script gets the same."""
    users = [{"user": "alice", "role": "admin"}, {"user": "bob", "role": "viewer"}]
    assert run((200, {"users": users}, {}), "user", "list")[1] == [("GET", "/users", None)]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["USER", "ROLE"], ["alice", "admin"], ["bob", "viewer"]]
    run((200, {"users": users}, {}), "user", "list", "--json")
    assert json.loads(capsys.readouterr().out) == {"users": users}
    run((200, {"users": []}, {}), "user", "list")
    assert "evd user add NAME admin" in capsys.readouterr().out


def test_the_last_admin(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: Central's refusal is the operator's answer."""
    answer: Answer = (409, {"error": "alice is the last admin"}, {})
    with pytest.raises(CentralRefused, match="the last admin"):
        run(answer, "user", "remove", "alice")


def test_a_token_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: a new token alone is on standard output, for a file; its role, driver and days are
    Central's to keep."""
    answer: Answer = (201, {"name": "ci", "token": TOKEN, "expires_at": None}, {})
    _, asked = run(answer, "token", "new", "ci", "viewer")
    assert asked == [("POST", "/tokens", {"name": "ci", "role": "viewer"})]
    assert capsys.readouterr().out == f"{TOKEN}\n"
    words = ("--role", "driver", "--driver-id", "driver-alice", "--days", "0", "--json")
    _, asked = run(answer, "token", "new", "app", *words)
    body = {"name": "app", "role": "driver", "driver_id": "driver-alice", "days": 0}
    assert asked == [("POST", "/tokens", body)]
    assert json.loads(capsys.readouterr().out)["token"] == TOKEN
    for wrong in (("x", "driver"), ("x", "viewer", "--driver-id", "d")):
        with pytest.raises(ToolFailed, match="--driver-id"):
            run(answer, "token", "new", *wrong)


def test_tokens_are_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: the list says what a token is for, until when, and which are good no more."""
    row = {"name": "ci", "role": "viewer", "created_at": AT, "expires_at": AT, "used_at": None}
    rows = [row, {**row, "name": "CP-001", "role": "monitor", "cp_id": "CP-001", "revoked": True}]
    run((200, {"tokens": rows}, {}), "token", "list")
    _, first, second = capsys.readouterr().out.splitlines()
    local = clock(row, "expires_at")
    assert first.split() == ["ci", "viewer", "-", *local.split(), *local.split(), "-"]
    assert second.split() == ["CP-001", "monitor", "CP-001", *local.split(), "revoked", "-"]
    assert run(DONE, "token", "revoke", "ci")[1] == [("DELETE", "/tokens/ci", None)]


def test_the_audit_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: each deed is a line with its time, its caller, its outcome and its address, filtered
    as it is asked for; a name from outside can't write a line of its own."""
    row = {
        "id": "2",
        "ts": AT,
        "who": "alice",
        "role": "operator",
        "address": "10.0.0.7",
        "action": "POST /cp/{cp_id}/stop",
        "object": "CP-001",
        "outcome": "done",
    }
    forged = {**row, "id": "1", "who": "x\ny", "role": None, "address": None, "outcome": "refused"}
    words = ("audit", "--cp", "1", "--since", AT, "--limit", "2")
    _, asked = run((200, {"audit": [row, forged]}, {}), *words)
    path = "/audit?cp_id=CP-001&since=2026-01-31T12%3A00%3A00.123456Z&limit=2"
    assert asked == [("GET", path, None)]
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[2:] == ["x\\ny", "refused", "POST", "/cp/{cp_id}/stop", "CP-001"]
    assert second.startswith(f"{clock(row, 'ts')} alice (operator) done")
    assert second.endswith(" POST /cp/{cp_id}/stop CP-001 from 10.0.0.7")
    run((200, {"audit": [row]}, {}), *words, "--json")
    assert json.loads(capsys.readouterr().out) == {"audit": [row]}


@pytest.mark.parametrize(
    ("health", "auth"),
    [
        ({"status": "healthy", "central_id": "c", "auth": "warn"}, "warn"),
        ({"status": "healthy", "central_id": "c"}, "off"),
    ],
)
def test_what_central_demands(health: dict[str, str], auth: str) -> None:
    """Proves: Central's own word counts; one of the release before demands nothing."""
    with answering(Answers([(200, health, {})])) as central:
        assert CentralAccess(central.url).auth() == auth


def test_a_stranger_is_not_told_what_central_demands() -> None:
    """Proves: a Central that says nothing to a stranger is not taken for an open one."""
    found = Answers([(200, {"status": "healthy"}, {})])
    with answering(found) as central, pytest.raises(CentralRefused):
        CentralAccess(central.url).auth()
