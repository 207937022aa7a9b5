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


@pytest.mark.parametrize("unit", [*DAEMONS, KAFKA])
def test_a_killed_unit_comes_back_alone(site: Site, unit: str) -> None:
    """Proves: after `kill -9` of a unit in mid-session systemd starts it again, nobody else is
    restarted, and no session is lost or billed twice."""
    site.begin_sessions()
    name = DAEMONS.get(unit, KAFKAS[1])
    host = site.lab.hosts[name]
    with site.only(f"{name}/{unit}"):
        pid = site.pids(name)[f"{name}/{unit}"]
        began_s = time.monotonic()
        host.sh(f"kill -9 {pid}")
        site.note_until(
            f"kill -9 of {unit}, until it runs again and all is ready",
            began_s,
            lambda: _wait_back(site, f"{name}/{unit}", pid),
        )
        site.hold_promises()


@pytest.mark.parametrize("unit", DAEMONS)
def test_the_watchdog_restarts_a_unit_that_hangs(site: Site, unit: str) -> None:
    """Proves: a daemon that hangs in mid-session is killed and started again by systemd's
    watchdog, nobody else is restarted, and no session is lost or billed twice."""
    site.begin_sessions()
    name = DAEMONS[unit]
    with site.only(f"{name}/{unit}"):
        pid = site.pids(name)[f"{name}/{unit}"]
        began_s = time.monotonic()
        site.lab.hosts[name].sh(f"kill -STOP {pid}")
        site.note_until(
            f"SIGSTOP of {unit}, until the watchdog has restarted it and all is ready",
            began_s,
            lambda: _wait_back(site, f"{name}/{unit}", pid),
        )
        said = site.lab.hosts[name].journal(f"--unit={unit}", "--output=cat")
        assert "Watchdog timeout" in said
        site.hold_promises()


def _wait_back(site: Site, unit: str, pid: int) -> None:
    name = unit.partition("/")[0]
    wait_until(
        lambda: site.pids(name).get(unit, pid) != pid, PATIENCE_S, f"{unit} is restarted", LOOK_S
    )
    site.wait_ready()
