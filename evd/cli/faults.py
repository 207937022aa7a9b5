"""`evd faults`: faults and recoveries of charging points, as they came."""

import argparse
from typing import Any, Final

from rich.text import Text

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_json, add_verb, console, print_json
from evd.cli.listing import add_cp, add_limit, add_span, clock, cp_of, newest
from evd.cli.programs import central_of
from evd.core.wire.fields import printable

EVENT_COLORS: Final = {
    "FAULT": "red",
    "RECOVERY": "green",
    "DISCONNECTED": "bright_black",
    "RECONNECTED": "green",
}


def add_verbs(verbs: Verbs) -> None:
    """Add `faults`."""
    text = "list faults and recoveries, the newest last; times are local"
    parser = add_verb(verbs, "faults", text, _faults)
    add_cp(parser)
    add_span(parser)
    add_limit(parser, "events")
    add_json(parser)


def _faults(supervisor: Supervisor, options: argparse.Namespace) -> int:
    filters = {"cp_id": cp_of(options), "since": options.since, "until": options.until}
    rows = newest(central_of(supervisor).faults, "id", options.limit, filters)
    if options.json:
        print_json({"faults": rows})
        return 0
    screen = console()
    # Ids of one list stand in one column.
    chars = max((len(row["cp_id"]) for row in rows), default=0)
    for row in rows:
        screen.print(_line(row, chars), soft_wrap=True)
    if not rows:
        print("There are no faults.")
    return 0


def _line(row: dict[str, Any], cp_chars: int) -> Text:
    kind = str(row["event_type"])
    return Text.assemble(
        (clock(row, "timestamp"), "dim"),
        f" {row['cp_id']:<{cp_chars}} ",
        (f"{kind:<12}", EVENT_COLORS.get(kind, "")),
        f" {printable(str(row['reason']))}",
    )
