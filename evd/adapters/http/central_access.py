"""Central's HTTP on access: the people, the tokens, and their deeds."""

from typing import Any, Final
from urllib.parse import quote

from evd.adapters.http.central_client import Central, CentralRefused, list_in, query

# All tokens of a network are one commit.
IMPORT_S_MAX: Final = 120.0


class CentralAccess(Central):
    """Central as it is asked about people, tokens and the audit."""

    def auth(self) -> str:
        """`off`, `warn` or `required`; `off` of a Central of the release before.

        Raises CentralRefused where it does not know who asks, and so does not say.
        """
        health = self.health()
        if "auth" not in health and "central_id" not in health:
            raise CentralRefused(401, "a stranger is told nothing")
        return str(health.get("auth", "off"))

    def users(self) -> list[dict[str, Any]]:
        """The people, each with `user` and `role`."""
        return list_in(self._call("GET", "/users"), "users")

    def add_user(self, user: str, password: str, role: str) -> None:
        """Let a person in."""
        fields = {"user": user, "password": password, "role": role}
        self._call("POST", "/users", fields, is_secret=True)

    def set_password(self, user: str, password: str) -> None:
        """Give a person another password; the sessions of the old one end."""
        path = f"/users/{quote(user)}/password"
        self._call("POST", path, {"password": password}, is_secret=True)

    def set_role(self, user: str, role: str) -> None:
        """Give a person another role."""
        self._call("POST", f"/users/{quote(user)}/role", {"role": role})

    def remove_user(self, user: str) -> None:
        """Let a person in no more."""
        self._call("DELETE", f"/users/{quote(user)}")

    def tokens(self) -> list[dict[str, Any]]:
        """The tokens, without what they are."""
        return list_in(self._call("GET", "/tokens"), "tokens")

    def new_token(
        self, name: str, role: str, driver_id: str | None = None, days: int | None = None
    ) -> dict[str, Any]:
        """Make a token; its `token` is told this once."""
        fields = {"name": name, "role": role, "driver_id": driver_id, "days": days}
        return self._call("POST", "/tokens", _given(fields), is_secret=True)

    def revoke_token(self, name: str) -> None:
        """End a token."""
        self._call("DELETE", f"/tokens/{quote(name)}")

    def new_cp_token(self, cp_id: str, token: str | None = None, *, now: bool = False) -> str:
        """Give a charging point's monitor a new token, or this one; the token.

        The old one ends with the first use of the new one, or `now`.
        """
        fields = _given({"token": token, "now": now or None})
        path = f"/cp/{quote(cp_id)}/token"
        return str(self._call("POST", path, fields, is_secret=True)["token"])

    def new_driver_token(
        self, driver_id: str, token: str | None = None, *, now: bool = False
    ) -> str:
        """The same for a driver."""
        fields = _given({"driver_id": driver_id, "token": token, "now": now or None})
        return str(self._call("POST", "/drivers", fields, is_secret=True)["token"])

    def remove_driver(self, driver_id: str) -> None:
        """End a driver's tokens; CentralRefused with 404 for one that has none."""
        self._call("DELETE", f"/drivers/{quote(driver_id)}")

    def audit(self, **filters: str | int | None) -> list[dict[str, Any]]:
        """The deeds of callers, newest first; a filter that is None does not count."""
        return list_in(self._call("GET", f"/audit{query(filters)}"), "audit")

    def note_backup(self, file: str) -> None:
        """Have it noted that its database was copied to `file`."""
        self._call("POST", "/central/backup", {"file": file})

    def ready(self) -> dict[str, Any]:
        """The callers that `--auth required` would refuse."""
        return self._call("GET", "/access/ready")

    def export_access(self) -> dict[str, Any]:
        """Users and tokens with their hashes and roles."""
        return self._call("GET", "/access/export", answer_s_max=IMPORT_S_MAX)

    def import_access(self, access: dict[str, Any], *, apply: bool) -> dict[str, Any]:
        """Take up users and tokens, or only say which would become valid."""
        fields = {"access": access, "apply": apply}
        path, bound_s = "/access/import", IMPORT_S_MAX
        return self._call("POST", path, fields, is_secret=True, answer_s_max=bound_s)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
