"""The loop of a driver: each event is one step, and one step comes after the other.

In a step the event goes to the core and its effects are carried out in order (`steps`).
"""

import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final
from uuid import uuid4

import attrs
import trio

from evd.adapters.files.notebook import NotSaved
from evd.core.driver.core import Driver
from evd.core.driver.disk import DriverDisk
from evd.core.driver.events import (
    AskWanted,
    CurrentRequest,
    CurrentSession,
    Effect,
    Event,
    Refuse,
    Save,
    Tell,
)
from evd.core.driver.lines import line_of
from evd.core.effects import Note, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.messages import Beacon, DriverUpdate, Message, RequestStatus
from evd.daemons.clock import now
from evd.daemons.drive import drive
from evd.daemons.driver.metrics import DriverMetrics
from evd.daemons.driver.screen import Screen
from evd.daemons.driver.steps import SaveOutcome, Step, in_order
from evd.daemons.turn import Turn
from evd.logs import NoteLog, Repeats

NOTIFICATIONS_MAX: Final = 200
# Central sends a beacon every second.
BEACON_S_MAX: Final = 5.0
WARNING_INTERVAL_S: Final = 30.0

logger = logging.getLogger(__name__)


def fresh_request_id() -> str:
    """Return an id that was never used, also by a driver whose disk was lost."""
    return f"req-{uuid4().hex}"


class Loop:
    """The steps of one driver.

    `save` makes a disk durable, or raises NotSaved; `send` hands over to Kafka, by topic and key;
    `broker_up` is whether Kafka answers.
    """

    def __init__(
        self,
        driver_id: str,
        core: Driver,
        *,
        save: Callable[[DriverDisk], Awaitable[None]],
        send: Callable[[str, str, Message], object],
        broker_up: Callable[[], bool],
        screen: Screen,
        metrics: DriverMetrics,
    ) -> None:
        self.driver_id = driver_id
        self._core = core
        self._save = save
        self._send = send
        self._broker_up = broker_up
        self._screen = screen
        self._metrics = metrics
        self._one_step = trio.Lock()
        self._turn = Turn()
        self._notifications = deque(core.finals, maxlen=NOTIFICATIONS_MAX)
        # Apart, or the readings of a long session would push them out.
        self._news = deque(core.finals, maxlen=NOTIFICATIONS_MAX)
        self._news_count = len(self._news)
        self._beacon_heard_s: float | None = None
        self._disk_fails: str | None = None
        self._repeats = Repeats(WARNING_INTERVAL_S)
        self._notes = NoteLog(logger, trio.current_time)

    @property
    def wake_at_s(self) -> float:
        """The time of Trio's clock at which a `Ticked` is due."""
        return self._core.wake_at_s

    async def start(self) -> None:
        """Take up the state of the disk, before the first event.  Raises NotSaved."""
        await self._step(lambda: self._core.start(now()))

    async def want(self, event: Event) -> Refuse | None:
        """Take a step; return its refusal, if any.  Raises NotSaved: nothing of it was said."""
        if isinstance(event, Beacon):
            self._beacon_heard_s = trio.current_time()
        return await self._step(lambda: self._core.handle(event, now()))

    async def _step(self, decide: Callable[[], Iterable[Effect]]) -> Refuse | None:
        async with self._one_step:
            # A caller that gives up is let go only when the step is whole.
            with trio.CancelScope(shield=True), self._turn.under_way():
                outcome = await drive(in_order(self._core, decide(), now), self._carry_out)
            self._screen.flush()
            self._metrics.refresh(self._core)
            self._notes.log_rest()
        if isinstance(outcome, SaveFailed):
            raise NotSaved(outcome.reason)
        return outcome

    async def ask(self, cp_id: str | None, vehicle_id: str | None) -> str | Refuse:
        """Ask for a charge; return the request's id.  Raises NotSaved."""
        request_id = fresh_request_id()
        return await self.want(AskWanted(request_id, cp_id, vehicle_id)) or request_id

    def current(self) -> CurrentSession | None:
        """The running session, as far as it is known here."""
        return self._core.current

    def requests(self) -> Sequence[CurrentRequest]:
        """The requests that have not ended, oldest first."""
        return self._core.requests

    def notifications(self) -> Sequence[DriverUpdate]:
        """The updates that the driver was told, newest first."""
        return list(reversed(self._notifications))

    def news(self, since: int = 0) -> tuple[int, Sequence[DriverUpdate]]:
        """The updates but mere readings, newest first: those after the first `since` of them.

        Returned with the number that there has been.
        """
        count = max(0, self._news_count - since)
        return self._news_count, list(itertools.islice(reversed(self._news), count))

    def unhealthy(self) -> str | None:
        """The reason why this driver can't be served now; None while it can."""
        if not self._broker_up():
            return "the broker does not answer"
        if self._disk_fails is not None:
            return f"the state cannot be saved: {self._disk_fails}"
        if self._beacon_heard_s is None:
            return "Central was not heard yet"
        silent_s = trio.current_time() - self._beacon_heard_s
        return f"Central was not heard for {silent_s:.0f} s" if silent_s > BEACON_S_MAX else None

    def doing(self) -> str:
        """The work for its driver, and why it can't go on, if so."""
        session, requests, illness = self.current(), self.requests(), self.unhealthy()
        doing = "nothing is asked for"
        if session is not None:
            doing = f"charging at {session.cp_id}: {session.kwh or 0:g} kWh"
        elif requests:
            doing = f"asking for {requests[0].cp_id or 'any charging point'}"
        return doing if illness is None else f"{doing}: {illness}"

    def is_stuck(self) -> bool:
        """Whether the loop is better begun anew."""
        return self._turn.is_stuck()

    async def _carry_out(self, step: Step) -> SaveOutcome | None:
        match step:
            case Save(disk):
                return await self._try_to_save(disk)
            case Tell(update):
                self._tell(update)
            case Send(topic, key, message):
                self._metrics.on_sent(message)
                self._send(topic, key, message)
            case Note():
                self._notes.log(step)
        return None

    async def _try_to_save(self, disk: DriverDisk) -> SaveOutcome:
        try:
            await self._save(disk)
        except NotSaved as error:
            self._disk_fails = str(error)
            self._metrics.on_save_failed()
            self._repeats.log(logger, logging.ERROR, "save", "Not saved, not done: %s", error)
            return SaveFailed(str(error))
        if self._disk_fails is not None:
            self._disk_fails = None
            logger.info("The state can be saved again")
        return Saved()

    def _tell(self, update: DriverUpdate) -> None:
        moment = now().wall
        self._screen.show(line_of(update, moment), update.status)
        dated = attrs.evolve(update, ts=update.ts or moment)
        self._notifications.append(dated)
        if update.status is not RequestStatus.IN_PROGRESS or update.reason:
            self._news.append(dated)
            self._news_count += 1
        self._metrics.on_told(update)
