"""The roles and inventories of ansible/ against the programs that they set up."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from evd.config import CentralConfig, DriverConfig, EngineConfig, MonitorConfig
from evd.flags import FlagTable, flags_of
from tests.network.processes import CHECKOUT

ANSIBLE: Final = CHECKOUT / "ansible"
ROLES: Final = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
INVENTORIES: Final = sorted(path.name for path in (ANSIBLE / "inventories").iterdir())
PROGRAMS: Final[tuple[type[FlagTable], ...]] = (
    CentralConfig,
    EngineConfig,
    MonitorConfig,
    DriverConfig,
)
CREDENTIALS: Final = sorted(path.stem for path in (CHECKOUT / "systemd/credentials").glob("*.conf"))
VARIABLES: Final = {each.variable for table in PROGRAMS for each in flags_of(table)}
_VARIABLE: Final = re.compile(rf"\b(?:{'|'.join(table.PREFIX for table in PROGRAMS)})[A-Z_]+\b")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_describes_each_of_its_variables(role: str) -> None:
    """Proves: each default of a role has its meaning in meta/argument_specs.yml, where Ansible
    checks its type before anything is changed."""
    folder = ANSIBLE / "roles" / role
    specified = _read(folder / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    assert _read(folder / "defaults" / "main.yml").keys() <= specified.keys()
    assert all(option["description"] for option in specified.values())


def test_the_roles_set_variables_that_the_programs_have() -> None:
    """Proves: each variable that a role writes into a daemon's settings is one that the daemon
    reads."""
    roles = ANSIBLE / "roles"
    tasks = [*roles.glob("*/tasks/*.yml"), *roles.glob("*/templates/*.json.j2")]
    named = {name for path in tasks for name in _VARIABLE.findall(path.read_text())}
    assert named <= VARIABLES
    assert {"CENTRAL_KAFKA_BOOTSTRAP", "CP_ENGINE_KW_RATE"} <= named


@pytest.mark.parametrize("name", CREDENTIALS)
def test_the_roles_hand_over_each_credential(name: str) -> None:
    """Proves: each credential that a unit can be handed is written by a role, for root alone, with
    the drop-in that hands it over; a unit that began before the newest is due for a restart; those
    of a database are taken away with it."""
    roles = ANSIBLE / "roles"
    tasks = [*roles.glob("*/tasks/*.yml"), *roles.glob("*/templates/*.json.j2")]
    text = "\n".join(path.read_text() for path in tasks)
    file = re.escape(f"/etc/evd/credentials/{name}")
    assert re.search(rf"{file}'?,?\s[^{{}}]*?(\{{\{{[^}}]*\}}\}}[^{{}}]*?)?mode'?: ['\"]0600", text)
    assert f"/systemd/credentials/{name}.conf" in text
    is_forgotten = re.search(rf"path: {file}, state: absent", text) is not None
    assert is_forgotten is name.startswith("db-")
    due = [
        task["evd_due"]["files"]
        for path in roles.glob("*/tasks/main.yml")
        for task in _read(path)
        if "evd_due" in task
    ]
    assert any(f"/etc/evd/credentials/{name}" in files for files in due)


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_an_inventory_has_five_hosts_in_all_groups(inventory: str) -> None:
    """Proves: each inventory has five hosts, three of them with Kafka and Central among these, and
    two with two charging points each, all under ids of their own."""
    folder = ANSIBLE / "inventories" / inventory
    groups = {
        name: set(group["hosts"])
        for name, group in _read(folder / "hosts.yml")["all"]["children"].items()
    }
    assert groups.pop("postgresql") == set()
    assert groups.keys() == {"kafka", "evd_central", "evd_cp", "evd_driver", "prometheus"}
    assert len(groups["kafka"]) == 3
    assert len(groups["kafka"] | groups["evd_cp"]) == 5
    assert len(groups["evd_central"] & groups["kafka"]) == 1
    points = [
        point["id"]
        for host in sorted(groups["evd_cp"])
        for point in _read(folder / "host_vars" / f"{host}.yml")["evd_cps"]
    ]
    assert points == ["CP-001", "CP-002", "CP-003", "CP-004"]


def test_what_the_playbooks_install_stands_in_the_checkout() -> None:
    """Proves: each file of the checkout that a task copies to a host is there, apart from the
    wheels, which `make wheelhouse` puts there."""
    copied = re.compile(r"evd_checkout(?: \}\}| ~ ')/([\w./@-]+)")
    paths = {
        path
        for file in (ANSIBLE / "roles").rglob("*.yml")
        for path in copied.findall(file.read_text())
    }
    missing = {path for path in paths if not (CHECKOUT / path).exists()}
    assert missing <= {"dist"}
    assert "systemd/kafka.service" in paths
