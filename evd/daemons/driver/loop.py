"""Where everything that happens to a driver comes together: one step after the other.

A step is an event handed to the core and its effects carried out in order.  Where the disk refuses,
nothing behind the save is done and the core takes the step back.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import uuid4

import attrs
import trio

from evd.adapters.files.notebook import NotSaved
from evd.adapters.http.metrics import Metrics
from evd.core.driver.core import Driver
from evd.core.driver.events import (
    AskWanted,
    CurrentSession,
    DriverDisk,
    Event,
    Refuse,
    Save,
    SaveFailed,
    Tell,
)
from evd.core.driver.lines import line_of
from evd.core.effects import Note, Send
from evd.core.wire.messages import BEACONS, UPDATES, Beacon, DriverUpdate, Message, RequestStatus
from evd.daemons.clock import now
from evd.daemons.driver.screen import Screen
from evd.logs import Repeats, log_note

NOTIFICATIONS_MAX: Final = 200
# Central says every second that it is there.
BEACON_S_MAX: Final = 5.0
WARNING_INTERVAL_S: Final = 30.0

_FINAL: Final = [status.value for status in RequestStatus if status.final]

logger = logging.getLogger(__name__)


def fresh_request_id() -> str:
    """An id that was never used, also by a driver whose disk was lost."""
    return f"req-{uuid4().hex}"


class Loop:
    """The steps of one driver.

    `save` puts a disk where it outlives us, or raises NotSaved; `send` hands over to Kafka, by
    topic and key; `broker_up` is whether Kafka answers.
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
        metrics: "DriverMetrics",
    ) -> None:
        self.driver_id = driver_id
        self._core = core
        self._save_disk = save
        self._send = send
        self._broker_up = broker_up
        self._screen = screen
        self._metrics = metrics
        self._one_step = trio.Lock()
        self._notifications = deque(core.finals, maxlen=NOTIFICATIONS_MAX)
        self._beacon_heard_s: float | None = None
        self._disk_fails: NotSaved | None = None
        self._repeats = Repeats(WARNING_INTERVAL_S)

    async def want(self, event: Event) -> Refuse | None:
        """Take a step; what is refused of it.  Raises NotSaved, and then nothing of it was said."""
        refused: Refuse | None = None
        async with self._one_step:
            # Whoever waits for it may give up; the step is still done whole.
            with trio.CancelScope(shield=True):
                refused = await self._step(event)
        return refused

    async def _step(self, event: Event) -> Refuse | None:
        refused: Refuse | None = None
        if isinstance(event, Beacon):
            self._beacon_heard_s = trio.current_time()
        for effect in self._core.handle(event, now()):
            match effect:
                case Save(disk):
                    await self._save(disk)
                case Tell(update):
                    self._tell(update)
                case Send(topic, key, message):
                    self._send(topic, key, message)
                case Refuse():
                    refused = effect
                case Note():
                    log_note(logger, effect)
        self._screen.flush()
        self._metrics.look(self._core)
        return refused

    async def ask(self, cp_id: str | None, vehicle_id: str | None) -> str | Refuse:
        """Ask for a charge; the request's id.  Raises NotSaved."""
        request_id = fresh_request_id()
        return await self.want(AskWanted(request_id, cp_id, vehicle_id)) or request_id

    def current(self) -> CurrentSession | None:
        """The running session, as far as it is known here."""
        return self._core.current

    def notifications(self) -> Sequence[DriverUpdate]:
        """What was told, newest first."""
        return list(reversed(self._notifications))

    def unhealthy(self) -> str | None:
        """Why this driver can't be served now; None while it can."""
        if not self._broker_up():
            return "the broker does not answer"
        if self._disk_fails is not None:
            return f"the state cannot be saved: {self._disk_fails}"
        if self._beacon_heard_s is None:
            return "Central was not heard yet"
        silent_s = trio.current_time() - self._beacon_heard_s
        return f"Central was not heard for {silent_s:.0f} s" if silent_s > BEACON_S_MAX else None

    async def _save(self, disk: DriverDisk) -> None:
        try:
            await self._save_disk(disk)
        except NotSaved as error:
            self._core.handle(SaveFailed(), now())
            self._disk_fails = error
            self._metrics.save_failed()
            self._repeats.log(logger, logging.ERROR, "save", "Not saved, not done: %s", error)
            raise
        if self._disk_fails is not None:
            self._disk_fails = None
            logger.info("The state can be saved again")

    def _tell(self, update: DriverUpdate) -> None:
        moment = now().wall
        self._screen.show(line_of(update, moment), update.status)
        self._notifications.append(attrs.evolve(update, ts=update.ts or moment))
        self._metrics.told(update)


class DriverMetrics:
    """The metrics of a driver."""

    def __init__(self, metrics: Metrics) -> None:
        self.render = metrics.render
        self._requests = metrics.counter(
            "evd_driver_requests_total", "Requests that got their final status", {"status": _FINAL}
        )
        self._updates = metrics.counter("evd_driver_updates_total", "Updates that were told")
        self._open = metrics.gauge(
            "evd_driver_requests_open", "Requests that Central has not ended yet"
        )
        self._charging = metrics.gauge("evd_driver_charging", "1 while a session runs")
        self._failures = metrics.counter(
            "evd_driver_save_failures_total", "Times that the disk refused"
        )
        self._dead = metrics.counter(
            "evd_dead_letters_total", "Bad messages put aside", {"topic": (BEACONS, UPDATES)}
        )

    def told(self, update: DriverUpdate) -> None:
        """The driver was told."""
        self._updates.inc()
        if update.status.final:
            self._requests.labels(update.status.value).inc()

    def save_failed(self) -> None:
        """The disk refused."""
        self._failures.inc()

    def dead_letter(self, topic: str) -> None:
        """A bad message was put aside."""
        self._dead.labels(topic).inc()

    def look(self, core: Driver) -> None:
        """Take over the core's state."""
        self._open.set(core.open_count)
        self._charging.set(core.current is not None)
