"""The questions that take more than one statement, each with the cursor it is given."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Any, TypeAlias, TypeVar

import attrs
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.database import Database
from evd.adapters.store.failures import UnknownRow
from evd.adapters.store.report import Grouping, ReportRow
from evd.adapters.store.statements import Listed, Statements, read_on
from evd.core.central.overview import Ended, EndedOfDay
from evd.core.central.rows import EventType, Request, Row
from evd.core.central.statistics import FaultStatistics, Opening, fault_statistics
from evd.core.wire.fields import SESSION_S_MAX

R = TypeVar("R", bound=attrs.AttrsInstance)

# How many ids one question names at the most.
IDS_MAX = 256

# A charging point, since when it is observed (None: since its first event), until when (None: now).
Observed: TypeAlias = tuple[str, datetime | None, datetime | None]


@attrs.frozen(slots=True)
class Excess:
    """Rows that are not to be kept: those of the class, or of one of its charging points, up to
    the one with this time and key, as they are stored."""

    row_class: type[Row]
    cp_id: str | None
    time: Any
    key: str | int


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

    def newest(
        self, cursor: DBAPICursor, row_class: type[R], wanted: Mapping[str, Any], limit: int
    ) -> list[Listed[R]]:
        """At most `limit` rows for which the filters of `Statements.newest` hold, newest first,
        without those that can't be read.

        A filter that is None does not count.  Raises UnknownRow for a `before` that no row has,
        unless `before_time` comes with it.
        """
        values = self._given(wanted)
        if "before" in values and "before_time" not in values:
            found = next(self._sql.time_of(row_class).ask(cursor, **values), None)
            if found is None:
                raise UnknownRow(values["before"])
            (values["before_time"],) = found

        def ask(count: int, behind: Listed[R] | None) -> Iterator[Listed[R]]:
            if behind is not None:
                values.update(before=behind.key, before_time=behind.time)
            filters = tuple(name for name in values if name != "before_time")
            return self._sql.newest(row_class, filters).ask(cursor, **values, count=count)

        return read_on(ask, limit)

    def ended_of_day(self, cursor: DBAPICursor, day: date) -> EndedOfDay:
        """The sessions that ended on `day` in UTC: the sum, and each that is not settled."""
        since = datetime.combine(day, time(), UTC)
        # No session lasts longer: so the index of the starts finds them.
        began = since - timedelta(seconds=SESSION_S_MAX)
        values = {"began": began, "since": since, "until": since + timedelta(days=1)}
        stored = {name: self._database.time_to_column(value) for name, value in values.items()}
        total, unsettled = Ended(), dict[str, Ended]()
        for session_id, *amounts in self._sql.ended.ask(cursor, **stored):
            ended = Ended(*map(int, amounts))
            total = total.plus(ended)
            if session_id is not None:
                unsettled[session_id] = ended
        return EndedOfDay(total, unsettled)

    def report(
        self, cursor: DBAPICursor, by: Grouping, wanted: Mapping[str, Any], rows_max: int
    ) -> list[ReportRow]:
        """The sums of what was billed of these sessions, in the order of the keys; of any
        `rows_max` keys where there are more."""
        values = self._given(wanted)
        found = self._sql.billed(by, tuple(values)).ask(cursor, **values, count=rows_max)
        # Not by the database: its order of texts may be that of a language.
        return sorted(found, key=lambda row: row.key)

    def _given(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._stored(value) for name, value in wanted.items() if value is not None}

    def _stored(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return self._database.time_to_column(value)
        return value.value if isinstance(value, Enum) else value

    def aged(self, row_class: type[Row], cutoff: datetime) -> Excess:
        """The rows from before `cutoff`."""
        # No row has this key, nor a smaller one.
        least = "" if row_class is Request else -1
        return Excess(row_class, None, self._database.time_to_column(cutoff), least)

    def next_of(self, cursor: DBAPICursor, row_class: type[Row], cp_id: str) -> str:
        """The charging point after `cp_id` that has rows in this history; empty for none."""
        ((found,),) = self._sql.next_of(row_class).ask(cursor, cp_id=cp_id)
        return str(found or "")

    def beyond(
        self, cursor: DBAPICursor, row_class: type[Row], rows_max: int, cp_id: str | None = None
    ) -> Excess | None:
        """The rows behind the newest `rows_max`, of all or of one charging point, if any."""
        question = self._sql.newest_beyond(row_class, cp_id is not None)
        found = next(question.ask(cursor, cp_id=cp_id, rows_max=rows_max), None)
        return None if found is None else Excess(row_class, cp_id, *found)

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
        stood = self._sql.stood_before(cp_id is not None)
        # SQLite keeps bytes in a column of text, too: that row is named where rows are read.
        newest = {of: events for of, *events in stood.ask(cursor, **values) if type(of) is str}
        openings = [
            Opening(
                of,
                since if any(newest[of]) else first,
                last,
                faulty=EventType.FAULT in newest[of],
                disconnected=EventType.DISCONNECTED in newest[of],
            )
            for of, first, last in self._observed(cursor, cp_id)
            # Registered between the two questions.
            if of in newest
        ]
        if not openings:
            return []
        events = self._sql.faults_since(cp_id is not None).ask(cursor, **values)
        return fault_statistics(openings, events, since, now)

    def _observed(self, cursor: DBAPICursor, cp_id: str | None) -> list[Observed]:
        """Each charging point of which something can be said."""
        known: list[Observed] = [
            (of, self._database.readable_time(first), None)
            for of, first in self._sql.first_snapshots.ask(cursor)
            if cp_id is None or of == cp_id
        ]
        if known or cp_id is None:
            return known
        first, last = self.observed(cursor, cp_id)
        return [] if first is None else [(cp_id, first, last)]

    def observed(self, cursor: DBAPICursor, cp_id: str) -> tuple[datetime | None, datetime | None]:
        """The times of the oldest and of the newest health snapshot of a charging point."""
        ((first, last),) = self._sql.snapshots_of.ask(cursor, cp_id=cp_id)
        return self._database.readable_time(first), self._database.readable_time(last)
