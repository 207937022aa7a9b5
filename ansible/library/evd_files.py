"""Ansible's module `evd_files`: makes many small files and folders of a host what they should be.

A module run on a host costs it more than a hundred such files: what a role writes there is one run,
where `copy`, `template` and `file` would each need one or two for every file.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: evd_files
short_description: Makes small files and folders what they should be
options:
  files:
    description: They are made in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      state:
        description: What it is.
        choices: [file, directory, absent]
        default: file
      content:
        description: The file's text.
        type: str
      variables:
        description: >-
          The file's variables in the place of its text, in the form of systemd's EnvironmentFile=;
          one without a value is left out.
        type: dict
      owner:
        description: The name of its owner.
        type: str
        default: root
      group:
        description: The name of its group.
        type: str
        default: root
      mode:
        description: Its mode, by default 0644, a folder's 0755.
        type: str
"""

FILE = {
    "path": {"type": "path", "required": True},
    "state": {"choices": ["file", "directory", "absent"], "default": "file"},
    "content": {"type": "str"},
    "variables": {"type": "dict"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
}
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,:/@+-")


def main() -> None:
    """Make them; answer with `paths`, those that were changed, and with what differed."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": FILE}
        },
        supports_check_mode=True,
    )
    paths, diffs = [], []
    for wanted in module.params["files"]:
        content, before = _content(wanted), _present(Path(wanted["path"]))
        made = _make(module, wanted, content, before)
        if _has_attributes(module, wanted, made):
            paths.append(wanted["path"])
            header = {"before_header": wanted["path"], "after_header": wanted["path"]}
            diffs.append({"before": before or "", "after": content or "", **header})
    module.exit_json(changed=bool(paths), paths=paths, diff=diffs)


def _content(wanted: Mapping[str, Any]) -> str | None:
    """The text that a file should have, None for what is no file."""
    if wanted["state"] != "file":
        return None
    if wanted["variables"] is None:
        return wanted["content"] or ""
    lines = [
        f"{name}={_quoted(str(value))}\n"
        for name, value in sorted(wanted["variables"].items())
        if value is not None and str(value)
    ]
    return "".join(["# Written by Ansible.\n", *lines])


def _quoted(value: str) -> str:
    """A value as systemd reads it again from an environment file."""
    if PLAIN.issuperset(value):
        return value
    return '"' + "".join(f"\\{each}" if each in '"\\`$' else each for each in value) + '"'


def _present(path: Path) -> str | None:
    """The text that the file has now, None where there is no file."""
    return path.read_bytes().decode(errors="replace") if path.is_file() else None


def _make(
    module: AnsibleModule, wanted: Mapping[str, Any], content: str | None, before: str | None
) -> bool:
    """Make it, unless this is a mere look; whether it was, or would have been, made."""
    path = Path(wanted["path"])
    if wanted["state"] == "absent":
        differs = path.is_symlink() or path.exists()
        if differs and not module.check_mode:
            path.unlink()
    elif wanted["state"] == "directory":
        differs = not path.is_dir()
        if differs and not module.check_mode:
            path.mkdir()
    else:
        differs = content != before
        if differs and not module.check_mode:
            fd, unfinished = tempfile.mkstemp(dir=module.tmpdir)
            with os.fdopen(fd, "w") as file:
                file.write(content or "")
            module.atomic_move(unfinished, str(path))
    return differs


def _has_attributes(module: AnsibleModule, wanted: Mapping[str, Any], made: bool) -> bool:
    """Give it its owner, group and mode; whether anything of it was, or would be, changed."""
    if wanted["state"] == "absent" or not Path(wanted["path"]).exists():
        return made
    by_default = "0755" if wanted["state"] == "directory" else "0644"
    attributes = {
        "path": wanted["path"],
        "owner": wanted["owner"],
        "group": wanted["group"],
        "mode": wanted["mode"] or by_default,
        "secontext": [None, None, None],
        "attributes": None,
    }
    changed: bool = module.set_fs_attributes_if_different(attributes, made)
    return changed


if __name__ == "__main__":
    main()
