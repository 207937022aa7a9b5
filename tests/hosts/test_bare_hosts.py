"""Five hosts that were bare, as site.yml left them: run again it changes nothing, and who gets in.

These tests come first: they need no reset, and leave everything as it was.
"""

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.hosts import netns
from tests.hosts.commands import CommandFailed
from tests.hosts.lab import Lab
from tests.hosts.links import BRIDGE
from tests.hosts.provision import ANSIBLE, Controller, changes, hosts_of
from tests.hosts.site import HOSTS
from tests.network.processes import CHECKOUT

pytestmark = pytest.mark.hosts

ANSWER_S_MAX: Final = 1.5
STRANGER: Final = 200
SSH: Final = 22
# The ports that the network's own hosts alone may reach, and those for people, by host.
OWN: Final = {
    "kafka1": (9092, 9093, 9999),
    "kafka2": (9092, 9093),
    "kafka3": (9092, 9093),
    "cp1": (9201, 9202, 9301, 9302, 9401),
    "cp2": (9201, 9202, 9301, 9302, 9401),
}
FOR_PEOPLE: Final = {"kafka1": (8000, 8765), "kafka3": (9090,), "cp1": (8080,), "cp2": (8080,)}

Endpoint = tuple[str, int]


@pytest.mark.slow
def test_a_second_run_of_site_yml_changes_nothing(provisioned: Lab) -> None:
    """Proves: on five hosts that site.yml has made, --check finds nothing to change, and another
    run changes nothing."""
    controller = Controller(provisioned)
    # Neither changes anything, so they may look at the same time.
    with ThreadPoolExecutor(2) as pool:
        plays = [pool.submit(controller.play, "site.yml", *each) for each in (["--check"], [])]
    for printed in (play.result() for play in plays):
        assert hosts_of(printed) == HOSTS.keys()
        assert changes(printed) == []


def test_the_firewall_lets_in_whom_the_inventory_names(provisioned: Lab) -> None:
    """Proves: the hosts reach each other's ports, people of a named network the HTTP ports alone,
    a stranger none of them, and everybody's ssh is left alone."""
    own, for_people = _endpoints(provisioned, OWN), _endpoints(provisioned, FOR_PEOPLE)
    ssh = {(host.address, SSH) for host in provisioned.hosts.values()}
    cp1 = provisioned.hosts["cp1"]
    others = {each for each in own | for_people if each[0] != cp1.address}
    assert reached(cp1.namespace, cp1.address, others) == others
    people, stranger = provisioned.links.address, _address_of(provisioned, STRANGER)
    asked = own | for_people | ssh
    assert reached(provisioned.lab_id, people, asked) == for_people | ssh
    with _with_address(provisioned, stranger):
        assert reached(provisioned.lab_id, stranger, asked) == ssh


def test_the_example_inventory_passes_the_first_look(provisioned: Lab, tmp_path: Path) -> None:
    """Proves: the inventory that operators copy fits the roles: with these hosts' addresses in it
    preflight.yml finds nothing wrong."""
    inventory = tmp_path / "inventory"
    shutil.copytree(ANSIBLE / "inventories" / "example", inventory)
    hosts = inventory / "hosts.yml"
    text = hosts.read_text()
    for number in HOSTS.values():
        printed = f"192.0.2.{number + 10}"
        assert printed in text
        text = text.replace(printed, _address_of(provisioned, number))
    hosts.write_text(text)
    common = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    printed = Controller(provisioned, inventory).play(
        "preflight.yml", ansible_user="root", ansible_ssh_common_args=common
    )
    assert len(hosts_of(printed)) == len(HOSTS)
    assert changes(printed) == []


def test_a_changed_release_under_the_same_version_is_refused(
    provisioned: Lab, tmp_path: Path
) -> None:
    """Proves: a wheel that is not the one from which the hosts have this version stops everything
    at the first look: it would never get there."""
    (wheel,) = (CHECKOUT / "dist").glob("evd-*.whl")
    (tmp_path / wheel.name).write_bytes(wheel.read_bytes() + b"changed")
    with pytest.raises(CommandFailed, match="from another wheel than"):
        Controller(provisioned).play("site.yml", evd_wheels=str(tmp_path))


def _address_of(lab: Lab, number: int) -> str:
    return f"{lab.links.address.rpartition('.')[0]}.{number}"


def _endpoints(lab: Lab, ports: dict[str, tuple[int, ...]]) -> set[Endpoint]:
    return {(lab.hosts[name].address, port) for name in ports for port in ports[name]}


@contextmanager
def _with_address(lab: Lab, address: str) -> Iterator[None]:
    """Somebody more on the lab's bridge within the block."""
    netns.ip(lab.lab_id, "address", "add", f"{address}/32", "dev", BRIDGE)
    try:
        yield
    finally:
        netns.ip(lab.lab_id, "address", "delete", f"{address}/32", "dev", BRIDGE)


def reached(namespace: str, source: str, endpoints: set[Endpoint]) -> set[Endpoint]:
    """Those of the endpoints that take a connection from that address of a namespace."""

    def reach(endpoint: Endpoint) -> bool:
        try:
            with netns.inside(namespace):
                socket.create_connection(endpoint, ANSWER_S_MAX, (source, 0)).close()
        except TimeoutError:
            return False
        return True

    with ThreadPoolExecutor(len(endpoints)) as pool:
        answers = list(pool.map(reach, endpoints))
    return {endpoint for endpoint, answer in zip(endpoints, answers, strict=True) if answer}
