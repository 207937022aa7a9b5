"""`evd export` and `evd import` on a running network: that changes which is to change, alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.processes import free_port
from tests.network.supervised import Network, network_in
from tests.network.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A running network with one charging point and one driver."""
    # The path of supervisord's socket must be a short one.
    with network_in(tmp_path_factory.mktemp("net")) as made:
        made.keep("broker", "central", "cp-CP-001", "driver-driver-alice")
        assert made.evd("up").returncode == 0
        yield made


def test_import_changes_what_differs_and_rebuilds_the_rest(
    network: Network, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Proves: a site is saved as one file and rebuilt from it elsewhere; on the running network
    the same file restarts nothing, an edited one restarts what it changes, and a wrong one
    changes nothing at all."""
    site = tmp_path / "site.toml"
    assert network.evd("export", str(site)).returncode == 0
    before = network.pids()
    same = network.evd("import", str(site))
    assert (same.returncode, same.stdout) == (0, "The same: 2\nDone\n")
    assert network.pids() == before

    text = site.read_text()
    site.write_text(text.replace("kw_rate = 22", "kw_rate = -1"))
    wrong = network.evd("import", str(site))
    assert wrong.returncode == 2
    assert "CP-001: kw_rate: must be from" in wrong.stderr
    assert network.pids() == before

    new = f'\n[[charging_point]]\nid = "CP-NEW"\nhealth_port = {free_port()}\nlocation = "Quay 3"\n'
    site.write_text(text.replace("kw_rate = 22", "kw_rate = 11") + new)
    done = network.evd("import", "--now", str(site))
    assert done.returncode == 0, done.stderr
    assert "~ CP-001: kw_rate 22 -> 11\n+ CP-NEW: new\nThe same: 1\n" in done.stdout
    after = network.pids()
    moved = {name for name in before if after[name] != before[name]}
    assert moved == {"evd-engine:CP-001"}
    shown = network.evd("status", "--json").stdout
    assert "Quay 3" in shown
    assert network.evd("export").stdout != text

    # A driver reads its requests at its start alone.
    site.write_text(site.read_text().replace("Alice's", "Alice's own"))
    assert "~ driver-alice: requests\n" in network.evd("import", str(site)).stdout
    assert network.pids()["evd-driver:driver-alice"] != after["evd-driver:driver-alice"]
    assert network.pids()["evd-engine:CP-NEW"] == after["evd-engine:CP-NEW"]

    site.write_text(text.replace("kw_rate = 22", "kw_rate = 11"))
    gone = network.evd("import", "--remove", str(site))
    assert gone.returncode == 0, gone.stderr
    assert "- CP-NEW: is removed" in gone.stdout
    wait_until(lambda: "evd-engine:CP-NEW" not in network.pids(), 10.0, "CP-NEW is gone")
    saved = network.evd("export").stdout
    network.evd("down")
    with network_in(tmp_path_factory.mktemp("net")) as other:
        other.keep("broker", "central")
        site.write_text(saved)
        assert other.evd("import", str(site)).returncode == 0
        assert other.evd("export").stdout == saved
