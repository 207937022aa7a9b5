"""The story of a charging point or of the network, as one list: what each stored row says of it."""

from datetime import datetime

import attrs

from evd.core.central.overview import EventKind, FeedEvent
from evd.core.central.rows import FaultEvent, OperatorEvent, Request, Session
from evd.core.wire.messages import RequestStatus
from evd.core.wire.units import euros_from_cents, kwh_from_mwh


@attrs.frozen(slots=True)
class Entry:
    """One thing that happened; the ids, kWh and euros are null where it has none, and so is `who`
    did it where nobody did or nobody knows."""

    kind: EventKind
    cp_id: str | None
    ts: datetime
    text: str
    session_id: str | None = None
    request_id: str | None = None
    driver_id: str | None = None
    kwh: float | None = None
    euros: float | None = None
    who: str | None = None


def entry_of_fault(row: FaultEvent) -> Entry:
    """A fault, a recovery, a connection that was lost, is back or was refused."""
    return Entry(EventKind(row.event_type.value), row.cp_id, row.timestamp, row.reason)


def entry_of_operator(row: OperatorEvent) -> Entry:
    """A stop, a resume or a shutdown."""
    did = row.event_type
    return Entry(EventKind(did.value), row.cp_id, row.timestamp, did.done, who=row.who)


def entry_of_start(row: Session) -> Entry:
    """The begin of a session."""
    return Entry(
        EventKind.SESSION_STARTED,
        row.cp_id,
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
        EventKind.SESSION_ENDED,
        row.cp_id,
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
        EventKind.REFUSED,
        row.cp_id,
        row.updated_at,
        f"{row.driver_id} {what}: {row.reason}",
        None,
        row.request_id,
        row.driver_id,
    )


def event_of(entry: Entry) -> FeedEvent:
    """The same for the feed, where it stands among those of other charging points."""
    amounts = f"{entry.kwh:.3f} kWh" if entry.kwh else ""
    if amounts and entry.euros is not None:
        amounts += f", {entry.euros:.2f} euros"
    text, cp_id = entry.text, entry.cp_id
    if cp_id is not None and cp_id not in text.split():
        text = f"{cp_id}: {text}"
    return FeedEvent(
        entry.kind,
        entry.cp_id,
        f"{text} ({amounts})" if amounts else text,
        entry.ts,
        entry.session_id,
        entry.request_id,
        entry.driver_id,
    )
