"""The events of the status feed, told from the rows that were stored."""

from collections.abc import Iterable, Iterator

from evd.core.central.overview import FeedEvent, FeedEventKind
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    Image,
    Removal,
    Request,
    Row,
    Session,
    SessionStatus,
)
from evd.core.effects import Now
from evd.core.wire.messages import RequestStatus
from evd.core.wire.units import euros_from_cents, kwh_from_mwh

_FAULT_TEXTS = {
    EventType.FAULT: "has a fault",
    EventType.RECOVERY: "recovered",
    EventType.DISCONNECTED: "is disconnected",
    EventType.RECONNECTED: "is connected again",
}
_REFUSALS = (RequestStatus.DENIED, RequestStatus.FAILED)


class FeedEvents:
    """Knows how things stood, and so which rows are news."""

    def __init__(self, image: Image) -> None:
        """Begin with the rows of Central's start."""
        self._sessions = {session.session_id for session in image.sessions}
        self._stopped = {point.cp_id for point in image.charging_points if point.stopped}
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
                    events.append(_of_fault(row))
                case Session():
                    events += self._of_session(row, now)
                case Request() if row.status in _REFUSALS and row.session_id is None:
                    events.append(_of_refusal(row, now))
                case ChargingPoint():
                    events += self._of_point(row, now)
                case HealthSnapshot():
                    events += self._of_breaker(row)
                case Removal():
                    self._stopped.discard(row.cp_id)
                    self._breakers.pop(row.cp_id, None)
        return events

    def _of_session(self, row: Session, now: Now) -> Iterator[FeedEvent]:
        was_active = row.session_id in self._sessions
        if row.status is SessionStatus.ACTIVE and not was_active:
            self._sessions.add(row.session_id)
            text = f"{row.cp_id} begins a session of {row.driver_id}"
            yield _event(FeedEventKind.SESSION_STARTED, row, text, now)
        elif row.status is not SessionStatus.ACTIVE and was_active:
            self._sessions.remove(row.session_id)
            amounts = f"{kwh_from_mwh(row.energy_mwh):.3f} kWh"
            if row.cost_cents is not None:
                amounts += f", {euros_from_cents(row.cost_cents):.2f} euros"
            text = f"{row.cp_id} ended a session of {row.driver_id}: {row.status}, {amounts}"
            yield _event(FeedEventKind.SESSION_ENDED, row, text + _because(row.reason), now)

    def _of_point(self, row: ChargingPoint, now: Now) -> Iterator[FeedEvent]:
        if row.stopped and row.cp_id not in self._stopped:
            self._stopped.add(row.cp_id)
            text = f"{row.cp_id} is out of service{_because(row.stop_reason)}"
            yield FeedEvent(FeedEventKind.STOPPED, row.cp_id, text, now.wall)
        elif not row.stopped and row.cp_id in self._stopped:
            self._stopped.remove(row.cp_id)
            text = f"{row.cp_id} is in service again"
            yield FeedEvent(FeedEventKind.RESUMED, row.cp_id, text, now.wall)

    def _of_breaker(self, row: HealthSnapshot) -> Iterator[FeedEvent]:
        # The charging point's row keeps OPEN also when time has made it HALF_OPEN.
        before = self._breakers.pop(row.cp_id, BreakerState.CLOSED)
        after = row.circuit_breaker_state
        if after is not BreakerState.CLOSED:
            self._breakers[row.cp_id] = after
        if before is not after:
            text = f"{row.cp_id}: circuit breaker {before} -> {after}"
            yield FeedEvent(FeedEventKind.BREAKER, row.cp_id, text, row.timestamp)


def _event(kind: FeedEventKind, row: Session, text: str, now: Now) -> FeedEvent:
    return FeedEvent(kind, row.cp_id, text, now.wall, row.session_id, row.request_id, row.driver_id)


def _of_fault(row: FaultEvent) -> FeedEvent:
    text = f"{row.cp_id} {_FAULT_TEXTS[row.event_type]}{_because(row.reason)}"
    return FeedEvent(FeedEventKind(row.event_type.value), row.cp_id, text, row.timestamp)


def _of_refusal(row: Request, now: Now) -> FeedEvent:
    where = f" at {row.cp_id}" if row.cp_id is not None else ""
    text = f"{row.driver_id} gets no session{where}{_because(row.reason)}"
    return FeedEvent(
        FeedEventKind.REFUSED,
        row.cp_id,
        text,
        now.wall,
        request_id=row.request_id,
        driver_id=row.driver_id,
    )


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
