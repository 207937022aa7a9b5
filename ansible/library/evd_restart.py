"""Ansible's module `evd_restart`: restarts an engine in the moment in which it has no session.

A busy charging point is free for less time than a task of Ansible takes: so the host itself looks,
many times a second, and restarts at once.
"""

import time
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: evd_restart
short_description: Restarts an engine when its session has ended
options:
  unit:
    description: The engine's service.
    type: str
    required: true
  metrics_port:
    description: The port on which the engine shows its state.
    type: int
    required: true
  wait_s:
    description: Seconds to wait for the session's end; 0 ends the session.
    type: int
    required: true
"""

LOOK_S = 0.05
ANSWER_S = 5.0
SUPPLIES = b'evd_engine_state{state="SUPPLYING"} 1.0'


def main() -> None:
    """Restart the unit, or fail with a sentence where its session does not end in time."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "metrics_port": {"type": "int", "required": True},
            "wait_s": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    unit, wait_s = module.params["unit"], module.params["wait_s"]
    if module.check_mode:
        module.exit_json(changed=True)
    end_s = time.monotonic() + wait_s
    while wait_s and _supplies(module.params["metrics_port"]):
        if time.monotonic() > end_s:
            module.fail_json(
                msg=f"{unit} still charges after {wait_s} s, and goes on with its former settings:"
                " play again, or with -e evd_end_sessions=true"
            )
        time.sleep(LOOK_S)
    module.run_command(["systemctl", "restart", "--", unit], check_rc=True)
    module.exit_json(changed=True)


def _supplies(port: int) -> bool:
    """Whether the engine has a session; one that does not answer loses nothing by a restart."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=ANSWER_S) as page:
            return SUPPLIES in page.read().splitlines()
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
