"""The events of the status feed, told from the rows that were stored."""

from collections.abc import Iterable, Iterator

import attrs

from evd.core.central import timeline
from evd.core.central.overview import EventKind, FeedEvent
from evd.core.central.rows import (
    BreakerState,
    FaultEvent,
    HealthSnapshot,
    Image,
    OperatorEvent,
    Removal,
    Request,
    Row,
    Session,
    SessionStatus,
)
from evd.core.effects import Now
from evd.core.wire.messages import RequestStatus

_REFUSALS = (RequestStatus.DENIED, RequestStatus.FAILED)


class FeedEvents:
    """Knows how things stood, and so which rows are news."""

    def __init__(self, image: Image) -> None:
        """Begin with the rows of Central's start."""
        # The ACTIVE ones, each with whether its begin was told.
        self._sessions = {session.session_id: session.confirmed for session in image.sessions}
        # Those that are not CLOSED.
        self._breakers = {
            point.cp_id: point.breaker
            for point in image.charging_points
            if point.breaker is not BreakerState.CLOSED
        }

    def take(self, rows: Iterable[Row], now: Now) -> list[FeedEvent]:
        """Return what these rows, just stored, are news of."""
        events: list[FeedEvent] = []
        for row in rows:
            match row:
                case FaultEvent():
                    events.append(timeline.event_of(timeline.entry_of_fault(row)))
                case OperatorEvent():
                    events.append(timeline.event_of(timeline.entry_of_operator(row)))
                case Session():
                    events += (_told(entry, now) for entry in self._of_session(row))
                case Request() if row.status in _REFUSALS and row.session_id is None:
                    events.append(_told(timeline.entry_of_refusal(row), now))
                case HealthSnapshot():
                    events += self._of_breaker(row)
                case Removal():
                    self._breakers.pop(row.cp_id, None)
        return events

    def _of_session(self, row: Session) -> Iterator[timeline.Entry]:
        is_told = self._sessions.get(row.session_id)
        if row.status is SessionStatus.ACTIVE:
            self._sessions[row.session_id] = row.confirmed
        else:
            self._sessions.pop(row.session_id, None)
            if is_told is None:
                # A record of long ago, or the second one of an estimate.
                return
        if row.confirmed and not is_told:
            yield timeline.entry_of_start(row)
        if row.status is not SessionStatus.ACTIVE:
            yield timeline.entry_of_end(row)

    def _of_breaker(self, row: HealthSnapshot) -> Iterator[FeedEvent]:
        # The charging point's row keeps OPEN also when time has made it HALF_OPEN.
        before = self._breakers.pop(row.cp_id, BreakerState.CLOSED)
        after = row.circuit_breaker_state
        if after is not BreakerState.CLOSED:
            self._breakers[row.cp_id] = after
        if before is not after:
            text = f"{row.cp_id}: circuit breaker {before} -> {after}"
            yield FeedEvent(EventKind.BREAKER, row.cp_id, text, row.timestamp)


def _told(entry: timeline.Entry, now: Now) -> FeedEvent:
    """An entry as it is told when it is stored; its own time may be that of another clock."""
    return timeline.event_of(attrs.evolve(entry, ts=now.wall))
