"""Playbooks that are only to look, or that are played again, on hosts that need nothing.

Each is a play of its own, which takes minutes: `make test-hosts-slow`.
"""

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.hosts.provision import Controller, changes, own_inventory, set_variables
from tests.hosts.site import Site
from tests.hosts.test_playbooks import NEW_POINT

pytestmark = [pytest.mark.hosts, pytest.mark.slow]


def test_a_mere_look_changes_nothing(site: Site, tmp_path: Path) -> None:
    """Proves: with --check each playbook of a day goes through to its end and leaves the hosts as
    they are; where there is nothing to do it finds nothing, and another upgrade changes nothing."""
    site.begin_sessions()
    before = _files(site)
    with site.only():
        look(site, tmp_path)
        assert changes(Controller(site.lab).play("upgrade.yml")) == []
        assert _files(site) == before
    site.hold_promises()


def look(site: Site, folder: Path) -> None:
    """Play each playbook of a day with --check; `folder` is for an inventory of its own."""
    inventory = own_inventory(site.lab, folder / "inventory")
    settings = inventory / "host_vars" / "cp2.yml"
    points = yaml.safe_load(settings.read_text())["evd_cps"]
    set_variables(settings, evd_cps=[*points, NEW_POINT])
    controller, ahead = Controller(site.lab), Controller(site.lab, inventory)
    ahead.play("add-cp.yml", "--check", cp_id="CP-005")
    controller.play("remove-cp.yml", "--check", cp_id="CP-002")
    for playbook, variables in (
        ("add-cp.yml", {"cp_id": "CP-001"}),
        ("upgrade.yml", {}),
        ("backup.yml", {"evd_backup_folder": str(folder)}),
    ):
        assert changes(controller.play(playbook, "--check", **variables)) == [], playbook


def _files(site: Site) -> dict[str, str]:
    """Digests of all that the playbooks write, by host."""
    folders = "/etc/evd /etc/systemd /opt/evd/releases/*/installed /etc/prometheus"
    listed = f"find {folders} -type f 2>/dev/null | sort | xargs sha256sum"
    return {name: host.sh(listed) for name, host in site.lab.hosts.items()}
