"""Ansible's module `evd_restart`: restarts an engine in the moment in which it has no session.

A busy charging point is free for less time than a task of Ansible takes: so the host itself looks,
many times a second, and restarts at once.
"""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

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
  tls_ca:
    description: >-
      Certificates that vouch for the engine's; one that runs with its settings of before may
      not have any yet.
    type: path
  token_file:
    description: The token that its page of metrics wants.
    type: path
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
            "tls_ca": {"type": "path"},
            "token_file": {"type": "path", "no_log": False},
            "wait_s": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    unit, wait_s = module.params["unit"], module.params["wait_s"]
    if module.check_mode:
        module.exit_json(changed=True)
    end_s = time.monotonic() + wait_s
    page = _Page(
        module.params["metrics_port"], module.params["tls_ca"], module.params["token_file"]
    )
    while wait_s and page.shows_session():
        if time.monotonic() > end_s:
            module.fail_json(
                msg=f"{unit} still charges after {wait_s} s, and goes on with its former settings:"
                " play again, or with -e evd_end_sessions=true"
            )
        time.sleep(LOOK_S)
    module.run_command(["systemctl", "restart", "--", unit], check_rc=True)
    module.exit_json(changed=True)


class _Page:
    """The engine's page of metrics, as one that runs with new settings or with those of before."""

    def __init__(self, port: int, tls_ca: str | None, token_file: str | None) -> None:
        self._urls = [f"http://127.0.0.1:{port}/metrics"]
        self._context: ssl.SSLContext | None = None
        self._headers: dict[str, str] = {}
        try:
            if tls_ca is not None:
                self._context = ssl.create_default_context(cafile=tls_ca)
                self._urls.insert(0, f"https://127.0.0.1:{port}/metrics")
            if token_file is not None:
                token = Path(token_file).read_text().strip()
                self._headers["Authorization"] = f"Bearer {token}"
        except OSError:
            # They are not there yet, so the engine runs without them.
            return

    def shows_session(self) -> bool:
        """Whether the engine has a session, or may have one: it refuses to say.

        One that does not answer at all loses nothing by a restart.
        """
        for url in self._urls:
            request = urllib.request.Request(url, headers=self._headers)
            try:
                with urllib.request.urlopen(
                    request, timeout=ANSWER_S, context=self._context
                ) as page:
                    return SUPPLIES in page.read().splitlines()
            except urllib.error.HTTPError:
                return True
            except (urllib.error.URLError, http.client.HTTPException, OSError):
                continue
        return False


if __name__ == "__main__":
    main()
