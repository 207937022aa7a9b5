"""How a session ends: by its engine's record, which settles it once and for good, or by Central's
estimate, which is no bill and waits for the record."""

import attrs

from evd.core.central.point import Point
from evd.core.central.rows import Request, Session, SessionStatus
from evd.core.central.state import State
from evd.core.effects import Level
from evd.core.wire.fields import clip
from evd.core.wire.messages import (
    UPDATES,
    DriverUpdate,
    Outcome,
    RequestStatus,
    SessionRecord,
    SessionRecorded,
)
from evd.core.wire.units import cents_from_euros, euros_from_cents, kwh_from_mwh, mwh_from_kwh

STRAY = "stray"


class Settlement:
    """The ends of sessions, and what their drivers are told."""

    def __init__(self, state: State) -> None:
        self.state = state

    def answer(self, request: Request) -> None:
        """Tell a driver where its request stands, as it was told before."""
        if request.status is RequestStatus.PENDING:
            return
        update = DriverUpdate(
            request_id=request.request_id,
            driver_id=request.driver_id,
            cp_id=request.cp_id,
            status=request.status,
            reason=clip(request.reason),
            session_id=request.session_id,
            kwh=request.kwh,
            euros=request.euros,
        )
        self.state.send(UPDATES, request.driver_id, update)

    def estimate(self, session: Session, why: str) -> None:
        """Close without the engine's record.  An estimate is no bill; the record settles it."""
        state = self.state
        state.note(
            Level.WARNING,
            f"Session {session.session_id} at CP {session.cp_id} closed as an estimate: {why}",
        )
        closed = attrs.evolve(
            session,
            status=SessionStatus.FAILED,
            estimated=True,
            energy_mwh=self._metered(session),
            end_time=state.now.wall,
            reason=clip(f"estimated: {why}" if session.billable else f"{STRAY}: {why}"),
        )
        self._close(closed, RequestStatus.FAILED, closed.reason)

    def recorded(self, record: SessionRecord) -> None:
        """An engine's record came in: the one thing that settles a session."""
        state = self.state
        session = state.ledger.sessions.get(record.session_id)
        point = state.points.get(record.cp_id)
        if record.started_at is None:
            if session is not None and session.status is SessionStatus.ACTIVE:
                self._never_began(session, record)
            return
        if session is None or not session.settled:
            self._settle(session or self._unknown(record), record)
            # A record of a session that is not known here is old: it says nothing of today.
            if point is not None and session is not None:
                self._judge(point, record)
        elif session.energy_mwh != mwh_from_kwh(record.kwh) or session.cp_id != record.cp_id:
            state.note(
                Level.WARNING,
                f"CP {record.cp_id} sent a second, different record of {record.session_id}: "
                "the first one stands",
            )
        state.command(record.cp_id, SessionRecorded(record.session_id))

    def _unknown(self, record: SessionRecord) -> Session:
        return Session(
            session_id=record.session_id,
            request_id=record.request_id,
            cp_id=record.cp_id,
            driver_id=record.driver_id,
            start_time=record.started_at or record.ended_at,
        )

    def _judge(self, point: Point, record: SessionRecord) -> None:
        now_s = self.state.now.mono_s
        breaker = point.breaker.at(now_s)
        self.state.save_breaker(
            point, breaker.failed(now_s) if record.fault else breaker.succeeded()
        )

    def _never_began(self, session: Session, record: SessionRecord) -> None:
        # Heard to run and now unknown to its engine: that engine lost its disk, and this reading
        # is all that is left.
        closed = attrs.evolve(
            session,
            status=SessionStatus.FAILED,
            estimated=session.confirmed,
            energy_mwh=self._metered(session),
            # What began and is billable may still be settled by a record.
            cost_cents=None if session.confirmed or session.billable else 0,
            end_time=self.state.now.wall,
            reason=record.reason if session.billable else clip(f"{STRAY}: {record.reason}"),
        )
        self._close(closed, RequestStatus.FAILED, record.reason)

    def _settle(self, session: Session, record: SessionRecord) -> None:
        billable = session.billable and record.bill
        reason = record.reason
        if not billable and not reason.startswith(STRAY):
            reason = f"{STRAY}: {reason or 'its request had ended'}"
        if record.cp_id != session.cp_id:
            # Whose a session is never changes.
            reason = f"{reason + '; ' if reason else ''}delivered by {record.cp_id}"
        settled = attrs.evolve(
            session,
            status=SessionStatus(record.outcome.value),
            start_time=record.started_at or session.start_time,
            end_time=record.ended_at,
            energy_mwh=mwh_from_kwh(record.kwh),
            cost_cents=cents_from_euros(record.euros) if billable else 0,
            reason=clip(reason),
            estimated=False,
            confirmed=True,
            billable=billable,
            settled=True,
        )
        # A session of a request that has no status yet ends as its record says, but never as
        # COMPLETED where nothing is billed.
        done = record.outcome is Outcome.COMPLETED and billable
        self._close(
            settled, RequestStatus.COMPLETED if done else RequestStatus.FAILED, record.reason
        )

    def _metered(self, session: Session) -> int:
        return max(session.energy_mwh, self.state.meters_mwh.get(session.session_id, 0))

    def _close(self, session: Session, status: RequestStatus, reason: str) -> None:
        """A session's end and its request's final status: one commit, then one answer."""
        state = self.state
        state.save_session(session)
        state.meters_mwh.pop(session.session_id, None)
        point = state.points.get(session.cp_id)
        if point is not None:
            point.idle_since_s = state.now.mono_s
            # Its driver is free again; an engine that runs it still will say so again.
            point.forget_session(session.session_id)
        request = state.ledger.requests.get(session.request_id)
        if request is not None and request.status.final:
            return
        flowed = session.energy_mwh > 0
        final = Request(
            request_id=session.request_id,
            driver_id=session.driver_id,
            cp_id=session.cp_id,
            session_id=session.session_id,
            status=status,
            reason=reason,
            created_at=request.created_at if request is not None else session.start_time,
            updated_at=state.now.wall,
            kwh=kwh_from_mwh(session.energy_mwh) if flowed else None,
            euros=(
                euros_from_cents(session.cost_cents)
                if flowed and session.cost_cents is not None
                else None
            ),
        )
        state.save_request(final)
        if request is not None:
            # Of a request that nobody here knows, nobody here is told.
            self.answer(final)
