"""The parts that the command lines of all verbs are made of."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias

from rich.console import Console

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.reaching import GIVEN
from evd.flags import Kind, whole

# More at once would be a slip of the finger.
COUNT: Final = whole(1, 500)

# Carries out one verb; the exit code.
Run = Callable[[Supervisor, argparse.Namespace], int]


class CommandLineWrong(Exception):
    """The command line can't be understood; the text says why."""


class Parser(argparse.ArgumentParser):
    """A parser that raises CommandLineWrong instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise, with the way to the help."""
        raise CommandLineWrong(f"{message.removeprefix('argument ')} (see {self.prog} --help)")


# The set that verbs, or the actions of one verb, are added to.
Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_verb(verbs: Verbs, name: str, text: str, run: Run | None = None) -> Parser:
    """A verb's parser; `run` is None for one that has actions below it."""
    parser = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=run)
    # They may stand on both sides of the verb; the help shows them once.
    add_given(parser, default=argparse.SUPPRESS, is_hidden=True)
    return parser


def add_given(parser: Parser, default: str | None = None, *, is_hidden: bool = False) -> None:
    """Let the operator say how Central is asked."""
    for flag, (kind, variable, text) in GIVEN.items():
        shown = argparse.SUPPRESS if is_hidden else f"{text} [{variable}]"
        parser.add_argument(flag, metavar=kind.metavar, default=default, help=shown)


def add_actions(verbs: Verbs, name: str, text: str) -> Verbs:
    """A verb that is followed by one of several actions."""
    return add_verb(verbs, name, text).add_subparsers(
        dest="action", metavar="ACTION", required=True
    )


def add_count(parser: Parser) -> None:
    """Let the verb be repeated so many times."""
    parser.add_argument(
        "--count",
        type=value_of(COUNT),
        default=1,
        metavar="K",
        help="so many, counted on",
    )


def add_yes(parser: Parser) -> None:
    """Let the operator say beforehand that a strange id is meant."""
    parser.add_argument("--yes", action="store_true", help="do not ask about an id like another")


def add_json(parser: Parser) -> None:
    """Let a script ask for its answer as JSON."""
    parser.add_argument("--json", action="store_true", help="for a script")


def add_no_wait(parser: Parser, wait_s: float) -> None:
    """Let the operator go on at once."""
    text = f"do not wait until it is done (else for at most {wait_s:g} s)"
    parser.add_argument("--no-wait", action="store_true", help=text)


def value_of(kind: Kind) -> Callable[[str], Any]:
    """Read a value of this kind."""

    def read(text: str) -> Any:
        try:
            return kind.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def text_of(kind: Kind) -> Callable[[str], str]:
    """Read a text that a program will take for a value of this kind."""

    def read(text: str) -> str:
        value_of(kind)(text)
        return text

    return read


def console() -> Console:
    """Standard output for people."""
    # Off a terminal nobody's width is known, and a cut line tells less than a long one.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def print_json(fields: object) -> None:
    """Standard output for a script."""
    print(json.dumps(fields, indent=2))


def answer(options: argparse.Namespace, fields: object, *lines: str) -> None:
    """Tell a person or a script what was done."""
    if options.json:
        print_json(fields)
    else:
        print("\n".join(lines))
