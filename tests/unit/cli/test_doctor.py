"""`evd doctor`, and the verbs that mend what it finds."""

from http.client import HTTPMessage

import pytest

import evd.cli
from evd.adapters.http.client import HttpAnswer
from evd.adapters.http.metrics import Metrics
from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus, Program
from evd.cli import doctor
from evd.cli.doctor import suspect_sessions
from evd.cli.errors import ToolFailed
from evd.cli.finding import Finding
from evd.config import CentralConfig
from evd.daemons.central.metrics import CentralMetrics, Gauged
from tests.unit.cli.scene import Answers, Supervised, answering, central_at


@pytest.mark.parametrize(("count", "findings"), [("0.0", 0), ("2.0", 1)])
def test_the_doctor_names_sessions_that_cannot_be_read(
    count: str, findings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: an engine that put sessions aside works, and is named with their number."""
    flags = ("--cp-id", "CP-001", "--metrics-port", "9201")
    engine = Program("evd-engine", "CP-001", flags)
    status = [ProcessStatus(engine.name, ProcessState.RUNNING, 1, 60.0, "")]
    body = f"# HELP evd_sessions_unreadable x\nevd_sessions_unreadable {count}\n".encode()
    monkeypatch.setattr(doctor, "fetch", lambda *_: HttpAnswer(200, HTTPMessage(), body))
    found = [*doctor.counted(Supervised(), [engine], status)]
    assert len(found) == findings
    assert all("evd-engine:CP-001 has 2 sessions" in each.what for each in found)


def test_suspect_sessions_are_named_and_judged(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: doctor names each session that waits for the operator, and the two verbs that end
    that; each verb is one call, and an id outside its form is refused before it."""
    row = {"session_id": "session-1", "cp_id": "CP-001", "reason": "suspect: x", "suspect": True}
    answers = Answers([(200, {"sessions": [row, {**row, "suspect": False}]}, {})])
    with answering(answers) as central:
        supervisor = Supervised(defined=[central_at(central)])
        (finding,) = suspect_sessions(supervisor)
        assert finding == Finding(
            "session-1 at CP-001 has no bill: suspect: x.",
            "Bill it as recorded: evd session accept session-1;"
            " or at 0: evd session void session-1",
        )
        for verb, said in (("accept", "is billed as recorded"), ("void", "costs nothing")):
            options = evd.cli.parse(["session", verb, "session-1"])
            assert options.run(supervisor, options) == 0
            assert answers.asked[-1] == ("POST", f"/sessions/session-1/{verb}", None)
            assert capsys.readouterr().out == f"Session session-1 {said}\n"
        options = evd.cli.parse(["session", "void", "a b"])
        with pytest.raises(ToolFailed, match="SESSION must be"):
            options.run(supervisor, options)


def test_a_suspect_session_is_named_behind_many_newer_ones() -> None:
    """Proves: no number of newer sessions hides one that waits for the operator."""
    row = {"session_id": "session-2", "cp_id": "CP-001", "reason": "suspect: x", "suspect": False}
    newest, older = [row] * doctor.SESSIONS_MAX, [{**row, "suspect": True}]
    answers = Answers([(200, {"sessions": page}, {}) for page in (newest, older)])
    with answering(answers) as central:
        found = [*suspect_sessions(Supervised(defined=[central_at(central)]))]
    assert len(found) == 1
    assert answers.asked[-1][1] == "/sessions?limit=1000&before=session-2"


async def test_the_doctor_reads_what_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: bad messages of the last minutes are a finding that names the programs which read
    them, and so are monitors that find no place; without either there is none."""
    found = {"letters": 0, "connections": 1}
    metrics = CentralMetrics(Metrics())
    metrics.watch(lambda: found["connections"], 2)
    metrics.watch_dead_letters(lambda: found["letters"])
    text = await metrics.render(Gauged([]))
    programs = [
        Program("evd-central", None, ()),
        Program("evd-driver", "al", ("--driver-id", "al")),
    ]
    status = [ProcessStatus(each.name, ProcessState.RUNNING, 1, 60.0, "") for each in programs]

    def fetch(_: object, config: object, __: str) -> HttpAnswer | None:
        return HttpAnswer(200, HTTPMessage(), text) if isinstance(config, CentralConfig) else None

    monkeypatch.setattr(doctor, "fetch", fetch)
    assert list(doctor.counted(Supervised(), programs, status)) == []
    found |= {"letters": 7, "connections": 2}
    text = await metrics.render(Gauged([]))
    full, letters = (each.what for each in doctor.counted(Supervised(), programs, status))
    assert full == "evd-central turns monitors away: all of its 2 places are taken."
    assert letters == (
        "7 bad messages came in within 10 minutes, to evd-central:"
        " they are put aside on evd.dead-letters."
    )
