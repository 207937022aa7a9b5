"""The questions that take more than one statement, each with the cursor it is given."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import attrs
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.database import Database
from evd.adapters.store.failures import UnknownSession
from evd.adapters.store.statements import Statements
from evd.core.central.rows import EventType, Session
from evd.core.central.statistics import FaultStatistics, Opening, fault_statistics

R = TypeVar("R", bound=attrs.AttrsInstance)

# How many ids one question names at the most.
IDS_MAX = 256

# A charging point, since when it is observed (None: since its first event), until when (None: now).
Observed: TypeAlias = tuple[str, datetime | None, datetime | None]


class Queries:
    """A method may be called from any thread, with a cursor of that thread."""

    def __init__(self, database: Database, statements: Statements) -> None:
        self._database = database
        self._sql = statements

    def by_ids(self, cursor: DBAPICursor, row_class: type[R], ids: Sequence[str]) -> list[R]:
        """The rows that are stored under one of the ids, in any order."""
        found: list[R] = []
        for start in range(0, len(ids), IDS_MAX):
            some = ids[start : start + IDS_MAX]
            # A power of two, filled up with the last id, so that few statements serve all counts.
            count = 1 << (len(some) - 1).bit_length()
            named = {f"id_{n}": some[min(n, len(some) - 1)] for n in range(count)}
            found += self._sql.by_ids(row_class, count).ask(cursor, **named)
        return found

    def sessions(
        self,
        cursor: DBAPICursor,
        filters: Mapping[str, str],
        limit: int,
        before: str | None,
    ) -> list[Session]:
        """At most `limit` sessions, newest first, with these values in these columns.

        `before`: only what began before this session; raises UnknownSession.
        """
        values: dict[str, Any] = {**filters, "count": limit}
        if before is not None:
            found = next(self._sql.session_seq.ask(cursor, session_id=before), None)
            if found is None:
                raise UnknownSession(before)
            (values["before"],) = found
        question = self._sql.some_sessions(tuple(filters), before is not None)
        return list(question.ask(cursor, **values))

    def fault_statistics(
        self, cursor: DBAPICursor, cp_id: str | None, days: float, now: datetime
    ) -> list[FaultStatistics]:
        """The figures of the last `days`, of every charging point that is known, or of one, which
        may have been removed since.

        Observation begins with a charging point's first health snapshot.  Of one that was removed
        it ends with its last: nobody knows whether it is down.
        """
        since = now - timedelta(days=days)
        values = {"cp_id": cp_id, "since": self._database.time_to_column(since)}
        newest: dict[str, dict[EventType, int]] = {}
        before = self._sql.last_faults_before(cp_id is not None)
        for of, event_type, number in before.ask(cursor, **values):
            newest.setdefault(of, {})[EventType(event_type)] = number
        openings = [
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
        if not openings:
            return []
        events = self._sql.faults_since(cp_id is not None).ask(cursor, **values)
        return fault_statistics(openings, events, since, now)

    def _observed(self, cursor: DBAPICursor, cp_id: str | None) -> list[Observed]:
        """Each charging point of which something can be said."""
        known: list[Observed] = [
            (of, self._time(first), None)
            for of, first in self._sql.first_snapshots.ask(cursor)
            if cp_id is None or of == cp_id
        ]
        if known or cp_id is None:
            return known
        ((first, last),) = self._sql.snapshots_of.ask(cursor, cp_id=cp_id)
        return [] if first is None else [(cp_id, self._time(first), self._time(last))]

    def _time(self, stored: Any) -> datetime | None:
        return None if stored is None else self._database.time_from_column(stored)


def _is_open(newest: dict[EventType, int], begin: EventType, end: EventType) -> bool:
    return newest.get(begin, 0) > newest.get(end, 0)
