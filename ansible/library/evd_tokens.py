"""Ansible's module `evd_tokens`: has Central take the tokens that the site's vault holds.

It asks over Central's admin socket, on Central's host.  A token that Central knows stays as it is,
so a run changes nothing where nothing was lost; a Central that lost its database has them again.
"""

import hashlib
import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: evd_tokens
short_description: Has Central take the tokens of the site's vault
options:
  socket:
    description: Central's admin socket.
    type: path
    required: true
  points:
    description: The token of each charging point.
    type: dict
    default: {}
  drivers:
    description: The token of each driver.
    type: dict
    default: {}
  viewers:
    description: The token of each program that looks and asks for nothing, by its name.
    type: dict
    default: {}
"""

ANSWER_S = 120.0
OPTIONS = {
    "socket": {"type": "path", "required": True},
    "points": {"type": "dict", "default": {}, "no_log": True},
    "drivers": {"type": "dict", "default": {}, "no_log": True},
    "viewers": {"type": "dict", "default": {}, "no_log": True},
}


class CentralFailed(Exception):
    """Central can't be asked, or it refused; the text says why, and shows no token."""


class Central:
    """Central as one asks it over its admin socket."""

    def __init__(self, path: str) -> None:
        self._connection = _UnixConnection(path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer; CentralFailed where it is a refusal."""
        headers = {"Content-Type": "application/json"}
        try:
            self._connection.request("POST", path, json.dumps(body), headers)
            response = self._connection.getresponse()
            content = response.read()
            answer = json.loads(content) if content else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CentralFailed(f"Central does not answer on its admin socket: {error}") from None
        if response.status >= 300:
            raise CentralFailed(f"Central refused {path}: {_why(answer) or response.status}")
        return answer


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        """Dial the socket in the place of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _why(answer: object) -> str:
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


def main() -> None:
    """Answer with `taken`, the names whose tokens Central did not know."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    options = module.params
    try:
        taken = take(
            Central(options["socket"]),
            {
                "monitor": options["points"],
                "driver": options["drivers"],
                "viewer": options["viewers"],
            },
            only_look=module.check_mode,
        )
    except CentralFailed as error:
        module.fail_json(msg=f"{error}.")
    module.exit_json(changed=bool(taken), taken=taken)


def take(
    central: Central, tokens: Mapping[str, Mapping[str, str]], *, only_look: bool = False
) -> list[str]:
    """Have Central take the tokens of each role that it does not know; their names.

    CentralFailed names those that were revoked there: they are good for nothing.
    """
    taken, revoked = [], []
    for role, named in tokens.items():
        if not named:
            continue
        look = central.post("/access/import", {"access": _copy(role, named), "apply": False})
        new = [name for name in look["tokens"] if name in named]
        revoked += [name for name in look["revoked"] if name in named]
        taken += new
        if not only_look:
            _take(central, role, {name: named[name] for name in new})
    if revoked:
        names = ",".join(revoked)
        raise CentralFailed(
            f"the tokens of {names} were revoked in Central, and others are in use or wanted: play"
            f" again with -e '{json.dumps({'evd_new_tokens': revoked})}', which makes new ones"
        )
    return taken


def _take(central: Central, role: str, named: Mapping[str, str]) -> None:
    """A charging point's or driver's former token stays good until this one was used."""
    for name, token in named.items():
        if role == "monitor":
            central.post(f"/cp/{quote(name, safe='')}/token", {"token": token})
        elif role == "driver":
            central.post("/drivers", {"driver_id": name, "token": token})
    if role == "viewer" and named:
        central.post("/access/import", {"access": _copy(role, named), "apply": True})


def _copy(role: str, named: Mapping[str, str]) -> dict[str, Any]:
    """Return these tokens as a copy of access has them: their digests alone."""
    return {"format": 1, "users": [], "tokens": list(_rows(role, named))}


def _rows(role: str, named: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    created_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name, token in named.items():
        yield {
            "name": name,
            "role": role,
            "digest": hashlib.sha256(token.encode()).hexdigest(),
            "driver_id": name if role == "driver" else None,
            "cp_id": name if role == "monitor" else None,
            "created_at": created_at,
        }


if __name__ == "__main__":
    main()
