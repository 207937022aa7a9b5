"""One unit on a host ends, is killed or hangs: what it costs, and who mends it."""

import time

import pytest

from tests.hosts.site import CENTRAL, KAFKAS, LOOK_S, PATIENCE_S, Site
from tests.network.waiting import wait_until

pytestmark = pytest.mark.hosts

# Each kind of unit, with the host that one of it runs on.
DAEMONS = {
    "evd-monitor@CP-001.service": "cp1",
    "evd-engine@CP-003.service": "cp2",
    "evd-driver@driver-alice.service": "cp1",
    "evd-central.service": CENTRAL,
}
KAFKA = "kafka.service"


def test_a_stopped_monitor_costs_its_own_charging_point_alone(site: Site) -> None:
    """Proves: `systemctl stop` of a monitor in mid-session shows its charging point DISCONNECTED
    at once; the session goes on and is billed, and the other charging points stay ON."""
    requests = site.begin_sessions()
    with site.only("evd-monitor@CP-001"):
        began_s = time.monotonic()
        site.host_of("CP-001").sh("systemctl stop evd-monitor@CP-001.service")
        site.note_until(
            "a monitor is told to stop, until its charging point is shown DISCONNECTED",
            began_s,
            lambda: site.wait_shown("DISCONNECTED", ["CP-001"]),
        )
        site.wait_shown("ON", ["CP-002", "CP-003", "CP-004"])
        for request_id in requests.values():
            site.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
        site.host_of("CP-001").sh("systemctl start evd-monitor@CP-001.service")
        site.wait_shown("ON", ["CP-001"])
    site.hold_promises()


def test_a_killed_unit_of_each_kind_comes_back_alone(site: Site) -> None:
    """Proves: after `kill -9` of a unit in mid-session systemd starts it again, nobody else is
    restarted, and no session is lost or billed twice; of Kafka's nodes too."""
    for unit, name in (*DAEMONS.items(), (KAFKA, KAFKAS[1])):
        _kill_in_mid_session(site, name, unit, "-9")


def test_the_watchdog_restarts_a_unit_of_each_kind_that_hangs(site: Site) -> None:
    """Proves: a daemon that hangs in mid-session is killed and started again by systemd's
    watchdog, nobody else is restarted, and no session is lost or billed twice."""
    for unit, name in DAEMONS.items():
        _kill_in_mid_session(site, name, unit, "-STOP")
        said = site.lab.hosts[name].journal(f"--unit={unit}", "--output=cat")
        assert "Watchdog timeout" in said


def _kill_in_mid_session(site: Site, name: str, unit: str, signal: str) -> None:
    what = f"{unit}: kill {signal}, until it runs again and all is ready"
    print(f"-- {what}")
    site.begin_sessions()
    with site.only(f"{name}/{unit}"):
        pid = site.pids(name)[f"{name}/{unit}"]
        began_s = time.monotonic()
        site.lab.hosts[name].sh(f"kill {signal} {pid}")
        wait_until(
            lambda: site.pids(name).get(f"{name}/{unit}", pid) != pid,
            PATIENCE_S,
            f"{unit} is restarted",
            LOOK_S,
        )
        site.note_until(what, began_s, site.wait_ready)
        site.hold_promises()
