"""The play that makes a site's certificates and tokens, on this machine alone."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.network.playbooks import ANSIBLE, played

PLAY_S_MAX: Final = 300.0


@pytest.mark.ansible
def test_a_sites_secrets_are_made_once_and_kept_encrypted(tmp_path: Path) -> None:
    """Proves: the first run makes the vault, whose text shows no key and no token to anybody but
    the owner of the password; a look and a second run change nothing; without a password the play
    stops with a sentence."""
    inventory = tmp_path / "site"
    shutil.copytree(ANSIBLE / "inventories" / "example", inventory)
    password = tmp_path / "password"
    password.write_text("a password\n")
    vault = inventory / "vault.txt"
    assert "give a password for them by" in _play(inventory, None)
    assert not vault.exists()
    assert "changed=1" in _play(inventory, password)
    text = vault.read_bytes()
    assert text.startswith(b"$ANSIBLE_VAULT;")
    assert b"PRIVATE KEY" not in text
    assert vault.stat().st_mode & 0o777 == 0o600
    for further in ((), ("--check",)):
        assert "changed=1" not in _play(inventory, password, *further)
    assert vault.read_bytes() == text


def _play(inventory: Path, password: Path | None, *further: str) -> str:
    """All that a run of the play prints, which has no token in it."""
    arguments: list[str | Path] = [
        "-i",
        inventory,
        "secrets.yml",
        "-e",
        "evd_security=warn",
        "--diff",
    ]
    if password is not None:
        arguments += ["--vault-password-file", password]
    ran = played(*arguments, *further, within_s=PLAY_S_MAX)
    shown = ran.stdout + ran.stderr
    assert (ran.returncode == 0) == (password is not None), shown
    assert "evd_monitor_" not in shown
    assert "PRIVATE KEY" not in shown
    return shown
