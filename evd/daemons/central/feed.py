"""Central's side of the status feed: it publishes, at most four times a second and only while there
are clients, the charging points that a message or a row has touched since."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import trio

from evd.adapters.feed.metrics import FeedMetrics
from evd.adapters.feed.publisher import EVENTS_MAX, Publisher, Update
from evd.adapters.store import StoreFailed
from evd.core.central.alerts import Alerts
from evd.core.central.board import Board
from evd.core.central.core import Central
from evd.core.central.events import Event, MonitorSaid
from evd.core.central.feed_events import FeedEvents
from evd.core.central.overview import AlertKind, EndedOfDay, FeedEvent, Network
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    HealthSnapshot,
    Image,
    Removal,
    Row,
    Session,
)
from evd.core.central.timeline import event_of
from evd.core.central.today import Today
from evd.core.central.views import CpView
from evd.core.effects import Now
from evd.core.wire.messages import CpStatus, SessionRecord, Telemetry
from evd.daemons.central.service import Service
from evd.daemons.central.touched import Touched
from evd.daemons.clock import now

# Between two updates.
ROUND_S = 0.25
# After a round in which nothing had changed the next may come so soon.
QUIET_ROUND_S = 0.05
# Without clients, so often is looked whether the network as a whole is in trouble.
LOOK_S = 1.0


class Feed:
    """Keeps what the feed shows up to date, and hands the changes to its publisher."""

    def __init__(self, service: Service, metrics: FeedMetrics) -> None:
        self.publisher = Publisher(metrics)
        self._service = service
        self._metrics = metrics
        self._board = Board()
        self._alerts = Alerts()
        self._feed_events: FeedEvents | None = None
        self._today: Today | None = None
        self._events: deque[FeedEvent] = deque(maxlen=EVENTS_MAX)
        self._network: Network | None = None
        self._touched = Touched()
        self._news = trio.Event()
        self._changed_s: float | None = None
        # The wall clock's time of the first begin, until what was stored before it has been read.
        self._began: datetime | None = None
        self._why_full: Callable[[], str | None] = _has_places

    def watch_places(self, why_full: Callable[[], str | None]) -> None:
        """Ask `why_full` at each look why monitors find no place."""
        self._why_full = why_full

    def begin(self, image: Image, ended: EndedOfDay) -> None:
        """A new core begins with `image`; `ended` are the sessions of today so far."""
        if self._feed_events is None:
            self._began = now().wall
        self._feed_events = FeedEvents(image)
        self._alerts.begin(image.charging_points)
        self._today = Today(now().wall.date(), ended)

    def on_stored(self, rows: Sequence[Row]) -> None:
        """Take in the rows of a commit."""
        if self._feed_events is None or self._today is None:
            return
        moment = now()
        self._events.extend(self._feed_events.take(rows, moment))
        self._today.take(rows, moment)
        self._alerts.take(rows, moment)
        if self.publisher.clients_count:
            for row in rows:
                match row:
                    case ChargingPoint() | FaultEvent() | Removal() | Session():
                        self._touched.add(row.cp_id)
                    case HealthSnapshot():
                        self._touched.add(row.cp_id, is_stored=True)
        self._tell(moment)

    def on_handled(self, core: Central, events: Iterable[Event]) -> None:
        """Take in events that the core has handled."""
        moment, is_followed = now(), bool(self.publisher.clients_count)
        for event in events:
            match event:
                case MonitorSaid() if is_followed:
                    self._touched.add(event.message.cp_id)
                case Telemetry() | SessionRecord() if is_followed:
                    self._touched.add(event.cp_id)
                    self._tell(moment)
                case CpStatus():
                    count = core.unconfirmed(event.cp_id)
                    self._alerts.on_unconfirmed(event.cp_id, count, moment)
                    if is_followed:
                        self._touched.add(event.cp_id)
                        self._tell(moment)

    def _tell(self, moment: Now) -> None:
        if self._changed_s is None:
            self._changed_s = moment.mono_s
        self._news.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            if self._service.is_silent:
                # Another Central serves, or could: nothing is told, and no trouble noted.
                await trio.sleep(ROUND_S)
                continue
            if not self.publisher.clients_count:
                await self._rest()
                continue
            if self._began is not None:
                await self._recall(self._began)
            has_told = await self._round()
            await trio.sleep(ROUND_S if has_told else QUIET_ROUND_S)
            with trio.move_on_after(ROUND_S - QUIET_ROUND_S):
                await self._news.wait()

    async def _rest(self) -> None:
        """Wait for a first client."""
        self.publisher.rest()
        self._touched.forget()
        while not (self.publisher.wanted.is_set() or self._service.is_silent):
            self._look_at_network(now())
            with trio.move_on_after(LOOK_S):
                await self.publisher.wanted.wait()

    async def _recall(self, began: datetime) -> None:
        """Put the newest events that were stored before Central's start before those since."""
        try:
            newest = await self._service.store.timeline(limit=EVENTS_MAX, until=began)
        except StoreFailed:
            # The next round asks again.
            return
        told = [event_of(each.entry) for each in reversed(newest)]
        self._events = deque([*told, *self._events], EVENTS_MAX)
        self._began = None

    async def _round(self) -> bool:
        """Look at what is due, and publish it; return whether anybody was told anything."""
        core = self._service.core
        changed_s, self._changed_s = self._changed_s, None
        self._news = trio.Event()
        views: list[CpView] = []
        gone: list[str] = []
        if core is not None:
            views, gone = await self._touched.look(core, lambda: self._board.cp_ids)
        has_told = await self._publish(views, gone)
        if has_told and changed_s is not None:
            self._metrics.delay.observe(trio.current_time() - changed_s)
        return has_told

    async def _publish(self, views: Sequence[CpView], gone: Sequence[str]) -> bool:
        changed = self._board.show(views)
        removed = self._board.remove(gone)
        events, network = [*self._events], self._look_at_network(now())
        self._events.clear()
        update = Update(
            charging_points=changed,
            seen=views,
            removed=removed,
            active_requests=self._service.active_requests(),
            events=events,
            network=None if network == self._network else network,
        )
        self._network = network
        has_told = await self.publisher.publish(update)
        self.publisher.catch_up()
        self.publisher.keep_alive()
        if not self.publisher.is_live:
            self.publisher.go_live()
        return has_told

    def _look_at_network(self, moment: Now) -> Network:
        service = self._service
        core, error = service.core, service.unhealthy()
        holding_back = core.holding_back if core is not None else None
        alerts = self._alerts
        alerts.on_network(AlertKind.DATABASE, error if core is None else None, moment)
        alerts.on_network(AlertKind.BROKER, error if core is not None else None, moment)
        alerts.on_network(AlertKind.HOLDING_BACK, holding_back, moment)
        alerts.on_network(AlertKind.MONITORS_FULL, self._why_full(), moment)
        standing, left_out = alerts.standing(moment)
        today = self._today or Today(moment.wall.date(), EndedOfDay())
        return Network(
            service="healthy" if error is None else "unhealthy",
            error=error,
            central_id=service.central_id,
            holding_back=holding_back,
            kw=self._board.kw,
            states=self._board.states,
            today=today.at(moment),
            alerts=standing,
            alerts_left_out=left_out,
        )


def _has_places() -> None:
    """The answer of a feed whose monitors nobody counts."""
