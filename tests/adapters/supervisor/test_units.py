"""The units of systemd/, as systemd itself reads them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from evd.adapters.supervisor.restart_delay import DELAY_S_MAX

SYSTEMD: Final = Path(__file__).parents[3] / "systemd"
UNITS: Final = sorted(path.name for path in SYSTEMD.iterdir() if path.is_file())
SERVICES: Final = [name for name in UNITS if name.endswith(".service")]
DAEMONS: Final = [name for name in SERVICES if name.startswith("evd-")]
EXPOSURE_MAX: Final = 2.0

# They say how much a daemon may use and where its own things are: each has its own.
OWN: Final = {
    *("Description", "After", "PartOf", "ExecStart", "EnvironmentFile", "WantedBy"),
    *("StateDirectory", "RuntimeDirectory", "TimeoutStartSec"),
    *("MemoryHigh", "MemoryMax", "TasksMax", "LimitNOFILE"),
}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt install systemd"
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the units, whose programs are there, as on a host."""
    units = tmp_path / "units"
    shutil.copytree(SYSTEMD, units)
    (units / "credentials").rename(units / "evd-central.service.d")
    for name in SERVICES:
        path = units / name
        text = path.read_text()
        for program in _programs(text):
            stand_in = tmp_path / Path(program).name
            stand_in.touch(mode=0o755)
            text = text.replace(program, str(stand_in))
        path.write_text(text)
    return units


def _programs(text: str) -> Iterator[str]:
    """The programs that a unit runs, without the signs before them."""
    for found in re.finditer(r"^Exec\w+=[-+!:@]*(/\S+)", text, re.M):
        yield found[1]


def _analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        # A pager would wait, and colours stand between the numbers.
        env={"PATH": os.environ["PATH"], "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
    )
    return done.stdout


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_every_line(installed: Path, name: str) -> None:
    """Proves: no unit has an unknown key, a wrong value or a missing partner; systemd-analyze says
    nothing at all, for it exits with 0 also where it warns."""
    assert _analyze("verify", "--man=no", str(installed / name)) == ""


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_broken_into_can_do_little(installed: Path, name: str) -> None:
    """Proves: systemd-analyze gives each service an exposure of at most 2.0 of 10."""
    told = _analyze("security", "--offline=yes", str(installed / name))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert found is not None, told
    assert float(found[1]) <= EXPOSURE_MAX, told


def _settings(name: str) -> dict[str, list[str]]:
    """The values of a unit by their keys."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_daemons_units_differ_only_where_they_must() -> None:
    """Proves: a limit or a protection that is changed in one unit is changed in all four."""
    shared = [
        {key: value for key, value in _settings(name).items() if key not in OWN} for name in DAEMONS
    ]
    assert len(shared) == 4
    assert all(each == shared[0] for each in shared)


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_is_watched_bounded_and_started_again(name: str) -> None:
    """Proves: a hang is noticed, memory, tasks and files have a bound, any end but a clean one is
    followed by a start, and a crash loop ends in a failed unit before its delays can hide it."""
    unit = {key: values[-1] for key, values in _settings(name).items()}
    assert (unit["Type"], unit["User"], unit["Restart"]) == ("notify", "evd", "on-failure")
    assert {"WatchdogSec", "MemoryMax", "TasksMax", "LimitNOFILE", "StateDirectory"} <= unit.keys()
    assert unit["StartLimitIntervalSec"] == "5min"
    assert int(unit["StartLimitBurst"]) * DELAY_S_MAX < 300
    assert "%I" not in (SYSTEMD / name).read_text()
