"""A host whose disk is full, and one whose wall clock is an hour wrong."""

import time

import pytest

from tests.hosts.host import Host
from tests.hosts.provision import SESSION_S
from tests.hosts.site import CENTRAL, PATIENCE_S, Site
from tests.network.clocks import WallClock

pytestmark = pytest.mark.hosts

HOUR_S = 3600
# On a host, outside of what a unit sees as its own.
CLOCK = "usr/local/lib/evd-clock"


def test_a_full_disk_loses_no_session(site: Site) -> None:
    """Proves: a host whose disk is full from mid-session until after the sessions' ends is well
    again by itself once there is room; no session is lost or billed twice."""
    for name in ("cp1", CENTRAL):
        print(f"-- {name}'s disk is full")
        site.begin_sessions()
        host = site.lab.hosts[name]
        with site.only(f"{name}/"):
            with host.full_disk():
                # The sessions end meanwhile, and nobody can write that down there.
                time.sleep(SESSION_S + 2.0)
            began_s = time.monotonic()
            what = f"{name}'s disk has room again, until all is ready"
            site.note_until(what, began_s, site.wait_ready)
            site.hold_promises()


def test_a_clock_that_is_an_hour_wrong_costs_nothing(site: Site) -> None:
    """Proves: one host's wall clock that is stepped in mid-session, an hour ahead and then an hour
    behind, changes no state, no session and no bill; be it Central's or a charging point's."""
    clocks = [_with_own_clock(site.lab.hosts[name]) for name in ("cp1", CENTRAL)]
    site.wait_ready()
    with site.only():
        for clock in clocks:
            for offset_s in (HOUR_S, -HOUR_S):
                requests = site.begin_sessions()
                clock.step(offset_s)
                for request_id in requests.values():
                    site.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
            clock.step(0)
        site.hold_promises()


def _with_own_clock(host: Host) -> WallClock:
    """Give the daemons of a host a wall clock of their own, and start them anew with it."""
    folder = host.root / CLOCK
    folder.mkdir(parents=True)
    clock = WallClock(folder)
    folder.chmod(0o755)
    lines = [f"Environment={k}={v.removeprefix(str(host.root))}" for k, v in clock.env.items()]
    for unit in ("evd-central", "evd-engine@", "evd-monitor@", "evd-driver@", "kafka"):
        drop_in = host.root / f"etc/systemd/system/{unit}.service.d/own-clock.conf"
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text("\n".join(("[Service]", *lines, "")))
    host.sh("systemctl daemon-reload && systemctl restart 'evd-*.service' 'kafka*.service'")
    return clock
