"""Hosts whose power is cut, with all that was not synced, and hosts that are booted anew."""

import time

import pytest

from tests.hosts.provision import SESSION_S
from tests.hosts.site import CENTRAL, KAFKAS, PATIENCE_S, POINTS, Site
from tests.network.waiting import wait_until_none

pytestmark = pytest.mark.hosts


def test_a_cut_of_the_power_or_a_reboot_loses_no_session(site: Site) -> None:
    """Proves: a host that loses its power in mid-session, with all that it had not synced, comes
    back by itself once it has power; no session is lost or billed twice, nobody else restarted.
    After `systemctl reboot` of a host with charging points it is the same."""
    for name, host in site.lab.hosts.items():
        print(f"-- {name} loses its power")
        site.begin_sessions()
        with site.only(f"{name}/"):
            host.lose_power()
            if name != CENTRAL:
                site.wait_shown("DISCONNECTED", [cp for cp, at in POINTS.items() if at == name])
            began_s = time.monotonic()
            host.boot()
            what = f"{name} has power again, until all is ready"
            site.note_until(what, began_s, site.wait_ready)
            site.hold_promises()
    site.begin_sessions()
    with site.only("cp1/"):
        began_s = time.monotonic()
        site.lab.hosts["cp1"].reboot()
        site.note_until("`systemctl reboot` of cp1, until all is ready", began_s, site.wait_ready)
        site.hold_promises()


def test_one_and_then_two_nodes_of_kafka_down_lose_no_session(site: Site) -> None:
    """Proves: with one node of three away all goes on; with two away sessions go on, and what
    waited is settled once they are back."""
    first, second = (site.lab.hosts[name] for name in KAFKAS if name != CENTRAL)
    with site.only(f"{first.name}/", f"{second.name}/"):
        first.lose_power()
        site.serve_each()
        site.begin_sessions()
        second.lose_power()
        wait_until_none(lambda: _unbuffered(site), SESSION_S + PATIENCE_S, "sessions wait on disk")
        site.wait_shown("ON", POINTS)
        began_s = time.monotonic()
        site.lab.each(lambda host: host.boot(), first.name, second.name)
        site.note_until(
            "two nodes of Kafka have power again, until all is settled", began_s, site.hold_promises
        )


def _unbuffered(site: Site) -> list[str]:
    """The charging points whose disk holds no session that waits to be confirmed."""
    disks = site.facts().disks
    return [cp_id for cp_id, disk in disks.items() if all(each.confirmed for each in disk.kept)]
