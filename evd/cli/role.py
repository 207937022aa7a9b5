"""The role of a person or a token, as the operator gives it: behind the name, or as --role."""

import argparse
from collections.abc import Sequence

from evd.cli.command_line import Parser
from evd.cli.errors import ToolFailed
from evd.core.access.roles import Role


def add_role(parser: Parser, roles: Sequence[Role]) -> None:
    """Let the operator give one of `roles`."""
    names = [each.value for each in roles]
    text = ", ".join(names)
    parser.add_argument("role", metavar="ROLE", nargs="?", choices=names, help=text)
    parser.add_argument("--role", dest="flag", metavar="ROLE", choices=names, help="the same")
    parser.set_defaults(roles=names)


def role_of(options: argparse.Namespace) -> str:
    """The role that was given; ToolFailed where there is none, or two that differ."""
    given = {each for each in (options.role, options.flag) if each is not None}
    if len(given) != 1:
        what = "one role" if given else "the role"
        raise ToolFailed(f"Say {what}: {', '.join(options.roles)}.", 2)
    return str(given.pop())
