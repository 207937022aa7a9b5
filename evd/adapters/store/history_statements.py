"""The SQL of the questions how things went over time; see `statements`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any

import attrs

from evd.adapters.store.database import Database
from evd.adapters.store.statements import NO_REFUSAL, Listed, Question, Statements, made_once
from evd.adapters.store.tables import HAS_ENDED, REQUEST_ALONE
from evd.core.central.power import PowerPoint
from evd.core.central.rows import EventType, FaultEvent, OperatorEvent, Request, Session
from evd.core.central.spans import Change
from evd.core.central.timeline import (
    Entry,
    entry_of_end,
    entry_of_fault,
    entry_of_operator,
    entry_of_refusal,
    entry_of_start,
)

_EVENT_TYPES = {each.value: each for each in EventType}


class Source(Enum):
    """The lists of which a timeline is made; of entries at one moment the greater value is the
    newer one."""

    STARTS = "a"
    FAULTS = "b"
    OPERATOR = "c"
    REFUSALS = "d"
    ENDS = "e"


@attrs.frozen
class SourceForm:
    """The rows of a source: their order by `time` and then by `key`, which of them belong to it,
    and what each says."""

    row_class: type[attrs.AttrsInstance]
    key: str
    time: str
    which: str
    entry_of: Callable[[Any], Entry]


SOURCES: Mapping[Source, SourceForm] = {
    Source.STARTS: SourceForm(Session, "session_id", "start_time", "confirmed", entry_of_start),
    Source.FAULTS: SourceForm(FaultEvent, "id", "timestamp", "1 = 1", entry_of_fault),
    Source.OPERATOR: SourceForm(OperatorEvent, "id", "timestamp", "1 = 1", entry_of_operator),
    Source.REFUSALS: SourceForm(
        Request, "request_id", "updated_at", REQUEST_ALONE, entry_of_refusal
    ),
    Source.ENDS: SourceForm(Session, "session_id", "end_time", HAS_ENDED, entry_of_end),
}


class HistoryStatements(Statements):
    """Every statement of these for one database."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._time = database.readable_time

    @made_once
    def story(self, source: Source, of_one: bool) -> Question[Listed[Any]]:
        """The newest `count` rows of a source, of `cp_id` alone or of all, from `since` on and
        behind the one with `before_time` and `before`."""
        form = SOURCES[source]
        whose = "cp_id = :cp_id AND " if of_one else ""
        which = (
            f"WHERE {whose}{form.which} AND {form.time} >= :since"
            f" AND ({form.time}, {form.key}) < (:before_time, :before)"
        )
        return self.listed(form.row_class, form.key, form.time, which)

    @cached_property
    def changes(self) -> Question[Change]:
        """The newest `count` fault events of `cp_id` from `since` to `until`, newest first."""
        sql = (
            "SELECT timestamp, event_type FROM fault_events WHERE cp_id = :cp_id"
            f" AND timestamp >= :since AND timestamp < :until AND {NO_REFUSAL}"
            " ORDER BY timestamp DESC, id DESC LIMIT :count"
        )
        return Question(*self._compiled(sql), self._change)

    def _change(self, values: Sequence[Any]) -> Change | None:
        # A page asks for thousands of them: whole rows would take four times as long.
        event_type, when = _EVENT_TYPES.get(values[1]), self._time(values[0])
        return None if event_type is None or when is None else (when, event_type)

    @cached_property
    def minutes(self) -> Question[datetime]:
        """The ends of the network's minutes from the last one before `since` to `until`, in their
        order."""
        before = "(SELECT max(timestamp) FROM network_history WHERE timestamp < :since)"
        sql = (
            f"SELECT timestamp FROM network_history WHERE timestamp >= coalesce({before}, :since)"
            " AND timestamp < :until ORDER BY timestamp, id"
        )
        return Question(*self._compiled(sql), lambda values: self._time(values[0]))

    @cached_property
    def power_of_one(self) -> Question[PowerPoint]:
        """The power of `cp_id` from `since` to `until` as it was written down, in the order of the
        times."""
        return self._power("cp_health_history WHERE cp_id = :cp_id AND")

    @cached_property
    def power_of_all(self) -> Question[PowerPoint]:
        """The same of the network."""
        return self._power("network_history WHERE")

    def _power(self, which: str) -> Question[PowerPoint]:
        sql = (
            f"SELECT timestamp, kw FROM {which} timestamp >= :since AND timestamp < :until"
            " AND kw IS NOT NULL ORDER BY timestamp, id"
        )
        return Question(*self._compiled(sql), self._power_point)

    def _power_point(self, values: Sequence[Any]) -> PowerPoint | None:
        when, kw = self._time(values[0]), values[1]
        return PowerPoint(when, kw) if when is not None and type(kw) is float else None
