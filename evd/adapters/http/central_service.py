"""The calls of Central's HTTP to Central, which the daemon implements.

A call that reads memory is plain; one that decides, or reads the database, is awaited.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from evd.adapters.store.history_queries import TimelineEntry
from evd.adapters.store.page import Page, SessionFilter
from evd.adapters.store.report import Grouping, ReportRow
from evd.core.access.access import Access
from evd.core.access.events import CallNoted
from evd.core.access.rows import AuditEntry
from evd.core.access.unready import Unready
from evd.core.central.events import Asked, Reply
from evd.core.central.power import PowerPoint
from evd.core.central.rows import (
    FaultEvent,
    HealthSnapshot,
    Request,
    Session,
    SessionCurve,
    SessionStatus,
)
from evd.core.central.spans import CpStates
from evd.core.central.statistics import FaultStatistics
from evd.core.central.views import CpView
from evd.core.curve import CurvePoint
from evd.core.standby.events import Standby
from evd.core.wire.messages import Telemetry


class StoredHistory(Protocol):
    """The database, as Central's HTTP reads it.  Every method may raise StoreFailed."""

    async def request(self, request_id: str) -> Request | None:
        """A request, however old."""

    async def session(self, session_id: str) -> tuple[Session, SessionCurve | None] | None:
        """A session, however old, and the course of its power, once that is stored."""

    async def sessions(
        self,
        cp_id: str | None,
        driver_id: str | None,
        status: SessionStatus | None,
        limit: int,
        before: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Sequence[Session]:
        """Sessions that began in the span, newest first, behind `before`; or UnknownRow."""

    def all_sessions(
        self,
        which: SessionFilter,
        shape: Callable[[Sequence[Session]], bytes],
        limit: int | None,
    ) -> AsyncIterator[bytes]:
        """The same sessions without a bound, in pages, each as `shape` makes it in a thread."""

    async def report(
        self,
        by: Grouping,
        which: SessionFilter,
        rows_max: int,
        shape: Callable[[Sequence[ReportRow]], bytes],
    ) -> bytes:
        """The sums of what was billed of these sessions, by key, as `shape` makes it in a thread of
        the rows, of which there are at most `rows_max`."""

    async def faults(self, cp_id: str | None, page: Page) -> Mapping[int, FaultEvent]:
        """Fault events by their ids, newest first; or UnknownRow."""

    async def states(
        self, cp_ids: Sequence[str], since: datetime, until: datetime
    ) -> Sequence[CpStates]:
        """The states of these charging points over the span, in this order."""

    async def power(
        self, cp_id: str | None, since: datetime, until: datetime
    ) -> Sequence[PowerPoint]:
        """The power of a charging point, or of the network, over the span."""

    async def timeline(
        self,
        cp_id: str | None,
        limit: int,
        before: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Sequence[TimelineEntry]:
        """A page of a charging point's story or of the network's, newest first; or UnknownRow."""

    async def fault_statistics(
        self, cp_id: str | None, days: int, now: datetime
    ) -> Sequence[FaultStatistics]:
        """Each charging point's faults over the last `days` before `now`."""

    async def audit(self, cp_id: str | None, page: Page) -> Mapping[int, AuditEntry]:
        """The audit, as `faults`."""

    async def health_history(self, cp_id: str | None, page: Page) -> Mapping[int, HealthSnapshot]:
        """Health snapshots, as `faults`."""


class CentralService(Protocol):
    """Central, as its HTTP sees it."""

    @property
    def central_id(self) -> str:
        """The id of this Central's database."""

    @property
    def feed_port(self) -> int:
        """The port of the status feed."""

    @property
    def uptime_s(self) -> float:
        """Seconds since Central's start."""

    @property
    def unreadable(self) -> list[str]:
        """The rows of the database that can't be read, in words."""

    def unhealthy(self) -> str | None:
        """Why requests can't be served now; None while they can."""

    async def charging_points(self) -> Sequence[CpView]:
        """Every known charging point, in the order in which to show them."""

    def charging_point(self, cp_id: str) -> CpView | None:
        """One charging point; None for one that nobody knows."""

    def active_requests(self) -> int:
        """How many requests are without a final status."""

    def telemetry(self) -> Sequence[Telemetry]:
        """The newest meter of each supplying charging point, with its `ts`."""

    def curve(self, session_id: str) -> Sequence[CurvePoint]:
        """The course so far of a running session's power; of any other one nothing."""

    def new_request_id(self) -> str:
        """An id for a request whose caller gave none."""

    async def metrics(self) -> bytes:
        """Prometheus' text."""

    async def ask(self, make: Callable[[int], Asked]) -> Reply:
        """Have Central decide what `make` makes of the call's number.

        Raises nothing: while Central can't decide, the Reply is a refusal, UNAVAILABLE.
        """

    @property
    def stands_by(self) -> bool:
        """Whether another Central serves, and this one could take over."""

    @property
    def standbys(self) -> Sequence[Standby] | None:
        """The other Centrals that stand by; None where there can be none, or nobody knows."""

    def hand_over(self) -> str:
        """Let another Central serve, soon after; why not, or nothing."""

    async def tell(self, event: CallNoted) -> None:
        """Have the audit note a call that no Asked tells of."""

    @property
    def access(self) -> Access:
        """The users, tokens and logins; StoreFailed before there was a core."""

    def unready(self) -> Sequence[Unready]:
        """All that --auth required would refuse; StoreFailed while there is no core."""

    @property
    def store(self) -> StoredHistory:
        """The open database; StoreFailed while there is none."""


ServiceHere = NamedDependency[SkipValidation[CentralService]]
