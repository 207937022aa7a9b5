"""The whole network on one host: one node of Kafka from an archive, and no firewall of ours.

It provisions a host of its own, which takes minutes: `make test-hosts-slow`.
"""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml  # type: ignore[import-untyped]

from evd.kafka_node.installation import cache_directory
from tests.hosts.conftest import needs_hosts
from tests.hosts.install import base_tree
from tests.hosts.lab import Lab, made
from tests.hosts.provision import ANSIBLE, Controller, changes
from tests.hosts.site import NETWORK, PATIENCE_S, client_of
from tests.network.central_http import CentralHttp

pytestmark = [pytest.mark.hosts, pytest.mark.slow]

NAME: Final = "alone"
GROUPS: Final = ("kafka", "evd_central", "evd_cp", "evd_driver", "prometheus")


@pytest.fixture
def alone() -> Iterator[Lab]:
    """One bare host."""
    needs_hosts()
    with made("evdalone", NETWORK, {NAME: 1}, base_tree()) as lab:
        yield lab


def test_one_bare_host_becomes_a_network(alone: Lab, tmp_path: Path) -> None:
    """Proves: site.yml makes a network of one host in all groups, with Kafka from the archive that
    kafka_archive names; with evd_firewall off no rule is made; run again it changes nothing."""
    host, controller = alone.hosts[NAME], Controller(alone, _inventory(tmp_path / "inventory"))
    settings = {"kafka_archive": str(_archive(tmp_path)), "evd_firewall": False}
    controller.play("site.yml", **settings)
    with client_of(host, 8000) as http:
        central = CentralHttp(http)
        central.wait_available("CP-001", within_s=PATIENCE_S)
        request_id = central.request_charge("driver-test", "CP-001", PATIENCE_S)
        central.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
    assert "evd" not in host.sh("nft list tables")
    assert host.sh("readlink /opt/kafka/current").strip() == "/opt/kafka/9.9.9"
    assert changes(controller.play("site.yml", **settings)) == []


def _archive(folder: Path) -> Path:
    """An archive as the Kafka project makes it, of the jars that `make kafka` fetched; its version
    is none that there is."""
    path = folder / "kafka_2.13-9.9.9.tgz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(cache_directory() / "libs", "kafka_2.13-9.9.9/libs")
    return path


def _inventory(folder: Path) -> Path:
    """The inventory of the labs, with one host in all groups."""
    shutil.copytree(ANSIBLE / "inventories" / "lab", folder)
    hosts = folder / "hosts.yml"
    fields = yaml.safe_load(hosts.read_text())
    one = {NAME: {"ansible_host": f"{NETWORK}.1"}}
    fields["all"]["children"] = {group: {"hosts": one} for group in GROUPS}
    hosts.write_text(yaml.safe_dump(fields))
    (folder / "host_vars" / "cp1.yml").rename(folder / "host_vars" / f"{NAME}.yml")
    return folder
