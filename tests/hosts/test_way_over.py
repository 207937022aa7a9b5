"""The way from no protection to all of it, and back, on hosts where sessions run.

It plays secure.yml a dozen times: `make test-hosts-slow`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.commands import CommandFailed
from tests.hosts.provision import (
    Controller,
    changes,
    own_inventory,
    set_variables,
    wheels_before,
)
from tests.hosts.site import CENTRAL, PATIENCE_S, Site, tls_client_of
from tests.network.releases import BEFORE
from tests.network.waiting import wait_until_none

pytestmark = [pytest.mark.hosts, pytest.mark.slow]

# It is of the release before for a while.
LATE = "cp2"


def test_the_way_to_all_protection_and_back(site: Site, tmp_path: Path) -> None:
    """Proves: secure.yml brings a site step by step from plain to closed, and back from each step
    by the value before, while sessions run and are all billed; beside daemons of the release
    before as far as warn, and where these would be refused it stops before anything is changed."""
    inventory = own_inventory(site.lab, tmp_path / "inventory")
    late = inventory / "host_vars" / f"{LATE}.yml"
    controller = Controller(site.lab, inventory)
    site.ask_by_socket()
    wheels = str(wheels_before(tmp_path / "before"))
    set_variables(late, evd_security="plain", evd_version=BEFORE, evd_wheels=wheels)
    controller.play("upgrade.yml")
    assert "Central runs with --auth off" in _would_be_refused(site)[0]

    go_over(site, controller, "warn", beside=LATE)
    assert _stranger_hears(site) == 200
    for cp_id in ("CP-003", "CP-004"):
        assert any(cp_id in each for each in _would_be_refused(site))
    with site.only(), pytest.raises(CommandFailed, match="point CP-003 at"):
        _play(controller, "required")
    set_variables(inventory / "group_vars" / "all.yml", evd_security="warn")
    set_variables(late, evd_version=None, evd_wheels=None)
    with _sessions_running(site):
        controller.play("upgrade.yml")
    site.hold_promises()
    set_variables(late, evd_security=None)
    go_over(site, controller, "warn")
    (caller,) = _would_be_refused(site)
    assert "A caller at 127.0.0.1" in caller
    token = json.loads(site.central.sh("evd token new tester viewer --json"))["token"]
    assert _stranger_hears(site, token) == 200
    wait_until_none(lambda: _would_be_refused(site), PATIENCE_S, "nobody would be refused")

    go_over(site, controller, "required")
    assert _stranger_hears(site) == 401
    go_over(site, controller, "closed")
    assert changes(controller.play("secure.yml")) == []
    for host in site.lab.hosts.values():
        assert "INSECURE" not in host.sh("cat /etc/evd/*/*.env || true")

    go_over(site, controller, "required")
    go_over(site, controller, "warn")
    assert _stranger_hears(site) == 200
    go_over(site, controller, "plain")


def go_over(site: Site, controller: Controller, security: str, beside: str = "") -> None:
    """Play secure.yml while drivers charge, then hold the site to its promises, and let each
    charging point serve a driver."""
    with _sessions_running(site), site.noted(f"secure.yml to {security}, sessions running"):
        _play(controller, security)
    site.ask_pages(by_tls=security != "plain", plainly=beside)
    site.hold_promises()
    site.whole_sessions()
    site.hold_promises()


@contextmanager
def _sessions_running(site: Site) -> Iterator[None]:
    with site.only("evd-"), site.busy():
        yield


def _play(controller: Controller, security: str) -> None:
    set_variables(controller.inventory / "group_vars" / "all.yml", evd_security=security)
    controller.play("secure.yml")


def _would_be_refused(site: Site) -> list[str]:
    """Each line of `evd access ready` on somebody who would be refused."""
    said = site.central.sh("evd access ready || true").splitlines()
    return [line for line in said if not line.startswith("Nobody would be refused")]


def _stranger_hears(site: Site, token: str = "") -> int:
    """The status by which Central answers one who shows this token, or none."""
    with tls_client_of(site.lab.hosts[CENTRAL], 8000, token) as stranger:
        return stranger.get("/cp").status_code
