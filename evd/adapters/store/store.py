"""The database as Central sees it: one writer, readers beside it, nothing that blocks the loop."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.address import database_at
from evd.adapters.store.backup import copy_database
from evd.adapters.store.database import Database
from evd.adapters.store.epoch_file import EpochFile
from evd.adapters.store.export import Export
from evd.adapters.store.failures import StoreFailed
from evd.adapters.store.history_queries import HistoryQueries, TimelineEntry
from evd.adapters.store.kept_access import access_of
from evd.adapters.store.page import Page, SessionFilter
from evd.adapters.store.queries import Excess, Queries
from evd.adapters.store.reader import Readers
from evd.adapters.store.report import Grouping, ReportRow
from evd.adapters.store.schema import bring_to_head
from evd.adapters.store.statements import Statements
from evd.adapters.store.writer import Retention, Writer
from evd.core.access.rows import AuditEntry
from evd.core.central.overview import EndedOfDay
from evd.core.central.power import PowerPoint
from evd.core.central.rows import (
    FaultEvent,
    HealthSnapshot,
    Image,
    Meta,
    NetworkSnapshot,
    OperatorEvent,
    Request,
    Row,
    Session,
    SessionCurve,
    SessionStatus,
)
from evd.core.central.spans import CpStates
from evd.core.central.statistics import FaultStatistics

R = TypeVar("R", bound=attrs.AttrsInstance)
T = TypeVar("T")

# For those who look at lists; Central's own look-ups have a connection of their own.
LIST_READERS_MAX = 2
# For those who read much: one after the other, so that lists do not wait for them.
BULK_READERS_MAX = 1
RETENTION = Retention()
PAGE = Page()
# The histories of which each charging point has its own bound.
_OF_EACH_POINT: Sequence[type[Row]] = (FaultEvent, HealthSnapshot, OperatorEvent)


class Store:
    """Central's database, open.  Made by `open_store`.

    Every method may raise StoreFailed: then it did nothing, and may be asked again.
    """

    def __init__(
        self,
        database: Database,
        statements: Statements,
        writer: Writer,
        writing: trio.CapacityLimiter | None = None,
    ) -> None:
        """`writing` is for all who use the connection that writes; by default nobody else does."""
        self._database = database
        self._writer = writer
        self._writing = writing or trio.CapacityLimiter(1)
        self._sql = statements
        self._queries = Queries(database, statements)
        self._over_time = HistoryQueries(database, self._queries)
        self._look_ups = Readers(database, 1)
        self._lists = Readers(database, LIST_READERS_MAX)
        self._bulk = Readers(database, BULK_READERS_MAX)

    @property
    def meta(self) -> Meta:
        """The row about the database, as it was last written."""
        return self._writer.meta

    @property
    def unreadable(self) -> list[str]:
        """The rows that could not be read, in words."""
        return self._database.unreadable.names

    async def begin_epoch(self) -> Meta:
        """Count this start of Central: `epoch` is one higher, durably."""
        return await trio.to_thread.run_sync(self._writer.begin_epoch, limiter=self._writing)

    async def renew_identity(self) -> Meta:
        """A new central_id, and every known charging point must first report."""
        return await trio.to_thread.run_sync(self._writer.renew_identity, limiter=self._writing)

    async def commit(self, rows: Sequence[Row]) -> None:
        """Store `rows` in one transaction, on the disk when it returns, or none of them.

        Of several rows with one key the last one counts.  A settled session stays as it is, a
        session's request, charging point and driver as they first were, and a Reading changes only
        a session that is ACTIVE.  A commit that has begun is not cancelled.
        Over a lost connection to PostgreSQL the rows may be stored although it failed; the same
        rows, committed next, are stored once.  Raises StoreInUse when somebody else wrote.
        """
        await trio.to_thread.run_sync(self._writer.commit, rows, limiter=self._writing)
        self._database.unreadable.discard(rows)

    async def prune(self, now: datetime, kept: Retention = RETENTION) -> int:
        """Delete what is not to be kept; how many rows.

        It is looked for beside the commits, and deleted in small steps, between which they have
        their turn.
        """
        cutoff = now - timedelta(days=kept.days_max)
        pruned = 0
        for row_class in (*_OF_EACH_POINT, Request):
            pruned += await self._delete(self._queries.aged(row_class, cutoff))
        cutoff = now - timedelta(days=kept.network_days_max)
        pruned += await self._delete(self._queries.aged(NetworkSnapshot, cutoff))
        cutoff = now - timedelta(days=kept.audit_days_max)
        pruned += await self._delete(self._queries.aged(AuditEntry, cutoff))
        pruned += await self._delete_beyond(AuditEntry, kept.audit_rows_max)
        for row_class in _OF_EACH_POINT:
            cp_id = ""
            while cp_id := await self._lists.run(
                partial(self._queries.next_of, row_class=row_class, cp_id=cp_id)
            ):
                pruned += await self._delete_beyond(row_class, kept.rows_max, cp_id)
        return pruned + await self._delete_beyond(Request, kept.requests_max)

    async def _delete_beyond(
        self, row_class: type[Row], rows_max: int, cp_id: str | None = None
    ) -> int:
        excess = await self._lists.run(
            lambda cursor: self._queries.beyond(cursor, row_class, rows_max, cp_id)
        )
        return 0 if excess is None else await self._delete(excess)

    async def _delete(self, excess: Excess) -> int:
        pruned = 0
        while deleted := await trio.to_thread.run_sync(
            self._writer.prune_step, excess, limiter=self._writing
        ):
            pruned += deleted
        return pruned

    async def load(self) -> Image:
        """Read all that a start needs: every charging point, open request and ACTIVE session, and
        who may do what."""

        def read(cursor: DBAPICursor) -> Image:
            return Image(
                self.meta,
                list(self._sql.all_charging_points.ask(cursor)),
                list(self._sql.open_requests.ask(cursor)),
                list(self._sql.active_sessions.ask(cursor)),
                access_of(cursor, self._sql),
            )

        return await self._look_ups.run(read)

    async def ended_of_day(self, day: date) -> EndedOfDay:
        """The sessions that ended on `day` in UTC."""
        return await self._look_ups.run(lambda cursor: self._queries.ended_of_day(cursor, day))

    async def lookup(
        self, request_ids: Sequence[str], session_ids: Sequence[str]
    ) -> tuple[list[Request], list[Session]]:
        """Those of the requests and of the sessions that are stored, in any order."""
        return await self._look_ups.run(
            lambda cursor: (
                self._queries.by_ids(cursor, Request, request_ids),
                self._queries.by_ids(cursor, Session, session_ids),
            )
        )

    async def request(self, request_id: str) -> Request | None:
        """A request, or None."""
        found = await self._lists.run(
            lambda cursor: self._queries.by_ids(cursor, Request, [request_id])
        )
        return found[0] if found else None

    async def session(self, session_id: str) -> tuple[Session, SessionCurve | None] | None:
        """A session and, of one that has ended, the course of its power; or None."""

        def read(cursor: DBAPICursor) -> tuple[list[Session], list[SessionCurve]]:
            # The session first: an end between the two only gives a curve more.
            sessions = self._queries.by_ids(cursor, Session, [session_id])
            return sessions, self._queries.by_ids(cursor, SessionCurve, [session_id])

        sessions, curves = await self._lists.run(read)
        return (sessions[0], curves[0] if curves else None) if sessions else None

    async def sessions(
        self,
        cp_id: str | None = None,
        driver_id: str | None = None,
        status: SessionStatus | None = None,
        limit: int = 100,
        before: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Session]:
        """At most `limit` sessions of these: the newest start first, then the greatest id.

        `before`: only what stands behind this session in that order; raises UnknownRow.
        `since`: only what began then or later; `until`: only what began earlier.
        """
        which = SessionFilter(cp_id, driver_id, status, before, since, until)
        found = await self._newest(Session, limit, attrs.asdict(which))
        return list(found.values())

    def all_sessions(
        self,
        which: SessionFilter,
        shape: Callable[[Sequence[Session]], T],
        limit: int | None = None,
    ) -> Export[Session, T]:
        """Every session of these, or the newest `limit`, in the order of `sessions`."""
        return Export(self._bulk, self._queries, Session, attrs.asdict(which), limit, shape)

    async def report(
        self,
        by: Grouping,
        which: SessionFilter,
        rows_max: int,
        shape: Callable[[Sequence[ReportRow]], T],
    ) -> T:
        """A report on these sessions, as `shape` makes it in a thread of its rows: of at most
        `rows_max`, any of them where there are more."""
        wanted = attrs.asdict(which)
        return await self._bulk.run(
            lambda cursor: shape(self._queries.report(cursor, by, wanted, rows_max))
        )

    async def faults(self, cp_id: str | None = None, page: Page = PAGE) -> dict[int, FaultEvent]:
        """A page of fault events by their ids: by time, then by id; raises UnknownRow."""
        return await self._history(FaultEvent, cp_id, page)

    async def health_history(
        self, cp_id: str | None = None, page: Page = PAGE
    ) -> dict[int, HealthSnapshot]:
        """A page of health snapshots, as `faults`."""
        return await self._history(HealthSnapshot, cp_id, page)

    async def audit(self, cp_id: str | None = None, page: Page = PAGE) -> dict[int, AuditEntry]:
        """A page of the audit, as `faults`."""
        return await self._history(AuditEntry, cp_id, page)

    async def _history(self, row_class: type[R], cp_id: str | None, page: Page) -> dict[int, R]:
        wanted = attrs.asdict(page) | {"cp_id": cp_id}
        return await self._newest(row_class, wanted.pop("limit"), wanted)

    async def _newest(
        self, row_class: type[R], limit: int, wanted: Mapping[str, Any]
    ) -> dict[Any, R]:
        """The rows by their keys."""
        found = await self._lists.run(
            lambda cursor: self._queries.newest(cursor, row_class, wanted, limit)
        )
        return {each.key: each.row for each in found if each.row is not None}

    async def states(
        self, cp_ids: Sequence[str], since: datetime, until: datetime
    ) -> list[CpStates]:
        """The states of these charging points over the span, in this order."""
        return await self._lists.run(
            lambda cursor: self._over_time.states(cursor, cp_ids, since, until)
        )

    async def power(self, cp_id: str | None, since: datetime, until: datetime) -> list[PowerPoint]:
        """The power of a charging point, or of the network, over the span."""
        return await self._lists.run(
            lambda cursor: self._over_time.power(cursor, cp_id, since, until)
        )

    async def timeline(
        self,
        cp_id: str | None = None,
        limit: int = 100,
        before: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[TimelineEntry]:
        """A page of a charging point's story or of the network's, the newest first; raises
        UnknownRow."""
        return await self._lists.run(
            lambda cursor: self._over_time.timeline(cursor, cp_id, limit, before, since, until)
        )

    async def fault_statistics(
        self, cp_id: str | None, days: float, now: datetime
    ) -> list[FaultStatistics]:
        """The figures of the last `days` before `now`, of one charging point or of all."""
        return await self._lists.run(
            lambda cursor: self._queries.fault_statistics(cursor, cp_id, days, now)
        )

    async def backup(self, path: Path) -> None:
        """Copy the database to `path`, as it is at one moment; commits go on meanwhile.

        Raises StoreRefused where `path` exists, or for PostgreSQL.
        """
        await trio.to_thread.run_sync(copy_database, self._database, path)

    async def aclose(self) -> None:
        """Close every connection: whoever still asks gets StoreFailed."""
        await trio.to_thread.run_sync(self._close, limiter=self._writing)

    def _close(self) -> None:
        self._look_ups.close()
        self._lists.close()
        self._bulk.close()
        self._writer.close()


@asynccontextmanager
async def open_store(db_url: str, state_dir: Path) -> AsyncIterator[Store]:
    """Open Central's database: lock it, bring its tables to head, and know it again.

    `state_dir` keeps the file by which an older copy is found.  Raises StoreInUse and StoreRefused
    (an operator must do something) or StoreFailed (it may work later).
    """
    database = database_at(db_url)
    statements = Statements(database)
    epoch_file = EpochFile(state_dir)
    writer = Writer(database, statements, epoch_file.note)
    store = Store(database, statements, writer)
    try:
        await trio.to_thread.run_sync(_open, database, writer, epoch_file)
        yield store
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()
        epoch_file.close()
        database.unlock()


def _open(database: Database, writer: Writer, epoch_file: EpochFile) -> None:
    database.lock()
    try:
        connection = database.connect_writer()
        try:
            database.check(connection)
            bring_to_head(database, connection)
            writer.open(connection, epoch_file.read())
        except BaseException:
            connection.close()
            raise
    except (StoreFailed, database.errors) as error:
        cause = error.__cause__ if isinstance(error, StoreFailed) else error
        if isinstance(cause, database.errors) and database.is_damage(cause):
            words = " ".join(str(cause).split())
            raise database.refused(
                f"is damaged ({words}): put back a copy with `evd central restore`"
            ) from error
        reason = error.reason if isinstance(error, StoreFailed) else database.explain(error)
        raise StoreFailed(f"--db-url: {database.name} cannot be opened: {reason}") from error
    except OSError as error:
        raise StoreFailed(
            f"--db-url: {database.name} cannot be opened: {error.strerror}"
        ) from error
