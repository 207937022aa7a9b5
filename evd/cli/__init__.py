"""`evd`, the operator's tool: starts the network, shows it, changes it, and says what is wrong.

Each family of verbs has a file: its part of the command line, and functions that carry it out.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import evd
from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.http.client import NotSent
from evd.adapters.supervisor import systemd
from evd.adapters.supervisor.nowhere import Nowhere
from evd.adapters.supervisor.protocol import Supervisor, SupervisorFailed
from evd.adapters.supervisor.supervisord import PATH_CHARACTERS_REFUSED, Supervisord
from evd.cli import (
    access,
    audit,
    central,
    cp,
    dead_letters,
    doctor,
    driver,
    faults,
    feed,
    fleet,
    network,
    reload,
    request,
    session,
    site,
    token,
    topics,
    user,
)
from evd.cli.command_line import CommandLineWrong, Parser, add_given
from evd.cli.errors import ToolFailed, say, sentence_of
from evd.cli.reaching import GIVEN, given_by
from evd.cli.signals import INTERRUPTED, listen
from evd.cli.streams import flush_output, open_closed_streams
from evd.config import restrict_modes
from evd.flags import ConfigError
from evd.version import VERSION

_EPILOG = """\
The network is that of the checkout whose `evd` this is, and on a host that of its systemd units;
--config or EVD_CONFIG names another supervisord.conf.  Exit codes: 0 done, 1 failed, 2 the command
line is wrong."""

# In the order of the help.
_FAMILIES = (
    *(network, feed, reload, topics, doctor, request, session, faults, cp, driver, site, central),
    *(fleet, dead_letters, user, token, access, audit),
)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Do what the command line says; exit with 0, with 1 where that failed, 2 where it is wrong."""
    restrict_modes()
    open_closed_streams()
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        try:
            sys.exit(_run(arguments))
        finally:
            flush_output()
    except BrokenPipeError:
        # The reader of our output has gone, as in `evd status | head`: nothing is left to say.
        sys.exit(1)
    except OSError as error:
        # A file or a folder that can't be used, wherever a command came upon it.
        where = f"{error.filename}: " if error.filename else ""
        denied = isinstance(error, PermissionError)
        why = "permission denied" if denied else error.strerror or error
        say(f"{where}{why}.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == [topics.VERB]:
        # It has flags and variables of its own.
        return topics.main(arguments[1:], os.environ)
    try:
        options = parse(arguments)
        listen()
        return int(options.run(_network(options), options))
    except (CommandLineWrong, ConfigError) as error:
        say(error)
        return 2
    except NotSent as error:
        say(f"{error}: name an https:// address by --central-url.")
        return 2
    except (ToolFailed, SupervisorFailed) as error:
        say(error)
        return error.exit_code if isinstance(error, ToolFailed) else 1
    except (CentralAway, CentralRefused) as error:
        say(sentence_of(error))
        return 1


def parse(arguments: list[str]) -> argparse.Namespace:
    """The values of the command line, and `run`, the function that carries it out.

    Prints the help or the release, and exits, where that is asked for.
    """
    return make_parser().parse_args(arguments)


def make_parser() -> Parser:
    """All verbs."""
    parser = Parser(prog="evd", epilog=_EPILOG, allow_abbrev=False)
    parser.description = "Starts a charging network, shows it, changes it, says what is wrong."
    parser.add_argument("--version", action="version", version=f"evd {VERSION}")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="supervisord.conf of the network"
    )
    add_given(parser)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for family in _FAMILIES:
        family.add_verbs(verbs)
    return parser


def _network(options: argparse.Namespace) -> Supervisor:
    """The network that the command is about, with what is said of its Central."""
    flags = {flag: getattr(options, flag[2:].replace("-", "_")) for flag in GIVEN}
    given = given_by(flags, os.environ)
    try:
        found = _supervisor(options.config)
    except ToolFailed:
        if not given.urls or options.config is not None:
            raise
        found = Nowhere()
    found.given = given
    return found


def _supervisor(given: Path | None) -> Supervisor:
    """The supervisor of a named or a present supervisord.conf, else the systemd of this host."""
    source = "--config"
    if given is None and (named := os.environ.get("EVD_CONFIG")):
        given, source = Path(named), "EVD_CONFIG"
    if given is not None:
        return Supervisord(_checked(given, source))
    checkout = Path(evd.__file__).parents[1] / "etc" / "supervisord.conf"
    for present in (checkout, Path("etc/supervisord.conf")):
        if present.exists():
            return Supervisord(_checked(present, source))
    if systemd.is_here():
        return systemd.Systemd()
    raise ToolFailed(
        "There is no network here: this evd stands in no checkout, and systemd has no units of evd."
        " Name the network's supervisord.conf with --config.",
        2,
    )


def _checked(found: Path, source: str) -> Path:
    """The file, where supervisord can read it; ToolFailed where not, with what named it."""
    if not found.is_file():
        what = f"{found} is no file" if found.exists() else f"There is no {found}"
        raise ToolFailed(f"{what}: name the network's supervisord.conf with {source}.", 2)
    folder = found.resolve().parent
    if wrong := next((each for each in str(folder) if each in PATH_CHARACTERS_REFUSED), None):
        raise ToolFailed(
            f"The path {folder} has a {wrong} in it, which supervisord's files can't hold: move the"
            " checkout to a path without one.",
            2,
        )
    return found
