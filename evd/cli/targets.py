"""The files by which a Prometheus finds the programs of this network, one for each of its jobs.

They are in the form that `file_sd_configs` reads; etc/prometheus/prometheus.yml names them.
"""

import json
import os
from typing import Final

from evd.adapters.http.client import url_of
from evd.adapters.supervisor.protocol import Program, Supervisor, SupervisorFailed
from evd.cli.errors import ToolFailed, say
from evd.cli.programs import BROKER, CENTRAL, DRIVER, ENGINE, MONITOR, config_of
from evd.config import CentralConfig, MetricsConfig

JOBS: Final = (CENTRAL, ENGINE, MONITOR, DRIVER, BROKER)
# Their member is a charging point; a driver is no label.
_OF_CP: Final = (ENGINE, MONITOR)

Target = dict[str, list[str] | dict[str, str]]


def write_targets(supervisor: Supervisor) -> None:
    """Write where each program shows its metrics.  A failure is told, and stops nothing."""
    folder = supervisor.var / "prometheus"
    try:
        found: dict[str, list[Target]] = {job: [] for job in JOBS}
        for program in supervisor.programs():
            if program.group in found and (target := _target_of(program)) is not None:
                found[program.group].append(target)
        folder.mkdir(exist_ok=True)
        for job, targets in found.items():
            unfinished = folder / f"{job}.unfinished"
            unfinished.write_text(json.dumps(targets, indent=1) + "\n")
            os.replace(unfinished, folder / f"{job}.json")
    except (OSError, SupervisorFailed) as error:
        say(f"Prometheus does not learn of this change: {error}")


def _target_of(program: Program) -> Target | None:
    try:
        config = config_of(program)
    except ToolFailed:
        # Its start says what is wrong with its settings.
        return None
    if isinstance(config, CentralConfig):
        host, port = config.http_host, config.http_port
    elif isinstance(config, MetricsConfig) and config.metrics_port:
        host, port = config.metrics_host, config.metrics_port
    else:
        return None
    labels = {"cp_id": program.member or ""} if program.group in _OF_CP else {}
    return {"targets": [url_of(host, port).removeprefix("http://")], "labels": labels}
