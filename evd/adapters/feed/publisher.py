"""Tells each client first how everything stands, then what changed.

A change is encoded once for all clients that keep up.  One that does not gets what it has missed
in one message, once it has taken the one before: of a charging point only how it stands then.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import attrs
import trio

from evd.adapters.feed.encoding import array, frame
from evd.adapters.feed.metrics import FeedMetrics
from evd.adapters.feed.outlet import Outlet
from evd.adapters.http.access.driver_view import veiled
from evd.adapters.json_text import encode
from evd.adapters.pieces import POINTS_AT_ONCE, by_pieces
from evd.core.central.overview import FeedEvent, Network
from evd.core.central.views import CpView

# The newest events, in a snapshot and in an update.
EVENTS_MAX = 100
# A client that was told nothing for so long is told that: a page sees no pings.
ALIVE_S = 10.0
# Others may run after so many clients.
CLIENTS_AT_ONCE = 50

CpIds = frozenset[str]


@attrs.frozen
class Interest:
    """The part that a client is told: of `cp_ids` alone (None: all), and as `driver_id` may see it
    (None: everything)."""

    cp_ids: CpIds | None = None
    driver_id: str | None = None


@attrs.define(eq=False)
class Card:
    """A charging point's JSON: the whole, and without another driver's affairs."""

    view: CpView
    whole: bytes
    _veiled: bytes | None = None

    def for_driver(self, driver_id: str | None) -> bytes:
        """The JSON as this driver may see it."""
        if driver_id is None or self.view.current_driver in (None, driver_id):
            return self.whole
        if self._veiled is None:
            # It is the same for every driver but its own.
            self._veiled = encode(veiled(self.view, driver_id))
        return self._veiled


@attrs.frozen
class Update:
    """The changes of everything since the last one.

    `charging_points` are those that are new or changed, `seen` all that were looked at: snapshots
    have them as they are.  `network` None: as it was.
    """

    charging_points: Sequence[CpView]
    seen: Sequence[CpView]
    removed: Sequence[str]
    active_requests: int
    events: Sequence[FeedEvent]
    network: Network | None


@attrs.frozen
class Event:
    """An event's JSON, and its charging point."""

    cp_id: str | None
    json: bytes


@attrs.define
class News:
    """The news for clients: charging points by id, with their JSON, and events.

    `of_all`: what stands in each update changed as well.
    """

    cards: dict[str, Card] = attrs.Factory(dict)
    removed: set[str] = attrs.Factory(set)
    events: deque[Event] = attrs.Factory(lambda: deque(maxlen=EVENTS_MAX))
    has_network: bool = False
    of_all: bool = False

    def add(self, newer: "News") -> None:
        """Take in what came later."""
        self.cards.update(newer.cards)
        for cp_id in newer.removed:
            self.cards.pop(cp_id, None)
        self.removed = (self.removed | newer.removed) - self.cards.keys()
        self.events.extend(newer.events)
        self.has_network |= newer.has_network
        self.of_all |= newer.of_all

    def narrowed(self, cp_ids: CpIds | None) -> "News":
        """Return the news of these charging points alone; None: of all."""
        if cp_ids is None:
            return self
        return News(
            {cp_id: self.cards[cp_id] for cp_id in cp_ids & self.cards.keys()},
            self.removed & cp_ids,
            deque((each for each in self.events if each.cp_id in cp_ids), EVENTS_MAX),
            self.has_network,
            self.of_all,
        )

    def __bool__(self) -> bool:
        return bool(self.cards or self.removed or self.events or self.has_network or self.of_all)


class Client:
    """One client, its interest, and what it has not been told yet."""

    def __init__(self, outlet: Outlet, cp_ids: CpIds | None, driver_id: str | None = None) -> None:
        self.outlet = outlet
        self.interest = Interest(cp_ids, driver_id)
        self.owed: News | None = None
        self.told_s = trio.current_time()
        self._seq = 0

    def send(self, kind: str, body: bytes) -> None:
        """Send a message; BrokenResourceError where the client has left."""
        self._seq += 1
        self.told_s = trio.current_time()
        head = b'{"type":"%s","seq":%d,' % (kind.encode(), self._seq)
        self.outlet.write(frame(head, body), body)

    def owe(self, news: News) -> None:
        """Keep news until the client has taken the message before."""
        if self.owed is None:
            self.owed = News()
        self.owed.add(news.narrowed(self.interest.cp_ids))


class Publisher:
    """The clients, and how everything was last told."""

    def __init__(self, metrics: FeedMetrics) -> None:
        self._metrics = metrics
        self._clients: set[Client] = set()
        self._waiting: set[Client] = set()
        self._behind: set[Client] = set()
        self._cards: dict[str, Card] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._network = b"null"
        self._active_requests = 0
        self._snapshots: dict[Interest, bytes] = {}
        self._is_live = False
        self.wanted = trio.Event()
        metrics.watch(lambda: self.clients_count)

    @property
    def clients_count(self) -> int:
        """How many clients there are."""
        return len(self._clients) + len(self._waiting)

    @property
    def behind_count(self) -> int:
        """How many clients have not taken the message before the newest one."""
        return len(self._behind)

    @property
    def is_live(self) -> bool:
        """Whether new clients may be told what was last published."""
        return self._is_live

    def join(self, client: Client) -> None:
        """Take a client in: it gets a snapshot now, or as soon as there is one."""
        if self._is_live:
            self._admit(client)
        else:
            self._waiting.add(client)
            self.wanted.set()

    def leave(self, client: Client) -> None:
        """Send nothing more to a client."""
        for clients in (self._clients, self._waiting, self._behind):
            clients.discard(client)

    def go_live(self) -> None:
        """Let in those who wait: everything was published."""
        self._is_live = True
        while self._waiting:
            self._admit(self._waiting.pop())

    def rest(self) -> None:
        """Take it that nothing is published from now on, as nobody listens."""
        self._is_live, self.wanted = False, trio.Event()
        self._snapshots.clear()

    def _admit(self, client: Client) -> None:
        self._clients.add(client)
        self._send(client, "snapshot", self._snapshot(client.interest))

    async def publish(self, update: Update) -> bool:
        """Tell every client what changed, as soon as it can take it; return whether there is
        news."""
        news = self._take(update, await _cards_of(update.seen))
        if not news:
            return False
        bodies: dict[Interest, bytes | None] = {}
        async for piece in by_pieces([*self._clients], CLIENTS_AT_ONCE):
            for client in piece:
                if client in self._clients:
                    self._tell(client, news, bodies)
        return True

    def _tell(self, client: Client, news: News, bodies: dict[Interest, bytes | None]) -> None:
        """Tell a client the news, or owe it; `bodies` has what was made for those before it."""
        if client.owed is not None or not client.outlet.is_clear:
            client.owe(news)
            self._behind.add(client)
            return
        interest = client.interest
        if interest not in bodies:
            bodies[interest] = self._update(news.narrowed(interest.cp_ids), interest.driver_id)
        if (body := bodies[interest]) is not None:
            self._send(client, "update", body)

    def catch_up(self) -> None:
        """Tell those who were behind, and have room again, all that they have missed."""
        for client in [*self._behind]:
            if client.outlet.is_clear:
                self._behind.remove(client)
                owed, client.owed = client.owed, None
                driver_id = client.interest.driver_id
                if owed and (body := self._update(owed, driver_id)) is not None:
                    self._send(client, "update", body)

    def keep_alive(self) -> None:
        """Send an update without news to each client that has had none for ALIVE_S."""
        due_s = trio.current_time() - ALIVE_S
        due = [each for each in self._clients if each.told_s <= due_s and each.owed is None]
        body = self._body((), (), (), False) if due else b""
        for client in due:
            if client.outlet.is_clear:
                self._send(client, "update", body)

    def _send(self, client: Client, kind: str, body: bytes) -> None:
        try:
            client.send(kind, body)
        except trio.BrokenResourceError:
            # Its own task finds that out too, and ends it.
            self.leave(client)
        else:
            self._metrics.messages.inc()

    def _take(self, update: Update, seen: Mapping[str, Card]) -> News:
        self._cards.update(seen)
        cards = {view.cp_id: self._cards[view.cp_id] for view in update.charging_points}
        news = News(cards, set(update.removed))
        news.events.extend(Event(each.cp_id, encode(each)) for each in update.events)
        news.of_all = update.active_requests != self._active_requests
        news.has_network = update.network is not None
        for cp_id in update.removed:
            self._cards.pop(cp_id, None)
        self._events.extend(news.events)
        self._active_requests = update.active_requests
        if update.network is not None:
            self._network = encode(update.network)
        if news or update.seen:
            self._snapshots.clear()
        return news

    def _snapshot(self, interest: Interest) -> bytes:
        body = self._snapshots.get(interest)
        if body is None:
            news = News(self._cards, set(), self._events).narrowed(interest.cp_ids)
            cards, events = _seen_by(interest.driver_id, news)
            has_network = interest.driver_id is None
            body = self._snapshots[interest] = self._body(cards, None, events, has_network)
        return body

    def _update(self, news: News, driver_id: str | None) -> bytes | None:
        if not news:
            return None
        cards, events = _seen_by(driver_id, news)
        has_network = news.has_network and driver_id is None
        if driver_id is not None and not (cards or news.removed or news.of_all):
            return None
        return self._body(cards, news.removed, events, has_network)

    def _body(
        self,
        cards: Iterable[bytes],
        removed: Iterable[str] | None,
        events: Iterable[Event],
        has_network: bool,
    ) -> bytes:
        """Return a message but for its begin."""
        parts = [b'"charging_points":', array(cards)]
        if removed is not None:
            parts += [b',"removed":', encode(sorted(removed))]
        parts += [b',"active_requests":%d' % self._active_requests]
        parts += [b',"events":', array(each.json for each in events)]
        if has_network:
            parts += [b',"network":', self._network]
        return b"".join([*parts, b"}"])


async def _cards_of(views: Sequence[CpView]) -> dict[str, Card]:
    cards: dict[str, Card] = {}
    async for piece in by_pieces(views, POINTS_AT_ONCE):
        cards.update((view.cp_id, Card(view, encode(view))) for view in piece)
    return cards


def _seen_by(driver_id: str | None, news: News) -> tuple[list[bytes], Iterable[Event]]:
    """The charging points and the events of these news that a driver may see; None: all.

    The events are the network's history, which no driver sees.
    """
    cards = [news.cards[cp_id].for_driver(driver_id) for cp_id in sorted(news.cards)]
    return cards, news.events if driver_id is None else ()
