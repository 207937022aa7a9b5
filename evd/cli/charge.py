"""`evd request`: asks for a charge in a driver's name, and tells what becomes of it."""

import time
from typing import Any, Final

from rich.console import Console

from evd.cli.central import Central, CentralAway, CentralRefused
from evd.core.wire.messages import RequestStatus

# Central holds back for a moment after its start.
PATIENCE_S: Final = 15.0
POLL_S: Final = 0.25


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


def follow(central: Central, request_id: str, console: Console | None) -> dict[str, Any]:
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
            # Stored before it was taken: it is still there when Central is back.
            if console is not None and not away:
                console.print(f"{error} Waiting for it.", highlight=False, soft_wrap=True)
            away = True
            time.sleep(1.0)
            continue
        news = (request["status"], request["cp_id"], request["reason"])
        if news != told and console is not None:
            told = news
            line = f"{request['status']:<12} {request['cp_id'] or '-':<8} {request['reason']}"
            console.print(line.rstrip(), highlight=False, soft_wrap=True)
        if RequestStatus(request["status"]).final:
            return request
        time.sleep(POLL_S)


def bill_of(central: Central, request: dict[str, Any]) -> str:
    """What the session of an ended request came to, empty where there was none."""
    for session in central.sessions(driver_id=request["driver_id"], limit=10):
        if session["request_id"] == request["request_id"]:
            cost = session["total_cost"]
            euros = "no bill yet" if cost is None else f"{cost:.2f} euros"
            return f"{session['total_kwh']:.3f} kWh, {euros}"
    return ""
