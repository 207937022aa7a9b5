"""`evd faults` and `evd timeline`: what happened to charging points, as it came."""

import argparse
from collections.abc import Callable
from typing import Any, Final

import attrs
from rich.text import Text

from evd.adapters.http.central_client import Central
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_json, add_verb, console, print_json
from evd.cli.listing import add_cp, add_limit, add_span, clock, cp_of, newest
from evd.cli.programs import central_of
from evd.cli.table import NOTHING
from evd.core.wire.fields import printable

EVENT_COLORS: Final = {
    "FAULT": "red",
    "RECOVERY": "green",
    "DISCONNECTED": "bright_black",
    "RECONNECTED": "green",
    "SESSION_STARTED": "blue",
    "SESSION_ENDED": "green",
    "REFUSED": "yellow",
    "STOPPED": "yellow",
    "RESUMED": "green",
    "SHUTDOWN": "yellow",
    "BREAKER": "yellow",
}


@attrs.frozen
class Past:
    """A list of what happened: how Central is asked for it, and the names of a row's fields."""

    help: str
    ask: Callable[..., list[dict[str, Any]]]
    kind: str
    when: str
    text: str


PASTS: Final = {
    "faults": Past(
        "list faults and recoveries, the newest last; times are local",
        Central.faults,
        "event_type",
        "timestamp",
        "reason",
    ),
    "timeline": Past(
        "list sessions, faults, the operator's orders and refused requests, the newest last",
        Central.timeline,
        "kind",
        "ts",
        "text",
    ),
}


def add_verbs(verbs: Verbs) -> None:
    """Add `faults` and `timeline`."""
    for name, past in PASTS.items():
        parser = add_verb(verbs, name, past.help, _list)
        add_cp(parser)
        add_span(parser)
        add_limit(parser, "events")
        add_json(parser)
        parser.set_defaults(past=name)


def _list(supervisor: Supervisor, options: argparse.Namespace) -> int:
    central, past = central_of(supervisor), PASTS[options.past]
    filters = {"cp_id": cp_of(options), "since": options.since, "until": options.until}

    def ask(**question: Any) -> list[dict[str, Any]]:
        return past.ask(central, **question)

    rows = newest(ask, "id", options.limit, filters)
    if options.json:
        print_json({options.past: rows})
        return 0
    screen = console()
    # Ids of one list stand in one column, and so do kinds.
    cp_chars = max((len(row["cp_id"] or NOTHING) for row in rows), default=0)
    kind_chars = max((len(row[past.kind]) for row in rows), default=0)
    for row in rows:
        screen.print(_line(row, past, cp_chars, max(kind_chars, 12)), soft_wrap=True)
    if not rows:
        print(f"There are no {'faults' if options.past == 'faults' else 'events'}.")
    return 0


def _line(row: dict[str, Any], past: Past, cp_chars: int, kind_chars: int) -> Text:
    kind = str(row[past.kind])
    return Text.assemble(
        (clock(row, past.when), "dim"),
        f" {row['cp_id'] or NOTHING:<{cp_chars}} ",
        (f"{kind:<{kind_chars}}", EVENT_COLORS.get(kind, "")),
        f" {printable(str(row[past.text]))}",
    )
