"""How reliable each charging point was over a span, worked out from its fault events.

An outage is a time in which a charging point's engine was faulty or its monitor not connected, or
both: it begins with the first of the two and ends with the last.

    uptime = time up / time observed
    MTBF   = time up / outages that began
    MTTR   = time of the outages that ended / their number

Times are what was written down: of events that were written late, or by a clock that was set back,
the times count and not the order of the rows.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import attrs

from evd.core.central.rows import EventType, FaultEvent, ShownState


@attrs.frozen(slots=True)
class Opening:
    """How a charging point stood when the span began.

    `known_since`: from when anything is known of it; None: from its first event on.
    `known_until`: what comes after is not known, as of one that was removed; None: all is.
    """

    cp_id: str
    known_since: datetime | None = None
    known_until: datetime | None = None
    faulty: bool = False
    disconnected: bool = False


@attrs.define(slots=True)
class Condition:
    """How a charging point stands after its events so far."""

    faulty: bool = False
    disconnected: bool = False

    @property
    def is_down(self) -> bool:
        """Whether it is not ON."""
        return self.faulty or self.disconnected

    @property
    def shown(self) -> ShownState:
        """The state that is shown for it."""
        if self.disconnected:
            return ShownState.DISCONNECTED
        return ShownState.BROKEN if self.faulty else ShownState.ON

    def take(self, event_type: EventType) -> None:
        """Take its next event."""
        match event_type:
            case EventType.FAULT:
                self.faulty = True
            case EventType.RECOVERY:
                self.faulty = False
            case EventType.DISCONNECTED:
                self.disconnected = True
            case EventType.RECONNECTED:
                self.disconnected = False


@attrs.frozen(slots=True)
class FaultStatistics:
    """The counts and figures of one charging point; `uptime` is a share from 0 to 1.

    A figure is None where nothing can be said: no outage began or ended, nothing was observed.
    """

    cp_id: str
    faults: int
    recoveries: int
    disconnections: int
    mtbf_s: float | None
    mttr_s: float | None
    uptime: float | None


def fault_statistics(
    openings: Iterable[Opening],
    events: Iterable[FaultEvent],
    since: datetime,
    until: datetime,
) -> list[FaultStatistics]:
    """The figures from `since` to `until`, by cp_id.

    `events` come in the order of their times.  A charging point that has events and no opening
    counts from its first event on.
    """
    tallies = {opening.cp_id: _Tally(opening, since, until) for opening in openings}
    for event in events:
        if event.event_type is EventType.REFUSED:
            continue
        tally = tallies.get(event.cp_id)
        if tally is None:
            tally = tallies[event.cp_id] = _Tally(Opening(event.cp_id), since, until)
        tally.take(event)
    return [tallies[cp_id].result() for cp_id in sorted(tallies)]


class _Tally:
    """The count of one charging point so far."""

    def __init__(self, opening: Opening, since: datetime, until: datetime) -> None:
        self._cp_id = opening.cp_id
        self._since = since
        known_since, known_until = opening.known_since, opening.known_until
        self._until = until if known_until is None else max(since, min(known_until, until))
        self._at = None if known_since is None else max(since, min(known_since, self._until))
        self._condition = Condition(opening.faulty, opening.disconnected)
        self._counts = dict.fromkeys(EventType, 0)
        self._up = timedelta()
        self._down = timedelta()
        self._begun_count = 0
        self._ended_count = 0
        self._ended = timedelta()
        self._outage = timedelta()

    def take(self, event: FaultEvent) -> None:
        """Count the event, and the time until it."""
        self._pass_to(event.timestamp)
        self._counts[event.event_type] += 1
        was_down = self._condition.is_down
        self._condition.take(event.event_type)
        is_down = self._condition.is_down
        if is_down and not was_down:
            self._begun_count += 1
            self._outage = timedelta()
        elif was_down and not is_down:
            self._ended_count += 1
            self._ended += self._outage

    def result(self) -> FaultStatistics:
        """The figures, the time until the span's end included."""
        if self._at is not None:
            self._pass_to(self._until)
        observed = self._up + self._down
        return FaultStatistics(
            self._cp_id,
            self._counts[EventType.FAULT],
            self._counts[EventType.RECOVERY],
            self._counts[EventType.DISCONNECTED],
            self._up.total_seconds() / self._begun_count if self._begun_count else None,
            self._ended.total_seconds() / self._ended_count if self._ended_count else None,
            self._up / observed if observed else None,
        )

    def _pass_to(self, when: datetime) -> None:
        at = max(self._since, min(when, self._until))
        if self._at is None or at < self._at:
            # Nothing was observed before the first event; and no time passes backwards.
            self._at = self._at or at
            return
        passed = at - self._at
        self._at = at
        if self._condition.is_down:
            self._down += passed
            self._outage += passed
        else:
            self._up += passed
