"""Prometheus finds the programs of a network that the tool runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from evd.adapters.supervisor.protocol import Program
from evd.cli.start_lock import changing
from evd.cli.targets import JOBS
from tests.unit.cli.scene import Supervised

CENTRAL = Program("evd-central", None, ("--http-port", "8003", "--http-host", "0.0.0.0"))
ENGINE = Program("evd-engine", "CP-001", ("--cp-id", "CP-001", "--metrics-port", "9201"))
MONITOR = Program("evd-monitor", "CP-001", ("--cp-id", "CP-001", "--metrics-port", "9301"))
DRIVER = Program("evd-driver", "d", ("--driver-id", "d"), {"DRIVER_METRICS_PORT": "9401"})
DARK = Program("evd-driver", "e", ("--driver-id", "e"))


def targets(network: Supervised) -> dict[str, Any]:
    """The targets of each job, as Prometheus reads them."""
    folder = network.var / "prometheus"
    assert {each.name for each in folder.iterdir()} == {f"{job}.json" for job in JOBS}
    return {job: json.loads((folder / f"{job}.json").read_text()) for job in JOBS}


def test_each_program_is_a_target_of_its_job(tmp_path: Path) -> None:
    """Proves: a change of a network tells Prometheus where each program shows its metrics; a
    charging point is a label, a driver is none; who shows none is no target, nor who is gone."""
    network = Supervised([CENTRAL, ENGINE, MONITOR, DRIVER, DARK], var=tmp_path)
    point = {"cp_id": "CP-001"}
    with changing(network):
        pass
    assert targets(network) == {
        "evd-central": [{"targets": ["127.0.0.1:8003"], "labels": {}}],
        "evd-engine": [{"targets": ["127.0.0.1:9201"], "labels": point}],
        "evd-monitor": [{"targets": ["127.0.0.1:9301"], "labels": point}],
        "evd-driver": [{"targets": ["127.0.0.1:9401"], "labels": {}}],
        "evd-broker": [],
    }
    with changing(network):
        network.defined.remove(ENGINE)
    assert targets(network)["evd-engine"] == []


def test_wrong_settings_and_a_full_disk_stop_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: a program that can't start is left out, and where the files can't be written the
    change is made all the same, and one line tells of it."""
    wrong = Program("evd-engine", "CP-002", ("--cp-id", "CP-002", "--kw-rate", "x"))
    network = Supervised([wrong, ENGINE], var=tmp_path)
    with changing(network):
        pass
    assert [each["labels"]["cp_id"] for each in targets(network)["evd-engine"]] == ["CP-001"]
    (tmp_path / "prometheus" / "evd-engine.unfinished").mkdir()
    with changing(network):
        network.defined.remove(wrong)
    assert capsys.readouterr().err.startswith("evd: Prometheus does not learn of this change: ")
