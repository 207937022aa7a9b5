"""Ansible's module `evd_due`: tells which units are due for a restart, and which are stopped.

A unit is due when its process began before the newest change of a file that it read at its start:
its environment files, its unit file and drop-ins, and the files that the caller names besides, such
as the link to the current release.  So a run that broke off between a change and its restart is
made up for by the next one, and a unit that changed nothing is left alone.
"""

import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: evd_due
short_description: Tells which running units began before their files were changed
notes:
  - The answer's `stopped` has the units that neither run nor are about to.
options:
  units:
    description: Names of services; one that does not run is never due.
    type: list
    elements: str
    required: true
  files:
    description: >-
      Files and links that they read besides those that systemd names; %i is the unit's instance.
    type: list
    elements: str
    default: []
"""

# A process' start is known to a tick, a file's change to a nanosecond.
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROPERTIES = "Id,ActiveState,MainPID,FragmentPath,DropInPaths,EnvironmentFiles"


def main() -> None:
    """Answer with `due`, the units that began before their files were changed, and `stopped`."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "required": True},
            "files": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    due, stopped = [], []
    for unit in module.params["units"]:
        _, shown, _ = module.run_command(
            ["systemctl", "show", "--property", _PROPERTIES, "--", unit], check_rc=True
        )
        properties = _properties(shown)
        started_s = _started_s(int(properties.get("MainPID", "0")))
        instance = unit.partition("@")[2].rpartition(".")[0]
        besides = [file.replace("%i", instance) for file in module.params["files"]]
        files = [*_files(properties), *besides]
        if started_s is not None and any(_changed_s(file) > started_s for file in files):
            due.append(unit)
        elif properties.get("ActiveState") in ("inactive", "failed"):
            stopped.append(unit)
    module.exit_json(changed=bool(due), due=due, stopped=stopped)


def _properties(shown: str) -> dict[str, str]:
    """The answer of `systemctl show`; a property that stands there twice has both values."""
    properties: dict[str, str] = {}
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        properties[name] = f"{properties[name]} {value}" if name in properties else value
    return properties


def _files(properties: dict[str, str]) -> list[str]:
    words = [
        *properties.get("FragmentPath", "").split(),
        *properties.get("DropInPaths", "").split(),
        *properties.get("EnvironmentFiles", "").split(),
    ]
    return [word for word in words if word.startswith("/")]


def _started_s(pid: int) -> float | None:
    """The wall clock's time of the process' start, None where there is no process."""
    if pid == 0:
        return None
    try:
        # The name, in brackets, may hold spaces: the start is the 20th field behind it.
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, IndexError):
        return None
    return time.time() - up_s + (ticks + 1) * TICK_S


def _changed_s(file: str) -> float:
    """The time of the last change, of a link or of the file behind it; 0 without one."""
    found = []
    for look in (os.lstat, os.stat):
        try:
            found.append(look(file).st_mtime)
        except OSError:
            continue
    return max(found, default=0.0)


if __name__ == "__main__":
    main()
