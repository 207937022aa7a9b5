"""Inventories whose Centrals and database do not fit together: refused before any host is asked."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from tests.network.playbooks import ANSIBLE, played

pytestmark = pytest.mark.ansible

ELSEWHERE: Final = "postgresql+psycopg://evd@db.example/evd"
PLAY_S_MAX: Final = 120.0
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
    further = json.dumps({**variables, "ansible_host": "192.0.2.1"})
    ran = played("-i", inventory, "preflight.yml", "-e", further, within_s=PLAY_S_MAX)
    assert ran.returncode != 0
    assert why in " ".join(ran.stdout.split())
    assert "UNREACHABLE" not in ran.stdout


def _inventory(folder: Path, sizes: dict[str, int]) -> Path:
    """The example inventory, with so many hosts of their own in these groups."""
    shutil.copytree(ANSIBLE / "inventories" / "example", folder)
    file = folder / "hosts.yml"
    fields = yaml.safe_load(file.read_text())
    for name, size in sizes.items():
        hosts = {f"{name}-{number}.example": None for number in range(size)}
        fields["all"]["children"][name] = {"hosts": hosts}
    file.write_text(yaml.safe_dump(fields))
    return folder
