"""The loop that feeds Central's core: the steps of `steps`, carried out with Trio.

Every batch of events is one commit.  Where the database fails, the core is thrown away with all
that it had not stored; the next one starts from what is stored, as after a crash.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import cast

import trio

from evd import logs
from evd.adapters.framed_port import FramedPort
from evd.adapters.kafka import Consumer
from evd.adapters.kafka.messenger import Messenger
from evd.adapters.kafka.placement import RawMessage, marks_after
from evd.adapters.pieces import by_pieces
from evd.adapters.store import Store, StoreFailed, StoreRefused
from evd.adapters.tcp import Places
from evd.core.central.core import Central
from evd.core.central.events import (
    Answer,
    CentralSettings,
    Event,
    HangUp,
    PutAside,
    Reply,
    TelemetryRefused,
    Ticked,
    WouldRefuse,
)
from evd.core.effects import Note, Send
from evd.core.wire.control import Heartbeat
from evd.daemons.central.connections import Connections
from evd.daemons.central.feed import Feed
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import CentralMetrics
from evd.daemons.central.service import Service
from evd.daemons.central.standing import Standing
from evd.daemons.central.steps import (
    Commit,
    CommitMarks,
    Found,
    Hold,
    LookUp,
    Rest,
    Step,
    batch_steps,
    quiet_ack,
    start_steps,
)
from evd.daemons.clock import now
from evd.daemons.credentials import Listeners
from evd.daemons.drive import drive
from evd.daemons.turn import Turn
from evd.flags import ConfigError
from evd.logs import NoteLog

TICK_S = 0.25
# Between two attempts to open the database after it failed.
RETRY_S = 1.0
# Between two clearings of what is not kept: a flood is over its bound for no longer.
PRUNE_S = 600.0
FAILING_LOG_S = 30.0
# Messages of Kafka that are read in one go: no heartbeat waits for more of them.
READ_AT_ONCE = 100
# A connection that says nothing for so long, registered or not, only holds a place.
SILENCE_S_MAX = 30.0

OpenConsumer = Callable[[], AbstractAsyncContextManager[Consumer]]

logger = logging.getLogger(__name__)


class Loop:
    """The loop that feeds the core and carries out what it decides."""

    def __init__(
        self,
        settings: CentralSettings,
        standing: Standing,
        open_consumer: OpenConsumer,
        messenger: Messenger,
        inbox: Inbox,
        service: Service,
        metrics: CentralMetrics,
        feed: Feed,
    ) -> None:
        self._settings = settings
        self._standing = standing
        self._open_consumer = open_consumer
        self._consumer: Consumer | None = None
        self._messenger = messenger
        self._inbox = inbox
        self._service = service
        self._metrics = metrics
        self._feed = feed
        # The bytes that each waiting message was read from, by its identity.
        self._raws: dict[int, RawMessage] = {}
        self._repeats = logs.Repeats(FAILING_LOG_S)
        self._notes = NoteLog(logger, trio.current_time)
        self._turn = Turn()
        self.connections = Connections(
            *(inbox, lambda: service.is_serving, self._acknowledge, metrics.count_answer),
            standing,
        )

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Serve from the database, anew after each failure; started after the first attempt, or
        when another Central is waited for.

        ConfigError where an operator must do something first, whenever that is found.
        """
        started = False

        def report_started() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()

        if await self._standing.waits():
            report_started()
        while True:
            try:
                async with self._standing.open_store() as store:
                    core = await self._start_core(store)
                    report_started()
                    await self._serve(core, store)
            except StoreFailed as error:
                self._stop_serving(error)
            except StoreRefused as error:
                raise ConfigError(str(error)) from None
            report_started()
            # One of several Centrals ends by it.
            await trio.sleep(RETRY_S)

    async def _start_core(self, store: Store) -> Central:
        await store.begin_epoch()
        image, today = await store.load(), now().wall.date()
        self._feed.begin(image, await store.ended_of_day(today))
        core = Central(self._settings, image, now())
        steps = start_steps(core, now(), self._standing.may_speak)
        await drive(steps, lambda step: self._carry_out(step, store))
        self._service.start_serving(core, store)
        self.connections.serve()
        return core

    def is_stuck(self) -> bool:
        """Whether the loop is better begun anew."""
        return self._turn.is_stuck()

    def _stop_serving(self, error: StoreFailed) -> None:
        self._metrics.store_failures.inc()
        self._repeats.log(
            logger,
            logging.ERROR,
            "store",
            "Nothing is decided or said until it can be stored: %s",
            error,
        )
        self._service.stop_serving(f"the database fails: {error}")
        self.connections.hang_up_all()
        self._standing.on_failed(f"the database fails: {error}")

    async def _serve(self, core: Central, store: Store) -> None:
        while True:
            delivery = await self._inbox.take()
            self._metrics.note_requests(delivery.events)
            steps = batch_steps(
                *(core, delivery.events, delivery.marks),
                is_waiting=self._service.is_waiting,
                is_open=self.connections.is_open,
                now=now,
                may_speak=self._standing.may_speak,
            )
            try:
                with self._turn.under_way():
                    handled = await drive(steps, lambda step: self._carry_out(step, store))
            finally:
                for event in delivery.events:
                    self._raws.pop(id(event), None)
            self._metrics.count_events(handled)
            self._feed.on_handled(core, handled)
            self._standing.on_rest()

    async def _carry_out(self, step: Step, store: Store) -> Found | None:
        match step:
            case Rest():
                await trio.lowlevel.checkpoint()
            case LookUp():
                return await store.lookup(step.request_ids, step.session_ids)
            case Commit():
                began_s = trio.current_time()
                await store.commit(step.rows)
                self._standing.on_committed(began_s)
                self._metrics.count_commit(step.rows, trio.current_time() - began_s)
                self._feed.on_stored(step.rows)
            case Hold():
                await self._standing.hold()
            case CommitMarks():
                if self._consumer is not None:
                    self._consumer.commit(step.marks)
            case Send():
                self._messenger.send(step.topic, step.key, step.message)
            case Answer():
                self._metrics.count_answer(step.message)
                self.connections.answer(step)
            case HangUp():
                self.connections.hang_up(step)
            case Reply():
                self._service.reply(step)
            case Note():
                self._notes.log(step)
            case PutAside():
                self._messenger.put_aside(self._raws[id(step.message)], step.error)
            case TelemetryRefused():
                self._metrics.count_refused_telemetry(step.cp_id)
            case WouldRefuse():
                self._metrics.count_would_refuse(step.what)
        return None

    def _acknowledge(self, connection: int, message: Heartbeat) -> str | None:
        core = self._service.core
        if core is None:
            return None
        return quiet_ack(core, connection, message, now(), self._standing.may_speak)

    async def serve_monitors(self, listeners: Listeners, monitors_max: int) -> None:
        """Serve the connections of monitors, `monitors_max` at most, until cancelled."""
        silence_s_max = max(SILENCE_S_MAX, 2 * self._settings.heartbeat_timeout_s)
        places = Places(monitors_max, self._on_full)
        port = FramedPort(self.connections, places, silence_s_max=silence_s_max)
        await port.serve(listeners)

    def _on_full(self) -> None:
        self._metrics.turned_away.inc()
        self.connections.on_full()

    async def tick(self) -> None:
        """Tell the core, a few times a second, that time goes by.

        While there is none nobody is told: a pile of old ticks would be the first that the next
        core hears, and each says how Kafka was then.
        """
        while True:
            await trio.sleep(TICK_S)
            self._notes.log_rest()
            await self._service.wait_serving(True)
            await self._inbox.put(Ticked(self._service.broker_up()))

    @property
    def reads(self) -> bool:
        """Whether Kafka is read, and answers."""
        return self._consumer is not None and self._consumer.healthy

    async def read(self) -> None:
        """Hand over what is read from Kafka, from the time on when this Central first serves: one
        that stands by would only keep old messages, and an old place in the topics."""
        await self._service.wait_serving(True)
        async with self._open_consumer() as self._consumer:
            async for batch in self._consumer.batches:
                events: list[Event] = []
                async for piece in by_pieces(batch, READ_AT_ONCE):
                    events += self._read(piece)
                await self._inbox.put_batch(events, marks_after(batch))

    def _read(self, raws: Sequence[RawMessage]) -> list[Event]:
        pairs = self._messenger.read_pairs(raws)
        self._raws.update((id(message), raw) for message, raw in pairs)
        events = [cast(Event, message) for message, _ in pairs]
        # Noted here too: a backlog's wait for its turn is part of a request's time.
        self._metrics.note_requests(events)
        return events

    async def prune(self) -> None:
        """Delete, every ten minutes, the old history and the requests that became no session."""
        while True:
            await self._service.wait_serving(True)
            try:
                await self._service.store.prune(now().wall)
            except StoreFailed as error:
                # Housekeeping can wait; the next commit finds out whether all else can.
                logger.warning("Old history was not deleted: %s", error)
            await trio.sleep(PRUNE_S)
