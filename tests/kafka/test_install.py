"""`make kafka` where something is missing, and where all is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evd.kafka_node.installation import Installation
from tests.network.processes import CHECKOUT
from tests.network.supervised import run

pytestmark = pytest.mark.kafka

COMMAND = (sys.executable, str(CHECKOUT / "etc" / "kafka" / "install.py"))
QUICK_S_MAX = 10.0


def folder_with(folder: Path, *programs: str) -> Path:
    """A folder for PATH with these programs, which do nothing but fail."""
    folder.mkdir()
    for name in programs:
        (folder / name).write_text("#!/bin/sh\nexit 3\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("there", [(), ("java",), ("mvn",), ("java", "mvn")])
def test_what_is_missing_is_one_line(there: tuple[str, ...], tmp_path: Path) -> None:
    """Proves: without Java (or with one that does not work), Maven or apt, one sentence names
    what to install, and nothing is left behind."""
    path = folder_with(tmp_path / "bin", *there)
    env = {"PATH": str(path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    done = run(COMMAND, env)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "apt install default-jre-headless maven" in line
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_a_failed_apt_is_said_and_what_it_said(tmp_path: Path) -> None:
    """Proves: where apt itself fails the command fails with apt's words, and not with ours."""
    if os.geteuid() != 0:
        pytest.skip("only root may install")
    path = folder_with(tmp_path / "bin", "apt-get")
    (path / "env").symlink_to("/usr/bin/env")
    (path / "sh").symlink_to("/bin/sh")
    (path / "apt-get").write_text("#!/bin/sh\necho E: no network; exit 100\n")
    env = {"PATH": str(path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    done = run(COMMAND, env)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "E: no network"
    assert "apt-get" in done.stderr.splitlines()[-1]


def test_a_second_run_is_quick(installed_kafka: Installation) -> None:
    """Proves: with everything there it checks each jar, says where it is, and fetches nothing."""
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=QUICK_S_MAX, check=True, env=os.environ
    )
    (line,) = done.stdout.splitlines()
    assert str(installed_kafka.directory) in line


def test_a_jar_that_was_changed_is_not_used(installed_kafka: Installation, tmp_path: Path) -> None:
    """Proves: a jar with another checksum is fetched anew, or the command fails."""
    directory = tmp_path / "evd" / installed_kafka.directory.name
    libs = directory / "libs"
    libs.mkdir(parents=True)
    for jar in (installed_kafka.directory / "libs").iterdir():
        (libs / jar.name).symlink_to(jar)
    changed = next(libs.iterdir())
    changed.unlink()
    changed.write_bytes(b"not what it was")
    path = folder_with(tmp_path / "bin", "mvn")
    (path / "java").symlink_to(installed_kafka.java.program)
    env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path)}
    done = run(COMMAND, env)
    assert done.returncode == 1
    assert "mvn" in done.stderr
