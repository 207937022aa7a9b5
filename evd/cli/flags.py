"""The tool's command line: every verb with its flags, and the help for them."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from evd.flags import EURO_RATE, KW, Kind

_EPILOG = """\
The network is that of the checkout whose `evd` this is; --config or EVD_CONFIG names another
supervisord.conf.  Exit codes: 0 done, 1 failed, 2 the command line is wrong."""


# More at once would be a slip of the finger.
COUNT_MAX: Final = 500
LINES_MAX: Final = 1_000_000
PORT_MAX: Final = 65_535


class CommandLineWrong(Exception):
    """The command line can't be understood; the text says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandLineWrong(f"{message} (see {self.prog} --help)")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The verb and its values; prints the help and exits where that is asked for."""
    parser = _Parser(prog="evd", description=__doc__, epilog=_EPILOG, allow_abbrev=False)
    parser.description = "Starts a charging network, shows it, changes it, says what is wrong."
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="supervisord.conf of the network"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_running(verbs)
    _add_looking(verbs)
    _add_changing(verbs)
    return parser.parse_args(arguments)


def _verb(verbs: "argparse._SubParsersAction[_Parser]", name: str, text: str) -> _Parser:
    return verbs.add_parser(name, help=text, description=text, allow_abbrev=False)


def _add_running(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    _verb(verbs, "run", "start the network in the foreground and show its life; Ctrl-C stops it")
    up = _verb(verbs, "up", "start the network in the background, or what of it does not run")
    up.add_argument(
        "--kafka",
        action=argparse.BooleanOptionalAction,
        help="from now on run on a node of Apache Kafka (make kafka), or again on evd-broker",
    )
    _verb(verbs, "down", "stop the network; what was charged is kept")
    topics = _verb(verbs, "topics", "make the topics on a real Kafka (evd topics --help)")
    topics.set_defaults(verb="topics")


def _add_looking(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    status = _verb(verbs, "status", "show every charging point, and what does not run")
    _add_json(status)
    _verb(verbs, "watch", "the same, live")
    logs = _verb(verbs, "logs", "show what a program wrote")
    logs.add_argument("name", metavar="NAME", help="such as evd-engine:CP-001 or driver-alice")
    logs.add_argument(
        "-n", "--lines", type=_whole(LINES_MAX), default=40, metavar="N", help="default 40"
    )
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    doctor = _verb(verbs, "doctor", "say what is not as it should be, and what to do; 1 if so")
    _add_json(doctor)


def _add_changing(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    request = _verb(verbs, "request", "ask for a charge, and tell what becomes of it")
    request.add_argument("driver_id", metavar="DRIVER")
    request.add_argument("cp_id", metavar="CP|any")
    request.add_argument("--no-wait", action="store_true", help="do not wait for its end")
    _add_json(request)

    cp = _verb(verbs, "cp", "add or remove charging points").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    add = _verb(cp, "add", "add charging points: 7 is CP-007, anything else is taken as it is")
    add.add_argument("names", metavar="N|ID", nargs="+")
    add.add_argument("--kw", type=_as(KW), metavar="KW", help="power in kW (default 22)")
    add.add_argument(
        "--euro", type=_as(EURO_RATE), metavar="EURO", help="price in euro/kWh (default 0.30)"
    )
    add.add_argument(
        "--count", type=_whole(COUNT_MAX), default=1, metavar="K", help="so many, counted on"
    )
    _add_json(add)
    remove = _verb(cp, "remove", "end a charging point's session, wait for its bill, remove it")
    remove.add_argument("names", metavar="N|ID", nargs="+")
    remove.add_argument("--force", action="store_true", help="also where a record may be lost")

    driver = _verb(verbs, "driver", "add or remove drivers").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    add = _verb(driver, "add", "add drivers")
    add.add_argument("names", metavar="NAME", nargs="+")
    add.add_argument("--requests", type=Path, metavar="FILE", help="one charging point a line")
    add.add_argument(
        "--http-port", type=_whole(PORT_MAX), metavar="N", help="its dashboard (default: free)"
    )
    add.add_argument(
        "--count", type=_whole(COUNT_MAX), default=1, metavar="K", help="so many, counted on"
    )
    _add_json(add)
    remove = _verb(driver, "remove", "remove drivers; a running session goes on and is billed")
    remove.add_argument("names", metavar="NAME", nargs="+")

    crash = _verb(verbs, "crash", "SIGKILL a process, a random one without NAME")
    crash.add_argument("name", metavar="NAME", nargs="?")
    _add_json(crash)
    central = _verb(verbs, "central", "look after Central's database").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    backup = _verb(central, "backup", "copy the database to a new file, also while Central runs")
    backup.add_argument("file", metavar="FILE", type=Path)
    restore = _verb(
        central, "restore", "put a copy in its place; what was there is kept as .replaced"
    )
    restore.add_argument("file", metavar="FILE", type=Path)
    _verb(central, "accept", "after a restore: nothing more is awaited, sessions may begin again")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a script")


def _as(kind: Kind) -> Callable[[str], str]:
    """The text itself, once it is known that a program will take it for `kind`."""

    def read(text: str) -> str:
        try:
            kind.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, not {text!r}") from None
        return text

    return read


def _whole(high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from 1 to {high}, not {text!r}"
            )
        return int(text)

    return read
