"""`evd token`: the tokens of scripts and of drivers' apps."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import (
    Verbs,
    add_actions,
    add_json,
    add_verb,
    answer,
    console,
    print_json,
    value_of,
)
from evd.cli.errors import ToolFailed
from evd.cli.listing import checked_id, clock
from evd.cli.programs import access_of
from evd.cli.role import add_role, role_of
from evd.cli.table import NOTHING, Columns, Row
from evd.core.access.roles import Role
from evd.core.wire.fields import printable
from evd.flags import whole

ROLES: Final = (Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.DRIVER)
DAYS: Final = whole(0, 36_500)
DAYS_DEFAULT: Final = 90
_COLUMNS: Final = Columns(
    ("NAME", "ROLE", "OF", "MADE", "ENDS", "USED"), spare=("MADE", "USED", "OF"), squeezed="NAME"
)


def add_verbs(verbs: Verbs) -> None:
    """Add `token` with its actions."""
    actions = add_actions(verbs, "token", "tokens for scripts and apps: make, list or revoke them")
    new = add_verb(actions, "new", "make one, and print it this once", _new)
    new.add_argument("name", metavar="NAME", help="by which it is listed and revoked")
    add_role(new, ROLES)
    new.add_argument("--driver-id", metavar="DRIVER", help="with the role driver: whose it is")
    text = f"that it is good for; 0: without an end (default {DAYS_DEFAULT})"
    new.add_argument("--days", type=value_of(DAYS), metavar="N", help=text)
    listed = add_verb(actions, "list", "list them, without what they are; times are local", _list)
    ended = add_verb(actions, "revoke", "end one at once", _revoke)
    ended.add_argument("name", metavar="NAME")
    for parser in (new, listed, ended):
        add_json(parser)


def _new(supervisor: Supervisor, options: argparse.Namespace) -> int:
    name, role, driver_id = checked_id(options.name, "NAME"), role_of(options), options.driver_id
    if (role == Role.DRIVER) != (driver_id is not None):
        raise ToolFailed("--driver-id stands with the role driver, and with no other.", 2)
    if driver_id is not None:
        checked_id(driver_id, "--driver-id")
    made = access_of(supervisor).new_token(name, role, driver_id, options.days)
    # The token alone is on standard output: a script puts it into a file.
    answer(options, {"name": name, "role": role, **made}, str(made["token"]))
    return 0


def _list(supervisor: Supervisor, options: argparse.Namespace) -> int:
    tokens = access_of(supervisor).tokens()
    if options.json:
        print_json({"tokens": tokens})
    elif tokens:
        rows = [_row(each) for each in tokens]
        screen = console()
        screen.print(_COLUMNS.table(rows, rows, screen.width))
    else:
        print("There are no tokens.")
    return 0


def _row(token: Mapping[str, Any]) -> Row:
    holder = token.get("driver_id") or token.get("cp_id") or NOTHING
    ends = "revoked" if token.get("revoked") else clock(token, "expires_at")
    return {
        "NAME": Text(printable(str(token["name"]))),
        "ROLE": Text(str(token["role"])),
        "OF": Text(printable(str(holder))),
        "MADE": Text(clock(token, "created_at")),
        "ENDS": Text(ends, "dim" if token.get("revoked") else ""),
        "USED": Text(clock(token, "used_at")),
    }


def _revoke(supervisor: Supervisor, options: argparse.Namespace) -> int:
    name = checked_id(options.name, "NAME")
    access_of(supervisor).revoke_token(name)
    answer(options, {"name": name, "revoked": True}, f"The token {name} is good no more")
    return 0
