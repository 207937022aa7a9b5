"""The playbooks of an operator's day, played while sessions run."""

import shutil
import time
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.hosts.provision import INVENTORY, Controller, wheels_before
from tests.hosts.site import PATIENCE_S, POINTS, STATE, Site
from tests.network.releases import BEFORE

pytestmark = pytest.mark.hosts

NEW_POINT = {"id": "CP-005", "health_port": 8003, "kw_rate": 22.0, "euro_rate": 0.30}


def test_a_charging_point_is_added_in_mid_session(site: Site, tmp_path: Path) -> None:
    """Proves: add-cp.yml makes a new charging point that serves a driver, while the sessions of the
    others go on and nothing else is restarted."""
    inventory = tmp_path / "inventory"
    shutil.copytree(INVENTORY, inventory)
    settings = inventory / "host_vars" / "cp2.yml"
    fields = yaml.safe_load(settings.read_text())
    fields["evd_cps"].append(NEW_POINT)
    settings.write_text(yaml.safe_dump(fields))
    site.points["CP-005"] = "cp2"
    requests = site.begin_sessions()
    with site.only("prometheus"):
        began_s = time.monotonic()
        Controller(site.lab, inventory).play("add-cp.yml", cp_id="CP-005")
        site.note_until("add-cp.yml, until the new one is ready", began_s, site.wait_ready)
        requests["CP-005"] = site.driver_asks("driver-bob", "CP-005")
        for request_id in requests.values():
            site.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
        site.hold_promises()


def test_a_lost_disk_of_central_is_restored_from_a_backup(site: Site, tmp_path: Path) -> None:
    """Proves: after backup.yml, more sessions, the loss of Central's disk and restore.yml the
    engines send again what they keep: nothing that was confirmed is missing, nothing billed twice,
    and sessions begin again."""
    controller = Controller(site.lab)
    _whole_sessions(site)
    controller.play("backup.yml", evd_backup_folder=str(tmp_path))
    (backup,) = tmp_path.iterdir()
    _whole_sessions(site)
    stored = {row["session_id"] for row in site.facts().sessions}
    assert len(stored) == 2 * len(POINTS)
    with site.only("evd-central"):
        site.central.sh(f"systemctl stop evd-central.service && rm -r /{STATE}/evd-central/*")
        began_s = time.monotonic()
        controller.play("restore.yml", evd_backup=str(backup))
        site.note_until("restore.yml, until all is ready", began_s, site.wait_ready)
        facts = site.hold_promises(central_lost=True)
        assert stored == {row["session_id"] for row in facts.sessions}
        _whole_sessions(site)
        site.hold_promises(central_lost=True)


def test_a_rollback_and_an_upgrade_with_sessions_running(site: Site, tmp_path: Path) -> None:
    """Proves: upgrade.yml brings the hosts to the release before, and back, one after the other,
    while drivers charge: no session is lost or billed twice, and Kafka is left alone."""
    wheels = wheels_before(tmp_path)
    controller = Controller(site.lab)
    present = _release(site)
    with site.only("evd-"):
        for what, version, more in (
            ("back to the release before", BEFORE, {"evd_wheels": str(wheels)}),
            ("forward again", present, {}),
        ):
            with site.busy():
                site.begin_sessions()
                began_s = time.monotonic()
                controller.play("upgrade.yml", evd_version=version, **more)
                assert _release(site) == version
                took_s = time.monotonic() - began_s
                site.figures.note(f"upgrade.yml {what}, host by host, sessions running", took_s)
            site.hold_promises()


def _release(site: Site) -> str:
    """The release that every host with a daemon runs."""
    found = {
        site.lab.hosts[name].sh("basename $(readlink /opt/evd/current)").strip()
        for name in ("kafka1", "cp1", "cp2")
    }
    (release,) = found
    return release


def _whole_sessions(site: Site) -> None:
    for request_id in site.begin_sessions().values():
        site.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
