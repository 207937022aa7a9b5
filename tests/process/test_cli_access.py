"""The tool brings a running network from --auth off to required, and works there as before."""

import json
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.network import checker
from tests.network.supervised import Network, network_in
from tests.network.waiting import wait_until

BOUND_S = 60.0
PASSWORD = "correct horse battery"
CENTRAL = "evd-central"
SESSION_S = 3


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A small open network that is up."""
    with network_in(tmp_path_factory.mktemp("net")) as found:
        found.keep("broker", "central", "cp-CP-001")
        done(found, "up")
        yield found


def done(network: Network, *words: str, text: str = "", **env: str) -> str:
    """The output of a command that does what it was asked; `text` is its standard input."""
    found = tool(network, *words, text=text, **env)
    assert found.returncode == 0, (words, found.stdout, found.stderr)
    return found.stdout


def tool(
    network: Network, *words: str, text: str = "", **env: str
) -> "subprocess.CompletedProcess[str]":
    """A command, run to its end."""
    return network.evd(*words, text=text, **env)


def told(network: Network, *words: str, **env: str) -> Any:
    """The JSON that a command prints."""
    return json.loads(done(network, *words, "--json", **env))


def set_auth(network: Network, auth: str) -> None:
    """Restart Central with another --auth; sessions and points are where they were."""
    write_setting(network, "CENTRAL_AUTH", auth)
    done(network, "down")
    done(network, "up")


def write_setting(network: Network, name: str, value: str) -> None:
    """Write a variable of all programs into the network's file, in the place of one before."""
    text = re.sub(rf' *{name}="\w+",\n', "", network.conf.read_text())
    named = f'    {name}="{value}",\n    CENTRAL_LISTEN'
    network.conf.write_text(text.replace("    CENTRAL_LISTEN", named))


def states(network: Network) -> dict[str, str]:
    """The state of each charging point."""
    # Its code is 1 for as long as a process counts as just starting, though its point may be ON.
    found = tool(network, "status", "--json")
    assert found.returncode in (0, 1), found.stderr
    return {each["cp_id"]: each["state"] for each in json.loads(found.stdout)["charging_points"]}


def wait_until_on(network: Network, *cp_ids: str) -> None:
    """Until these are ON."""
    wanted = dict.fromkeys(cp_ids, "ON")
    wait_until(lambda: states(network) == wanted, BOUND_S, f"{wanted}")


@pytest.mark.slow
def test_the_way_to_required(network: Network, tmp_path: Path) -> None:
    """Proves: an open network is brought to --auth required by the tool alone, each step with its
    word on what is missing; there all verbs work on Central's host without a token, and elsewhere
    with one."""
    wait_until_on(network, "CP-001")
    assert tool(network, "access", "ready").returncode == 1
    done(network, "user", "add", "root", "admin", text=f"{PASSWORD}\n")

    set_auth(network, "warn")
    wait_until_on(network, "CP-001")
    refused = [each["name"] for each in told_unready(network) if each["kind"] == "point"]
    assert refused == ["CP-001"]
    assert "evd cp token CP-001" in tool(network, "doctor").stdout
    done(network, "cp", "token", "1")
    done(network, "reload")
    wait_until_on(network, "CP-001")
    wait_until(lambda: told_unready(network) == [], BOUND_S, "nobody would be refused")
    assert tool(network, "access", "ready").returncode == 0

    set_auth(network, "required")
    wait_until_on(network, "CP-001")
    done(network, "cp", "add", "2")
    wait_until_on(network, "CP-001", "CP-002")
    file = network.root / "var" / "tokens" / "cp-CP-002"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each["user"] for each in told(network, "user", "list")["users"]] == ["root"]
    snapshot = json.loads(done(network, "feed", "--once"))
    assert {each["cp_id"] for each in snapshot["charging_points"]} == {"CP-001", "CP-002"}

    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(done(network, "token", "new", "ci", "viewer"))
    url = f"http://127.0.0.1:{network.ports[8000]}"
    elsewhere = {"EVD_CENTRAL_URL": url, "EVD_TOKEN_FILE": str(token)}
    assert len(told(network, "status", **elsewhere)["charging_points"]) == 2
    assert json.loads(done(network, "feed", "--once", **elsewhere))["type"] == "snapshot"
    denied = tool(network, "cp", "stop", "1", **elsewhere)
    assert (denied.returncode, "permission denied" in denied.stderr) == (1, True)
    stranger = tool(network, "--central-url", url, "sessions")
    assert "does not know who asks" in stranger.stderr
    done(network, "token", "revoke", "ci")
    assert "does not know who asks" in tool(network, "sessions", **elsewhere).stderr

    rows = told(network, "audit", "--limit", "100")["audit"]
    assert {"root", "CP-002", "ci"} <= {str(each["object"]) for each in rows}
    assert any(str(each["who"]).startswith("local:") for each in rows)
    logs = "".join(path.read_text() for path in (network.root / "var" / "log").iterdir())
    assert file.read_text().strip() not in logs
    assert PASSWORD not in logs


def told_unready(network: Network) -> list[dict[str, Any]]:
    """Those whom `required` would refuse."""
    found = tool(network, "access", "ready", "--json")
    rows: list[dict[str, Any]] = json.loads(found.stdout)["refused"]
    return rows


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Network]:
    """A network that takes only those who show a token, with an admin and two charging points."""
    with network_in(tmp_path / "net") as found:
        found.keep("broker", "central")
        write_setting(found, "CENTRAL_AUTH", "required")
        write_setting(found, "CP_ENGINE_SESSION_SECONDS", f"{SESSION_S}")
        done(found, "up")
        done(found, "user", "add", "root", "admin", text=f"{PASSWORD}\n")
        done(found, "cp", "add", "1", "2")
        wait_until_on(found, "CP-001", "CP-002")
        yield found


def engines(network: Network) -> dict[str, Path]:
    """The state directory of each engine."""
    return {each.name: each for each in (network.supervisord.var / "engine").iterdir()}


def facts_of(network: Network) -> checker.Facts:
    """All that Central and the engines wrote down."""
    database = network.supervisord.var / "central" / "central.db"
    return checker.gather(database, engines(network), {})


def disks(network: Network) -> list[checker.Disk]:
    """The sessions on the engines' disks."""
    return [checker.read_disk(each) for each in engines(network).values()]


def confirmed(network: Network) -> dict[str, bool]:
    """The sessions that engines keep, and whether Central has confirmed each."""
    kept = (each for disk in disks(network) for each in disk.kept)
    return {each.record.session_id: each.confirmed for each in kept}


@pytest.mark.slow
def test_a_lost_database(guarded: Network, tmp_path: Path) -> None:
    """Proves: a Central that lost its database under --auth required knows nobody until a copy of
    access is taken up, which names first what becomes valid; then every charging point is ON, and
    each record on an engine's disk is settled as one row, those that the lost Central had confirmed
    as well, while no other program is touched."""
    for cp_id in ("CP-001", "CP-002"):
        done(guarded, "request", "zed", cp_id)
    copy = tmp_path / "access.json"
    done(guarded, "access", "export", str(copy))
    done(guarded, "request", "zed", "CP-001", "--no-wait")
    wait_until(lambda: any(each.running for each in disks(guarded)), BOUND_S, "it supplies")
    supervisord = guarded.supervisord
    supervisord.stop([CENTRAL])
    others = guarded.pids()
    wait_until(lambda: [*confirmed(guarded).values()].count(False), BOUND_S, "it is kept")
    before = confirmed(guarded)
    assert sorted(before.values()) == [False, True, True]
    shutil.rmtree(supervisord.var / "central")

    supervisord.start([CENTRAL])
    wait_until(lambda: tool(guarded, "user", "list").returncode == 0, BOUND_S, "Central answers")
    assert told(guarded, "user", "list")["users"] == []
    unasked = tool(guarded, "access", "import", str(copy))
    assert unasked.returncode == 2
    assert {"root", "CP-001", "CP-002"} <= set(re.findall(r"[\w-]+", unasked.stderr))
    assert told(guarded, "user", "list")["users"] == []
    assert states(guarded) == {}
    done(guarded, "access", "import", "--yes", str(copy))

    wait_until_on(guarded, "CP-001", "CP-002")
    facts = checker.hold(lambda: facts_of(guarded), lambda _: (), within_s=BOUND_S)
    assert {row["session_id"] for row in facts.sessions} == before.keys()
    assert all(row["settled"] and row["billable"] for row in facts.sessions)
    assert guarded.pids() == others | {CENTRAL: guarded.pids()[CENTRAL]}
