"""The one client of Central's HTTP, against a server that answers as a test says."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.http.client import ANSWER_BYTES_MAX, url_of
from tests.unit.cli.scene import Answer, Answers, answering


def ask(answer: Answer, call: Callable[[Central], Any]) -> Any:
    """The outcome of `call` where Central answers so: a value or an error."""
    with answering(Answers([answer])) as central:
        try:
            return call(central)
        except (CentralAway, CentralRefused) as error:
            return error


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        (Central.health, ("GET", "/health", None)),
        (lambda central: central.charging_point("CP-1"), ("GET", "/cp/CP-1", None)),
        (lambda central: central.stop_cp("CP-1"), ("POST", "/cp/CP-1/stop", None)),
        (lambda central: central.resume_cp("CP-1"), ("POST", "/cp/CP-1/resume", None)),
        (lambda central: central.shut_cp_down("CP-1"), ("POST", "/cp/CP-1/shutdown", None)),
        (lambda central: central.session("s-1"), ("GET", "/sessions/s-1", None)),
        (lambda central: central.stop_session("s-1"), ("POST", "/sessions/s-1/stop", None)),
        (lambda central: central.faults(before=None), ("GET", "/faults", None)),
        (lambda central: central.forget_cp("a/b"), ("DELETE", "/cp/a/b", None)),
        (lambda central: central.request("req-1"), ("GET", "/requests/req-1", None)),
        (lambda central: central.judge("s-1", "void"), ("POST", "/sessions/s-1/void", None)),
        (Central.accept_recovery, ("POST", "/recovery/accept", None)),
        (Central.hand_over, ("POST", "/central/handover", None)),
        (
            lambda central: central.sessions(cp_id="CP-1", limit=1, before=None),
            ("GET", "/sessions?cp_id=CP-1&limit=1", None),
        ),
        (
            lambda central: central.charge({"driver_id": "d"}),
            ("POST", "/request/charge", {"driver_id": "d"}),
        ),
    ],
)
def test_each_call_is_one_request(call: Callable[[Central], Any], asked: Any) -> None:
    """Proves: a call asks the path that Central has for it, with its filters and its body."""
    answers = Answers([(200, {"sessions": [], "faults": [], "request_id": "req-1"}, {})])
    with answering(answers) as central:
        call(central)
    assert answers.asked == [asked]


def test_sessions_come_as_a_table_in_parts() -> None:
    """Proves: a table of any length is read in parts; a refusal is told as such, and what is cut
    off is no table."""
    answers = Answers([(200, b"session_id\r\n" + b"x" * (2 * ANSWER_BYTES_MAX), {})])
    with answering(answers) as central:
        parts = list(central.sessions_csv(cp_id="CP-1", limit=None))
    assert b"".join(parts)[:13] == b"session_id\r\nx"
    assert len(parts) > 1
    assert sum(map(len, parts)) == 12 + 2 * ANSWER_BYTES_MAX
    assert answers.asked == [("GET", "/sessions?cp_id=CP-1&format=csv", None)]
    refused = ask((404, {"error": "no"}, {}), lambda central: list(central.sessions_csv()))
    assert isinstance(refused, CentralRefused)
    for cut_off in (b"1\r\nx\r\n", b"2\r\nx"):
        answer = (200, cut_off, {"Transfer-Encoding": "chunked"})
        cut = ask(answer, lambda central: list(central.sessions_csv()))
        assert isinstance(cut, CentralAway)


def test_what_central_refuses_is_told_with_all_that_it_says() -> None:
    """Proves: a refusal has its status, its sentence, its field, and when to ask again."""
    body = {"error": "its monitor is connected", "field": "cp_id"}
    refused = ask((409, body, {}), lambda central: central.forget_cp("CP-1"))
    assert isinstance(refused, CentralRefused)
    assert (refused.status, str(refused)) == (409, "its monitor is connected")
    assert (refused.field, refused.retry_s) == ("cp_id", None)
    refused = ask((503, {"error": "not now"}, {"retry-after": "2"}), Central.health)
    assert (refused.status, refused.field, refused.retry_s) == (503, None, 2.0)


def test_a_stranger_is_told_that_central_can_t_serve() -> None:
    """Proves: a health that says nothing but that it is bad is Central's word, and no absence."""
    refused = ask((503, {"status": "unhealthy"}, {}), Central.health)
    assert isinstance(refused, CentralRefused)
    assert (refused.status, refused.code) == (503, None)
    assert "can't serve" in str(refused)


def test_a_charging_point_that_nobody_knows_is_none() -> None:
    """Proves: that Central does not know a charging point is an answer, and no refusal."""
    unknown: Answer = (404, {"error": "unknown", "field": "cp_id"}, {})
    assert ask(unknown, lambda central: central.charging_point("CP-1")) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>another server</html>"),
        (200, b"[]"),
        (404, b"not found"),
        (500, b'{"error": 5}'),
        (302, b""),
        (200, b" " * (ANSWER_BYTES_MAX + 1)),
    ],
    ids=["page", "list", "text", "number", "elsewhere", "endless"],
)
def test_what_answers_in_central_s_place_is_not_believed(status: int, body: bytes) -> None:
    """Proves: whatever does not answer as Central does is taken for its absence."""
    away = ask((status, body, {}), Central.health)
    assert isinstance(away, CentralAway)
    assert "is not Central" in str(away)


def test_nobody_there_is_told_with_the_address() -> None:
    """Proves: who can't reach Central reads where it was looked for, and why it failed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = url_of("0.0.0.0", server.getsockname()[1])
        with pytest.raises(CentralAway, match=f"{url} does not answer within 0.1 s"):
            Central(url, 0.1).health()
    with pytest.raises(CentralAway, match=f"{url} can't be reached: Connection refused"):
        Central(url).health()
    with pytest.raises(CentralAway, match="can't be reached"):
        Central("http://a..b:8000").health()
    assert url_of("::1", 8000) == "http://[::1]:8000"
