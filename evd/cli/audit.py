"""`evd audit`: who did what, and when."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_json, add_verb, console, print_json
from evd.cli.listing import Filters, add_cp, add_limit, add_span, clock, cp_of, newest
from evd.cli.programs import access_of
from evd.cli.table import NOTHING
from evd.core.wire.fields import printable

_OUTCOME_COLORS: Final = {"refused": "yellow", "failed": "red"}


def add_verbs(verbs: Verbs) -> None:
    """Add `audit`."""
    text = "show who did what, the newest last; times are local"
    parser = add_verb(verbs, "audit", text, _audit)
    add_cp(parser)
    add_span(parser)
    add_limit(parser, "entries")
    add_json(parser)


def _audit(supervisor: Supervisor, options: argparse.Namespace) -> int:
    filters: Filters = {"cp_id": cp_of(options), "since": options.since, "until": options.until}
    rows = newest(access_of(supervisor).audit, "id", options.limit, filters)
    if options.json:
        print_json({"audit": rows})
        return 0
    screen = console()
    who_chars = max((len(_who(row)) for row in rows), default=0)
    for row in rows:
        screen.print(_line(row, who_chars), soft_wrap=True)
    if not rows:
        print("There are no entries.")
    return 0


def _who(row: Mapping[str, Any]) -> str:
    role = f" ({row['role']})" if row.get("role") else ""
    return printable(f"{row.get('who') or NOTHING}{role}")


def _line(row: Mapping[str, Any], who_chars: int) -> Text:
    outcome = str(row["outcome"])
    # An operator is shown no addresses.
    address = f" from {row['address']}" if row.get("address") else ""
    return Text.assemble(
        (clock(row, "ts"), "dim"),
        f" {_who(row):<{who_chars}} ",
        (f"{outcome:<7}", _OUTCOME_COLORS.get(outcome, "")),
        printable(f" {row['action']} {row.get('object') or ''}".rstrip() + address),
    )
