"""`evd session`: the judgement on a session whose record can't be."""

import argparse

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_actions, add_verb
from evd.cli.errors import ToolFailed
from evd.cli.programs import central_of
from evd.core.wire.fields import FieldError, check_id


def add_verbs(verbs: Verbs) -> None:
    """Add `session accept` and `session void`."""
    actions = add_actions(verbs, "session", "judge a suspect session, once and for good")
    for verdict, text in (
        ("accept", "bill it as it was recorded"),
        ("void", "bill it at 0"),
    ):
        parser = add_verb(actions, verdict, text, _judge)
        parser.add_argument("session_id", metavar="SESSION")
        parser.set_defaults(verdict=verdict)


def _judge(supervisor: Supervisor, options: argparse.Namespace) -> int:
    try:
        check_id(options.session_id, "SESSION")
    except FieldError as error:
        raise ToolFailed(f"{error}.", 2) from None
    central_of(supervisor).judge(options.session_id, options.verdict)
    billed = "is billed as recorded" if options.verdict == "accept" else "costs nothing"
    print(f"Session {options.session_id} {billed}")
    return 0
