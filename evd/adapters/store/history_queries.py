"""The questions how charging points and the network went over time.

A page of a timeline goes on behind an id, which says itself where that entry stands: at a time, in
a list of one kind, by a key.  So entries that are added meanwhile make no page skip or repeat one,
and neither do those that were deleted.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import attrs
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.database import Database
from evd.adapters.store.failures import UnknownRow
from evd.adapters.store.history_statements import SOURCES, HistoryStatements, Source
from evd.adapters.store.queries import Queries
from evd.adapters.store.statements import Listed, read_on
from evd.core.central.power import PowerPoint, thinned
from evd.core.central.rows import ChargingPoint, EventType
from evd.core.central.spans import CpStates, Gap, states_of, unobserved
from evd.core.central.statistics import Opening
from evd.core.central.timeline import Entry

# The time before the newest so many changes of a charging point in the span is not known.
CHANGES_MAX = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_POSITION = re.compile(r"(-?[0-9]{1,18})([a-e])-([A-Za-z0-9][A-Za-z0-9_.-]{0,63})")
_NUMBER_MAX = 2**63 - 1
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@attrs.frozen
class TimelineEntry:
    """An entry, and the id behind which the next page begins."""

    id: str
    entry: Entry


@attrs.frozen
class _Position:
    """A place in a timeline, which is the newest first."""

    when: datetime
    source: Source
    key: str | int

    @classmethod
    def of_id(cls, text: str) -> "_Position":
        """The place that an id names; UnknownRow for a text that is none."""
        found = _POSITION.fullmatch(text)
        if found is None:
            raise UnknownRow(text)
        source, key = Source(found[2]), found[3]
        try:
            when = _EPOCH + int(found[1]) * _MICROSECOND
            is_number = SOURCES[source].key == "id"
            number = int(key) if is_number else 0
        except (OverflowError, ValueError):
            raise UnknownRow(text) from None
        if number > _NUMBER_MAX:
            raise UnknownRow(text)
        return cls(when, source, number if is_number else key)

    def behind(self, source: Source) -> tuple[datetime, str | int]:
        """The time and key behind which the rows of `source` stand behind this place."""
        least = _least_key(source)
        if source is self.source:
            return self.when, self.key
        if source.value < self.source.value and self.when < _LAST:
            return self.when + _MICROSECOND, least
        return self.when, least


class HistoryQueries:
    """A method may be called from any thread, with a cursor of that thread."""

    def __init__(self, database: Database, queries: Queries) -> None:
        self._database = database
        self._queries = queries
        self._sql = HistoryStatements(database)

    def states(
        self, cursor: DBAPICursor, cp_ids: Sequence[str], since: datetime, until: datetime
    ) -> list[CpStates]:
        """The states of these charging points over the span, in this order."""
        known = {row.cp_id for row in self._queries.by_ids(cursor, ChargingPoint, cp_ids)}
        minutes = self._sql.minutes.ask(cursor, **self._span(None, since, until))
        gaps = unobserved(minutes, until)
        return [self._states(cursor, of, of in known, since, until, gaps) for of in cp_ids]

    def _states(
        self,
        cursor: DBAPICursor,
        cp_id: str,
        is_known: bool,
        since: datetime,
        until: datetime,
        gaps: Sequence[Gap],
    ) -> CpStates:
        values = self._span(cp_id, since, until)
        changes = list(self._sql.changes.ask(cursor, **values, count=CHANGES_MAX))
        changes.reverse()
        if len(changes) == CHANGES_MAX:
            return states_of(Opening(cp_id), changes, since, until, gaps)
        ((_, *before),) = self._sql.stood_before(True).ask(cursor, **values)
        first, last = self._queries.observed(cursor, cp_id)
        opening = Opening(
            cp_id,
            since if any(before) else first,
            None if is_known else last,
            faulty=EventType.FAULT in before,
            disconnected=EventType.DISCONNECTED in before,
        )
        return states_of(opening, changes, since, until, gaps)

    def _span(self, cp_id: str | None, since: datetime, until: datetime) -> dict[str, Any]:
        to_column = self._database.time_to_column
        return {"cp_id": cp_id, "since": to_column(since), "until": to_column(until)}

    def power(
        self, cursor: DBAPICursor, cp_id: str | None, since: datetime, until: datetime
    ) -> list[PowerPoint]:
        """The power of a charging point or of the network over the span, few enough points."""
        question = self._sql.power_of_all if cp_id is None else self._sql.power_of_one
        return thinned(list(question.ask(cursor, **self._span(cp_id, since, until))))

    def timeline(
        self,
        cursor: DBAPICursor,
        cp_id: str | None,
        limit: int,
        before: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> list[TimelineEntry]:
        """At most `limit` entries of a charging point's story or of the whole network's, the newest
        first.

        Raises UnknownRow for a `before` that is no id of a timeline.
        """
        position = None if before is None else _Position.of_id(before)
        found: list[tuple[datetime, str, TimelineEntry]] = []
        for source in Source:
            bound = (until or _LAST, _least_key(source))
            if position is not None:
                behind = position.behind(source)
                bound = bound if bound[0] <= behind[0] else behind
            values = {
                "cp_id": cp_id,
                "since": self._database.time_to_column(since or _FIRST),
                "before_time": self._database.time_to_column(bound[0]),
                "before": bound[1],
            }
            found += self._entries(cursor, source, values, limit)
        # Those of one source have their order already, which is the database's own.
        found.sort(key=lambda each: each[:2], reverse=True)
        return [entry for _, _, entry in islice(found, limit)]

    def _entries(
        self, cursor: DBAPICursor, source: Source, values: dict[str, Any], limit: int
    ) -> Iterator[tuple[datetime, str, TimelineEntry]]:
        question = self._sql.story(source, values["cp_id"] is not None)

        def ask(count: int, behind: Listed[Any] | None) -> Iterator[Listed[Any]]:
            if behind is not None:
                values.update(before=behind.key, before_time=behind.time)
            return question.ask(cursor, **values, count=count)

        for listed in read_on(ask, limit):
            entry = SOURCES[source].entry_of(listed.row)
            micros = (entry.ts - _EPOCH) // _MICROSECOND
            named = TimelineEntry(f"{micros}{source.value}-{listed.key}", entry)
            yield entry.ts, source.value, named


def _least_key(source: Source) -> str | int:
    """A key that no row of this source has, nor a smaller one."""
    return -1 if SOURCES[source].key == "id" else ""
