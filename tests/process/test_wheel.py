"""An installed release, away from any checkout: nothing of it is left behind in the checkout."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.network.network import Network
from tests.network.releases import files_now, install, source_now, wheel_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sources as they stand."""
    folder = tmp_path_factory.mktemp("wheel")
    return wheel_of(source_now(folder / "source"), folder)


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has nothing of evd but this wheel."""
    return install(wheel, tmp_path_factory.mktemp("installed") / "environment")


def test_the_wheel_has_each_file_of_the_package(wheel: Path) -> None:
    """Proves: a page, a picture, a migration or a setting that is added is shipped too."""
    with zipfile.ZipFile(wheel) as packed:
        shipped = set(packed.namelist())
    package = {name for name in files_now() if name.startswith("evd/")}
    assert package - shipped == set()


def test_an_installed_central_serves(programs: Path, tmp_path: Path) -> None:
    """Proves: Central, installed from its wheel alone, makes its tables and shows its pages."""
    with Network(tmp_path) as network:
        central = network.central()
        central.argv[0] = str(programs / "evd-central")
        network.broker.start()
        central.start()
        network.charging_point("CP-001").start()
        network.wait_available("CP-001")
        page = network.http.get("/")
        assert page.status_code == 200
        assert "<title>" in page.text


def test_an_installed_kafka_node_finds_its_settings(programs: Path, tmp_path: Path) -> None:
    """Proves: evd-kafka needs no checkout: it knows its version, and says what is missing."""
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [programs / "evd-kafka", "--data-dir", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "is not installed: run `make kafka`, or put its jars into /opt/kafka/4" in line
