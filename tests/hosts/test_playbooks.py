"""The playbooks of an operator's day, played while sessions run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.hosts.commands import CommandFailed
from tests.hosts.provision import (
    Controller,
    changes,
    own_inventory,
    set_variables,
    wheels_before,
)
from tests.hosts.site import PATIENCE_S, POINTS, STATE, Site
from tests.network.releases import BEFORE

pytestmark = pytest.mark.hosts

# In the order in which upgrade.yml takes them.
_CHANGED_OVER = ("kafka1", "cp1", "cp2")
NEW_POINT = {"id": "CP-005", "health_port": 8003, "kw_rate": 22.0, "euro_rate": 0.30}


def test_a_charging_point_is_added_and_removed_in_mid_session(site: Site, tmp_path: Path) -> None:
    """Proves: add-cp.yml makes a new charging point that serves a driver, while the sessions of the
    others go on and nothing else is restarted; remove-cp.yml ends its session, with a bill, and
    takes it away; repeated each changes nothing."""
    inventory = own_inventory(site.lab, tmp_path / "inventory")
    settings = inventory / "host_vars" / "cp2.yml"
    points = yaml.safe_load(settings.read_text())["evd_cps"]
    set_variables(settings, evd_cps=[*points, NEW_POINT])
    controller = Controller(site.lab, inventory)
    requests = site.begin_sessions()
    with site.only("CP-005"):
        began_s = time.monotonic()
        controller.play("add-cp.yml", cp_id="CP-005")
        site.points["CP-005"] = "cp2"
        site.note_until("add-cp.yml, until the new one is ready", began_s, site.wait_ready)
        assert changes(controller.play("add-cp.yml", cp_id="CP-005")) == []
        requests["CP-005"] = site.driver_asks("driver-bob", "CP-005")
        site.wait_charging("CP-005")
        began_s = time.monotonic()
        controller.play("remove-cp.yml", cp_id="CP-005")
        site.figures.note("remove-cp.yml, its session ended first", time.monotonic() - began_s)
        assert "CP-005" not in site.shown()
        for request_id in requests.values():
            site.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
        assert changes(controller.play("remove-cp.yml", cp_id="CP-005")) == []
        site.removed.add("CP-005")
        site.hold_promises()


def test_a_lost_disk_of_central_is_restored_from_a_backup(site: Site, tmp_path: Path) -> None:
    """Proves: after backup.yml, more sessions, the loss of Central's disk and restore.yml the
    engines send again what they keep: nothing that was confirmed is missing, nothing billed twice,
    and sessions begin again."""
    controller = Controller(site.lab)
    site.whole_sessions()
    controller.play("backup.yml", evd_backup_folder=str(tmp_path))
    (backup,) = tmp_path.glob("*.db")
    site.whole_sessions()
    stored = {row["session_id"] for row in site.facts().sessions}
    assert len(stored) == 2 * len(POINTS)
    with site.only("evd-central"):
        site.central.sh(f"systemctl stop evd-central.service && rm -r /{STATE}/evd-central/*")
        began_s = time.monotonic()
        controller.play("restore.yml", evd_backup=str(backup))
        site.note_until("restore.yml, until all is ready", began_s, site.wait_ready)
        facts = site.hold_promises(central_lost=True)
        assert stored == {row["session_id"] for row in facts.sessions}
        site.whole_sessions()
        site.hold_promises(central_lost=True)


def test_a_rollback_and_an_upgrade_with_sessions_running(site: Site, tmp_path: Path) -> None:
    """Proves: upgrade.yml brings the hosts to the release before, and back to one that they still
    have, whose wheel need not be here; one after the other, while drivers charge: no session is
    lost or billed twice, and Kafka is left alone."""
    controller = Controller(site.lab)
    present = _releases(site)["cp1"]
    _go_back(site, controller, tmp_path)
    (tmp_path / "no-wheels").mkdir()
    what = "upgrade.yml forward again, host by host, sessions running"
    with site.only("evd-"), site.busy(), site.noted(what):
        wheels = str(tmp_path / "no-wheels")
        controller.play("upgrade.yml", evd_version=present, evd_wheels=wheels)
    assert _releases(site) == dict.fromkeys(_CHANGED_OVER, present)
    site.hold_promises()


@pytest.mark.slow
def test_an_upgrade_stops_where_it_goes_wrong(site: Site, tmp_path: Path) -> None:
    """Proves: a release that can't do what the inventory asks of it is refused before anything is
    changed; an upgrade ends at the first host that does not come back, and those behind it go on
    as they were; once that host is mended another play goes on."""
    controller = Controller(site.lab)
    present = _releases(site)["cp1"]
    with site.only(), pytest.raises(CommandFailed, match="reads no credential"):
        asked = {"evd_central_db_url": "postgresql://elsewhere/evd"}
        wheels = str(wheels_before(tmp_path / "refused"))
        controller.play("upgrade.yml", evd_version=BEFORE, evd_wheels=wheels, **asked)
    _go_back(site, controller, tmp_path)
    with site.only("evd-"), site.busy():
        with site.only("kafka1/evd-", "cp1/evd-"), _broken(site, "cp1", present):
            with pytest.raises(CommandFailed, match="cp1 did not come back with evd"):
                controller.play("upgrade.yml", evd_version=present, evd_ready_wait_s=5)
            assert _releases(site) == {"kafka1": present, "cp1": present, "cp2": BEFORE}
        controller.play("upgrade.yml", evd_version=present)
    assert _releases(site) == dict.fromkeys(_CHANGED_OVER, present)
    site.hold_promises()


def _go_back(site: Site, controller: Controller, folder: Path) -> None:
    """Bring the hosts to the release before, while drivers charge."""
    wheels = str(wheels_before(folder))
    what = "upgrade.yml back to the release before, host by host, sessions running"
    with site.only("evd-"), site.busy(), site.noted(what):
        controller.play("upgrade.yml", evd_version=BEFORE, evd_wheels=wheels)
    assert _releases(site) == dict.fromkeys(_CHANGED_OVER, BEFORE)
    site.hold_promises()


@contextmanager
def _broken(site: Site, name: str, release: str) -> Iterator[None]:
    """Let no engine of a release start on a host within the block."""
    program = f"/opt/evd/releases/{release}/bin/evd-engine"
    site.lab.hosts[name].sh(f"mv {program} {program}.away")
    yield
    site.lab.hosts[name].sh(f"mv {program}.away {program}")


def _releases(site: Site) -> dict[str, str]:
    """The release that each host with a daemon runs."""
    return {
        name: site.lab.hosts[name].sh("basename $(readlink /opt/evd/current)").strip()
        for name in _CHANGED_OVER
    }
