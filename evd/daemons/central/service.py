"""Answers to Central's HTTP, from the running core and from the database."""

import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import trio

from evd.adapters.pieces import POINTS_AT_ONCE, by_pieces
from evd.adapters.store import Store, StoreFailed
from evd.core.access.access import Access
from evd.core.access.events import CallNoted
from evd.core.access.unready import Unready
from evd.core.central.core import Central
from evd.core.central.events import Asked, Refusal, Refused, Reply
from evd.core.central.views import CpView
from evd.core.curve import CurvePoint
from evd.core.standby.events import Standby
from evd.core.wire.messages import Telemetry
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import Gauged
from evd.daemons.central.standing import Standing
from evd.daemons.clock import now

# A call is told after so long that it was not decided: better than to keep it waiting.
ANSWER_S_MAX = 10.0
CALLS_MAX = 1_000


class Service:
    """The door between HTTP and the loop.  While Central has no core it can't serve: 503."""

    def __init__(
        self,
        inbox: Inbox,
        broker_up: Callable[[], bool],
        render: Callable[[Gauged], Awaitable[bytes]],
        feed_port: int,
        standing: Standing,
    ) -> None:
        self._standing = standing
        self._inbox = inbox
        self.broker_up = broker_up
        self._render = render
        self.feed_port = feed_port
        self._started_s = time.monotonic()
        self._numbers = itertools.count(1)
        self._calls: dict[int, trio.MemorySendChannel[Reply]] = {}
        self._core: Central | None = None
        self._store: Store | None = None
        # The last one that ran: it is asked who may do what while the database is away.
        self._newest: Central | None = None
        self._reason = "Central is starting"
        self._central_id = ""
        # Set, and another one made, when serving begins or ends.
        self._turned = trio.Event()

    def start_serving(self, core: Central, store: Store) -> None:
        """Let `core` answer from now on, and `store` be read."""
        self._core, self._store, self._newest = core, store, core
        self._central_id = core.central_id
        self._turn()

    def stop_serving(self, reason: str) -> None:
        """Answer 503 until there is another core, also to the calls that wait."""
        self._core = self._store = None
        self._reason = reason
        for call in list(self._calls):
            self.reply(_unserved(call, reason))
        self._turn()

    def _turn(self) -> None:
        self._turned.set()
        self._turned = trio.Event()

    async def wait_serving(self, is_serving: bool) -> None:
        """Wait until there is a core, or until there is none."""
        while self.is_serving is not is_serving:
            await self._turned.wait()

    @property
    def core(self) -> Central | None:
        """The running core, if there is one."""
        return self._core

    @property
    def is_serving(self) -> bool:
        """Whether there is a core."""
        return self._core is not None

    @property
    def is_silent(self) -> bool:
        """Whether another Central serves, or could by now."""
        return bool(self._standing.why_silent())

    def is_waiting(self, call: int) -> bool:
        """Return whether a call has not been answered yet."""
        return call in self._calls

    def reply(self, reply: Reply) -> None:
        """Answer a call, if it still waits."""
        waiting = self._calls.pop(reply.call, None)
        if waiting is not None:
            waiting.send_nowait(reply)

    async def ask(self, make: Callable[[int], Asked]) -> Reply:
        """Put a question to the core; `make` makes it from the number of the call."""
        number = next(self._numbers)
        if self._core is None:
            return _unserved(number, self._reason)
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

    @property
    def stands_by(self) -> bool:
        """Whether another Central serves, and this one could take over."""
        return self._standing.stands_by

    @property
    def standbys(self) -> Sequence[Standby] | None:
        """The other Centrals that stand by; None where there can be none, or nobody knows."""
        return self._standing.standbys

    def hand_over(self) -> str:
        """Let another Central serve, soon after; return why not, or nothing."""
        return self._standing.hand_over()

    async def tell(self, event: CallNoted) -> None:
        """Have the audit note a call; while Central has no core nobody can."""
        if self._core is not None:
            await self._inbox.put(event)

    def unhealthy(self) -> str | None:
        """Return why Central can't serve requests now; None when it can."""
        if why := self._standing.why_silent():
            return why
        if self._core is None:
            return self._reason
        return None if self.broker_up() else "Kafka does not answer"

    def doing(self) -> str:
        """The size of the work, and why no session can begin, if so."""
        illness, core = self.unhealthy(), self._core
        if core is None:
            return f"{illness}" if self.stands_by else f"can't serve: {illness}"
        doing = (
            f"{core.cps_count} charging points, {core.active_sessions} sessions,"
            f" {core.active_requests} open requests"
        )
        why = illness or core.holding_back
        return doing if why is None else f"{doing}: {why}"

    @property
    def unreadable(self) -> list[str]:
        """The rows of the database that could not be read, in words."""
        return [] if self._store is None else self._store.unreadable

    @property
    def uptime_s(self) -> float:
        """Seconds since the process began to serve."""
        return time.monotonic() - self._started_s

    @property
    def central_id(self) -> str:
        """The id of Central's database; empty before it was first read."""
        return self._central_id

    def new_request_id(self) -> str:
        """Return an id for a request whose caller brought none."""
        return f"req-{uuid4().hex}"

    @property
    def store(self) -> Store:
        """The open database; StoreFailed while there is none."""
        if self._store is None:
            raise StoreFailed(self._reason)
        return self._store

    @property
    def _running(self) -> Central:
        if self._core is None:
            raise StoreFailed(self._reason)
        return self._core

    @property
    def access(self) -> Access:
        """The users, tokens and logins of the newest core, also while the database is away.

        StoreFailed before there was a core.
        """
        if self._newest is None:
            raise StoreFailed(self._reason)
        return self._newest.access

    def unready(self) -> list[Unready]:
        """Return all that --auth required would refuse; StoreFailed while there is no core."""
        return self._running.unready(now())

    async def charging_points(self) -> list[CpView]:
        """Return every charging point as it is shown; StoreFailed while there is no core."""
        return await _views(self._running)

    def charging_point(self, cp_id: str) -> CpView | None:
        """Return one charging point as it is shown; None for an unknown one."""
        core = self._running
        return core.view(cp_id, now()) if core.knows(cp_id) else None

    def active_requests(self) -> int:
        """Return how many requests are open."""
        return 0 if self._core is None else self._core.active_requests

    def telemetry(self) -> list[Telemetry]:
        """Return the newest telemetry of each charging point that supplies."""
        return self._running.meters()

    def curve(self, session_id: str) -> tuple[CurvePoint, ...]:
        """Return the course so far of a running session's power."""
        return self._running.curve(session_id)

    async def metrics(self) -> bytes:
        """Return everything that is counted and measured."""
        core = self._core
        if core is None:
            away = Gauged(None, broker_up=self.broker_up(), unhealthy=self.unhealthy())
            return await self._render(away)
        views = await _views(core)
        gauged = Gauged(
            views,
            core.active_requests,
            core.active_sessions,
            core.awaited_count,
            self.broker_up(),
            self.unhealthy(),
            core.epoch,
            len(self.standbys or ()),
        )
        return await self._render(gauged)


async def _views(core: Central) -> list[CpView]:
    """Every charging point, by id."""
    views = []
    async for piece in by_pieces(sorted(core.cp_ids), POINTS_AT_ONCE):
        moment = now()
        views += [core.view(cp_id, moment) for cp_id in piece if core.knows(cp_id)]
    return views


def _unserved(call: int, why: str) -> Reply:
    return Reply(call, Refused(Refusal.UNAVAILABLE, why))
