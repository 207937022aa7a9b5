"""The ways to Central's status feed: with a ticket where Central is asked as somebody."""

from collections.abc import Sequence
from functools import partial

from evd.adapters.feed.client import FeedAway, FeedRefused, FeedWay, Ticket
from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.http.client import Way
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.programs import central_of, feeds_of


def feed_ways(supervisor: Supervisor, cp_ids: Sequence[str]) -> list[FeedWay]:
    """The feed of these charging points at each Central, of all points where none is named."""
    query = tuple(("cp_id", cp_id) for cp_id in cp_ids)
    both = zip(central_of(supervisor).ways, feeds_of(supervisor), strict=True)
    return [_feed_way(way, url, query) for way, url in both]


def _feed_way(way: Way, url: str, query: tuple[tuple[str, str], ...]) -> FeedWay:
    is_known = way.socket is not None or way.token is not None
    return FeedWay(
        url,
        query=query,
        ticket=partial(_ticket, Central(way)) if is_known else None,
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
