"""The tool against a whole network: up, looking, adding, removing, crashing, down."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from evd.adapters.supervisor.supervisord import Supervisord
from evd.cli.doctor import SETTLED_S
from evd.cli.programs import central_of
from evd.cli.status import Snapshot, take_snapshot
from tests.network.processes import CHECKOUT, wait_for_environment
from tests.network.supervised import Network, network_in
from tests.network.waiting import wait_until

BOUND_S = 30.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A small network that is up; each test leaves it as it found it."""
    with network_in(tmp_path_factory.mktemp("net")) as found:
        found.keep("broker", "central", "cp-CP-001", "cp-CP-002")
        up = found.evd("up")
        assert up.returncode == 0, up.stderr
        yield found


def wait_for(what: str, condition: Callable[[], object]) -> None:
    """Until it holds."""
    wait_until(condition, BOUND_S, what)


def snapshot(network: Network) -> Snapshot:
    """The network as `evd status` shows it."""
    return take_snapshot(Supervisord(network.conf))


def pids(network: Network) -> dict[str, int | None]:
    """The processes by name."""
    return {each.name: each.pid for each in snapshot(network).processes}


def points(network: Network) -> dict[str, dict[str, Any]]:
    """The charging points by id, as Central shows them."""
    return {each["cp_id"]: each for each in snapshot(network).charging_points}


def scraped(network: Network, job: str) -> set[str]:
    """The charging points whose metrics Prometheus is told to read; each can be read."""
    targets = json.loads((network.root / "var" / "prometheus" / f"{job}.json").read_text())
    for each in targets:
        assert httpx.get(f"http://{each['targets'][0]}/metrics").status_code == 200
    return {each["labels"]["cp_id"] for each in targets}


def states(network: Network) -> dict[str, str]:
    """The state of each charging point, as Central shows it."""
    return {cp_id: each["state"] for cp_id, each in points(network).items()}


def wait_until_well(network: Network) -> None:
    """Until every charging point is ON, and every process runs."""
    wait_for(
        "all is well", lambda: snapshot(network).is_well and set(states(network).values()) == {"ON"}
    )


def test_adding_restarts_nothing(network: Network) -> None:
    """Proves: charging points and drivers are added to a running network, by files of their own,
    without a restart or an edit of anything; removing them leaves no trace but their history."""
    wait_until_well(network)
    before = pids(network)
    etc = {path: path.read_bytes() for path in (network.root / "etc").rglob("*.conf")}
    added = network.evd("cp", "add", "7", "--kw", "75", "--euro", "0.38", "--count", "2")
    assert added.returncode == 0, added.stderr
    assert states(network).keys() >= {"CP-007", "CP-008"}
    added_point = points(network)["CP-008"]
    assert (added_point["kw_rate"], added_point["euro_rate"]) == (75.0, 0.38)
    assert "evd-monitor:CP-008" in network.ctl("status")
    assert scraped(network, "evd-monitor") == {"CP-001", "CP-002", "CP-007", "CP-008"}
    assert network.evd("driver", "add", "carol", "--json").returncode == 0
    again = network.evd("cp", "add", "10", "8")
    assert (again.returncode, again.stderr) == (
        1,
        "evd: CP-008 is there already: nothing was added.\n",
    )
    assert network.evd("cp", "remove", "7", "CP-008").returncode == 0
    assert network.evd("driver", "remove", "carol").returncode == 0
    assert pids(network) == before
    assert states(network).keys() == {"CP-001", "CP-002"}
    assert scraped(network, "evd-engine") == {"CP-001", "CP-002"}
    assert etc == {path: path.read_bytes() for path in (network.root / "etc").rglob("*.conf")}


@pytest.mark.slow
def test_several_at_once(network: Network) -> None:
    """Proves: commands that run at the same time never give a port to two."""
    commands = [
        subprocess.Popen(
            network.command("driver", "add", f"d-{n}"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    for each in commands:
        _, errors = each.communicate(timeout=BOUND_S)
        assert each.returncode == 0, errors
    wait_for("all drivers run", lambda: snapshot(network).is_well)
    assert network.evd("driver", "remove", "d-0", "d-1", "d-2").returncode == 0


def test_removing_ends_the_session_first(network: Network) -> None:
    """Proves: a charging point that is removed in mid-session ends it, bills it, and is gone only
    when Central has its record; a request is told with each change to its final status, and its
    code says which."""
    wait_until_well(network)
    assert network.evd("cp", "add", "busy-1").returncode == 0
    with subprocess.Popen(
        network.command("request", "yan", "busy-1"), stdout=subprocess.PIPE, text=True
    ) as request:
        wait_for("it supplies", lambda: points(network).get("busy-1", {}).get("telemetry"))
        removed = network.evd("cp", "remove", "busy-1")
        assert removed.returncode == 0, removed.stderr
        told, _ = request.communicate(timeout=BOUND_S)
    assert request.returncode == 0
    assert "COMPLETED" in told
    assert "kWh" in told.splitlines()[-1]
    assert "busy-1" not in states(network)
    denied = network.evd("request", "zoe", "CP-404")
    assert (denied.returncode, denied.stdout.split()[:2]) == (1, ["DENIED", "CP-404"])


def test_crash_and_doctor(network: Network) -> None:
    """Proves: a killed process is named and started again; a hung one, which no supervisor sees,
    is found by the doctor with what to do; and a healthy network has no findings."""
    wait_until_well(network)
    pid = pids(network)["evd-engine:CP-001"]
    crashed = network.evd("crash", "evd-engine:CP-001")
    assert crashed.stdout == (
        f"Killed evd-engine:CP-001 (process {pid}) with SIGKILL; its supervisor starts it again\n"
    )
    wait_until_well(network)
    assert pids(network)["evd-engine:CP-001"] != pid
    healthy = network.evd("doctor")
    assert (healthy.returncode, healthy.stdout) == (0, "Everything is as it should be.\n")
    hung = pids(network)["evd-engine:CP-002"]
    assert hung is not None
    engine = Supervisord(network.conf).status
    wait_for(
        "it has settled",
        lambda: next(each.up_s or 0.0 for each in engine() if each.pid == hung) > SETTLED_S,
    )
    os.kill(hung, signal.SIGSTOP)
    try:
        found = network.evd("doctor", "--json")
    finally:
        os.kill(hung, signal.SIGCONT)
    assert found.returncode == 1
    whats = [each["what"] for each in json.loads(found.stdout)]
    assert f"evd-engine:CP-002 (process {hung}) does not answer: it hangs." in whats
    wait_until_well(network)


def test_the_doctor_names_who_fills_a_port(network: Network) -> None:
    """Proves: a client that holds every HTTP connection that its address may have, so that even the
    doctor is turned away, is found."""
    port = network.ports[8000]

    def found() -> bool:
        # Central ends idle connections after some seconds, which a slow machine may need.
        with contextlib.ExitStack() as held:
            for _ in range(160):
                held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            said = network.evd("doctor").stdout
        return f"HTTP connections to evd-central (--http-port {port}) that one address" in said

    wait_for("it is found", found)
    wait_until_well(network)


@pytest.mark.slow
def test_a_stopped_process_is_shown_and_started(network: Network) -> None:
    """Proves: what supervisorctl stops is DISCONNECTED within a second, is a finding, and `evd up`
    starts it."""
    wait_until_well(network)
    assert network.ctl("stop", "evd-monitor:CP-001") == "evd-monitor:CP-001: stopped\n"
    wait_for("DISCONNECTED", lambda: states(network)["CP-001"] == "DISCONNECTED")
    assert "evd-monitor:CP-001 is stopped" in network.evd("status").stdout
    assert "evd-monitor:CP-001 is stopped." in network.evd("doctor").stdout
    assert network.evd("up").returncode == 0
    wait_until_well(network)


def test_logs(network: Network) -> None:
    """Proves: a program's log is found by its name."""
    shown = network.evd("logs", "monitor:CP-001", "-n", "1000").stdout
    assert "| CP_M:CP-001 | Registered with Central" in shown


def test_a_log_that_was_removed(network: Network) -> None:
    """Proves: a log that somebody removed is told by `evd logs` and `evd doctor`, with its program,
    and `evd up` opens it anew without a restart."""
    wait_until_well(network)
    before = pids(network)
    log = network.root / "var" / "log" / "evd-monitor-CP-001.log"
    log.unlink()
    shown = network.evd("logs", "monitor:CP-001")
    why = "is gone, or was never written: evd up opens it anew"
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == f"evd: {log} {why}.\n"
    named = "evd-monitor:CP-001: writing to a log whose file is gone."
    assert named in network.evd("doctor").stdout
    assert network.evd("up").returncode == 0
    assert network.evd("logs", "monitor:CP-001").returncode == 0
    assert network.evd("doctor").stdout == "Everything is as it should be.\n"
    assert pids(network) == before


@pytest.mark.slow
def test_reload_restarts_what_changed_alone(network: Network) -> None:
    """Proves: `evd up` and `evd status` name what changed in the files; `evd reload` takes it up
    and restarts that alone, an engine once its session has ended."""
    wait_until_well(network)
    before = pids(network)
    name, file = "evd-engine:CP-001", network.root / "etc" / "supervisord.d" / "cp-CP-001.conf"
    shipped = file.read_text()
    file.write_text(shipped.replace("--kw-rate 22", "--kw-rate 11"))
    for verb in ("up", "status"):
        told = f"{name}: running as it was before its file or its release changed. evd reload"
        assert told in network.evd(verb).stdout
    assert pids(network) == before
    with subprocess.Popen(
        network.command("request", "yan", "CP-001"), stdout=subprocess.PIPE, text=True
    ) as request:
        wait_for("it supplies", lambda: points(network)["CP-001"].get("telemetry"))
        reload = network.evd("reload")
        requested, _ = request.communicate(timeout=BOUND_S)
    assert "COMPLETED" in requested
    assert reload.stdout.splitlines() == [
        f"{name} charges: restarted once its session has ended (at once: evd reload --now)",
        f"Restarted {name}",
    ]
    wait_for("its new power is shown", lambda: points(network)["CP-001"]["kw_rate"] == 11.0)
    after = pids(network)
    assert after[name] != before[name]
    assert after | {name: None} == before | {name: None}
    file.write_text(shipped)
    assert network.evd("reload", "--now", "CP-001").stdout == f"Restarted {name}\n"
    wait_until_well(network)


@pytest.mark.slow
def test_a_copy_of_the_database(network: Network, tmp_path: Path) -> None:
    """Proves: Central's database is copied while it runs, and put back by one command each; the
    Central that comes back is another one, and every charging point is there again."""
    wait_until_well(network)
    copy = tmp_path / "central.db"
    assert network.evd("central", "backup", str(copy)).returncode == 0
    again = network.evd("central", "backup", str(copy))
    assert (again.returncode, again.stderr) == (1, f"evd: {copy} exists already.\n")
    central = central_of(Supervisord(network.conf))
    before = central.health()["central_id"]
    restored = network.evd("central", "restore", str(copy))
    assert restored.returncode == 0, restored.stderr
    wait_until_well(network)
    assert central.health()["central_id"] != before


def test_a_second_network_on_the_same_ports(network: Network, tmp_path: Path) -> None:
    """Proves: a port that is taken is named with who has it, and nothing is half started."""
    with network_in(tmp_path) as other:
        for path in (other.root / "etc").rglob("*.conf"):
            relative = path.relative_to(other.root)
            mine = network.root / relative
            path.write_bytes(mine.read_bytes()) if mine.exists() else path.unlink()
        for verb in ("up", "run"):
            refused = other.evd(verb)
            assert refused.returncode == 1
            assert refused.stdout == ""
            assert refused.stderr.startswith("evd: Port ")
            assert " is in use by evd-" in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
        assert Supervisord(other.conf).pid() is None
    again = network.evd("run")
    assert again.returncode == 1
    assert again.stderr.startswith("evd: The network runs already")


def test_down_leaves_no_process(network: Network) -> None:
    """Proves: `evd down` ends every process that the network had."""
    wait_until_well(network)
    running = pids(network)
    down = network.evd("down")
    assert down.returncode == 0, down.stderr
    assert not [name for name, pid in running.items() if Path(f"/proc/{pid}").exists()]
    assert network.evd("status").returncode == 1


@pytest.mark.slow
def test_several_starts_and_a_stop_from_elsewhere(tmp_path: Path) -> None:
    """Proves: of several `evd up` at once all find the network up at their end; `evd run` that
    another `evd down` ends says so in its last line."""
    with network_in(tmp_path) as network:
        network.keep("broker", "central")
        ups = [
            subprocess.Popen(network.command("up"), stdout=subprocess.DEVNULL, stderr=-1, text=True)
            for _ in range(3)
        ]
        for each in ups:
            _, errors = each.communicate(timeout=BOUND_S)
            assert (each.returncode, errors) == (0, "")
        assert network.evd("down").returncode == 0
        with subprocess.Popen(network.command("run"), stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            assert run.stdout.readline().startswith("Dashboard")
            assert network.evd("down").returncode == 0
            told, _ = run.communicate(timeout=BOUND_S)
        assert run.returncode == 0
        assert told.splitlines()[-1].startswith("Stopped. What was charged is kept")


@pytest.mark.slow
def test_what_a_killed_supervisor_left_behind(tmp_path: Path) -> None:
    """Proves: where supervisord was killed, its processes are known, refuse a new start, and are
    ended by `evd down`; those of another network are not touched."""
    with network_in(tmp_path) as network:
        url = f"unix://{network.root}/var/run/supervisord.sock"
        mine, other = (
            subprocess.Popen(["sleep", "60"], env={**os.environ, "SUPERVISOR_SERVER_URL": each})
            for each in (url, url + ".other")
        )
        try:
            wait_for_environment(mine)
            assert Supervisord(network.conf).left_behind() == [mine.pid]
            for verb in ("up", "run"):
                assert "supervisord was killed, and 1 of its" in network.evd(verb).stderr
            assert "supervisord was killed, and 1 of its" in network.evd("status").stdout
            assert network.evd("down").returncode == 0
            assert mine.wait(timeout=BOUND_S) == -signal.SIGTERM
            assert other.poll() is None
        finally:
            for each in (mine, other):
                each.kill()
                each.wait()


def test_the_checkout_stays_clean() -> None:
    """Proves: what the tool writes is ignored by git."""
    done = subprocess.run(
        ["git", "-C", str(CHECKOUT), "check-ignore", "var/supervisord.d/cp-CP-007.conf"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
