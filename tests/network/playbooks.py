"""The playbooks and their modules, run on this machine without any host."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from tests.network.processes import CHECKOUT

ANSIBLE: Final = CHECKOUT / "ansible"
PLAYBOOK: Final = Path(sys.executable).parent / "ansible-playbook"


def played(*arguments: str | Path, within_s: float) -> "subprocess.CompletedProcess[str]":
    """A run of ansible-playbook, with no setting of Ansible from this process's environment."""
    return subprocess.run(
        [*map(str, (PLAYBOOK, *arguments))],
        cwd=ANSIBLE,
        env={name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE")},
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def module_of(name: str) -> ModuleType:
    """A module of the playbooks, as Ansible imports it."""
    spec = importlib.util.spec_from_file_location(name, ANSIBLE / "library" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found
