"""How a session ends: by its engine's record, which settles it once and for good, or by Central's
estimate, which is no bill and waits for the record.  A record that can't be waits for the operator.
"""

import attrs

from evd.core.central.doubts import doubt_of_record
from evd.core.central.events import (
    Accepted,
    Effect,
    JudgementAsked,
    PutAside,
    Refusal,
    Refused,
    Reply,
    Save,
)
from evd.core.central.lives import RequestStep, SessionStep
from evd.core.central.rows import Request, Session, SessionStatus
from evd.core.central.state import State
from evd.core.effects import Level, Note
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

_STRAY = "stray: "


def stray_reason(why: str) -> str:
    """Return the reason of a stray, which says that it is one; `why` may say so already.

    An engine repeats the reason of its STOP.
    """
    return clip(_STRAY + why.removeprefix(_STRAY))


class Settlement:
    """The ends of sessions, and what their drivers are told."""

    def __init__(self, state: State) -> None:
        self.state = state

    def answer(self, request: Request) -> list[Effect]:
        """Tell a driver where its request stands, as it was told before."""
        if request.status is RequestStatus.PENDING:
            return []
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
        return self.state.send(UPDATES, request.driver_id, update)

    def estimate(self, session: Session, why: str) -> list[Effect]:
        """Close without the engine's record.  An estimate is no bill; the record settles it."""
        text = f"Session {session.session_id} at CP {session.cp_id} closed as an estimate: {why}"
        closed = attrs.evolve(
            session,
            status=SessionStatus.FAILED,
            estimated=True,
            energy_mwh=self.state.ledger.metered_mwh(session),
            end_time=self.state.now.wall,
            reason=stray_reason(why) if session.stray else clip(f"estimated: {why}"),
        )
        return [
            Note(Level.WARNING, text),
            *self._close(closed, SessionStep.ESTIMATED, closed.reason),
        ]

    def on_record(self, record: SessionRecord) -> list[Effect]:
        """Take in an engine's record: the one thing that settles a session."""
        state = self.state
        session = state.ledger.sessions.get(record.session_id)
        point = state.points.get(record.cp_id)
        wrong = state.ledger.contradiction(record.session_id, record.request_id, record.driver_id)
        if session is not None and not session.settled:
            wrong = wrong or self._from_elsewhere(session, record.cp_id)
        if wrong:
            return [PutAside(record, wrong)]
        if record.started_at is None:
            # Another charging point knows nothing of it, and says nothing of the one that may.
            mine = session is not None and session.cp_id == record.cp_id
            if session is None or not mine or session.status is not SessionStatus.ACTIVE:
                return []
            if point is not None and point.supplies == session.session_id:
                text = (
                    f"CP {record.cp_id} is said never to have begun {session.session_id}, and"
                    " reports that it runs it: ignored"
                )
                # An engine that has lost it reports so, and is asked again.
                return [Note(Level.WARNING, text, about=f"CP {record.cp_id}")]
            return self._never_began(session, record)
        effects: list[Effect] = []
        if session is None or not (session.settled or session.suspect):
            effects += self._settle(session or self._unknown(record), record)
            # A record of a session that is not known here is old: it says nothing of today.
            if point is not None and session is not None:
                effects += point.failed(state.now) if record.fault else point.succeeded(state.now)
        elif session.energy_mwh != mwh_from_kwh(record.kwh) or session.cp_id != record.cp_id:
            text = (
                f"CP {record.cp_id} sent a second, different record of {record.session_id}: "
                "the first one stands"
            )
            effects.append(Note(Level.WARNING, text, about=f"CP {record.cp_id}"))
        return [*effects, *state.command(record.cp_id, SessionRecorded(record.session_id))]

    def _from_elsewhere(self, session: Session, cp_id: str) -> str:
        """Return why another charging point can't have delivered a session; empty where it can."""
        if cp_id == session.cp_id:
            return ""
        if cp_id not in self.state.points:
            return f"cp_id is not that of {session.session_id}, and not registered here"
        owner = self.state.points.get(session.cp_id)
        if owner is not None and owner.supplies == session.session_id:
            return f"cp_id is not {session.cp_id}, which says that it runs {session.session_id}"
        return ""

    def on_judgement_asked(self, event: JudgementAsked) -> list[Effect]:
        """Bill a suspect session as it was recorded, or at 0: once and for good."""
        session = self.state.ledger.sessions.get(event.session_id)
        if session is None:
            why = f"session_id {event.session_id} is not known"
            return [Reply(event.call, Refused(Refusal.UNKNOWN, why, "session_id"))]
        if not session.suspect:
            why = f"session_id {event.session_id} is not suspect, or was judged already"
            return [Reply(event.call, Refused(Refusal.CONFLICT, why, "session_id"))]
        verdict = "accepted" if event.accept else "voided"
        judged = attrs.evolve(
            session,
            cost_cents=session.recorded_cents if event.accept else 0,
            reason=clip(f"{verdict} by the operator; {session.reason}"),
            suspect=False,
            settled=True,
        )
        return [
            self.state.ledger.save_session(judged, SessionStep.JUDGED),
            Note(Level.WARNING, f"Session {session.session_id} was {verdict} by the operator"),
            Reply(event.call, Accepted()),
        ]

    def _unknown(self, record: SessionRecord) -> Session:
        return Session(
            session_id=record.session_id,
            request_id=record.request_id,
            cp_id=record.cp_id,
            driver_id=record.driver_id,
            start_time=record.started_at or record.ended_at,
        )

    def _never_began(self, session: Session, record: SessionRecord) -> list[Effect]:
        # Heard to run and now unknown to its engine: that engine lost its disk, and this reading
        # is all that is left.
        closed = attrs.evolve(
            session,
            status=SessionStatus.FAILED,
            estimated=session.confirmed,
            energy_mwh=self.state.ledger.metered_mwh(session),
            # A record may still settle it, if it began and is billable.
            cost_cents=None if session.confirmed or session.billable else 0,
            end_time=self.state.now.wall,
            reason=stray_reason(record.reason) if session.stray else record.reason,
        )
        return self._close(closed, SessionStep.NEVER_BEGAN, record.reason)

    def _settle(self, session: Session, record: SessionRecord) -> list[Effect]:
        billable = session.billable and record.bill
        stray = session.stray or not record.bill
        reason = record.reason
        if stray:
            reason = stray_reason(reason or "its request had ended")
        if record.cp_id != session.cp_id:
            # A session's charging point never changes.
            reason = f"{reason + '; ' if reason else ''}delivered by {record.cp_id}"
        doubt = self._doubt(record) if billable else ""
        if doubt:
            reason = f"suspect: {doubt}{'; ' if reason else ''}{reason}"
        cost_cents = cents_from_euros(record.euros) if billable else 0
        settled = attrs.evolve(
            session,
            status=SessionStatus(record.outcome.value),
            # A station's clock may be any: a session that began here has Central's own start.
            start_time=(
                session.start_time if session.begun_here else record.started_at or record.ended_at
            ),
            end_time=record.ended_at,
            energy_mwh=mwh_from_kwh(record.kwh),
            cost_cents=None if doubt else cost_cents,
            recorded_cents=cost_cents if doubt else None,
            reason=clip(reason),
            estimated=False,
            confirmed=True,
            billable=billable,
            stray=stray,
            settled=not doubt,
            suspect=bool(doubt),
        )
        # A session of a request that has no status yet ends as its record says, but never as
        # COMPLETED where nothing is billed.
        if not doubt:
            done = record.outcome is Outcome.COMPLETED and billable
            return self._close(settled, SessionStep.RECORDED, record.reason, done=done)
        text = f"Session {session.session_id} at CP {record.cp_id} waits for the operator: {doubt}"
        # Its driver has charged; the operator alone judges the bill.
        closed = self._close(settled, SessionStep.SUSPECTED, settled.reason, done=True)
        return [Note(Level.WARNING, text, about=f"CP {record.cp_id}"), *closed]

    def _doubt(self, record: SessionRecord) -> str:
        point = self.state.points.get(record.cp_id)
        elapsed_s = self.state.since_start_s(record.session_id)
        return doubt_of_record(record, point.row if point is not None else None, elapsed_s)

    def _close(
        self, session: Session, step: SessionStep, reason: str, *, done: bool = False
    ) -> list[Effect]:
        """A session's end and its request's final status: one commit, then one answer."""
        state = self.state
        effects: list[Effect] = [state.ledger.save_session(session, step)]
        curve = state.curves.end(session.session_id)
        if curve is not None:
            effects.append(Save(curve))
        point = state.points.get(session.cp_id)
        if point is not None:
            # Its driver is free again; an engine that runs it still will say so again.
            point.freed(session.session_id, state.now.mono_s)
        request = state.ledger.requests.get(session.request_id)
        if request is not None and request.status.final:
            return effects
        flowed = session.energy_mwh > 0
        final = Request(
            request_id=session.request_id,
            driver_id=session.driver_id,
            cp_id=session.cp_id,
            session_id=session.session_id,
            status=RequestStatus.COMPLETED if done else RequestStatus.FAILED,
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
        ended = RequestStep.COMPLETED if done else RequestStep.FAILED
        effects.append(state.ledger.save_request(final, ended))
        if request is not None:
            # Nobody here is told of a request that nobody here knows.
            effects += self.answer(final)
        return effects
