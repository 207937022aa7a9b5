"""Inventories whose Centrals and database do not fit together: refused before any host is asked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from tests.network.processes import CHECKOUT

pytestmark = pytest.mark.ansible

PLAYBOOK: Final = Path(sys.executable).parent / "ansible-playbook"
PLAY_S_MAX: Final = 120.0
ELSEWHERE: Final = "postgresql+psycopg://evd@db.example/evd"
TWO: Final = {"evd_central": 2}


@pytest.mark.parametrize(
    ("sizes", "variables", "why"),
    [
        (TWO, {}, "evd_central has 2 hosts, which need one database: set evd_central_db to"),
        ({}, {"evd_central_db": "postgresql"}, "in the group postgresql, and there are 0"),
        ({"postgresql": 2}, {"evd_central_db": "postgresql"}, "postgresql, and there are 2"),
        (
            {"postgresql": 1},
            {"evd_central_db": "postgresql", "evd_central_db_url": ELSEWHERE},
            "names another database: leave one of the two out",
        ),
        (
            TWO,
            {"evd_central_db_url": ELSEWHERE, "evd_version": "0.3.0"},
            "evd 0.3.0 has no Central that stands by",
        ),
        (TWO, {"evd_central_db_url": "sqlite:////srv/central.db"}, "which need one database"),
    ],
)
def test_an_inventory_is_refused(
    sizes: dict[str, int], variables: dict[str, Any], why: str, tmp_path: Path
) -> None:
    """Proves: several Centrals without one database, a database that is named twice, a group of
    none or two for one server, and a release without standbys each end with a sentence."""
    inventory = _inventory(tmp_path / "site", sizes)
    ran = subprocess.run(
        [
            *map(str, (PLAYBOOK, "-i", inventory, "preflight.yml")),
            *("-e", json.dumps({**variables, "ansible_host": "192.0.2.1"})),
        ],
        cwd=CHECKOUT / "ansible",
        env={name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE")},
        capture_output=True,
        text=True,
        timeout=PLAY_S_MAX,
        check=False,
    )
    assert ran.returncode != 0
    assert why in " ".join(ran.stdout.split())
    assert "UNREACHABLE" not in ran.stdout


def _inventory(folder: Path, sizes: dict[str, int]) -> Path:
    """The example inventory, with so many hosts of their own in these groups."""
    shutil.copytree(CHECKOUT / "ansible" / "inventories" / "example", folder)
    file = folder / "hosts.yml"
    fields = yaml.safe_load(file.read_text())
    for name, size in sizes.items():
        hosts = {f"{name}-{number}.example": None for number in range(size)}
        fields["all"]["children"][name] = {"hosts": hosts}
    file.write_text(yaml.safe_dump(fields))
    return folder
