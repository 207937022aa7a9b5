"""Charging points that nobody has seen for long, and that take the place of others."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

import evd.cli
from evd.adapters.supervisor.protocol import Program
from evd.cli.doctor import charging_points
from evd.core.wire.fields import format_time
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, central_at


def unused_views() -> list[dict[str, Any]]:
    """Charging points, of which OLD-1 and OLD-2 were not connected for a year."""
    old, new = "2025-01-31T12:00:00.000000Z", format_time(datetime.now(UTC))
    away = {"state": "DISCONNECTED", "current_session": None}
    return [
        away | {"cp_id": "OLD-1", "monitor_last_seen": None, "last_update": old},
        away | {"cp_id": "OLD-2", "monitor_last_seen": old, "last_update": old},
        away | {"cp_id": "NEW-1", "monitor_last_seen": new, "last_update": old},
        away | {"cp_id": "NEW-2", "monitor_last_seen": None, "last_update": new},
        away | {"cp_id": "CP-007", "monitor_last_seen": None, "last_update": old},
        away
        | {"cp_id": "BUSY", "current_session": "s", "monitor_last_seen": None, "last_update": old},
        away | {"cp_id": "ON-1", "state": "ON", "monitor_last_seen": old, "last_update": old},
    ]


def run(supervisor: Supervised, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Return the tool's exit code."""
    monkeypatch.setattr("evd.cli.Supervisord", lambda _: supervisor)
    monkeypatch.setattr("evd.cli.listen", lambda: None)
    with pytest.raises(SystemExit) as caught:
        evd.cli.main(["cp", "remove", *arguments])
    return caught.value.code


def test_the_unused_are_removed_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: `cp remove --unused DAYS` takes off the list what was away for so long and has no
    program here, once somebody says yes; what Central keeps is named."""
    views: Answer = (200, {"charging_points": unused_views()}, {})
    kept: Answer = (409, {"error": "OLD-2 can't be removed: its engine keeps 2 records"}, {})
    answers = Answers([views, views, (204, {}, {}), kept])
    with answering(answers) as central:
        supervisor = Supervised([central_at(central), Program("evd-monitor", "CP-007", ())])
        assert run(supervisor, monkeypatch, "--unused", "30") == 2
        printed = capsys.readouterr()
        assert printed.out == "Unused for 30 days: OLD-1, OLD-2\n"
        assert "Nothing was removed" in printed.err
        assert run(supervisor, monkeypatch, "--unused", "30", "--yes") == 1
        assert capsys.readouterr().out.endswith("Removed 1 of 2; their history stays\n")
        assert run(supervisor, monkeypatch) == 2
        assert run(supervisor, monkeypatch, "7", "--unused", "30") == 2
    asked = [path for method, path, _ in answers.asked if method == "DELETE"]
    assert asked == ["/cp/OLD-1", "/cp/OLD-2"]


def test_the_doctor_tells_that_no_more_charging_points_fit() -> None:
    """Proves: the bound of known charging points is told, with what to do."""
    with answering(Answers([(200, {"charging_points": []}, {})])) as central:
        program = central_at(central)
        full = attrs.evolve(program, arguments=(*program.arguments, "--cps-max", "1"))
        assert [*charging_points(Supervised([full]), [])] == []
    view = {"cp_id": "CP-001", "state": "ON", "stopped": True}
    with answering(Answers([(200, {"charging_points": [view]}, {})])) as central:
        program = central_at(central)
        full = attrs.evolve(program, arguments=(*program.arguments, "--cps-max", "1"))
        found, _ = charging_points(Supervised([full]), [])
    assert "--cps-max allows no more" in found.what
    assert "evd cp remove --unused 30" in found.remedy
