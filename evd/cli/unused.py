"""`evd cp remove --unused DAYS`: the charging points that nobody has seen for long."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.programs import ENGINE, MONITOR, central_of

NAMED_MAX = 20


def remove_unused(
    supervisor: Supervisor, days: int, removed: list[str], say: Callable[[str], None], *, yes: bool
) -> int:
    """Take off Central's list what was not connected for `days`, and note it in `removed`; 1 where
    Central keeps some.

    What has a program here stays: `evd cp remove ID` is for those.
    """
    central = central_of(supervisor)
    try:
        views = central.charging_points()["charging_points"]
    except (CentralAway, CentralRefused) as error:
        raise ToolFailed(sentence_of(error)) from None
    ours = {each.member for each in supervisor.programs() if each.group in (ENGINE, MONITOR)}
    before = datetime.now(UTC) - timedelta(days=days)
    cp_ids = [cp_id for cp_id in _unused(views, before) if cp_id not in ours]
    if not cp_ids:
        say(f"No charging point has been unused for {days} days.")
        return 0
    more = f" and {len(cp_ids) - NAMED_MAX} more" if len(cp_ids) > NAMED_MAX else ""
    say(f"Unused for {days} days: {', '.join(cp_ids[:NAMED_MAX])}{more}")
    if not yes and not _is_wanted(len(cp_ids)):
        raise ToolFailed("Nothing was removed. With --yes they are removed unasked.", 2)
    for cp_id in cp_ids:
        try:
            central.forget_cp(cp_id)
        except CentralAway as error:
            raise ToolFailed(sentence_of(error)) from None
        except CentralRefused as error:
            if error.status != 404:
                say(f"{cp_id} stays: {sentence_of(error)}")
                continue
        removed.append(cp_id)
    say(f"Removed {len(removed)} of {len(cp_ids)}; their history stays")
    return 0 if len(removed) == len(cp_ids) else 1


def _unused(views: list[dict[str, Any]], before: datetime) -> Iterator[str]:
    for view in views:
        # A change of its row counts too: Central forgets at its restart when it saw a monitor.
        seen = [view[name] for name in ("monitor_last_seen", "last_update") if view[name]]
        is_old = all(datetime.fromisoformat(each) < before for each in seen)
        if view["state"] == "DISCONNECTED" and view["current_session"] is None and is_old:
            yield view["cp_id"]


def _is_wanted(count: int) -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        return input(f"Remove these {count}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
