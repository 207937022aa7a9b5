"""Ansible's action `evd_vault`: reads a file of secrets on the controller, and writes it encrypted.

The password is that of the run: --ask-vault-pass, --vault-password-file or
ANSIBLE_VAULT_PASSWORD_FILE.  What the file holds is JSON, as `ansible-vault view` shows it.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.vault import VaultLib, is_encrypted
from ansible.plugins.action import ActionBase

NO_PASSWORD = (
    "Certificates, tokens and passwords are kept encrypted: give a password for them by"
    " --ask-vault-pass, --vault-password-file or ANSIBLE_VAULT_PASSWORD_FILE."
)


class ActionModule(ActionBase):
    """Answer with `content`, all that the file holds; with another `content` write that first."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Read the file, or make it what it should be."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {"path": {"type": "path", "required": True}, "content": {"type": "dict"}}
        )
        path, content = Path(options["path"]), options["content"]
        vault: VaultLib = self._loader._vault
        if not vault.secrets:
            raise AnsibleActionFail(NO_PASSWORD)
        present = _read(vault, path)
        # Ansible marks each value with where it came from, which no file keeps.
        wanted = present if content is None else json.loads(json.dumps(content))
        is_changed = wanted != present
        if is_changed and not self._task.check_mode:
            _write(vault, path, wanted)
        return {**result, "changed": is_changed, "content": wanted}


def _read(vault: VaultLib, path: Path) -> dict[str, Any]:
    """Return what the file holds; nothing where there is none."""
    try:
        encrypted = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise AnsibleActionFail(f"{path} can't be read: {error.strerror}.") from None
    if not is_encrypted(encrypted):
        raise AnsibleActionFail(f"{path} is not encrypted: ansible-vault encrypt {path}")
    try:
        found = json.loads(vault.decrypt(encrypted))
    except AnsibleError:
        raise AnsibleActionFail(f"{path} has another password than the one given.") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AnsibleActionFail(f"{path} does not hold certificates and tokens as JSON.")
    return found


def _write(vault: VaultLib, path: Path, content: Mapping[str, Any]) -> None:
    """Put the content in the place of the file, in one step, for its owner alone."""
    text = json.dumps(content, indent=2) + "\n"
    try:
        fd, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(fd, "wb") as file:
            file.write(vault.encrypt(text))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise AnsibleActionFail(f"{path} can't be written: {error.strerror}.") from None
