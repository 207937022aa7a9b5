"""`evd reload`: which programs are restarted, in which order, and when."""

from types import SimpleNamespace

import pytest

import evd.cli
from evd.adapters.supervisor.protocol import Program, Sync
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, central_at

CP = "CP-007"
ENGINE = Program("evd-engine", CP, ("--cp-id", CP, "--health-port", "18001"))
MONITOR = Program("evd-monitor", CP, ("--cp-id", CP, "--cp-e-port", "18001"))
DRIVER = Program("evd-driver", "alice", ("--driver-id", "alice"))
NEWS = Sync(changed=(DRIVER.name, ENGINE.name, MONITOR.name))

BUSY: Answer = (200, {"cp_id": CP, "current_session": "session-1"}, {})
FREE: Answer = (200, {"cp_id": CP, "current_session": None}, {})
ON: Answer = (200, {"charging_points": [{"cp_id": CP, "state": "ON"}]}, {})


def reload(monkeypatch: pytest.MonkeyPatch, supervisor: Supervised, *arguments: str) -> object:
    """The exit code of the verb."""
    monkeypatch.setattr("evd.cli.Supervisord", lambda _: supervisor)
    monkeypatch.setattr("evd.cli.listen", lambda: None)
    with pytest.raises(SystemExit) as caught:
        evd.cli.main(["reload", *arguments])
    return caught.value.code


@pytest.fixture
def network(tmp_path_factory: pytest.TempPathFactory) -> Supervised:
    """A running network whose files have changed, and whose Central is away."""
    var = tmp_path_factory.mktemp("var")
    away = Program("evd-central", None, ("--http-port", "1"))
    return Supervised([away, ENGINE, MONITOR, DRIVER], is_up=True, var=var, drifted=NEWS)


def test_an_engine_that_charges_waits_and_its_monitor_with_it(
    network: Supervised, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: all but a charging engine and its monitor, which would take it for dead, is restarted
    at once; those two after the session, and the monitor is the first to stop."""
    with answering(Answers([BUSY, BUSY, FREE, FREE, ON])) as central:
        network.defined[0] = central_at(central)
        assert reload(monkeypatch, network) == 0
    early, late = (DRIVER.name,), (ENGINE.name, MONITOR.name)
    assert network.done == [
        *((what, *early) for what in ("stop", "sync", "start")),
        ("stop", *reversed(late)),
        *((what, *late) for what in ("sync", "start")),
    ]
    assert capsys.readouterr().out.splitlines() == [
        "evd-engine:CP-007 charges: restarted once its session has ended"
        " (at once: evd reload --now)",
        *(f"Restarted {name}" for name in (DRIVER.name, ENGINE.name, MONITOR.name)),
    ]


def test_at_once_and_alone(network: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: with --now nobody is asked about sessions; with a name nothing else is touched."""
    answers = Answers([ON])
    with answering(answers) as central:
        network.defined[0] = central_at(central)
        assert reload(monkeypatch, network, "--now", "engine:CP-007") == 0
    assert network.done == [(what, ENGINE.name) for what in ("stop", "sync", "start")]
    assert {path for _, path, _ in answers.asked} == {"/cp"}
    assert reload(monkeypatch, network, "CP-404") == 2


def test_settings_that_can_not_be(
    network: Supervised, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: nothing is stopped where a program would not start again with its new settings."""
    network.defined[1] = Program("evd-engine", CP, (*ENGINE.arguments, "--kw-rate", "-1"))
    assert reload(monkeypatch, network, "--now") == 2
    assert capsys.readouterr().err.startswith("evd: evd-engine:CP-007 can't be started: --kw-rate")
    assert network.done == []


def test_an_engine_of_which_nobody_knows(
    network: Supervised, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: where neither Central nor the engine says whether it charges, it is left running; an
    end of the wait says so."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evd.cli.reload.time", SimpleNamespace(sleep=interrupt))
    assert reload(monkeypatch, network, "CP-007") == 130
    printed = capsys.readouterr()
    assert "may charge: neither Central nor the engine says whether" in printed.out
    assert printed.err == "evd: Interrupted: evd-engine:CP-007 was not restarted.\n"
    assert (("stop", ENGINE.name) in network.done, network.drifted) == (False, NEWS)
