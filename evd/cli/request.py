"""`evd request`: asks for a charge in a driver's name, and tells what becomes of it."""

import argparse
import time
from typing import Any, Final

from rich.console import Console

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_json, add_verb, console, print_json
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.programs import central_of
from evd.cli.session import bill_of
from evd.cli.signals import INTERRUPTED
from evd.core.driver.requests_file import ANY_CP
from evd.core.wire.fields import FieldError, check_cp_id, check_id
from evd.core.wire.messages import RequestStatus

# Central takes no request for a moment after its start.
PATIENCE_S: Final = 15.0
POLL_S: Final = 0.25


def add_verbs(verbs: Verbs) -> None:
    """Add `request`."""
    text = "ask for a charge, and tell what becomes of it"
    parser = add_verb(verbs, "request", text, _request)
    parser.add_argument("driver_id", metavar="DRIVER")
    parser.add_argument("cp_id", metavar="CP|any")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for its end")
    add_json(parser)


def _request(supervisor: Supervisor, options: argparse.Namespace) -> int:
    cp_id = None if options.cp_id == ANY_CP else options.cp_id
    try:
        check_id(options.driver_id, "DRIVER")
        if cp_id is not None:
            check_cp_id(cp_id, "CP")
    except FieldError as error:
        raise ToolFailed(f"{error}.", 2) from None
    central = central_of(supervisor)
    request_id = ask(central, options.driver_id, cp_id)
    if options.no_wait:
        print_json({"request_id": request_id}) if options.json else print(request_id)
        return 0
    try:
        request = follow(central, request_id, None if options.json else console())
    except KeyboardInterrupt:
        raise ToolFailed(
            f"No longer waiting: request {request_id} goes on, and what it charges is billed.",
            INTERRUPTED,
        ) from None
    if options.json:
        print_json(request)
    elif bill := bill_of_request(central, request):
        print(bill)
    return 0 if request["status"] == RequestStatus.COMPLETED else 1


def ask(central: Central, driver_id: str, cp_id: str | None) -> str:
    """The id of the new request; waits where Central says that it will take it in a moment."""
    body = {"driver_id": driver_id}
    if cp_id is not None:
        body["cp_id"] = cp_id
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return central.charge(body)
        except CentralRefused as error:
            if error.retry_s is None or time.monotonic() + error.retry_s > end_s:
                raise
            time.sleep(error.retry_s)


def follow(central: Central, request_id: str, screen: Console | None) -> dict[str, Any]:
    """Print each change of the request until it is final; how it ended."""
    told: tuple[object, ...] = ()
    away = False
    while True:
        try:
            request = central.request(request_id)
            away = False
        except (CentralAway, CentralRefused) as error:
            if isinstance(error, CentralRefused) and error.status != 503:
                raise
            # Central stores a request before it takes it: it is still there when Central is back.
            if screen is not None and not away:
                screen.print(
                    f"{sentence_of(error)} Waiting for it.", highlight=False, soft_wrap=True
                )
            away = True
            time.sleep(1.0)
            continue
        news = (request["status"], request["cp_id"], request["reason"])
        if news != told and screen is not None:
            told = news
            line = f"{request['status']:<12} {request['cp_id'] or '-':<8} {request['reason']}"
            screen.print(line.rstrip(), highlight=False, soft_wrap=True)
        if RequestStatus(request["status"]).final:
            return request
        time.sleep(POLL_S)


def bill_of_request(central: Central, request: dict[str, Any]) -> str:
    """The energy and the bill of an ended request's session, empty where there was none."""
    for row in central.sessions(driver_id=request["driver_id"], limit=10):
        if row["request_id"] == request["request_id"]:
            return bill_of(row)
    return ""
