"""What Central's HTTP pages and calls ask of the running core and of the database."""

import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import trio

from evd.adapters.store import Store, StoreFailed
from evd.core.central.core import Central
from evd.core.central.events import Asked, Event, Refusal, Refused, Reply
from evd.core.central.rows import FaultEvent, HealthSnapshot, Request, Session, SessionStatus
from evd.core.central.statistics import FaultStatistics
from evd.core.central.views import CpView
from evd.core.wire.messages import Telemetry
from evd.daemons.central.inbox import Inbox
from evd.daemons.clock import now

# A call that the loop has not answered by then is told so: better than to keep it waiting.
ANSWER_S_MAX = 10.0
CALLS_MAX = 1_000


class Service:
    """Between HTTP and the loop.  While there is no core, Central can't serve: 503."""

    def __init__(
        self,
        inbox: Inbox,
        broker_up: Callable[[], bool],
        render: Callable[[Sequence[CpView], int, bool], Awaitable[bytes]],
    ) -> None:
        self._inbox = inbox
        self.broker_up = broker_up
        self._render = render
        self._started_s = time.monotonic()
        self._numbers = itertools.count(1)
        self._calls: dict[int, trio.MemorySendChannel[Reply]] = {}
        self.core: Central | None = None
        self._open_store: Store | None = None
        self._why = "Central is starting"
        self._central_id = ""

    def begin(self, core: Central, store: Store) -> None:
        """A core is there: calls are answered."""
        self.core, self._open_store = core, store
        self._central_id = core.central_id

    def end(self, why: str) -> None:
        """The core is gone; what was asked of it is not answered by the next one."""
        self.core = self._open_store = None
        self._why = why
        for call in list(self._calls):
            self.reply(_unserved(call, why))

    def is_abandoned(self, event: Event) -> bool:
        """Whether it is a call that was answered already: that Central did not decide in time."""
        return isinstance(event, Asked) and event.call not in self._calls

    def reply(self, effect: Reply) -> None:
        """Answer a call, if it still waits."""
        waiting = self._calls.pop(effect.call, None)
        if waiting is not None:
            waiting.send_nowait(effect)

    async def ask(self, make: Callable[[int], Asked]) -> Reply:
        """Put a question to the core; `make` makes it from the number of the call."""
        number = next(self._numbers)
        if self.core is None:
            return _unserved(number, self._why)
        if len(self._calls) >= CALLS_MAX:
            return _unserved(number, "too many calls are waiting")
        send, receive = trio.open_memory_channel[Reply](1)
        self._calls[number] = send
        try:
            with trio.move_on_after(ANSWER_S_MAX):
                await self._inbox.put(make(number))
                return await receive.receive()
            return _unserved(number, "Central did not decide in time")
        finally:
            self._calls.pop(number, None)

    def unhealthy(self) -> str | None:
        """Why Central can't serve requests now; None when it can."""
        if self.core is None:
            return self._why
        return None if self.broker_up() else "Kafka does not answer"

    @property
    def uptime_s(self) -> float:
        """Seconds since the process began to serve."""
        return time.monotonic() - self._started_s

    @property
    def central_id(self) -> str:
        """The id of Central's database; empty before it was first read."""
        return self._central_id

    def new_request_id(self) -> str:
        """An id for a request whose caller brought none."""
        return f"req-{uuid4().hex}"

    @property
    def _running(self) -> Central:
        if self.core is None:
            raise StoreFailed(self._why)
        return self.core

    def charging_points(self) -> list[CpView]:
        """Every charging point as it is shown; StoreFailed while there is no core."""
        return self._running.views(now())

    def charging_point(self, cp_id: str) -> CpView | None:
        """One charging point as it is shown; None for an unknown one."""
        core = self._running
        return core.view(cp_id, now()) if core.knows(cp_id) else None

    def active_requests(self) -> int:
        """How many requests are open."""
        return 0 if self.core is None else self.core.active_requests

    def telemetry(self) -> list[Telemetry]:
        """The newest telemetry of each charging point that supplies."""
        return self._running.meters()

    async def metrics(self) -> bytes:
        """Everything that is counted and measured."""
        views = self.core.views(now()) if self.core is not None else []
        return await self._render(views, self.active_requests(), self.unhealthy() is None)

    @property
    def _store(self) -> Store:
        if self._open_store is None:
            raise StoreFailed(self._why)
        return self._open_store

    async def request(self, request_id: str) -> Request | None:
        """A request as it is stored."""
        return await self._store.request(request_id)

    async def sessions(
        self,
        cp_id: str | None,
        driver_id: str | None,
        status: SessionStatus | None,
        limit: int,
        before: str | None,
    ) -> list[Session]:
        """Sessions as they are stored, newest first."""
        return await self._store.sessions(cp_id, driver_id, status, limit, before)

    async def faults(self, cp_id: str | None, limit: int) -> list[FaultEvent]:
        """The history of faults, newest first."""
        return await self._store.faults(cp_id, limit)

    async def fault_statistics(self, cp_id: str | None, days: int) -> list[FaultStatistics]:
        """What the history of faults says of each charging point."""
        return await self._store.fault_statistics(cp_id, days, datetime.now(UTC))

    async def health_history(self, cp_id: str | None, limit: int) -> list[HealthSnapshot]:
        """How charging points stood, newest first."""
        return await self._store.health_history(cp_id, limit)


def _unserved(call: int, why: str) -> Reply:
    return Reply(call, Refused(Refusal.UNAVAILABLE, why))
