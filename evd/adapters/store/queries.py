"""What can be asked of the database, each question with the connection it is given."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Table
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.database import Database
from evd.adapters.store.failures import UnknownSession
from evd.adapters.store.records import FromColumns
from evd.adapters.store.statements import Statements
from evd.adapters.store.tables import charging_sessions, requests
from evd.core.central.rows import (
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    Request,
    Session,
)
from evd.core.central.statistics import FaultStatistics, Opening, fault_statistics

# How many ids one question names at the most.
IDS_MAX = 256

_ROWS_AT_ONCE = 1000

# A charging point, since when it is observed (None: since its first event), until when (None: now).
Observed: TypeAlias = tuple[str, datetime | None, datetime | None]


class Queries:
    """Every question.  A method may be called from any thread, with a cursor of that thread."""

    def __init__(self, database: Database, statements: Statements) -> None:
        self._database = database
        self._sql = statements
        self._rows = FromColumns(database)

    def charging_points(self, cursor: DBAPICursor) -> list[ChargingPoint]:
        """Every known charging point."""
        cursor.execute(self._sql.all_charging_points)
        return [self._rows.charging_point(values) for values in cursor.fetchall()]

    def open_requests(self, cursor: DBAPICursor) -> list[Request]:
        """Every request without a final status."""
        cursor.execute(self._sql.open_requests)
        return [self._rows.request(values) for values in cursor.fetchall()]

    def active_sessions(self, cursor: DBAPICursor) -> list[Session]:
        """Every session that is ACTIVE, in the order of their starts."""
        cursor.execute(self._sql.active_sessions)
        return [self._rows.session(values) for values in cursor.fetchall()]

    def requests(self, cursor: DBAPICursor, request_ids: Sequence[str]) -> list[Request]:
        """Those of the requests that are stored, in any order."""
        found = self._by_ids(cursor, requests, request_ids)
        return [self._rows.request(values) for values in found]

    def sessions_by_id(self, cursor: DBAPICursor, session_ids: Sequence[str]) -> list[Session]:
        """Those of the sessions that are stored, in any order."""
        found = self._by_ids(cursor, charging_sessions, session_ids)
        return [self._rows.session(values) for values in found]

    def sessions(
        self,
        cursor: DBAPICursor,
        filters: dict[str, str],
        limit: int,
        before: str | None,
    ) -> list[Session]:
        """At most `limit` sessions, newest first, with these values in these columns.

        `before`: only what began before this session; raises UnknownSession.
        """
        values: list[Any] = list(filters.values())
        if before is not None:
            cursor.execute(self._sql.session_seq, (before,))
            found = cursor.fetchone()
            if found is None:
                raise UnknownSession(before)
            values.append(found[0])
        statement = self._sql.some_sessions(tuple(filters), before is not None)
        cursor.execute(statement, (*values, limit))
        return [self._rows.session(values) for values in cursor.fetchall()]

    def faults(self, cursor: DBAPICursor, cp_id: str | None, limit: int) -> list[FaultEvent]:
        """At most `limit` fault events, newest first."""
        _ask(cursor, self._sql.newest_faults, cp_id, limit)
        return [self._rows.fault_event(values) for values in cursor.fetchall()]

    def health(self, cursor: DBAPICursor, cp_id: str | None, limit: int) -> list[HealthSnapshot]:
        """At most `limit` health snapshots, newest first."""
        _ask(cursor, self._sql.newest_health, cp_id, limit)
        return [self._rows.health_snapshot(values) for values in cursor.fetchall()]

    def fault_statistics(
        self, cursor: DBAPICursor, cp_id: str | None, days: float, now: datetime
    ) -> list[FaultStatistics]:
        """The figures of the last `days`, of every charging point that is known, or of one, which
        may have been removed since.

        Observation begins with a charging point's first health snapshot.  Of one that was removed
        it ends with its last: nobody knows whether it is down.
        """
        since = now - timedelta(days=days)
        openings = self._openings(cursor, cp_id, since)
        if not openings:
            return []
        return fault_statistics(openings, self._faults_since(cursor, cp_id, since), since, now)

    def _openings(self, cursor: DBAPICursor, cp_id: str | None, since: datetime) -> list[Opening]:
        column = self._database.time_to_column(since)
        _ask(cursor, self._sql.last_faults_before, cp_id, column)
        newest: dict[str, dict[EventType, int]] = {}
        for of, event_type, number in cursor.fetchall():
            newest.setdefault(of, {})[EventType(event_type)] = number
        return [
            Opening(
                of,
                since if of in newest else first,
                last,
                faulty=_is_open(newest.get(of, {}), EventType.FAULT, EventType.RECOVERY),
                disconnected=_is_open(
                    newest.get(of, {}), EventType.DISCONNECTED, EventType.RECONNECTED
                ),
            )
            for of, first, last in self._observed(cursor, cp_id)
        ]

    def _observed(self, cursor: DBAPICursor, cp_id: str | None) -> list[Observed]:
        """Everyone of whom something can be said."""
        cursor.execute(self._sql.first_snapshots)
        known: list[Observed] = [
            (of, None if first is None else self._rows.time(first), None)
            for of, first in cursor.fetchall()
            if cp_id is None or of == cp_id
        ]
        if known or cp_id is None:
            return known
        cursor.execute(self._sql.snapshots_of, (cp_id, cp_id))
        first, last = cursor.fetchall()[0]
        return [] if first is None else [(cp_id, self._rows.time(first), self._rows.time(last))]

    def _faults_since(
        self, cursor: DBAPICursor, cp_id: str | None, since: datetime
    ) -> Iterator[FaultEvent]:
        _ask(cursor, self._sql.faults_since, cp_id, self._database.time_to_column(since))
        while values := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from map(self._rows.fault_event, values)

    def _by_ids(self, cursor: DBAPICursor, table: Table, ids: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(ids), IDS_MAX):
            some = list(ids[start : start + IDS_MAX])
            # A power of two, filled up with the last id, so that few statements serve all counts.
            count = 1 << (len(some) - 1).bit_length()
            cursor.execute(
                self._sql.by_ids(table, count), [*some, *some[-1:] * (count - len(some))]
            )
            found += cursor.fetchall()
        return found


def _ask(cursor: DBAPICursor, all_or_one: tuple[str, str], cp_id: str | None, value: Any) -> None:
    """Carry out the first statement with `value`, or the second with the cp_id and `value`."""
    of_all, of_one = all_or_one
    if cp_id is None:
        cursor.execute(of_all, (value,))
    else:
        cursor.execute(of_one, (cp_id, value))


def _is_open(newest: dict[EventType, int], begin: EventType, end: EventType) -> bool:
    return newest.get(begin, 0) > newest.get(end, 0)
