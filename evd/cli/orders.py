"""`evd cp stop`, `resume` and `shutdown`: orders to charging points, and what became of them."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_json, add_no_wait, add_verb, print_json
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.names import cp_ids_from
from evd.cli.programs import POLL_S, central_of
from evd.cli.session import bill_of
from evd.cli.signals import INTERRUPTED

# A session ends with its record first; an engine that hangs gets its order when it is back.
DONE_S: Final = 30.0

View = Mapping[str, Any]


@attrs.frozen
class Order:
    """An order to a charging point: how Central is asked, and when it has been carried out."""

    help: str
    ask: Callable[[Central, str], None]
    is_done: Callable[[View], bool]
    done: str
    not_done: str


@attrs.frozen
class Outcome:
    """The outcome for one charging point; `done` is None where nobody waited for it."""

    cp_id: str
    done: bool | None
    text: str


def _is_stopped(view: View) -> bool:
    has_stopped = view["engine_state"] == "STOPPED" and view["current_session"] is None
    return bool(view["stopped"]) and has_stopped


def _is_resumed(view: View) -> bool:
    return not view["stopped"] and view["engine_state"] in ("ACTIVATED", "SUPPLYING")


ORDERS: Final = {
    "stop": Order(
        "take charging points out of service; a running session ends first and is billed",
        Central.stop_cp,
        _is_stopped,
        "is stopped",
        "gets no new driver, but its engine has not stopped yet",
    ),
    "resume": Order(
        "put charging points back into service",
        Central.resume_cp,
        _is_resumed,
        "is in service",
        "is not in service yet",
    ),
    "shutdown": Order(
        "end the engine of charging points; a running session ends and is billed",
        Central.shut_cp_down,
        # Its monitor is there and finds no engine.
        lambda view: bool(view["state"] == "BROKEN"),
        "has no engine any more; evd up starts it again",
        "has an engine still",
    ),
}


def add_orders(actions: Verbs) -> None:
    """Add `cp stop`, `cp resume` and `cp shutdown`."""
    for name, order in ORDERS.items():
        parser = add_verb(actions, name, order.help, _order)
        parser.add_argument("names", metavar="N|ID", nargs="+", help="7 is CP-007")
        parser.set_defaults(order=name)
        add_no_wait(parser, DONE_S)
        add_json(parser)


def _order(supervisor: Supervisor, options: argparse.Namespace) -> int:
    central, order = central_of(supervisor), ORDERS[options.order]
    cp_ids = cp_ids_from(options.names)
    outcomes = []
    for outcome in carry_out(central, order, cp_ids, 0.0 if options.no_wait else DONE_S):
        outcomes.append(outcome)
        if not options.json:
            file = sys.stderr if outcome.done is False else sys.stdout
            print(f"{'evd: ' if outcome.done is False else ''}{outcome.text}", file=file)
    if options.json:
        fields = [attrs.asdict(outcome) for outcome in outcomes]
        print_json({"order": options.order, "charging_points": fields})
    return 1 if any(outcome.done is False for outcome in outcomes) else 0


def carry_out(
    central: Central, order: Order, cp_ids: Sequence[str], wait_s: float
) -> Iterator[Outcome]:
    """Give the order to all, and tell the outcome of each; `wait_s` 0: without waiting."""
    # As they were before: of a session that the order ends the bill is told.
    before: dict[str, View] = {}
    for cp_id in cp_ids:
        try:
            view = central.charging_point(cp_id) or {}
            order.ask(central, cp_id)
            before[cp_id] = view
        except CentralRefused as error:
            yield Outcome(cp_id, False, sentence_of(error))
    end_s = time.monotonic() + wait_s
    waiting = list(before)
    try:
        while waiting:
            cp_id = waiting[0]
            if not wait_s:
                yield Outcome(cp_id, None, f"{cp_id}: Central tells its engine.")
            else:
                yield _await(central, order, cp_id, before[cp_id].get("current_session"), end_s)
            waiting.pop(0)
    except KeyboardInterrupt:
        left = ", ".join(waiting)
        told = f"No longer waiting: Central goes on telling {left}."
        raise ToolFailed(told, INTERRUPTED) from None


def _await(
    central: Central, order: Order, cp_id: str, session_id: str | None, end_s: float
) -> Outcome:
    while True:
        # The order is stored: a Central that is away for a moment goes on with it.
        try:
            view = central.charging_point(cp_id)
        except (CentralAway, CentralRefused) as error:
            why = sentence_of(error)
        else:
            if view is None:
                return Outcome(cp_id, False, f"{cp_id} was removed meanwhile.")
            if order.is_done(view):
                ended = _ended(central, cp_id, session_id)
                return Outcome(cp_id, True, f"{cp_id} {order.done}{ended}")
            why = view["unavailable_reason"] or "Its engine has not said so"
            why = f"{cp_id} is {view['state']}: {why}."
        if time.monotonic() > end_s:
            text = f"{cp_id} {order.not_done}; Central goes on telling it. {why}"
            return Outcome(cp_id, False, text)
        time.sleep(POLL_S)


def _ended(central: Central, cp_id: str, session_id: str | None) -> str:
    """The bill of the session that the order has ended, as the end of a sentence."""
    if session_id is None:
        return ""
    rows = central.sessions(cp_id=cp_id, limit=10)
    bill = next((bill_of(row) for row in rows if row["session_id"] == session_id), "")
    return f"; {session_id} ended: {bill}" if bill else ""
