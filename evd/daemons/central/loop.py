"""One life of Central's core: from loading the database until the database fails.

Every batch of events is one commit; what it makes Central say is said after that.  Where the
commit fails nothing of it is said, the core is thrown away, and the next life begins from what is
stored, as after a crash.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import trio

from evd import logs
from evd.adapters.kafka import Consumer
from evd.adapters.kafka.messenger import Messenger
from evd.adapters.store import Store, StoreFailed, StoreRefused
from evd.core.central.core import Central
from evd.core.central.events import (
    Answer,
    CentralSettings,
    Effect,
    HangUp,
    Polled,
    Reply,
    Save,
    Ticked,
)
from evd.core.central.rows import Row
from evd.core.effects import Note, Send
from evd.daemons.central.connections import Connections
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import CentralMetrics
from evd.daemons.central.service import Service
from evd.daemons.clock import now
from evd.flags import ConfigError
from evd.logs import log_note

TICK_S = 0.25
# Between two attempts to begin anew after the database failed.
RETRY_S = 1.0
# Between two clearings of old history.
PRUNE_S = 3600.0
FAILING_LOG_S = 30.0
# A connection that says nothing for so long, registered or not, only holds a place.
SILENCE_S_MAX = 30.0

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]

logger = logging.getLogger(__name__)


class Loop:
    """The loop that feeds the core and carries out what it decides."""

    def __init__(
        self,
        settings: CentralSettings,
        consumer: Consumer,
        mail: Messenger,
        inbox: Inbox,
        desk: Service,
        metrics: CentralMetrics,
        nursery: trio.Nursery,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._mail = mail
        self._inbox = inbox
        self._desk = desk
        self._metrics = metrics
        self._nursery = nursery
        self._repeats = logs.Repeats(FAILING_LOG_S)
        silence_s_max = max(SILENCE_S_MAX, 2 * settings.heartbeat_timeout_s)
        self.connections = Connections(inbox, lambda: desk.core is not None, silence_s_max)

    async def live_on(self, open_store: OpenStore, task_status: trio.TaskStatus[None]) -> None:
        """One life after another, each from what is stored; started after the first attempt.

        ConfigError where an operator must do something first, whenever that is found.
        """
        started = False
        while True:
            try:
                async with open_store() as store:
                    core = await self._begin(store)
                    if not started:
                        task_status.started()
                    started = True
                    await self._live(core, store)
            except StoreFailed as error:
                self._fail(error)
            except StoreRefused as error:
                raise ConfigError(str(error)) from None
            if not started:
                task_status.started()
            started = True
            await trio.sleep(RETRY_S)

    async def _begin(self, store: Store) -> Central:
        await store.begin_epoch()
        core = Central(self._settings, await store.load(), now())
        await self._carry_out(core.start(now()), store)
        self._desk.begin(core, store)
        return core

    def _fail(self, error: StoreFailed) -> None:
        self._metrics.store_failed()
        self._repeats.log(
            logger,
            logging.ERROR,
            "store",
            "Nothing is decided or said until it can be stored: %s",
            error,
        )
        self._desk.end(f"the database fails: {error}")
        self.connections.hang_up_all()

    async def _live(self, core: Central, store: Store) -> None:
        pruned_s = -PRUNE_S
        while True:
            await self._turn(core, store)
            if trio.current_time() - pruned_s >= PRUNE_S:
                pruned_s = trio.current_time()
                self._nursery.start_soon(self._prune, store)

    async def _prune(self, store: Store) -> None:
        try:
            await store.prune(now().wall)
        except StoreFailed as error:
            # Housekeeping can wait; the next commit finds out whether all else can.
            logger.warning("Old history was not deleted: %s", error)

    async def _turn(self, core: Central, store: Store) -> None:
        delivery = await self._inbox.take()
        # Who was told that it was not decided may ask again; it must not be begun behind his back.
        events = [each for each in delivery.events if not self._desk.is_abandoned(each)]
        request_ids, session_ids = core.missing(events)
        if request_ids or session_ids:
            core.remember(*await store.lookup(list(request_ids), list(session_ids)))
        moment = now()
        effects: list[Effect] = []
        for event in events:
            effects += core.handle(event, moment)
        effects += core.handle(Polled(), moment)
        self._metrics.took(events)
        await self._carry_out(effects, store)
        # Last of all: what was read again after a crash was read before it was done with.
        if delivery.offsets:
            self._consumer.commit(delivery.offsets)

    async def _carry_out(self, effects: Sequence[Effect], store: Store) -> None:
        rows: list[Row] = [effect.row for effect in effects if isinstance(effect, Save)]
        if rows:
            await store.commit(rows)
            self._metrics.saved(rows)
        for effect in effects:
            self._say(effect)

    def _say(self, effect: Effect) -> None:
        match effect:
            case Send():
                self._mail.send(effect.topic, effect.key, effect.message)
            case Answer():
                self.connections.answer(effect)
            case HangUp():
                self.connections.hang_up(effect)
            case Reply():
                self._desk.reply(effect)
            case Note():
                log_note(logger, effect)
            case Save():
                pass

    async def tick(self) -> None:
        """Tell the core, a few times a second, that time goes by."""
        while True:
            await trio.sleep(TICK_S)
            await self._inbox.put(Ticked(self._desk.broker_up()))

    async def read(self) -> None:
        """Hand over what is read from Kafka."""
        async for batch in self._consumer.batches:
            events = self._mail.read(batch)
            offsets = {(raw.topic, raw.partition): raw.offset + 1 for raw in batch}
            await self._inbox.put(*events, offsets=offsets)  # type: ignore[arg-type]
