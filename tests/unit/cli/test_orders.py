"""Orders to charging points: what is asked of Central, and what the operator is told of it."""

import json
from typing import Any

import pytest

from evd.cli.errors import ToolFailed
from evd.cli.orders import ORDERS, Outcome, carry_out
from tests.unit.cli.scene import Answer, Answers, answering, run_verb

SESSION = {"session_id": "session-1", "total_kwh": 1.5, "total_cost": 0.45}
TAKEN: Answer = (202, {"cp_id": "CP-007"}, {})


def view(**fields: Any) -> Answer:
    """A charging point as Central shows it."""
    free = {"state": "ON", "engine_state": "ACTIVATED", "stopped": False, "current_session": None}
    return 200, free | {"unavailable_reason": ""} | fields, {}


def outcomes_of(
    name: str, *answers: Answer, wait_s: float = 30.0
) -> tuple[list[Outcome], list[str]]:
    """The outcomes of an order to CP-007, and what Central was asked."""
    found = Answers(list(answers))
    with answering(found) as central:
        outcomes = list(carry_out(central, ORDERS[name], ["CP-007"], wait_s))
    return outcomes, [f"{method} {path}" for method, path, _ in found.asked]


def test_a_stop_is_done_when_the_engine_says_so() -> None:
    """Proves: a charging point counts as stopped when its session is over and its engine reports
    it, not when Central has taken the order; the bill of the session that it ended is told, also
    where that is over before Central can be asked again."""
    outcomes, asked = outcomes_of(
        "stop",
        view(engine_state="SUPPLYING", current_session="session-1"),
        TAKEN,
        view(engine_state="STOPPED", stopped=True, current_session="session-1"),
        view(engine_state="ACTIVATED", stopped=True),
        view(engine_state="STOPPED", stopped=True),
        (200, {"sessions": [SESSION | {"session_id": "session-0"}, SESSION]}, {}),
    )
    told = "CP-007 is stopped; session-1 ended: 1.500 kWh, 0.45 euros"
    assert outcomes == [Outcome("CP-007", True, told)]
    assert asked[:2] == ["GET /cp/CP-007", "POST /cp/CP-007/stop"]
    assert asked[-1] == "GET /sessions?cp_id=CP-007&limit=10"


@pytest.mark.parametrize(
    ("name", "not_yet", "done", "told"),
    [
        ("resume", {"engine_state": "STOPPED"}, {}, "is in service"),
        ("resume", {"stopped": True}, {"engine_state": "SUPPLYING"}, "is in service"),
        ("shutdown", {}, {"state": "BROKEN"}, "has no engine any more; evd up starts it again"),
        # Without its monitor nobody can say that its engine has gone.
        (
            "shutdown",
            {"state": "DISCONNECTED"},
            {"state": "BROKEN"},
            "has no engine any more; evd up starts it again",
        ),
    ],
)
def test_resume_and_shutdown(
    name: str, not_yet: dict[str, Any], done: dict[str, Any], told: str
) -> None:
    """Proves: each order is awaited until the charging point is as it was ordered."""
    outcomes, asked = outcomes_of(name, view(), TAKEN, view(**not_yet), view(**done))
    assert outcomes == [Outcome("CP-007", True, f"CP-007 {told}")]
    look = "GET /cp/CP-007"
    assert asked == [look, f"POST /cp/CP-007/{name}", look, look]


def test_an_order_that_is_not_carried_out() -> None:
    """Proves: what has not happened within the bound is a failure that says how things stand, also
    where Central went away meanwhile; an order that nobody waits for is neither."""
    lost = view(state="DISCONNECTED", stopped=True, unavailable_reason="its monitor is away")
    (outcome,), _ = outcomes_of("stop", lost, TAKEN, lost, wait_s=0.01)
    assert outcome == Outcome(
        "CP-007",
        False,
        "CP-007 gets no new driver, but its engine has not stopped yet; Central goes on telling it."
        " CP-007 is DISCONNECTED: its monitor is away.",
    )
    down: Answer = (503, {"error": "the database fails"}, {})
    (outcome,), _ = outcomes_of("resume", view(), TAKEN, down, wait_s=0.01)
    assert outcome.text.endswith("Central refuses: the database fails.")
    (outcome,), _ = outcomes_of("stop", view(), TAKEN, (404, {"error": "unknown"}, {}))
    assert outcome == Outcome("CP-007", False, "CP-007 was removed meanwhile.")
    (outcome,), asked = outcomes_of("stop", lost, TAKEN, wait_s=0.0)
    assert outcome == Outcome("CP-007", None, "CP-007: Central tells its engine.")
    assert asked == ["GET /cp/CP-007", "POST /cp/CP-007/stop"]


def test_what_the_operator_reads(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: of several charging points each has its line, an unknown one is an error and holds
    none of the others up; the code is 1 then; a script gets all of it as JSON."""
    unknown: Answer = (404, {"error": "no charging point CP-009 is known", "field": "cp_id"}, {})
    answers = [unknown, unknown, view(), TAKEN, view()]
    assert run_verb(answers, "cp", "resume", "9", "7")[0] == 1
    assert capsys.readouterr() == (
        "CP-007 is in service\n",
        "evd: Central refuses: no charging point CP-009 is known.\n",
    )
    assert run_verb([view(), TAKEN, view()], "cp", "resume", "7", "--json")[0] == 0
    assert json.loads(capsys.readouterr().out) == {
        "order": "resume",
        "charging_points": [{"cp_id": "CP-007", "done": True, "text": "CP-007 is in service"}],
    }
    with pytest.raises(ToolFailed, match="can't be an id") as caught:
        run_verb([TAKEN], "cp", "stop", "../x")
    assert caught.value.exit_code == 2
