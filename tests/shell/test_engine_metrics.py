"""The metrics of an engine, as Prometheus reads them."""

import subprocess
import sys

import attrs

from evd.adapters.http.metrics import Metrics
from evd.core.engine.core import Engine
from evd.core.engine.events import EngineDisk, EngineSettings, SaveRecord
from evd.core.wire.messages import COMMANDS, Outcome
from evd.daemons.engine.metrics import Counts, EngineMetrics
from tests.unit.engine.rig import clock, record_of


def series(text: bytes) -> dict[str, float]:
    """Each series with its value."""
    lines = (line for line in text.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_each_count_is_shown_as_its_own_series() -> None:
    """Proves: every counter shows its own count, each time it is asked, and counts nothing twice;
    the gauges show the engine as it is."""
    settings = EngineSettings(cp_id="CP-001", kw_rate=22.0, euro_rate=0.3)
    core = Engine(settings, "boot-1", EngineDisk(unconfirmed=("s1", "s2")), clock())
    counts = Counts()
    metrics = EngineMetrics(Metrics(), counts, core, lambda: 4, lambda: None)
    assert series(metrics.render())["evd_sessions_buffered"] == 2.0
    record = attrs.evolve(record_of("s1"), outcome=Outcome.FAILED, kwh=1.5)
    counts.on_saved(SaveRecord(record))
    counts.on_dead_letter(COMMANDS)
    counts.disk_failures += 3
    counts.bad_frames += 4
    for _ in range(2):
        shown = series(metrics.render())
        assert {name: value for name, value in shown.items() if name in EXPECTED} == EXPECTED


EXPECTED = {
    'evd_engine_sessions_total{outcome="COMPLETED"}': 0.0,
    'evd_engine_sessions_total{outcome="FAILED"}': 1.0,
    'evd_engine_info{cp_id="CP-001"}': 1.0,
    'evd_dead_letters_total{topic="central.beacons"}': 0.0,
    'evd_dead_letters_total{topic="central.commands"}': 1.0,
    "evd_engine_energy_joules_total": 5_400_000.0,
    "evd_engine_disk_failures_total": 3.0,
    "evd_bad_frames_total": 4.0,
    'evd_engine_state{state="DISCONNECTED"}': 1.0,
    'evd_engine_state{state="ACTIVATED"}': 0.0,
}


def test_an_engine_without_metrics_does_not_load_their_library() -> None:
    """Proves: an engine pays for the library of metrics only where it is told to serve them."""
    code = "import evd.daemons.engine.program, sys; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
