"""`evd cp token` and `evd driver token`: another token for a charging point or a driver."""

import argparse
from pathlib import Path

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_json, add_verb, answer
from evd.cli.credentials import keep_token, new_token
from evd.cli.errors import ToolFailed
from evd.cli.listing import checked_id
from evd.cli.names import cp_ids_from
from evd.cli.start_lock import changing
from evd.core.access.roles import Role
from evd.flags import ConfigError
from evd.secret_files import read_token

_TEXT = (
    "make another token; it is put where its programs here read it, else printed this once."
    " The old one is good until the new one was used"
)


def add_token(actions: Verbs, role: Role) -> None:
    """Add `token` to the actions of charging points or of drivers."""
    parser = add_verb(actions, "token", _TEXT, _token)
    names = "N|ID" if role is Role.MONITOR else "NAME"
    parser.add_argument("name", metavar=names)
    text = "take the token in this file, which Central may have lost, and make none"
    parser.add_argument("--from", dest="file", type=Path, metavar="FILE", help=text)
    parser.add_argument("--now", action="store_true", help="end the old one at once")
    add_json(parser)
    parser.set_defaults(token_role=role)


def _token(supervisor: Supervisor, options: argparse.Namespace) -> int:
    is_point = options.token_role is Role.MONITOR
    name = cp_ids_from([options.name])[0] if is_point else checked_id(options.name, "NAME")
    unit = f"{'cp' if is_point else 'driver'}-{name}"
    given = None if options.file is None else _read(options.file, options.token_role)
    with changing(supervisor):
        token = new_token(supervisor, unit, given, now=options.now)
        kept = keep_token(supervisor, unit, token)
    fields = {"cp_id" if is_point else "driver_id": name}
    if kept is not None:
        path, is_changed = kept
        news = ". evd reload takes it up" if is_changed else ""
        told = f"The token of {name} is in {path}{news}"
        answer(options, {**fields, "file": str(path), "changed": is_changed}, told)
    elif given is not None:
        answer(options, fields, f"Central takes this token of {name}")
    else:
        answer(options, {**fields, "token": token}, token)
    return 0


def _read(path: Path, role: Role) -> str:
    try:
        return read_token(path, "--from", role)
    except ConfigError as error:
        raise ToolFailed(f"{error}.", 2) from None
