"""supervisord with our plugin: groups that grow and shrink while everything else runs on."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from evd.adapters.supervisor.plugin import BACKOFF_S_MAX, GroupsInterface
from evd.adapters.supervisor.protocol import Killed, ProcessState, Program, SupervisorFailed, Sync
from evd.adapters.supervisor.supervisord import Supervisord
from evd.adapters.supervisor.unit_files import render
from tests.network.waiting import wait_until

CHECKOUT = Path(__file__).parents[3]
BOUND_S = 15.0


def section(group: str, member: str, command: str, startsecs: int = 0) -> str:
    """A unit's file for a program that only has to be there."""
    return (
        f"[program:{group}-{member}]\nprocess_name = {member}\ncommand = {command}\n"
        "stdout_logfile = NONE\nstderr_logfile = NONE\nstartretries = 1000\n"
        f"startsecs = {startsecs}\n"
    )


@attrs.frozen
class Place:
    """A supervisord of its own, and its folders."""

    supervisord: Supervisord

    @property
    def added(self) -> Path:
        return self.supervisord.var / "supervisord.d"

    def pids(self) -> dict[str, int | None]:
        return {each.name: each.pid for each in self.supervisord.status()}

    def ctl(self, *arguments: str) -> str:
        program = Path(sys.executable).with_name("supervisorctl")
        command: list[str | Path] = [program, "-c", self.supervisord.conf, *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout

    def is_there(self) -> bool:
        """Whether it answers, if only that it is being stopped."""
        try:
            return self.supervisord.pid() is not None
        except SupervisorFailed:
            return True

    def wait_until_running(self, count: int) -> None:
        running = [ProcessState.RUNNING] * count
        wait_until(
            lambda: [each.state for each in self.supervisord.status()] == running,
            BOUND_S,
            f"{count} processes run",
        )


@contextmanager
def place_in(root: Path) -> Iterator[Place]:
    """A supervisord that is not started; ended with the block."""
    etc = root / "etc"
    (etc / "supervisord.d").mkdir(parents=True)
    text = (CHECKOUT / "etc" / "supervisord.conf").read_text()
    (etc / "supervisord.conf").write_text(text)
    for cp_id in ("CP-001", "CP-002"):
        path = etc / "supervisord.d" / f"cp-{cp_id}.conf"
        path.write_text(
            section("evd-engine", cp_id, "sleep 1000") + section("evd-monitor", cp_id, "sleep 1000")
        )
    (etc / "supervisord.d" / "central.conf").write_text(
        "[program:evd-central]\ncommand = sleep 1000\nstdout_logfile = NONE\n"
        "stderr_logfile = NONE\nstartsecs = 0\n"
    )
    found = Place(Supervisord(etc / "supervisord.conf"))
    try:
        yield found
    finally:
        pid = found.supervisord.pid()
        if pid is not None:
            pids = [each for each in found.pids().values() if each is not None]
            for each in (pid, *pids):
                os.kill(each, signal.SIGKILL)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A supervisord that is not started; ended with the test."""
    with place_in(tmp_path) as found:
        yield found


@pytest.fixture
def started(place: Place) -> Place:
    """The same, with its five programs."""
    place.supervisord.up()
    place.wait_until_running(5)
    return place


def test_names(started: Place) -> None:
    """Proves: each process has the name that operators know, with supervisorctl too."""
    members = [f"{part}:{cp}" for part in ("engine", "monitor") for cp in ("CP-001", "CP-002")]
    names = {"evd-central", *(f"evd-{member}" for member in members)}
    assert started.pids().keys() == names
    assert {each.name for each in started.supervisord.programs()} == names
    assert started.ctl("stop", "evd-monitor:CP-001") == "evd-monitor:CP-001: stopped\n"


def test_adding_and_removing_touch_nothing_else(started: Place) -> None:
    """Proves: a unit's file is taken up and given up without a restart of any other process, also
    by `supervisorctl update`."""
    before = started.pids()
    file = started.added / "cp-CP-007.conf"
    file.write_text(
        section("evd-engine", "CP-007", "sleep 1000") + section("evd-driver", "zoe", "sleep 1000")
    )
    assert started.supervisord.drift() == Sync(added=("evd-driver:zoe", "evd-engine:CP-007"))
    assert started.supervisord.sync().added == ("evd-driver:zoe", "evd-engine:CP-007")
    started.wait_until_running(7)
    started.ctl("update")
    assert before.items() <= started.pids().items()
    file.unlink()
    running = started.supervisord.sync()
    assert running == Sync(orphaned=("evd-driver:zoe", "evd-engine:CP-007"))
    started.supervisord.stop(running.orphaned)
    assert started.supervisord.sync().removed == ("evd-driver:zoe", "evd-engine:CP-007")
    assert started.pids() == before


def test_a_unit_of_the_checkout_can_be_removed(started: Place) -> None:
    """Proves: what came with the checkout is hidden, not edited, and can come back."""
    shipped = started.supervisord.conf.parent / "supervisord.d" / "cp-CP-002.conf"
    content = shipped.read_text()
    started.supervisord.stop(["evd-engine:CP-002", "evd-monitor:CP-002"])
    started.supervisord.remove("cp-CP-002")
    started.supervisord.sync()
    assert shipped.read_text() == content
    assert not started.supervisord.has("cp-CP-002")
    assert started.pids().keys() == {"evd-central", "evd-engine:CP-001", "evd-monitor:CP-001"}
    # It stays away after a restart of everything.
    assert {each.member for each in started.supervisord.programs()} == {None, "CP-001"}
    engine = Program("evd-engine", "CP-002", ("--cp-id", "CP-002", "--kw-rate", "11"))
    started.supervisord.add("cp-CP-002", [engine])
    again = {each.name: each for each in started.supervisord.programs()}
    assert again["evd-engine:CP-002"].arguments == engine.arguments


def test_a_crash_loop_is_bounded_and_visible(place: Place) -> None:
    """Proves: a program that dies at once is tried again and again, not in a tight loop, and
    that its starts are counted."""
    (place.added).mkdir(parents=True)
    (place.added / "cp-CP-009.conf").write_text(section("evd-engine", "CP-009", "false", 1))
    place.supervisord.up()

    def starts() -> int:
        return place.supervisord.starts(60).get("evd-engine:CP-009", 0)

    wait_until(lambda: starts() >= 2, BOUND_S, "two starts")
    states = {each.name: each.state for each in place.supervisord.status()}
    assert states["evd-engine:CP-009"] in (ProcessState.FAILING, ProcessState.STARTING)
    assert starts() <= 5


def test_the_wait_of_a_crash_loop_has_a_bound() -> None:
    """Proves: a program that failed a thousand times is tried again within BACKOFF_S_MAX once its
    fault is repaired."""
    process = SimpleNamespace(delay=time.time() + 1000)
    GroupsInterface._bound_backoff(None, SimpleNamespace(process=process))  # type: ignore[arg-type]
    assert process.delay <= time.time() + BACKOFF_S_MAX


def test_one_that_is_still_busy_is_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: a supervisord that has hundreds of programs to start, and answers nobody meanwhile,
    is not taken for one that failed."""
    place.supervisord.up()
    pid = place.supervisord.pid()
    assert pid is not None
    monkeypatch.setattr("evd.adapters.supervisor.supervisord.RPC_S", 0.1)
    os.kill(pid, signal.SIGSTOP)
    way_out = rf"\(process {pid}\) does not answer within .* kill -9 {pid}, then evd down"
    with pytest.raises(SupervisorFailed, match=way_out):
        place.supervisord.pid()
    waking = threading.Timer(0.5, os.kill, (pid, signal.SIGCONT))
    waking.start()
    monkeypatch.setattr("evd.adapters.supervisor.supervisord.LAUNCH_S", BOUND_S)
    place.supervisord._wait_until_it_answers(None)
    waking.join()


def test_nobody_there(place: Place) -> None:
    """Proves: a network that does not run is one sentence, and no error of a library."""
    assert place.supervisord.pid() is None
    with pytest.raises(SupervisorFailed, match="does not run"):
        place.supervisord.status()


def test_one_that_was_killed(started: Place) -> None:
    """Proves: whoever asks a killed supervisord of anything is told of what it left running, and
    that `evd down` stops it, and not to start another one."""
    pid, left = started.supervisord.pid(), [each for each in started.pids().values() if each]
    assert pid is not None
    # A new process is a copy of supervisord for a moment, without the mark by which it is known.
    wait_until(
        lambda: all(Path(f"/proc/{each}/cmdline").read_bytes()[:5] == b"sleep" for each in left),
        BOUND_S,
        "each has become its program",
    )
    try:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: started.supervisord.pid() is None, BOUND_S, "it is dead")
        with pytest.raises(Killed, match="5 of its processes still run: `evd down` stops them"):
            started.supervisord.status()
    finally:
        for each in left:
            os.kill(each, signal.SIGKILL)


def test_one_that_is_being_stopped(place: Place) -> None:
    """Proves: a supervisord on its way to its end says so, and no code of a library."""
    place.added.mkdir(parents=True)
    # It ends only by SIGKILL, a second after the others.
    stubborn = section("evd-engine", "slow", "sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'")
    (place.added / "slow.conf").write_text(stubborn + "stopwaitsecs = 1\n")
    place.supervisord.up()
    place.wait_until_running(6)
    place.supervisord._call("supervisor.shutdown")
    with pytest.raises(SupervisorFailed) as caught:
        while True:
            place.supervisord.status()
    assert str(caught.value) == "The network is being stopped."
    wait_until(lambda: not place.is_there(), BOUND_S, "it has ended")


def test_it_starts_from_a_fresh_clone(place: Place) -> None:
    """Proves: its file works by itself on what git keeps, before the tool has made any folder; the
    tool then closes to others what git made open to all."""
    git = ["git", "-C", str(CHECKOUT), "ls-files", "--cached", "--others", "--exclude-standard"]
    kept = subprocess.run([*git, "var"], capture_output=True, text=True, check=True).stdout.split()
    assert kept == ["var/log/.gitignore", "var/run/.gitignore"]
    for name in kept:
        path = place.supervisord.root / name
        path.parent.mkdir(mode=0o755, parents=True)
        path.write_bytes((CHECKOUT / name).read_bytes())
    done = subprocess.run(place.supervisord._command(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wait_until(place.is_there, BOUND_S, "it answers")
    place.wait_until_running(5)
    place.supervisord.make_folders()
    log = place.supervisord.log.parent
    assert log.stat().st_mode & 0o777 == 0o750
    # A folder that the operator opens later stays open.
    log.chmod(0o755)
    place.supervisord.make_folders()
    assert log.stat().st_mode & 0o777 == 0o755


def test_the_file_of_a_program(place: Place) -> None:
    """Proves: for each program the file is known that an operator would edit."""
    found = place.supervisord
    shipped = found.conf.parent / "supervisord.d"
    assert found.file_of("evd-monitor:CP-002") == shipped / "cp-CP-002.conf"
    found.add("cp-CP-002", [Program("evd-monitor", "CP-002", ("--cp-id", "CP-002"))])
    assert found.file_of("evd-monitor:CP-002") == place.added / "cp-CP-002.conf"
    assert found.file_of("evd-central") == shipped / "central.conf"
    assert found.file_of("evd-monitor:CP-404") == found.conf


def test_a_path_too_long(tmp_path: Path) -> None:
    """Proves: a checkout too deep for a socket's path is named, with what to do."""
    conf = tmp_path / ("deep" * 20) / "etc" / "supervisord.conf"
    with pytest.raises(SupervisorFailed, match="too long for a socket"):
        Supervisord(conf).make_folders()


def test_a_broken_file(started: Place) -> None:
    """Proves: a unit's file that supervisord can't read is named, and what runs is left alone."""
    before = started.pids()
    (started.added / "cp-CP-007.conf").write_text("[program:evd-engine-CP-007]\nnumprocs = x\n")
    with pytest.raises(SupervisorFailed, match="CP-007"):
        started.supervisord.sync()
    assert started.pids() == before


def test_arguments_survive_the_file(place: Place) -> None:
    """Proves: what a program is told comes out of its file as it went in, or is refused."""
    odd = ("--location", "Pier 7 (100% green) 'x' \"y\"", "--cp-id", "CP-007")
    place.supervisord.add("cp-CP-007", [Program("evd-engine", "CP-007", odd)])
    found = {each.name: each for each in place.supervisord.programs()}
    assert found["evd-engine:CP-007"].arguments == odd
    for bad in ("a #b", "r\udcff.txt"):
        with pytest.raises(SupervisorFailed, match="can't hold"):
            render([Program("evd-engine", "CP-007", ("--location", bad))])


def test_a_folder_that_takes_no_file(place: Place) -> None:
    """Proves: a disk that takes no file of a new unit is one sentence that names the file."""
    (place.added / "cp-CP-007.conf").mkdir(parents=True)
    with pytest.raises(SupervisorFailed, match=r"Can't write .*cp-CP-007.conf: Is a directory"):
        place.supervisord.add("cp-CP-007", [Program("evd-engine", "CP-007", ())])
    with pytest.raises(SupervisorFailed, match=r"Can't remove .*cp-CP-007.conf: "):
        place.supervisord.remove("cp-CP-007")


@pytest.mark.parametrize(
    "path", sorted((CHECKOUT / "etc" / "supervisord.d").glob("*.conf")), ids=lambda path: path.stem
)
def test_shipped_units_are_as_the_tool_writes_them(path: Path) -> None:
    """Proves: what comes with the checkout is supervised as what is added later."""
    os.makedirs(CHECKOUT / "var", exist_ok=True)
    programs = {
        each.name: each for each in Supervisord(CHECKOUT / "etc/supervisord.conf").programs()
    }
    names = [line[len("[program:") : -1] for line in path.read_text().splitlines() if "[" in line]
    mine = [
        attrs.evolve(each, environment={})
        for name in names
        for each in programs.values()
        if name in (each.group, f"{each.group}-{each.member}")
    ]
    assert path.read_text() == render(mine)


def test_an_include_that_is_no_file_is_named(place: Place) -> None:
    """Proves: a FIFO among the units' files is one sentence that names it, and no hang."""
    place.supervisord.make_folders()
    os.mkfifo(place.added / "cp-CP-009.conf")
    with pytest.raises(SupervisorFailed, match=r"cp-CP-009.conf is no regular file"):
        place.supervisord.programs()


@pytest.mark.parametrize("name", ["log/supervisord.err", "run/supervisord.pid", "log/mine.log"])
def test_a_file_to_write_that_is_none(place: Place, name: str) -> None:
    """Proves: a FIFO in the place of a log or of the process's number is one sentence that names
    it, whether the network is started in the background or in the foreground, and no hang."""
    central = place.supervisord.conf.parent / "supervisord.d" / "central.conf"
    central.write_text(central.read_text().replace("NONE", "%(here)s/../../var/log/mine.log", 1))
    place.supervisord.make_folders()
    os.mkfifo(place.supervisord.var / name)
    for start in (place.supervisord.up, place.supervisord.launch):
        with pytest.raises(SupervisorFailed, match=rf"{name} is no regular file"):
            start()


# Runs the verbs of `sys.argv[2:]` as another user, in one process, since each start takes a second.
AS_NOBODY = """
import contextlib, io, json, os, sys, evd.cli
os.setgroups([]), os.setgid(65534), os.setuid(65534)
told = {}
for verb in sys.argv[2:]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            evd.cli.main(["--config", sys.argv[1], *verb.split()])
        except SystemExit as end:
            told[verb] = (end.code, out.getvalue())
print(json.dumps(told))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_is_denied() -> None:
    """Proves: to another user no verb says that the network does not run, or ends anything; each
    says 'permission denied' and fails, also where its folders are open to all."""
    with tempfile.TemporaryDirectory() as folder, place_in(Path(folder)) as place:
        Path(folder).chmod(0o755)
        place.supervisord.up()
        place.wait_until_running(5)
        before, var = place.pids(), place.supervisord.var
        closed = ("down", "status", "doctor", "up", "reload", "crash", "run", "logs evd-central")
        for mode, verbs in ((0o750, closed), (0o777, closed[:-1])):
            for each in (var, *var.iterdir()):
                each.chmod(mode)
            done = subprocess.run(
                [sys.executable, "-c", AS_NOBODY, str(place.supervisord.conf), *verbs],
                stdout=subprocess.PIPE,
                check=True,
            )
            told = json.loads(done.stdout)
            assert told.keys() == set(verbs)
            for verb, (code, text) in told.items():
                assert (code, "permission denied" in text) == (1, True), (mode, verb, text)
                assert "does not run" not in text, (mode, verb, text)
        assert place.pids() == before


def test_what_is_new_about_a_program(started: Place) -> None:
    """Proves: a changed section is told, is taken up once its program is stopped, and touches no
    other; a program that an operator had stopped stays stopped."""
    before = started.pids()
    file = started.supervisord.conf.parent / "supervisord.d" / "cp-CP-001.conf"
    file.write_text(
        section("evd-engine", "CP-001", "sleep 2000") + section("evd-monitor", "CP-001", "sleep 3")
    )
    name = "evd-engine:CP-001"
    assert started.supervisord.drift() == Sync(changed=(name, "evd-monitor:CP-001"))
    assert started.supervisord.sync() == Sync(changed=(name, "evd-monitor:CP-001"))
    assert started.pids() == before
    started.supervisord.stop([name])
    started.supervisord.sync([])
    assert started.supervisord.drift().changed == (name, "evd-monitor:CP-001")
    started.supervisord.sync([name])
    assert started.supervisord.drift().changed == ("evd-monitor:CP-001",)
    assert started.pids() == before | {name: None}
    started.supervisord.start([name])
    started.wait_until_running(5)
    pid = started.pids()[name]
    # A new process is a copy of supervisord for a moment.
    wait_until(
        lambda: Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x002000\0",
        BOUND_S,
        "it runs with its new arguments",
    )
    assert "evd-engine:CP-001: ERROR" not in started.ctl("update")
    assert started.pids() == before | {name: pid}


@pytest.mark.parametrize("by", ["rm", "mv"])
def test_a_log_that_somebody_took_away(place: Place, by: str) -> None:
    """Proves: a log that was removed or replaced is told by its program's name, and is opened anew
    in its place without a restart; supervisord's own too."""
    log = place.supervisord.log.with_name("x.log")
    command = "sh -c 'while :; do echo line; sleep 0.1; done'"
    file = place.supervisord.conf.parent / "supervisord.d" / "cp-CP-001.conf"
    file.write_text(section("evd-engine", "CP-001", command).replace("NONE", str(log), 1))
    place.supervisord.up()
    place.wait_until_running(4)
    wait_until(lambda: log.exists() and log.stat().st_size > 0, BOUND_S, "it writes")
    before = place.pids()
    assert place.supervisord.drift() == Sync()
    for path in (log, place.supervisord.log):
        path.unlink() if by == "rm" else path.rename(path.with_suffix(".old"))
    if by == "mv":
        log.touch()
    assert place.supervisord.drift() == Sync(logless=("evd-engine:CP-001", "supervisord"))
    place.supervisord.up()
    assert place.supervisord.drift() == Sync()
    wait_until(lambda: log.stat().st_size > 0, BOUND_S, "it writes again")
    assert place.supervisord.log.exists()
    assert place.pids() == before


def test_a_socket_that_somebody_took_away(place: Place) -> None:
    """Proves: a supervisord whose socket is gone is not said to be away, and is not started twice;
    the way out is told."""
    place.supervisord.up()
    pid, path = place.supervisord.pid(), place.supervisord._socket
    path.rename(path.with_suffix(".old"))
    try:
        for ask in (place.supervisord.pid, place.supervisord.up, place.supervisord.status):
            with pytest.raises(SupervisorFailed, match=rf"\(process {pid}\) runs, but its socket"):
                ask()
    finally:
        path.with_suffix(".old").rename(path)
    assert place.supervisord.pid() == pid
