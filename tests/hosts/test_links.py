"""Cables that are pulled, refuse, pass one way only, or are slow and lossy."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.hosts.host import Host
from tests.hosts.site import CENTRAL, HOSTS, PATIENCE_S, POINTS, Site
from tests.network.waiting import never_for

pytestmark = pytest.mark.hosts

HEALED_S_MAX = 4.0
# Longer than the heartbeat time-out: a cut that short is nobody's matter.
CUT_S = 6.0

Cut = Callable[[Host], AbstractContextManager[None]]


def test_each_host_without_its_cable_costs_what_it_alone_provides(site: Site) -> None:
    """Proves: a host that is cut off in mid-session, without a reset of any connection, costs
    nobody else anything; when the cut is healed all is shown ON within 4 s."""
    for name in HOSTS:
        _cut_and_heal(site, name, site.lab.links.cut, "the cable of {} is pulled, and back")


def test_a_host_that_is_cut_off_in_another_way_comes_back(site: Site) -> None:
    """Proves: the same where the cut ends every connection by a reset, where a host is heard and
    hears nothing, or hears all and is not heard, and where Central alone is cut off, but not its
    host's Kafka: sessions go on, and all is shown ON within 4 s of the healing."""
    links = site.lab.links

    def without_central(host: Host) -> AbstractContextManager[None]:
        return links.without_user(host, "evd", (9999, 8000, 8765))

    for name, cut, what in (
        ("cp1", links.refused, "{} is cut off by resets, and back"),
        (CENTRAL, links.refused, "{} is cut off by resets, and back"),
        ("cp1", links.deaf, "{} hears nothing, and hears again"),
        ("cp1", links.mute, "{} is not heard, and is heard again"),
        (CENTRAL, without_central, "Central alone is cut off, and back"),
    ):
        _cut_and_heal(site, name, cut, what)


def test_a_slow_and_lossy_cable_loses_no_session(site: Site) -> None:
    """Proves: over a cable with 100 ms of delay and 5 % of loss sessions are begun, ended and
    billed as over any other."""
    with site.only():
        with site.lab.links.poor(site.lab.hosts["cp1"], 100.0, 50.0, 5.0):
            site.wait_ready()
            requests = site.begin_sessions()
            for request_id in requests.values():
                site.wait_request(request_id, "COMPLETED", "FAILED", within_s=PATIENCE_S)
        site.hold_promises()


def _cut_and_heal(site: Site, name: str, cut: Cut, what: str) -> None:
    print(f"-- {what.format(name)}")
    site.begin_sessions()
    lost = [cp_id for cp_id, host in POINTS.items() if name in (host, CENTRAL)]
    others = [cp_id for cp_id in POINTS if cp_id not in lost]
    with site.only():
        with cut(site.lab.hosts[name]):
            began_s = time.monotonic()
            site.wait_shown("DISCONNECTED", lost)
            left_s = CUT_S - (time.monotonic() - began_s)
            never_for(lambda: _not_on(site, others), max(left_s, 1.0), "another is shown otherwise")
        healed_s = time.monotonic()
        took_s = site.note_until(what.format(name), healed_s, lambda: site.wait_shown("ON", POINTS))
        assert took_s <= HEALED_S_MAX
        site.hold_promises()


def _not_on(site: Site, cp_ids: list[str]) -> list[str]:
    shown = site.shown()
    return [cp_id for cp_id in cp_ids if shown.get(cp_id, {}).get("state") != "ON"]
