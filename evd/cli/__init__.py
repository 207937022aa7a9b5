"""`evd`, the operator's tool: starts the network, shows it, changes it, and says what is wrong."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from evd.cli.flags import CommandLineWrong, parse
from evd.cli.signals import INTERRUPTED, listen


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The program: does what the command line says; 0, 1 where that failed, 2 where it is wrong."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        sys.exit(_run(arguments))
    except BrokenPipeError:
        # Who read our output has gone, as `evd status | head` does; nothing is left to be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # A file or a folder that can't be used, wherever a command came upon it.
        where = f"{error.filename}: " if error.filename else ""
        print(f"evd: {where}{error.strerror or error}.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["topics"]:
        # Flags and variables of its own; Kafka is loaded for it alone.
        from evd.cli import topics

        return topics.main(arguments[1:], os.environ)
    try:
        options = parse(arguments)
    except CommandLineWrong as error:
        print(f"evd: {error}", file=sys.stderr)
        return 2
    # Loaded late: `evd --help` needs none of it.
    from evd.adapters.supervisor.protocol import SupervisorFailed
    from evd.cli import commands
    from evd.cli.errors import ToolFailed

    try:
        listen()
        return commands.carry_out(options)
    except ToolFailed as error:
        print(f"evd: {error}", file=sys.stderr)
        return error.exit_code
    except SupervisorFailed as error:
        print(f"evd: {error}", file=sys.stderr)
        return 1
