"""Ansible's module `evd_serving`: finds, of several Centrals, the one that serves.

A takeover needs seconds, so it asks all of them, again and again, until one of them serves.
"""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: evd_serving
short_description: Finds the Central that serves
options:
  centrals:
    description: The address of each host with a Central, by its name.
    type: dict
    required: true
  port:
    description: The port of their HTTP.
    type: int
    required: true
  wait_s:
    description: Seconds in which one of them must serve; 0 only looks.
    type: int
    required: true
"""

LOOK_S = 0.2
ANSWER_S = 3.0


def main() -> None:
    """Answer with `serving`, the name of its host; empty where a mere look finds none."""
    module = AnsibleModule(
        argument_spec={
            "centrals": {"type": "dict", "required": True},
            "port": {"type": "int", "required": True},
            "wait_s": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    centrals, port = module.params["centrals"], module.params["port"]
    end_s = time.monotonic() + module.params["wait_s"]
    said = dict.fromkeys(centrals, "")
    while True:
        for name, address in centrals.items():
            said[name] = why_not(f"{address}:{port}")
            if not said[name]:
                module.exit_json(changed=False, serving=name)
        if time.monotonic() >= end_s:
            break
        time.sleep(LOOK_S)
    if module.params["wait_s"] == 0:
        module.exit_json(changed=False, serving="")
    module.fail_json(msg=f"No Central serves: {told(said)}.")


def why_not(address: str) -> str:
    """Why the Central there does not serve; empty where it does.

    It may still run with its settings of before, without TLS.  Nothing is told to it that somebody
    else in its place could use, so any certificate will do.
    """
    why = ""
    for scheme in ("https", "http"):
        try:
            context = ssl._create_unverified_context() if scheme == "https" else None
            with urllib.request.urlopen(
                f"{scheme}://{address}/health", timeout=ANSWER_S, context=context
            ):
                return ""
        except urllib.error.HTTPError as answer:
            return _error_in(answer.read()) or f"it answers {answer.code}"
        except (OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "reason", error))
    return why


def _error_in(content: bytes) -> str:
    try:
        answer = json.loads(content)
    except ValueError:
        return ""
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


def told(said: Mapping[str, str]) -> str:
    """Each host with what its Central says."""
    return "; ".join(f"{name}: {why}" for name, why in said.items())


if __name__ == "__main__":
    main()
