"""The way to Central's status feed: with a ticket where Central is asked as somebody."""

from collections.abc import Sequence
from functools import partial

from evd.adapters.feed.client import FeedAway, FeedRefused, FeedWay, Ticket
from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.programs import central_of, feed_of


def feed_way(supervisor: Supervisor, cp_ids: Sequence[str]) -> FeedWay:
    """The feed of these charging points, of all where none is named."""
    central, url = central_of(supervisor), feed_of(supervisor)
    way = central.way
    is_known = way.socket is not None or way.token is not None
    return FeedWay(
        url,
        query=tuple(("cp_id", cp_id) for cp_id in cp_ids),
        ticket=partial(_ticket, central) if is_known else None,
        context=way.context if url.startswith("wss:") else None,
    )


def _ticket(central: Central) -> Ticket | None:
    try:
        found = central.feed_ticket()
        if found is None:
            return None
        port = found.get("feed_port")
        return Ticket(str(found.get("ticket")), port if isinstance(port, int) else None)
    except CentralAway as error:
        raise FeedAway(str(error)) from None
    except CentralRefused as error:
        if error.status < 500:
            raise FeedRefused(str(error)) from None
        raise FeedAway(str(error)) from None
