"""The tool's `Supervisor` with systemd behind it, by what systemctl said on a real host."""

import grp
import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from evd.adapters.supervisor.host_files import HostFiles
from evd.adapters.supervisor.protocol import ProcessState, Program, SupervisorFailed
from evd.adapters.supervisor.systemd import Systemd
from evd.adapters.supervisor.unit_states import name_of, read_units, status_of, unit_of
from tests.network.processes import wait_for_environment

PASSWORD_FILE = "/run/credentials/evd-central.service/db-password"

# As systemd 252 answered; the states in between were caught while a unit failed again and again.
CENTRAL = """\
MainPID=1792
StatusText=2 charging points, 0 sessions, 0 open requests
Result=success
NRestarts=0
ExecMainStartTimestampMonotonic=26901068056
ExecMainCode=0
ExecMainStatus=0
Id=evd-central.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=no
"""
ENGINE = """\
MainPID=0
StatusText=
Result=exit-code
NRestarts=19
ExecMainStartTimestampMonotonic=27153451878
ExecMainCode=1
ExecMainStatus=2
Id=evd-engine@CP-001.service
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=static
NeedDaemonReload=no
"""
TARGET = """\
Id=evd-cp@CP-001.target
LoadState=loaded
ActiveState=active
SubState=active
UnitFileState=enabled
NeedDaemonReload=no
"""


def changed(shown: str, **properties: str) -> str:
    """An answer in which some properties have other values."""
    pairs = (line.partition("=") for line in shown.splitlines())
    lines = [f"{name}={properties.get(name, value)}" for name, _, value in pairs]
    return "\n".join([*lines, ""])


@attrs.define
class Commands:
    """systemctl and journalctl that do nothing: their answers, and what they were told."""

    answers: str = ""
    told: list[str] = attrs.field(factory=list)

    def run(self, command: Sequence[str]) -> str:
        """Answer `show`, and note every other command."""
        if command[1] == "show":
            wanted = {each.rpartition("@")[0] if "*" in each else each for each in command[4:]}
            units = [*read_units(self.answers)]
            found = [u for u in units if u["Id"] in wanted or u["Id"].partition("@")[0] in wanted]
            return "\n".join("".join(f"{n}={v}\n" for n, v in unit.items()) for unit in found)
        self.told.append(" ".join(each for each in command if not each.startswith("--")))
        return ""


def host(tmp_path: Path, answers: str = "") -> tuple[Systemd, Commands]:
    """A host whose files are below `tmp_path`."""
    for folder in ("etc", "units", "var"):
        (tmp_path / folder).mkdir(exist_ok=True)
    commands = Commands(answers)
    made = Systemd(tmp_path / "etc", tmp_path / "units", tmp_path / "var", commands.run)
    return made, commands


def test_names_and_units() -> None:
    """Proves: a process has one name, whichever supervisor it has, and a unit that is none of ours
    has none."""
    for name, unit in {
        "evd-central": "evd-central.service",
        "evd-engine:CP-001": "evd-engine@CP-001.service",
        "evd-driver:driver-alice": "evd-driver@driver-alice.service",
        "kafka": "kafka.service",
    }.items():
        assert unit_of(name) == unit
        assert name_of(unit) == name
    for unit in (
        "ssh.service",
        "evd-cp@CP-001.target",
        "evd-firewall.service",
        "evd-engine@.service",
    ):
        assert name_of(unit) is None


@pytest.mark.parametrize(
    ("properties", "state"),
    [
        ({"ActiveState": "active", "SubState": "running"}, ProcessState.RUNNING),
        ({"ActiveState": "activating", "SubState": "start"}, ProcessState.STARTING),
        (
            {"ActiveState": "activating", "SubState": "start-pre", "NRestarts": "0"},
            ProcessState.STARTING,
        ),
        ({"ActiveState": "activating", "SubState": "start-pre"}, ProcessState.FAILING),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, ProcessState.FAILING),
        ({"ActiveState": "deactivating", "SubState": "stop-sigterm"}, ProcessState.STOPPING),
        ({"ActiveState": "inactive", "SubState": "dead"}, ProcessState.STOPPED),
        ({}, ProcessState.GIVEN_UP),
        ({"ActiveState": "maintenance"}, ProcessState.FAILING),
    ],
)
def test_the_states_of_a_unit(properties: dict[str, str], state: ProcessState) -> None:
    """Proves: a unit that waits before its next start is FAILING, and one that systemd does not
    start any more is GIVEN_UP: a crash loop is seen."""
    (unit,) = read_units(changed(ENGINE, **properties))
    status = status_of(unit, 30_000.0)
    assert status is not None
    assert (status.name, status.state) == ("evd-engine:CP-001", state)


def test_what_is_told_of_a_process(tmp_path: Path) -> None:
    """Proves: a running unit has its process, its uptime and what it says that it does; one that
    was given up says how it ended."""
    systemd, _ = host(tmp_path, f"{CENTRAL}\n{ENGINE}\n{TARGET}")
    central, engine = systemd.status()
    assert (central.name, central.pid) == ("evd-central", 1792)
    assert central.detail == "2 charging points, 0 sessions, 0 open requests"
    assert central.up_s is not None
    assert (engine.pid, engine.up_s) == (None, None)
    assert engine.detail == "started anew 19 times, it last ended with code 2"
    (unit,) = read_units(CENTRAL)
    status = status_of(unit, 26_902.068056)
    assert status is not None
    assert status.up_s == pytest.approx(1.0)


def test_the_programs_are_those_that_have_a_file(tmp_path: Path) -> None:
    """Proves: a program has the host's variables under its own, the state directory of its unit,
    and nothing of the operator's shell; Central has the credential where a drop-in gives it."""
    systemd, _ = host(tmp_path)
    etc = tmp_path / "etc"
    (etc / "evd.env").write_text("CP_ENGINE_KAFKA_BOOTSTRAP=k:9092\nCP_ENGINE_KW_RATE=11\n")
    for group, name, text in (
        ("evd-central", "central", "CENTRAL_HTTP_PORT=8001\n"),
        ("evd-engine", "CP-001", "CP_ENGINE_KW_RATE=50\n"),
    ):
        (etc / group).mkdir()
        (etc / group / f"{name}.env").write_text(text)
        (etc / group / f"{name}.requests").write_text("any\n")
    central, engine = systemd.programs()
    assert (central.name, central.arguments, central.inherits) == ("evd-central", (), False)
    assert central.environment["CENTRAL_HTTP_PORT"] == "8001"
    assert central.environment["STATE_DIRECTORY"] == str(tmp_path / "var" / "evd-central")
    assert "CREDENTIALS_DIRECTORY" not in central.environment
    assert engine.arguments == ("--cp-id", "CP-001")
    assert engine.environment["CP_ENGINE_KAFKA_BOOTSTRAP"] == "k:9092"
    assert engine.environment["CP_ENGINE_KW_RATE"] == "50"
    assert systemd.file_of("evd-engine:CP-001") == etc / "evd-engine" / "CP-001.env"
    drop_in = tmp_path / "units" / "evd-central.service.d" / "db-url.conf"
    drop_in.parent.mkdir()
    drop_in.touch()
    assert systemd.programs()[0].environment["CREDENTIALS_DIRECTORY"] == str(etc / "credentials")
    assert "CENTRAL_DB_PASSWORD_FILE" not in systemd.programs()[0].environment
    drop_in.with_name("db-password.conf").touch()
    assert systemd.programs()[0].environment["CENTRAL_DB_PASSWORD_FILE"] == PASSWORD_FILE
    (etc / "evd-engine" / "CP-001.env").write_text("KW\n")
    with pytest.raises(SupervisorFailed, match=r"CP-001\.env: line 1: is no NAME=value\.$"):
        systemd.programs()


def test_what_is_defined_is_taken_up_by_its_target(tmp_path: Path) -> None:
    """Proves: a charging point whose target is not enabled is news, and `sync` enables and starts
    it; a unit that systemd gave up gets another chance with a start."""
    systemd, commands = host(tmp_path, ENGINE + "\n" + changed(TARGET, UnitFileState="disabled"))
    (tmp_path / "etc" / "evd-engine").mkdir()
    (tmp_path / "etc" / "evd-engine" / "CP-001.env").touch()
    assert systemd.drift().added == ("evd-engine:CP-001",)
    systemd.sync()
    unit = "evd-engine@CP-001.service"
    assert commands.told == [
        "systemctl daemon-reload",
        "systemctl enable evd.target evd-cp@CP-001.target",
        f"systemctl reset-failed {unit}",
        # Nothing else is started, such as what the operator has stopped.
        f"systemctl start {unit}",
    ]
    commands.answers = f"{ENGINE}\n{TARGET}"
    assert systemd.drift().added == ()
    systemd.up()
    assert commands.told[-1] == "systemctl start evd.target"


def test_what_runs_and_is_not_defined_is_an_orphan(tmp_path: Path) -> None:
    """Proves: a unit whose file somebody removed is seen while it runs."""
    systemd, _ = host(tmp_path, CENTRAL)
    assert systemd.drift().orphaned == ("evd-central",)
    assert systemd.pid() == 1


def test_what_a_running_process_would_do_otherwise(tmp_path: Path) -> None:
    """Proves: a process is changed where the variables of its file are not those that it has."""
    shown = changed(CENTRAL, MainPID=str(os.getpid()))
    systemd, commands = host(tmp_path, shown)
    folder = tmp_path / "etc" / "evd-central"
    folder.mkdir()
    (folder / "central.env").touch()
    # This process has none of Central's variables.
    assert systemd.drift().changed == ()
    (folder / "central.env").write_text("CENTRAL_HTTP_PORT=8001\n")
    assert systemd.drift().changed == ("evd-central",)
    (folder / "central.env").write_text("CP_ENGINE_KW_RATE=50\n")
    assert systemd.drift().changed == ()
    commands.answers = changed(shown, NeedDaemonReload="yes")
    assert systemd.drift().changed == ("evd-central",)
    # A credential that is new: this process has none.
    commands.answers = shown
    for path in ("units/evd-central.service.d/db-url.conf", "etc/credentials/db-url"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text("postgresql+psycopg:///evd\n")
    assert systemd.drift().changed == ("evd-central",)


def test_a_process_that_is_just_being_started_is_not_changed(tmp_path: Path) -> None:
    """Proves: one whose variables the kernel does not show yet, as it does not at a start, counts
    as one with all that is new."""
    folder = tmp_path / "etc/evd-central"
    folder.mkdir(parents=True)
    (folder / "central.env").write_text("CENTRAL_HTTP_PORT=8001\n")
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env={}) as process:
        systemd, _ = host(tmp_path, changed(CENTRAL, MainPID=str(process.pid)))
        assert systemd.drift().changed == ()


def test_a_process_with_credentials_is_compared_too(tmp_path: Path) -> None:
    """Proves: a Central whose unit hands it the key of its certificate, or the password of its
    database, is changed by what is new on the host, and by nothing else."""
    present = tmp_path / "present"
    present.mkdir()
    (present / "tls-key").touch()
    named = {"CENTRAL_DB_PASSWORD_FILE": PASSWORD_FILE}
    folder = {"CREDENTIALS_DIRECTORY": str(present)}
    for path in ("etc/evd-central", "etc/credentials", "units/evd-central.service.d"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "etc/evd-central/central.env").touch()

    def is_changed(**variables: str) -> bool:
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env=variables) as process:
            wait_for_environment(process)
            systemd, _ = host(tmp_path, changed(CENTRAL, MainPID=str(process.pid)))
            found = systemd.drift().changed
            assert found in ((), ("evd-central",))
            return bool(found)

    assert not is_changed(**folder)
    assert is_changed(**folder, **named)
    (tmp_path / "units/evd-central.service.d/db-password.conf").touch()
    for each in (present, tmp_path / "etc/credentials"):
        (each / "db-password").write_text("one")
    assert is_changed(**folder)
    assert not is_changed(**folder, **named)
    (tmp_path / "etc/credentials/db-password").write_text("another")
    assert is_changed(**folder, **named)
    (present / "db-password").unlink()
    assert is_changed(**folder, **named)


def own_files(tmp_path: Path) -> HostFiles:
    """Files that are given to the group of whoever runs the test."""
    (tmp_path / "etc").mkdir()
    group, user = grp.getgrgid(os.getgid()).gr_name, pwd.getpwuid(os.getuid()).pw_name
    return HostFiles(tmp_path / "etc", tmp_path / "var", group, user)


def test_a_new_program_has_its_flags_and_what_its_neighbours_know(tmp_path: Path) -> None:
    """Proves: the file of a new charging point says where Kafka is, as its neighbours' do, and not
    their rate or their place; nobody but root and the group can read it."""
    files = own_files(tmp_path)
    folder = tmp_path / "etc" / "evd-engine"
    folder.mkdir()
    (folder / "CP-001.env").write_text(
        "CP_ENGINE_KAFKA_BOOTSTRAP=k:9092\nCP_ENGINE_KW_RATE=22\nCP_ENGINE_HEALTH_PORT=8001\n"
    )
    flags = ("--cp-id", "CP-007", "--health-port", "8002", "--location", 'C/ "A" 5')
    files.write(Program("evd-engine", "CP-007", flags))
    path = folder / "CP-007.env"
    assert path.read_text() == (
        "# Written by evd.\n"
        "CP_ENGINE_KAFKA_BOOTSTRAP=k:9092\n"
        "CP_ENGINE_HEALTH_PORT=8002\n"
        'CP_ENGINE_LOCATION="C/ \\"A\\" 5"\n'
    )
    assert path.stat().st_mode & 0o777 == 0o640
    files.remove("evd-engine", "CP-007")
    assert [each.name for each in folder.iterdir()] == ["CP-001.env"]


def test_a_new_drivers_requests_stand_where_it_may_read_them(tmp_path: Path) -> None:
    """Proves: a file of requests from somebody's home is copied to the host's own folder, and goes
    with its driver."""
    files = own_files(tmp_path)
    requests = tmp_path / "requests.txt"
    requests.write_text("CP-001\nany\n")
    flags = ("--driver-id", "driver-bob", "--requests-file", str(requests))
    (tmp_path / "etc" / "evd-driver").mkdir()
    files.write(Program("evd-driver", "driver-bob", flags))
    copy = tmp_path / "etc" / "evd-driver" / "driver-bob.requests"
    assert copy.read_text() == "CP-001\nany\n"
    assert f"DRIVER_REQUESTS_FILE={copy}\n" in copy.with_suffix(".env").read_text()
    # An import writes the requests first, and then names the file that they stand in already.
    assert files.write_requests("driver-bob", b"any\n") == copy
    files.write(Program("evd-driver", "driver-bob", (*flags[:3], str(copy))))
    assert copy.read_text() == "any\n"
    files.remove("evd-driver", "driver-bob")
    assert [*copy.parent.iterdir()] == []


@pytest.mark.parametrize(
    ("shared", "driver", "monitor", "expected"),
    [
        ("EVD_CENTRAL_URL=http://c:1\n", "DRIVER_CENTRAL_URL=http://d:2\n", "", "http://c:1"),
        ("", "DRIVER_CENTRAL_URL=http://d:2\n", "", "http://d:2"),
        ("", "DRIVER_CENTRAL_URL=http://d:2, http://e/\n", "", "http://d:2 http://e"),
        ("", "", "CP_MONITOR_CENTRAL_HOST=m\n", "http://m:8000"),
        ("", "", "CP_MONITOR_CENTRAL_HOST=m\nCP_MONITOR_TLS_CA=/ca\n", "https://m:8000"),
        ("", "", "CP_MONITOR_CENTRAL_HOST=m:9998,::1,m\n", "http://m:8000 http://[::1]:8000"),
        ("", "", "", ""),
    ],
)
def test_a_host_without_central_knows_where_it_is(
    tmp_path: Path, shared: str, driver: str, monitor: str, expected: str
) -> None:
    """Proves: on a charging point's host Central is asked where that host's own programs find it,
    unless the host's file says where."""
    systemd, _ = host(tmp_path)
    for name, text in (("evd-driver/d.env", driver), ("evd-monitor/CP-1.env", monitor)):
        path = tmp_path / "etc" / name
        path.parent.mkdir()
        path.write_text(text)
    (tmp_path / "etc" / "evd.env").write_text(shared)
    assert systemd.central_urls() == tuple(expected.split())
    assert systemd.central_ca() == (Path("/ca") if "/ca" in monitor else None)


def test_the_token_of_a_unit(tmp_path: Path) -> None:
    """Proves: a token is its user's alone from its first byte on, is replaced whole, and goes with
    its unit; what lay there half written is nobody's way in."""
    files = own_files(tmp_path)
    path = files.write_token("cp-CP-007", "one")
    assert path == tmp_path / "etc" / "tokens" / "cp-CP-007"
    left = path.with_name(f"{path.name}.new")
    left.touch(0o666)
    files.write_token("cp-CP-007", "two")
    assert path.read_text() == "two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not left.exists()
    files.remove_token("cp-CP-007")
    files.remove_token("cp-CP-007")
    assert not path.exists()


def test_a_new_program_is_as_safe_as_its_neighbours(tmp_path: Path) -> None:
    """Proves: where a host's programs speak TLS a new one does too, by the same files, but with a
    token of its own, and with a key in its own unit's folder."""
    files = own_files(tmp_path)
    folder = tmp_path / "etc" / "evd-monitor"
    folder.mkdir()
    shared = "CP_MONITOR_TLS_CA=/ca\nCP_MONITOR_METRICS_TOKEN_FILE=/m\n"
    key = "CP_MONITOR_TLS_KEY=/run/credentials/evd-monitor@{}.service/tls-key\n"
    own = f"{shared}{key.format('CP-001')}CP_MONITOR_TOKEN_FILE=/t1\n"
    (folder / "CP-001.env").write_text(own)
    flags = ("--cp-id", "CP-007", "--token-file", "/t7")
    files.write(Program("evd-monitor", "CP-007", flags))
    text = (folder / "CP-007.env").read_text()
    own = f"{shared}{key.format('CP-007')}CP_MONITOR_TOKEN_FILE=/t7\n"
    assert text == f"# Written by evd.\n{own}"
