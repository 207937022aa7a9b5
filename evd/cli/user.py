"""`evd user`: the people who may log in, and the role of each."""

import argparse
from typing import Final

from rich.text import Text

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_actions, add_json, add_verb, answer, console, print_json
from evd.cli.listing import checked_id
from evd.cli.passwords import new_password
from evd.cli.programs import access_of
from evd.cli.role import add_role, role_of
from evd.cli.table import Columns
from evd.core.access.roles import Role
from evd.core.wire.fields import printable

ROLES: Final = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
_COLUMNS: Final = Columns(("USER", "ROLE"))


def add_verbs(verbs: Verbs) -> None:
    """Add `user` with its actions."""
    actions = add_actions(verbs, "user", "the people who may log in: add, change or remove one")
    text = "let a person in; the password is asked for, or is the one line on standard input"
    new = add_verb(actions, "add", text, _add)
    new.add_argument("user", metavar="USER")
    add_role(new, ROLES)
    changed = add_verb(actions, "passwd", "give a person another password, as above", _passwd)
    role = add_verb(actions, "role", "give a person another role", _role)
    gone = add_verb(actions, "remove", "let a person in no more; their logins end", _remove)
    for parser in (changed, role, gone):
        parser.add_argument("user", metavar="USER")
    add_role(role, ROLES)
    listed = add_verb(actions, "list", "list the people and their roles", _list)
    for parser in (new, changed, role, gone, listed):
        add_json(parser)


def _add(supervisor: Supervisor, options: argparse.Namespace) -> int:
    user, role = checked_id(options.user, "USER"), role_of(options)
    access_of(supervisor).add_user(user, new_password(user), role)
    answer(options, {"user": user, "role": role}, f"{user} may log in as {role}")
    return 0


def _passwd(supervisor: Supervisor, options: argparse.Namespace) -> int:
    user = checked_id(options.user, "USER")
    access_of(supervisor).set_password(user, new_password(user))
    answer(options, {"user": user}, f"{user} has another password; what was logged in is no more")
    return 0


def _role(supervisor: Supervisor, options: argparse.Namespace) -> int:
    user, role = checked_id(options.user, "USER"), role_of(options)
    access_of(supervisor).set_role(user, role)
    answer(options, {"user": user, "role": role}, f"{user} is {role} from the next login on")
    return 0


def _remove(supervisor: Supervisor, options: argparse.Namespace) -> int:
    user = checked_id(options.user, "USER")
    access_of(supervisor).remove_user(user)
    answer(options, {"user": user, "removed": True}, f"{user} may log in no more")
    return 0


def _list(supervisor: Supervisor, options: argparse.Namespace) -> int:
    users = access_of(supervisor).users()
    if options.json:
        print_json({"users": users})
    elif users:
        rows = [{"USER": Text(printable(str(x["user"]))), "ROLE": Text(x["role"])} for x in users]
        screen = console()
        screen.print(_COLUMNS.table(rows, rows, screen.width))
    else:
        print("There are no users. The first one: evd user add NAME admin")
    return 0
