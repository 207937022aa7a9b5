"""The story of one charging point, as one list: what each stored row says of it."""

from datetime import datetime
from enum import StrEnum

import attrs

from evd.core.central.rows import (
    FaultEvent,
    OperatorEvent,
    OperatorEventType,
    Request,
    Session,
)
from evd.core.wire.messages import RequestStatus
from evd.core.wire.units import euros_from_cents, kwh_from_mwh


class EntryKind(StrEnum):
    """The kinds of entries."""

    FAULT = "FAULT"
    RECOVERY = "RECOVERY"
    DISCONNECTED = "DISCONNECTED"
    RECONNECTED = "RECONNECTED"
    STOPPED = "STOPPED"
    RESUMED = "RESUMED"
    SESSION_STARTED = "SESSION_STARTED"
    SESSION_ENDED = "SESSION_ENDED"
    REFUSED = "REFUSED"


@attrs.frozen(slots=True)
class Entry:
    """One thing that happened; the ids, kWh and euros are null where it has none."""

    kind: EntryKind
    ts: datetime
    text: str
    session_id: str | None = None
    request_id: str | None = None
    driver_id: str | None = None
    kwh: float | None = None
    euros: float | None = None


_DONE = {
    OperatorEventType.STOPPED: "stopped by the operator",
    OperatorEventType.RESUMED: "resumed by the operator",
}


def entry_of_fault(row: FaultEvent) -> Entry:
    """A fault, a recovery, a connection that was lost or is back."""
    return Entry(EntryKind(row.event_type.value), row.timestamp, row.reason)


def entry_of_operator(row: OperatorEvent) -> Entry:
    """A stop or a resume."""
    return Entry(EntryKind(row.event_type.value), row.timestamp, _DONE[row.event_type])


def entry_of_start(row: Session) -> Entry:
    """The begin of a session."""
    return Entry(
        EntryKind.SESSION_STARTED,
        row.start_time,
        f"{row.driver_id} began to charge",
        row.session_id,
        row.request_id,
        row.driver_id,
    )


def entry_of_end(row: Session) -> Entry:
    """The end of a session, or that it never began."""
    what = f"the session of {row.driver_id} ended {row.status.value}"
    if not row.confirmed:
        what = f"the session of {row.driver_id} never began"
    euros = None if row.cost_cents is None else euros_from_cents(row.cost_cents)
    return Entry(
        EntryKind.SESSION_ENDED,
        row.end_time or row.start_time,
        f"{what}: {row.reason}" if row.reason else what,
        row.session_id,
        row.request_id,
        row.driver_id,
        kwh_from_mwh(row.energy_mwh),
        euros,
    )


def entry_of_refusal(row: Request) -> Entry:
    """A request that got no session, and why."""
    what = "was refused" if row.status is RequestStatus.DENIED else "got no session"
    return Entry(
        EntryKind.REFUSED,
        row.updated_at,
        f"{row.driver_id} {what}: {row.reason}",
        None,
        row.request_id,
        row.driver_id,
    )
