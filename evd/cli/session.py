"""`evd session` and `evd sessions`: what was charged, what is being charged, and its end."""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import (
    Parser,
    Verbs,
    add_actions,
    add_json,
    add_no_wait,
    add_verb,
    answer,
    console,
    print_json,
)
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.listing import (
    Filters,
    add_cp,
    add_limit,
    add_span,
    checked_id,
    clock,
    cp_of,
    newest,
)
from evd.cli.programs import POLL_S, central_of
from evd.cli.signals import INTERRUPTED
from evd.cli.table import NOTHING, Columns, Row, amount
from evd.core.wire.fields import printable

STATUSES: Final = ("ACTIVE", "COMPLETED", "FAILED")
END_S: Final = 30.0
# The powers of a session's course as bars of one character.
_BARS: Final = "▁▂▃▄▅▆▇█"
_STATUS_COLORS: Final = {"ACTIVE": "blue", "COMPLETED": "green", "FAILED": "red"}
_COLUMNS: Final = Columns(
    ("BEGUN", "ENDED", "CP", "DRIVER", "kWh", "euros", "STATUS", "SESSION"),
    amounts=frozenset({"kWh", "euros"}),
    spare=("ENDED", "DRIVER", "STATUS", "euros", "kWh", "BEGUN"),
    squeezed="DRIVER",
)
# A session's marks that change its bill.
_MARKS: Final = ("estimated", "stray", "suspect")


def add_verbs(verbs: Verbs) -> None:
    """Add `session` with its actions, and `sessions`."""
    text = "list or show sessions, stop one, judge a suspect one"
    actions = add_actions(verbs, "session", text)
    _add_list(actions, "list")
    text = "show one, with its bill and the course of its power"
    show = add_verb(actions, "show", text, _show)
    stop = add_verb(actions, "stop", "end a running one; it is billed for its reading", _stop)
    add_no_wait(stop, END_S)
    for parser in (show, stop):
        parser.add_argument("session_id", metavar="SESSION")
        add_json(parser)
    for verdict, text in (
        ("accept", "bill a suspect one as it was recorded, once and for good"),
        ("void", "bill a suspect one at 0, once and for good"),
    ):
        parser = add_verb(actions, verdict, text, _judge)
        parser.add_argument("session_id", metavar="SESSION")
        add_json(parser)
        parser.set_defaults(verdict=verdict)
    parser = _add_list(verbs, "sessions")
    text = "all of them as CSV, the newest first, times in UTC; --limit does not count"
    parser.add_argument("--csv", action="store_true", help=text)


def _add_list(verbs: Verbs, name: str) -> Parser:
    text = "list sessions, the newest last; times are local"
    parser = add_verb(verbs, name, text, _list)
    add_cp(parser)
    parser.add_argument("--driver", metavar="DRIVER", help="only of this driver")
    parser.add_argument("--status", choices=STATUSES, help="only with this status")
    add_span(parser)
    add_limit(parser, "sessions")
    add_json(parser)
    parser.set_defaults(csv=False)
    return parser


def _list(supervisor: Supervisor, options: argparse.Namespace) -> int:
    if options.csv and options.json:
        raise ToolFailed("Say --csv or --json, not both.", 2)
    driver_id = None if options.driver is None else checked_id(options.driver, "--driver")
    filters: Filters = {
        "cp_id": cp_of(options),
        "driver_id": driver_id,
        "status": options.status,
        "since": options.since,
        "until": options.until,
    }
    central = central_of(supervisor)
    if options.csv:
        _write(central.sessions_csv(**filters))
        return 0
    rows = newest(central.sessions, "session_id", options.limit, filters)
    if options.json:
        print_json({"sessions": rows})
    elif rows:
        screen = console()
        cells = [_row(row) for row in rows]
        screen.print(_COLUMNS.table(cells, cells, screen.width))
    else:
        print("There are no sessions.")
    return 0


def _write(pieces: Iterator[bytes]) -> None:
    """Write bytes to standard output as they come; BrokenPipeError once nobody reads it."""
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _row(session: Mapping[str, Any]) -> Row:
    status = str(session["status"])
    return {
        "BEGUN": Text(clock(session, "start_time")),
        "ENDED": Text(clock(session, "end_time")),
        "CP": Text(session["cp_id"]),
        "DRIVER": Text(session["driver_id"]),
        "kWh": amount(session["total_kwh"], 3),
        "euros": amount(session["total_cost"], 2),
        "STATUS": Text(status, _STATUS_COLORS.get(status, "")),
        "SESSION": Text(session["session_id"]),
    }


def bill_of(session: Mapping[str, Any]) -> str:
    """The energy and the cost of a session."""
    cost = session["total_cost"]
    return (
        f"{session['total_kwh']:.3f} kWh, {'no bill yet' if cost is None else f'{cost:.2f} euros'}"
    )


def _show(supervisor: Supervisor, options: argparse.Namespace) -> int:
    session = central_of(supervisor).session(checked_id(options.session_id, "SESSION"))
    if options.json:
        print_json(session)
        return 0
    for name, value in _facts(session):
        print(f"{name:<9} {printable(value)}")
    return 0


def _facts(session: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "session", session["session_id"]
    yield "request", session["request_id"]
    yield "CP", session["cp_id"]
    yield "driver", session["driver_id"]
    yield "begun", clock(session, "start_time")
    yield "ended", clock(session, "end_time")
    marks = [mark for mark in _MARKS if session[mark]]
    yield "status", ", ".join([session["status"], *marks])
    yield "bill", bill_of(session)
    yield "reason", session["reason"] or NOTHING
    if powers := [float(kw) for _, kw, _ in session.get("curve") or ()]:
        yield "power", f"{course(powers)} up to {max(powers):.1f} kW"


def course(powers: Sequence[float]) -> str:
    """The powers of a session as bars, the highest for the highest power."""
    top = max(powers) or 1.0
    return "".join(_BARS[round(power / top * (len(_BARS) - 1))] for power in powers)


def _stop(supervisor: Supervisor, options: argparse.Namespace) -> int:
    central, session_id = central_of(supervisor), checked_id(options.session_id, "SESSION")
    central.stop_session(session_id)
    if options.no_wait:
        told = f"{session_id}: Central tells its engine to end it."
        answer(options, {"session_id": session_id}, told)
        return 0
    try:
        session = _await_end(central, session_id)
    except KeyboardInterrupt:
        told = f"No longer waiting: Central goes on telling the engine of {session_id} to end it."
        raise ToolFailed(told, INTERRUPTED) from None
    answer(options, session, f"{session_id} ended: {bill_of(session)}")
    return 0


def _await_end(central: Central, session_id: str) -> dict[str, Any]:
    """The session once it has ended; ToolFailed after END_S."""
    end_s = time.monotonic() + END_S
    while True:
        why = "its engine has sent no record yet"
        # The wish is stored: a Central that is away for a moment goes on with it.
        try:
            session = central.session(session_id)
            if session["status"] != "ACTIVE":
                return session
        except CentralRefused as error:
            if error.status < 500:
                raise
            why = sentence_of(error).rstrip(".")
        except CentralAway as error:
            why = sentence_of(error).rstrip(".")
        if time.monotonic() > end_s:
            raise ToolFailed(
                f"{session_id} has not ended after {END_S:g} s: {why}. Central goes on asking for"
                " its end."
            )
        time.sleep(POLL_S)


def _judge(supervisor: Supervisor, options: argparse.Namespace) -> int:
    session_id = checked_id(options.session_id, "SESSION")
    central_of(supervisor).judge(session_id, options.verdict)
    billed = "is billed as recorded" if options.verdict == "accept" else "costs nothing"
    answer(
        options,
        {"session_id": session_id, "verdict": options.verdict},
        f"Session {session_id} {billed}",
    )
    return 0
