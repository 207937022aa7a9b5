"""Sessions: what each charging point should be doing, compared with what it reports.

Every command is repeated each second until the engine's report or record agrees.  A session ends
on its engine's record, or on one of two bounds: its engine's port is gone, or nobody has heard of
it for long.  Central's own absence counts towards neither.
"""

import math
from collections.abc import Iterable

import attrs

from evd.core.central.doubts import doubt_of_telemetry
from evd.core.central.engine_heard import HEARD_LATELY_S
from evd.core.central.events import Effect, PutAside, TelemetryRefused
from evd.core.central.ledger import session_id_for
from evd.core.central.lives import RequestStep, SessionStep
from evd.core.central.point import Point
from evd.core.central.report import Report
from evd.core.central.rows import Request, Session, SessionStatus, Want
from evd.core.central.settlement import Settlement, stray_reason
from evd.core.central.state import State
from evd.core.deadlines import Deadlines
from evd.core.effects import Level, Note
from evd.core.wire.fields import clip
from evd.core.wire.messages import (
    UPDATES,
    DriverUpdate,
    RequestStatus,
    StartSupply,
    StopSupply,
    Telemetry,
)
from evd.core.wire.units import mwh_from_kwh

REPEAT_S = 1.0


@attrs.define(slots=True)
class Watch:
    """One ACTIVE session, by Central's monotonic clock: when its START was first sent, when it was
    last commanded, when it was last heard of.

    `is_doubted`: a reading of it was refused, and the log has told so.
    """

    sent_s: float
    commanded_s: float
    heard_s: float
    is_doubted: bool = False


class Sessions:
    """The ACTIVE sessions, and what engines are told of them."""

    def __init__(self, state: State, settlement: Settlement) -> None:
        self.state = state
        self.settlement = settlement
        self.watches: dict[str, Watch] = {}
        # The sessions that may want something at the next tick; of the others nothing is wanted
        # until they change, or were not heard of for too long.
        self._open: dict[str, None] = {}
        self._lost = Deadlines[str]()
        self._strays_s: dict[str, float] = {}
        self._restarted_s = -math.inf

    def begin(self, request: Request, point: Point) -> list[Effect]:
        """Accept a request: one session at `point`, told to driver and engine."""
        state, report = self.state, point.report
        if report is None:
            raise ValueError(f"{point.cp_id} has not reported: it is not available")
        now_s = state.now.mono_s
        session = Session(
            session_id=session_id_for(request.request_id),
            request_id=request.request_id,
            cp_id=point.cp_id,
            driver_id=request.driver_id,
            start_time=state.now.wall,
            boot_id=report.boot_id,
            until_up_s=point.engine_up_s + state.settings.start_timeout_s,
        )
        accepted = attrs.evolve(
            request,
            cp_id=point.cp_id,
            session_id=session.session_id,
            status=RequestStatus.ACCEPTED,
            updated_at=state.now.wall,
        )
        self.watches[session.session_id] = Watch(now_s, now_s, now_s)
        state.starts_s[session.session_id] = now_s
        return [
            # One commit: a session without its request, or the other way round, can't be.
            state.ledger.save_session(session, SessionStep.BEGUN),
            state.ledger.save_request(accepted, RequestStep.BEGUN),
            *self.settlement.answer(accepted),
            *self._start(session, report.boot_id),
        ]

    def restart_timeouts(self) -> None:
        """Central was away or stood still: silence in that time proves nothing."""
        self._restarted_s = self.state.now.mono_s
        for watch in self.watches.values():
            watch.heard_s = self.state.now.mono_s

    def watch_all(self) -> None:
        """At Central's start: every open session counts as heard now."""
        for session in self.state.ledger.active():
            self._watch(session)
            self._open[session.session_id] = None

    def take_up(self, cp_ids: Iterable[str], session_ids: Iterable[str]) -> None:
        """Look at these sessions and at those of these charging points, which have changed."""
        self._open.update(dict.fromkeys(session_ids))
        for cp_id in cp_ids:
            session = self.state.ledger.active_at(cp_id)
            if session is not None:
                self._open[session.session_id] = None

    def on_report(self, point: Point) -> list[Effect]:
        """Take in what a charging point's engine last reported, or its monitor of it."""
        report = point.report
        if report is None or report.session_id is None:
            return []
        session = self.state.ledger.sessions.get(report.session_id)
        if session is None:
            return self._adopt(point)
        if session.cp_id != point.cp_id:
            # One that another charging point claims is not heard of by that.
            return []
        watch = self.watches.get(report.session_id)
        if watch is not None:
            watch.heard_s = self.state.now.mono_s
        if report.whole and not session.confirmed:
            return self._confirm(session, report.boot_id, report.seq)
        return []

    def goes_on(self, point: Point, now_s: float) -> bool:
        """Note that a charging point is as it was; False where more than that follows."""
        if point.supplies is None:
            return True
        session, watch = self.state.ledger.sessions.get(point.supplies), None
        if session is not None and session.confirmed and session.cp_id == point.cp_id:
            watch = self.watches.get(session.session_id)
        if watch is None:
            return False
        watch.heard_s = now_s
        return True

    def on_telemetry(self, message: Telemetry) -> list[Effect]:
        """Take in the meter of a session, and pass it on to its driver."""
        state = self.state
        session = state.ledger.sessions.get(message.session_id)
        if session is None or session.status is not SessionStatus.ACTIVE:
            return []
        wrong = state.ledger.contradiction(message.session_id, None, message.driver_id)
        if not wrong and message.cp_id != session.cp_id:
            wrong = f"cp_id is not that of {session.session_id}"
        if wrong:
            return [PutAside(message, wrong)]
        if session.boot_id != message.boot_id:
            return []
        point = state.points.get(message.cp_id)
        row = point.row if point is not None else None
        doubt = doubt_of_telemetry(message, row, self._elapsed_s(session))
        if doubt:
            return self._refuse(message, self._watch(session), doubt)
        self._watch(session).heard_s = state.now.mono_s
        effects = [] if session.confirmed else self._confirm(session, message.boot_id, message.seq)
        state.ledger.meter(session.session_id, mwh_from_kwh(message.kwh))
        since_start_s = state.since_start_s(session.session_id)
        state.curves.take(session, (message.kw, message.kwh), state.now, since_start_s)
        if point is not None:
            point.metered(message, state.now)
        request = state.ledger.requests.get(session.request_id)
        if request is not None and not request.status.final:
            progress = DriverUpdate(
                request_id=request.request_id,
                driver_id=request.driver_id,
                cp_id=session.cp_id,
                status=RequestStatus.IN_PROGRESS,
                reason="",
                session_id=session.session_id,
                kw=message.kw,
                kwh=message.kwh,
                euros=message.euros,
            )
            effects += state.send(UPDATES, request.driver_id, progress)
        return effects

    def _refuse(self, message: Telemetry, watch: Watch, doubt: str) -> list[Effect]:
        refused: list[Effect] = [TelemetryRefused(message.cp_id)]
        if not watch.is_doubted:
            watch.is_doubted = True
            text = f"CP {message.cp_id}: telemetry of {message.session_id} is ignored: {doubt}"
            refused.append(Note(Level.WARNING, text))
        return refused

    def _elapsed_s(self, session: Session) -> float | None:
        """Return how long a session may have run by now; None where nobody can say."""
        state = self.state
        elapsed_s = state.since_start_s(session.session_id)
        if elapsed_s is not None or not session.begun_here:
            return elapsed_s
        # Central's clock may have been set back since it began the session, before its restart.
        row_s = (state.now.wall - session.start_time).total_seconds()
        return max(row_s, state.up_s + state.settings.session_lost_after_s)

    def _watch(self, session: Session) -> Watch:
        watch = self.watches.get(session.session_id)
        if watch is None:
            now_s = self.state.now.mono_s
            watch = Watch(now_s, now_s - REPEAT_S, now_s)
            self.watches[session.session_id] = watch
        return watch

    def _confirm(self, session: Session, boot_id: str, seq: int | None) -> list[Effect]:
        if session.status is not SessionStatus.ACTIVE:
            return []
        ledger = self.state.ledger
        confirmed = attrs.evolve(session, confirmed=True, boot_id=boot_id, confirmed_seq=seq)
        effects: list[Effect] = [ledger.save_session(confirmed, SessionStep.CONFIRMED)]
        request = ledger.requests.get(session.request_id)
        if request is not None and request.status is RequestStatus.ACCEPTED:
            runs = attrs.evolve(
                request, status=RequestStatus.IN_PROGRESS, updated_at=self.state.now.wall
            )
            effects.append(ledger.save_request(runs, RequestStep.CONFIRMED))
        return effects

    def trouble(self, point: Point, reason: str) -> list[Effect]:
        """Tell the driver at this charging point what went wrong on the way."""
        state = self.state
        session = state.ledger.active_at(point.cp_id)
        request = session and state.ledger.requests.get(session.request_id)
        if not session or not request or request.status.final:
            return []
        text = (
            f"CP {point.cp_id} has the active session {session.session_id} of "
            f"{session.driver_id}: {reason}"
        )
        update = DriverUpdate(
            request_id=request.request_id,
            driver_id=request.driver_id,
            cp_id=session.cp_id,
            status=RequestStatus.IN_PROGRESS,
            reason=clip(reason),
            session_id=session.session_id,
        )
        note = Note(Level.WARNING, text, about=f"CP {point.cp_id}")
        return [note, *state.send(UPDATES, request.driver_id, update)]

    def stop(self, session: Session, reason: str, *, bill: bool) -> list[Effect]:
        """Want a session to end; its row stays ACTIVE until the engine's record is here.

        Without a bill it is a stray from now on.
        """
        # A stop that is billed may still become one that is not; never the other way round.
        if session.want is Want.STOP and (bill or not session.billable):
            return []
        stopped = attrs.evolve(session, want=Want.STOP, reason=clip(reason))
        if not bill:
            stopped = attrs.evolve(stopped, reason=stray_reason(reason), billable=False, stray=True)
        return [
            self.state.ledger.save_session(stopped, SessionStep.STOPPED),
            *self._tell_stop(stopped),
        ]

    def level(self) -> list[Effect]:
        """Compare what should be with what is; called a few times a second while Kafka is up."""
        effects: list[Effect] = []
        sessions = self.state.ledger.sessions
        self._open.update(dict.fromkeys(self._lost.due(self.state.now.mono_s)))
        for session_id in sorted(self._open):
            session = sessions.get(session_id)
            if session is not None and session.status is SessionStatus.ACTIVE:
                effects += self._level(session)
                session = sessions[session_id]
            if session is None or session.status is not SessionStatus.ACTIVE:
                self._forget(session_id)
            elif self._goes_well(session):
                del self._open[session_id]
                heard_s = self._watch(session).heard_s
                self._lost.by(session_id, heard_s + self.state.settings.session_lost_after_s)
        return [*effects, *self._stop_strays()]

    def _forget(self, session_id: str) -> None:
        for kept in (self._open, self.watches, self.state.starts_s):
            kept.pop(session_id, None)
        self._lost.forget(session_id)

    def _goes_well(self, session: Session) -> bool:
        """Return whether nothing is wanted of it until its row or its charging point changes."""
        point = self.state.points.get(session.cp_id)
        if point is None or point.report is None or not session.confirmed:
            return False
        is_run = session.want is Want.RUN and point.report.session_id == session.session_id
        return is_run and point.refuses_since_s(session.boot_id) is None

    def _level(self, session: Session) -> list[Effect]:
        state, now_s = self.state, self.state.now.mono_s
        watch = self._watch(session)
        point = state.points.get(session.cp_id)
        if now_s - watch.heard_s > state.settings.session_lost_after_s:
            span = round(state.settings.session_lost_after_s)
            return self.settlement.estimate(session, f"nothing was heard of it for {span} s")
        if point is not None and self._engine_gone(session, point, watch):
            span = round(state.settings.engine_gone_after_s)
            return self.settlement.estimate(session, f"its engine was gone for {span} s")
        if now_s - watch.commanded_s >= REPEAT_S:
            watch.commanded_s = now_s
            return self._repeat(session, watch, point)
        return []

    def _engine_gone(self, session: Session, point: Point, watch: Watch) -> bool:
        # Only the end of the boot that ran it is the end of the session.
        refuses_since_s = point.refuses_since_s(session.boot_id)
        if refuses_since_s is None:
            return False
        quiet_since_s = max(refuses_since_s, watch.heard_s)
        return self.state.now.mono_s - quiet_since_s >= self.state.settings.engine_gone_after_s

    def _repeat(self, session: Session, watch: Watch, point: Point | None) -> list[Effect]:
        report = point.report if point is not None else None
        if session.want is Want.STOP:
            return self._tell_stop(session)
        if not session.confirmed:
            boot_id = session.boot_id
            # A row whose boot can't be read names none.
            if boot_id is None or (report is not None and report.boot_id != boot_id):
                return self.stop(session, "its engine restarted before it began", bill=True)
            if self.state.now.mono_s - watch.sent_s <= self.state.settings.start_timeout_s:
                return self._start(session, boot_id)
            return self._not_confirmed(session, watch, point)
        if report is None or point is None or not _says_over(report, session):
            return []
        # Within a boot, one that still meters or is seen by its monitor runs on, whatever its
        # engine is said to have reported.
        wait_s = HEARD_LATELY_S if report.boot_id == session.boot_id else 0.0
        if min(point.heard_s, self.state.now.mono_s - wait_s) <= watch.heard_s:
            return []
        # Ask for its record.
        return self._tell_stop(session)

    def _not_confirmed(self, session: Session, watch: Watch, point: Point | None) -> list[Effect]:
        now_s = self.state.now.mono_s
        effects = self.stop(session, "its engine did not confirm the start in time", bill=True)
        # A START that was said while Kafka was away never reached its engine.
        if self._restarted_s > watch.sent_s:
            return effects
        if point is not None and now_s - point.kafka_heard_s <= HEARD_LATELY_S:
            effects += point.failed(self.state.now)
        return effects

    def _start(self, session: Session, boot_id: str) -> list[Effect]:
        payload = StartSupply(
            session_id=session.session_id,
            request_id=session.request_id,
            driver_id=session.driver_id,
            boot_id=boot_id,
            until_up_s=session.until_up_s,
        )
        return self.state.command(session.cp_id, payload)

    def _tell_stop(self, session: Session) -> list[Effect]:
        point = self.state.points.get(session.cp_id)
        report = point.report if point is not None else None
        boot_id = report.boot_id if report is not None else session.boot_id
        if boot_id is None:
            return []
        payload = StopSupply(
            session_id=session.session_id,
            request_id=session.request_id,
            driver_id=session.driver_id,
            boot_id=boot_id,
            reason=session.reason,
            bill=session.billable,
        )
        return self.state.command(session.cp_id, payload)

    def _stop_strays(self) -> list[Effect]:
        """Stop what an engine runs although it should not, or take it in."""
        now_s, effects = self.state.now.mono_s, list[Effect]()
        for point in self.state.index.strays():
            if not point.heard_lately(now_s):
                continue
            session = self.state.ledger.sessions.get(point.supplies or "")
            if now_s - self._strays_s.get(point.cp_id, -math.inf) < REPEAT_S:
                continue
            self._strays_s[point.cp_id] = now_s
            if session is None:
                effects += self._adopt(point)
            else:
                # To the one that runs it, which may be another than the one that was to.
                reason = session.reason or f"its session is one of {session.cp_id}"
                effects += self._tell_stop(attrs.evolve(session, cp_id=point.cp_id, reason=reason))
        return effects

    def _adopt(self, point: Point) -> list[Effect]:
        """Its engine runs a session that this database does not know: a lost one, or an older."""
        state, report = self.state, point.report
        if (
            report is None
            or report.session_id is None
            or report.request_id is None
            or report.driver_id is None
        ):
            return []
        session = Session(
            session_id=report.session_id,
            request_id=report.request_id,
            cp_id=point.cp_id,
            driver_id=report.driver_id,
            start_time=state.now.wall,
            boot_id=report.boot_id,
            confirmed=True,
            confirmed_seq=report.seq,
        )
        at_point, of_driver = (
            state.ledger.active_at(point.cp_id),
            state.ledger.active_of(report.driver_id),
        )
        others = [other for other in (at_point, of_driver) if other is not None]
        if any(other.cp_id != point.cp_id and self._runs(other) for other in others):
            # Its driver charges elsewhere: end this one.  Its record will be its row.
            return self._tell_stop(attrs.evolve(session, reason="its driver charges elsewhere"))
        if others:
            # The other row is old and its record is on its way; then this one is taken in.
            return []
        now_s = state.now.mono_s
        self.watches[session.session_id] = Watch(now_s, now_s, now_s)
        text = f"CP {point.cp_id} runs {session.session_id}, unknown here: taken in"
        note = Note(Level.WARNING, text, about=f"CP {point.cp_id}")
        request = state.ledger.requests.get(report.request_id)
        if request is not None and request.status.final:
            reason = stray_reason("its request had ended")
            session = attrs.evolve(
                session, want=Want.STOP, billable=False, stray=True, reason=reason
            )
            return [state.ledger.save_session(session, SessionStep.ADOPTED_LATE), note]
        runs = Request(
            request_id=report.request_id,
            driver_id=report.driver_id,
            cp_id=point.cp_id,
            session_id=session.session_id,
            status=RequestStatus.IN_PROGRESS,
            reason="",
            created_at=request.created_at if request else state.now.wall,
            updated_at=state.now.wall,
        )
        return [
            state.ledger.save_session(session, SessionStep.ADOPTED),
            state.ledger.save_request(runs, RequestStep.ADOPTED),
            note,
        ]

    def _runs(self, session: Session) -> bool:
        point = self.state.points.get(session.cp_id)
        return point is not None and point.supplies == session.session_id


def _says_over(report: Report, session: Session) -> bool:
    """Return whether a report says that a confirmed session is over.

    One from before the session was confirmed has nothing to say of it, whenever it comes in.
    """
    if report.session_id == session.session_id:
        return False
    return report.boot_id != session.boot_id or report.seq > (session.confirmed_seq or 0)
