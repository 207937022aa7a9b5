"""Installed releases: this one from its wheel, the one before from this checkout's history.

A release has an environment of its own; its dependencies are those of the environment that runs
the tests, so no registry is needed.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tests.network.processes import CHECKOUT

# The last commit of the release before this one.
BEFORE_COMMIT: Final = "8040c20"
BEFORE: Final = "0.1.0"
BUILD_S_MAX: Final = 180.0


def need_history() -> None:
    """Leave a test out where the clone is shallow: no command of ours brings what it lacks."""
    if _git("rev-parse", "--is-shallow-repository").strip() == b"true":
        pytest.skip(f"LEFT OUT: this clone has no history, and so no release {BEFORE}")


def files_now() -> list[str]:
    """The files of the checkout that are no by-products, as they stand now, new ones included."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    return [name for name in listed.decode().split("\0") if name and (CHECKOUT / name).is_file()]


def source_now(folder: Path) -> Path:
    """A copy of those files."""
    for name in files_now():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, folder / name)
    return folder


def source_before(folder: Path) -> Path:
    """The sources of the release before."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder.with_suffix(".tar")
    archive.write_bytes(_git("archive", "--format=tar", BEFORE_COMMIT))
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    return folder


def wheel_of(source: Path, folder: Path) -> Path:
    """Build the wheel of a release, without its dependencies."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    _run(sys.executable, "-m", "pip", "--quiet", "wheel", *options, str(source))
    (wheel,) = folder.glob("evd-*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
    """Install a release into a new environment; the folder of its programs."""
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    options = ("--quiet", "--no-deps", "--no-index", str(wheel))
    _run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment / "bin" / "python"),
        *("install", *options),
    )
    lend_dependencies(environment)
    return environment / "bin"


def lend_dependencies(environment: Path) -> None:
    """Let an environment import what this one has, behind its own; the checkout is not in it."""
    (folder,) = environment.glob("lib/python*/site-packages")
    unfinished = folder / f"dependencies.{os.getpid()}"
    unfinished.write_text(sysconfig.get_path("purelib") + "\n")
    unfinished.replace(folder / "dependencies.pth")


def release_before() -> Path:
    """The folder of the programs of the release before, built once, outside the checkout."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    python = sysconfig.get_python_version()
    place = Path(caches) / "evd" / "releases" / f"{BEFORE}-{BEFORE_COMMIT}-python{python}"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = place / "done"
        if not done.exists():
            for part in ("source", "wheel", "environment"):
                shutil.rmtree(place / part, ignore_errors=True)
            wheel = wheel_of(source_before(place / "source"), place / "wheel")
            install(wheel, place / "environment")
            done.touch()
        lend_dependencies(place / "environment")
    return place / "environment" / "bin"


def _git(*arguments: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, check=True
    ).stdout


def _run(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_S_MAX, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
