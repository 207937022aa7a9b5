"""Each program gives what it makes a mode of its own, whatever umask its caller has."""

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.network.processes import CHECKOUT, Program, free_port

BOUND_S = 20.0
TOOL = Path(sys.executable).with_name("evd")


def open_to_others(folder: Path) -> dict[str, str]:
    """The files and directories below that anybody may touch, or that the group may write."""
    modes = {each: each.lstat().st_mode for each in folder.rglob("*") if not each.is_symlink()}
    return {str(each): oct(mode) for each, mode in modes.items() if stat.S_IMODE(mode) & 0o027}


@pytest.mark.parametrize(
    ("flags", "made"),
    [
        (("evd-central", "--listen-port", "{}", "--http-port", "{}", "--feed-port", "{}"), "*.db"),
        (("evd-engine", "--cp-id", "CP-001", "--health-port", "{}"), "*.db"),
        (("evd-monitor", "--cp-id", "CP-001", "--cp-e-port", "{}"), "instance_id"),
        (("evd-driver", "--driver-id", "driver-a", "--http-port", "{}"), "lock"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_state_is_not_open_to_others(tmp_path: Path, flags: Sequence[str], made: str) -> None:
    """Proves: with umask 000 a daemon's state directory and each file in it keep others out."""
    away = "--central-port" if flags[0] == "evd-monitor" else "--kafka-bootstrap"
    where = str(free_port()) if flags[0] == "evd-monitor" else f"127.0.0.1:{free_port()}"
    argv = [flag.format(free_port()) for flag in flags] + [away, where]
    state_dir = tmp_path / "var" / "program" / "one"
    with_umask = ["sh", "-c", 'umask 000; exec "$0" "$@"', str(TOOL.with_name(argv[0]))]
    process = subprocess.Popen([*with_umask, *argv[1:], "--state-dir", str(state_dir)])
    try:
        deadline_s = time.monotonic() + BOUND_S
        while not any(state_dir.glob(made)):
            assert process.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(BOUND_S)
    assert open_to_others(tmp_path) == {}


def test_the_supervisor_keeps_others_out(tmp_path: Path) -> None:
    """Proves: with umask 000 `evd up` leaves no directory, log or number of a process open."""
    conf = tmp_path / "etc" / "supervisord.conf"
    conf.parent.mkdir(mode=0o750)
    shutil.copy(CHECKOUT / "etc" / "supervisord.conf", conf)
    conf.chmod(0o640)
    script = 'umask 000; "$0" --config "$1" up; "$0" --config "$1" cp list'
    subprocess.run(["sh", "-c", script, TOOL, conf], check=False, cwd=tmp_path)
    try:
        assert (tmp_path / "var" / "run" / "supervisord.pid").exists()
        assert open_to_others(tmp_path) == {}
    finally:
        subprocess.run([TOOL, "--config", conf, "down"], check=True)


def test_what_would_hang_a_start_is_refused(tmp_path: Path) -> None:
    """Proves: a FIFO that has the name of a file of the state directory is one line and exit 2."""
    for name in ("lock", "instance_id"):
        folder = tmp_path / name
        folder.mkdir()
        os.mkfifo(folder / name)
        argv = ("evd-monitor", "--cp-id", "CP-001", "--state-dir", str(folder))
        monitor = Program(name, argv, tmp_path)
        monitor.start()
        try:
            assert monitor.wait(BOUND_S) == 2
            [line] = monitor.logged().splitlines()
            assert "--state-dir" in line and "is not a regular file" in line
        finally:
            monitor.end()
