"""Two Centrals and their database, where settings, the password or the release change, or all is
copied: whom the playbooks restart, and in which order.

Each plays site.yml or upgrade.yml several times, which takes minutes: `make test-hosts-slow`.
"""

import json
import re
from pathlib import Path
from typing import Final

import psycopg
import pytest

from evd.version import VERSION
from tests.hosts import netns
from tests.hosts.commands import CommandFailed
from tests.hosts.host import Host
from tests.hosts.provision import (
    Controller,
    changes,
    keep_in_group,
    own_inventory,
    set_variables,
    wheels_of,
)
from tests.hosts.site import STANDBY, Site
from tests.hosts.test_bare_hosts import reached
from tests.hosts.test_looks import look
from tests.hosts.test_way_over import go_over
from tests.network.releases import source_now

pytestmark = [pytest.mark.hosts, pytest.mark.slow]

CENTRAL_UNIT: Final = "/evd-central"
POSTGRES_UNIT: Final = "pg/postgresql@"
NEXT: Final = "99.0.0"
_STARTS: Final = re.compile(r"^([0-9.]+) \S+ systemd\[1\]: Starting evd-central", re.M)


def test_a_second_run_changes_nothing_and_the_database_is_closed(site: Site) -> None:
    """Proves: with two Centrals and PostgreSQL --check finds nothing to change, and another run
    changes nothing; the database's port is open to Central's hosts alone, and there to the user
    with the password alone, by TLS alone."""
    controller = Controller(site.lab)
    assert changes(controller.play("site.yml", "--check")) == []
    assert changes(controller.play("site.yml")) == []
    server = (site.lab.hosts[STANDBY.database].address, 5432)
    for name in ("central1", "cp1"):
        host = site.lab.hosts[name]
        found = reached(host.namespace, host.address, {server})
        assert found == ({server} if name in STANDBY.centrals else set())
    password = _password(site)
    assert _refusal(site, "evd", password) == ""
    assert "password authentication failed" in _refusal(site, "evd", "another")
    assert "no pg_hba.conf entry" in _refusal(site, "postgres", password)
    assert "no pg_hba.conf entry" in _refusal(site, "evd", password, "disable")


def test_a_mere_look_at_two_centrals_restarts_nothing(site: Site, tmp_path: Path) -> None:
    """Proves: with --check each playbook of a day goes through to its end with two Centrals too."""
    with site.only():
        look(site, tmp_path)
    site.hold_promises()


def test_a_change_begins_with_the_central_that_stands_by(site: Site) -> None:
    """Proves: where a setting of Central or the password of its database changed, the Central that
    stands by is restarted first, the other one hands over before it is, and sessions go on; where a
    setting of PostgreSQL changed, it is restarted only if the setting needs that."""
    controller = Controller(site.lab)
    before = _password(site)
    for what, options in (
        ("CENTRAL_LOG_LEVEL", {"evd_central_env": {"CENTRAL_LOG_LEVEL": "DEBUG"}}),
        ("database password", {"evd_new_tokens": ["postgresql"]}),
    ):
        serves = site.name_of_serving()
        with (
            site.only(CENTRAL_UNIT),
            site.busy(),
            site.noted(f"site.yml with another {what}, sessions running"),
        ):
            controller.play("site.yml", **options)
        _hold_order(site, serves)
    assert _password(site) != before
    assert "password authentication failed" in _refusal(site, "evd", before)
    # The level is that of the inventory again.
    controller.play("site.yml")
    reloaded, restarted = {"work_mem": "5MB"}, {"shared_buffers": "96MB"}
    with site.only():
        controller.play("site.yml", postgresql_settings=reloaded)
    with site.only(POSTGRES_UNIT, CENTRAL_UNIT):
        pids = site.pids(STANDBY.database)
        controller.play("site.yml", postgresql_settings={**reloaded, **restarted})
        assert site.pids(STANDBY.database) != pids
    site.hold_promises()
    said = site.lab.hosts[STANDBY.database].sh(
        "runuser -u postgres -- psql -XAtc 'SHOW work_mem' -c 'SHOW shared_buffers'"
    )
    assert said.split() == ["5MB", "96MB"]


def test_an_upgrade_begins_with_the_central_that_stands_by(site: Site, tmp_path: Path) -> None:
    """Proves: upgrade.yml brings the Central that stands by to the new release first, then the one
    that serves hands over and follows, then the other hosts; no session is lost meanwhile."""
    source = source_now(tmp_path / "source")
    version = source / "evd" / "version.py"
    version.write_text(version.read_text().replace(f'"{VERSION}"', f'"{NEXT}"'))
    controller = Controller(site.lab)
    wheels = wheels_of(source, tmp_path / "wheels")
    serves = site.name_of_serving()
    what = "upgrade.yml of two Centrals, host by host, sessions running"
    with site.only("evd-"), site.busy(), site.noted(what):
        controller.play("upgrade.yml", evd_version=NEXT, evd_wheels=str(wheels))
    _hold_order(site, serves)
    for host in (*site.centrals, site.lab.hosts["cp1"]):
        assert host.sh("readlink /opt/evd/current").strip().endswith(NEXT)


def test_the_database_is_copied_and_put_back(site: Site, tmp_path: Path) -> None:
    """Proves: backup.yml brings a copy by pg_dump here; restore.yml refuses with a sentence; put
    back by hand as the manual says, the charging points send what it lacks, and nothing is billed
    twice."""
    controller = Controller(site.lab)
    site.whole_sessions()
    controller.play("backup.yml", evd_backup_folder=str(tmp_path))
    (copy,) = tmp_path.glob("central-*.dump")
    (access,) = tmp_path.glob("central-*.access.json")
    assert json.loads(access.read_text())["tokens"]
    with pytest.raises(CommandFailed, match="put the copy back by"):
        controller.play("restore.yml", evd_backup=str(copy))
    site.whole_sessions()
    stored = {row["session_id"] for row in site.facts().sessions}
    serves = site.name_of_serving()
    server = site.lab.hosts[STANDBY.database]
    for host in site.centrals:
        host.sh("systemctl stop evd-central.service")
    (server.root / "var/tmp/central.dump").write_bytes(copy.read_bytes())
    server.sh(
        "runuser -u postgres -- pg_restore --clean --if-exists --dbname=evd < /var/tmp/central.dump"
    )
    for name in sorted(STANDBY.centrals, key=lambda each: each != serves):
        site.lab.hosts[name].sh("systemctl start evd-central.service")
    site.wait_ready()
    facts = site.hold_promises(central_lost=True)
    assert {row["session_id"] for row in facts.sessions} == stored


def test_a_site_goes_from_a_file_to_postgresql(site: Site, tmp_path: Path) -> None:
    """Proves: a site with one Central and its file gets a second one and PostgreSQL by one play:
    what the charging points keep is in the new database, billed as it was."""
    inventory = own_inventory(site.lab, tmp_path / "inventory")
    alone, away = site.centrals
    keep_in_group(inventory, "evd_central", alone.name)
    set_variables(inventory / "group_vars" / "all.yml", evd_central_db=None)
    away.sh("systemctl disable --now evd-central.service")
    Controller(site.lab, inventory).play("site.yml")
    site.wait_ready()
    site.whole_sessions()
    stored = {row["session_id"]: row["total_cost"] for row in site.sessions()}
    site.lab.hosts[STANDBY.database].sh("runuser -u postgres -- dropdb --force evd")
    Controller(site.lab).play("site.yml")
    site.name_of_serving()
    site.hold_promises(central_lost=True)
    found = {row["session_id"]: row["total_cost"] for row in site.sessions()}
    assert stored
    assert found == stored


def test_the_way_to_all_protection_and_back(site: Site, tmp_path: Path) -> None:
    """Proves: secure.yml brings two Centrals and their database step by step to no protection and
    back, while sessions run and are all billed; the database takes no connection without TLS as
    long as the site has it."""
    controller = Controller(site.lab, own_inventory(site.lab, tmp_path / "inventory"))
    for security in ("required", "warn", "plain", "warn", "required", "closed"):
        go_over(site, controller, security)
        without_tls = _refusal(site, "evd", _password(site), "disable")
        assert ("no pg_hba.conf entry" in without_tls) is (security != "plain")
    assert changes(controller.play("secure.yml")) == []


def _hold_order(site: Site, served: str) -> None:
    """Hold that the Central of `served` began anew last, and that another one serves now."""
    starts = {host.name: max(map(float, _begun_s(host))) for host in site.centrals}
    assert max(starts, key=lambda name: starts[name]) == served
    assert site.name_of_serving() != served
    site.hold_promises()


def _begun_s(host: Host) -> list[str]:
    """The times at which Central was started on a host."""
    said = host.journal("--unit=evd-central.service", "--output=short-unix")
    return _STARTS.findall(said)


def _password(site: Site) -> str:
    return (site.central.root / "etc/evd/credentials/db-password").read_text().strip()


def _refusal(site: Site, user: str, password: str, ssl_mode: str = "require") -> str:
    """Why the server does not let in a program of Central's host; empty where it does."""
    try:
        with netns.inside(site.central.namespace):
            psycopg.connect(
                host=site.lab.hosts[STANDBY.database].address,
                dbname="evd",
                user=user,
                password=password,
                sslmode=ssl_mode,
            ).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""
