"""Ansible's module `evd_postgresql`: makes a user of PostgreSQL, its password and its database.

It speaks as the system's user `postgres`, who needs no password.  The server is given what it keeps
of a password and never the password itself, so no log of it can have that.
"""

import base64
import hashlib
import hmac
import secrets

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: evd_postgresql
short_description: Makes a user of PostgreSQL and a database of that user
notes:
  - The answer's `waiting` has the settings that count only after a restart of the server.
options:
  user:
    description: The user, who may do nothing but log in.
    type: str
    required: true
  database:
    description: The database, which is that user's own.
    type: str
    required: true
  password:
    description: The user's password.
    type: str
    required: true
"""

ITERATIONS = 4096
SALT_BYTES = 16
PSQL = ("runuser", "--user=postgres", "--", "psql", "--no-psqlrc", "--tuples-only", "--no-align")

_USER = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = {user}"
_OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {database}"
# A setting of the postmaster is the only one that a reload can't take up.
_FAILING = """
    SELECT f.name, s.context = 'postmaster', f.error FROM pg_file_settings f
    LEFT JOIN pg_settings s USING (name) WHERE NOT f.applied AND f.error IS NOT NULL
"""


class Server:
    """The server of this host; `changes` are its tasks, carried out unless this is a mere look."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.changes: list[str] = []

    def ask(self, query: str, **names: str) -> list[list[str]]:
        """The rows of the answer; the module fails where there is none."""
        literals = {key: _quoted(name, "'") for key, name in names.items()}
        command = [*PSQL, "--set=ON_ERROR_STOP=1", "--file=-"]
        text = query.format(**literals) if names else query
        code, out, err = self._module.run_command(command, data=text, cwd="/")
        if code != 0:
            self._module.fail_json(msg=f"PostgreSQL: {err.strip() or out.strip()}")
        return [line.split("|", 2) for line in out.splitlines() if line]

    def change(self, what: str, statement: str) -> None:
        """Carry it out, and note `what` it does."""
        self.changes.append(what)
        if not self._module.check_mode:
            self.ask(statement)


def main() -> None:
    """Make them; answer with `made`, and with the settings that are `waiting`."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "database": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    server = Server(module)
    make_user(server, module.params["user"], module.params["password"])
    make_database(server, module.params["database"], module.params["user"])
    failing = server.ask(_FAILING)
    wrong = [f"{name}: {why}" for name, needs_restart, why in failing if needs_restart != "t"]
    if wrong:
        module.fail_json(msg=f"PostgreSQL does not take its settings: {'; '.join(wrong)}")
    waiting = [name for name, _, _ in failing]
    module.exit_json(changed=bool(server.changes), made=server.changes, waiting=waiting)


def make_user(server: Server, user: str, password: str) -> None:
    """Make the user where there is none, and give it the password where it has another one."""
    name, kept = _quoted(user, '"'), _quoted(verifier(password), "'")
    present = server.ask(_USER, user=user)
    if not present:
        server.change("user", f"CREATE ROLE {name} LOGIN PASSWORD {kept}")
    elif not is_of(password, present[0][1]):
        server.change("password", f"ALTER ROLE {name} LOGIN PASSWORD {kept}")


def make_database(server: Server, database: str, user: str) -> None:
    """Make the database, with all of Unicode, where there is none."""
    if not server.ask(_OWNER, database=database):
        name, owner = _quoted(database, '"'), _quoted(user, '"')
        how = "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        server.change("database", f"CREATE DATABASE {name} OWNER {owner} {how}")


def verifier(password: str, salt: bytes = b"", iterations: int = ITERATIONS) -> str:
    """The verifier of a password, by which the server can tell it again (RFC 5803)."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def is_of(password: str, kept: str) -> bool:
    """Whether the server keeps this of that password."""
    try:
        _, how, _ = kept.split("$")
        iterations, _, salt = how.partition(":")
        return hmac.compare_digest(
            kept, verifier(password, base64.b64decode(salt), int(iterations))
        )
    except ValueError:
        return False


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _quoted(word: str, mark: str) -> str:
    return mark + word.replace(mark, mark * 2) + mark


if __name__ == "__main__":
    main()
