"""The lab itself: that each fault does to a host what it says, or the other tests prove nothing."""

from collections.abc import Iterator

import pytest

from tests.hosts.commands import CommandFailed
from tests.hosts.conftest import needs_hosts
from tests.hosts.host import Host
from tests.hosts.install import base_tree
from tests.hosts.lab import Lab, made
from tests.network.waiting import wait_until

pytestmark = pytest.mark.hosts

HEALS_S_MAX = 20.0


@pytest.fixture(scope="module")
def pair() -> Iterator[Lab]:
    """Two hosts with nothing on them, each with a disk of its own."""
    needs_hosts()
    with made("evdpair", "198.51.100", {"one": 1, "other": 2}, base_tree()) as lab:
        lab.keep_as_provisioned()
        lab.reset()
        yield lab


def test_a_cut_of_the_power_loses_what_was_not_synced(pair: Lab) -> None:
    """Proves: a file that was synced is there after a cut of the power, one that was not is empty
    or gone."""
    host = pair.hosts["one"]
    host.sh("echo here > /root/synced && sync /root/synced /root && echo gone > /root/unsynced")
    host.lose_power()
    assert not host.is_up
    host.boot()
    assert host.sh("cat /root/synced; cat /root/unsynced || true").split() == ["here"]


def test_a_reset_brings_back_the_provisioned_files(pair: Lab) -> None:
    """Proves: after a reset nothing is left of what happened since the hosts were provisioned."""
    host = pair.hosts["one"]
    host.sh("touch /root/late && rm /etc/debian_version && echo x | systemd-cat --identifier=late")
    pair.reset()
    assert host.sh("ls /root/late /etc/debian_version || true").split() == ["/etc/debian_version"]
    assert "late" not in host.journal("--output=short")


def test_a_cable_is_cut_in_one_direction_or_in_both(pair: Lab) -> None:
    """Proves: pulled, refusing, deaf and mute cables pass no answer, and are whole again after."""
    host, links = pair.hosts["one"], pair.links
    _wait_reached(host)
    for cut in (links.cut, links.refused, links.deaf, links.mute):
        with cut(host):
            assert not _reaches_other(host), cut
        _wait_reached(host)


def test_a_poor_cable_is_slow(pair: Lab) -> None:
    """Proves: a poor cable takes the time that it was given, in both directions."""
    host = pair.hosts["one"]
    with pair.links.poor(host, delay_ms=50.0, jitter_ms=10.0, loss_percent=0.0):
        said = host.sh("ping -q -c 5 -i 0.2 other")
        least_ms = float(said.split("min/avg/max/mdev = ")[1].split("/")[0])
        assert least_ms >= 2 * (50.0 - 10.0)
    _wait_reached(host)


def test_a_frozen_host_does_nothing(pair: Lab) -> None:
    """Proves: nothing in a frozen host goes on, and all of it does afterwards."""
    host = pair.hosts["one"]
    host.sh("systemd-run --unit=beat sh -c 'while :; do date +%N > /run/beat; sleep 0.05; done'")

    def beats() -> bool:
        before = host.sh("cat /run/beat || true")
        return bool(before) and host.sh("sleep 0.5; cat /run/beat") != before

    wait_until(beats, HEALS_S_MAX, "it beats")
    with host.frozen():
        assert not beats()
    wait_until(beats, HEALS_S_MAX, "it beats again")


def test_a_full_disk_takes_no_byte(pair: Lab) -> None:
    """Proves: nothing can be written to a full disk, and all can once there is room again."""
    host = pair.hosts["one"]
    with host.full_disk(), pytest.raises(CommandFailed, match="No space left"):
        host.sh("head -c 65536 /dev/zero > /root/more")
    host.sh("head -c 65536 /dev/zero > /root/more")


def test_a_reboot_is_one_by_the_host_itself(pair: Lab) -> None:
    """Proves: `systemctl reboot` in a host boots it anew, with the files that it had."""
    host = pair.hosts["one"]
    host.sh("touch /run/before /root/kept")
    host.reboot()
    assert host.sh("ls /run/before /root/kept || true").split() == ["/root/kept"]


def _reaches_other(host: Host) -> bool:
    try:
        host.sh("ping -q -c 1 -W 1 other")
    except CommandFailed:
        return False
    return True


def _wait_reached(host: Host) -> None:
    wait_until(lambda: _reaches_other(host), HEALS_S_MAX, "the other is reached")
