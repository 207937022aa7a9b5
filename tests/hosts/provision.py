"""The playbooks, run on a lab's hosts as an operator runs them."""

import json
import os
import re
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import attrs
import yaml  # type: ignore[import-untyped]

from tests.hosts import netns
from tests.hosts.commands import run
from tests.hosts.lab import Lab
from tests.hosts.site import Kind
from tests.network.processes import CHECKOUT
from tests.network.releases import need_history, source_before, wheel_of

ANSIBLE: Final = CHECKOUT / "ansible"
PLAYBOOK_S_MAX: Final = 600.0
# Sessions short enough that a test can wait for their ends.
SESSION_S: Final = 5
LONG_SESSION_S: Final = 20

_HOST_AT_THE_END: Final = re.compile(r"^(\S+) +: ok=", re.M)
_TASK: Final = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \*+$")
_CHANGED: Final = re.compile(r"^changed: \[(\S+?)(?: -> .*)?\]")


@attrs.frozen
class Controller:
    """The machine from which the playbooks are run: this one, in the lab's network, with the lab's
    own inventory or another one."""

    lab: Lab
    _inventory: Path | None = None

    @property
    def inventory(self) -> Path:
        """The folder that names the hosts, and says what they are to be."""
        return self._inventory or _inventory_of(self.lab)

    def play(self, playbook: str, *options: str, **variables: Any) -> str:
        """Run a playbook on the lab's hosts; what it printed.  Raises CommandFailed."""
        return run(
            *netns.prefix(self.lab.lab_id),
            Path(sys.executable).with_name("ansible-playbook"),
            *("--inventory", str(self.inventory)),
            *("--private-key", str(self.lab.key)),
            *("--extra-vars", json.dumps({**self._settings(), **variables})),
            *options,
            str(ANSIBLE / playbook),
            timeout_s=PLAYBOOK_S_MAX,
            env={
                "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_VAULT_PASSWORD_FILE": str(self._vault_password()),
                # Another lab has the same addresses: its connections must not be taken for ours.
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.lab.folder / "ssh"),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "evd_cp_engine_env": {"CP_ENGINE_SESSION_SECONDS": str(SESSION_S)},
            # It outlives a reset of the hosts, as it does on an operator's machine.
            "evd_vault": str(self.lab.folder / "vault.txt"),
        }

    def _vault_password(self) -> Path:
        path = self.lab.folder / "vault-password"
        if not path.exists():
            path.write_text(secrets.token_urlsafe())
        return path


def hosts_of(printed: str) -> set[str]:
    """The hosts that a playbook had something to do with."""
    return set(_HOST_AT_THE_END.findall(printed))


def changes(printed: str) -> list[str]:
    """Each task of a playbook that changed a host, with the host's name."""
    found, task = [], ""
    for line in printed.splitlines():
        if begun := _TASK.match(line):
            task = begun[1]
        elif changed := _CHANGED.match(line):
            found.append(f"{changed[1]}: {task}")
    return found


def make_inventory(lab: Lab, kind: Kind) -> None:
    """The inventory of this lab: that of five hosts, without those that it lacks and with its own
    besides; a group that loses all of its hosts is on the first one."""
    folder = shutil.copytree(ANSIBLE / "inventories" / "lab", _inventory_of(lab))
    settings = folder / "group_vars" / "all.yml"
    set_variables(settings, evd_security=kind.security)
    file = folder / "hosts.yml"
    fields = yaml.safe_load(file.read_text())
    groups = fields["all"]["children"]
    for group in groups.values():
        there = {name: own for name, own in group["hosts"].items() if name in lab.hosts}
        group["hosts"] = there or dict.fromkeys([*lab.hosts][:1] if group["hosts"] else [])
    if kind.database:
        set_variables(settings, evd_central_db="postgresql")
        groups["evd_central"]["hosts"] = _entries(lab, *kind.centrals)
        groups["postgresql"]["hosts"] = _entries(lab, kind.database)
        _lengthen_sessions(folder / "host_vars" / "cp2.yml")
    file.write_text(yaml.safe_dump(fields))


def _entries(lab: Lab, *names: str) -> dict[str, dict[str, str]]:
    return {name: {"ansible_host": lab.hosts[name].address} for name in names}


def _lengthen_sessions(file: Path) -> None:
    """Let the sessions of a host outlast the time in which another Central takes over."""
    env = {"CP_ENGINE_SESSION_SECONDS": str(LONG_SESSION_S)}
    points = yaml.safe_load(file.read_text())["evd_cps"]
    set_variables(file, evd_cps=[{**point, "engine_env": env} for point in points])


def own_inventory(lab: Lab, folder: Path) -> Path:
    """A copy of the lab's inventory, for a test to change."""
    return shutil.copytree(_inventory_of(lab), folder)


def _inventory_of(lab: Lab) -> Path:
    return lab.folder / "inventory"


def keep_in_group(inventory: Path, group: str, name: str) -> None:
    """Leave one host alone in a group of an inventory."""
    file = inventory / "hosts.yml"
    fields = yaml.safe_load(file.read_text())
    hosts = fields["all"]["children"][group]["hosts"]
    fields["all"]["children"][group]["hosts"] = {name: hosts[name]}
    file.write_text(yaml.safe_dump(fields))


def set_variables(file: Path, **variables: Any) -> None:
    """Set variables in a file of an inventory; None takes one out."""
    fields = yaml.safe_load(file.read_text())
    kept = {name: value for name, value in {**fields, **variables}.items() if value is not None}
    file.write_text(yaml.safe_dump(kept))


def wheels_before(folder: Path) -> Path:
    """A folder with the wheels of the release before, made from git."""
    need_history()
    return wheels_of(source_before(folder / "source"), folder / "wheels")


def wheels_of(source: Path, wheels: Path) -> Path:
    """A folder with the wheels of a release: its own, made of its sources, and what it needs."""
    wheel_of(source, wheels)
    for wheel in (CHECKOUT / "dist").glob("*.whl"):
        if not wheel.name.startswith("evd-"):
            shutil.copy(wheel, wheels)
    return wheels
