"""Requests: asked again and again by their drivers, decided once, answered the same ever after.

A START is begun only on a beacon of this Central's own, less than 5 s old by its own clock, so
nothing that lay in a queue is carried out.  It is decided once all that was read with it has been
handed in: a CANCEL that stands behind it counts first.
"""

import attrs

from evd.core.central.events import (
    Accepted,
    ChargeAsked,
    Effect,
    PutAside,
    Refusal,
    Refused,
    Reply,
    RequestEndAsked,
    SessionStopAsked,
)
from evd.core.central.ledger import session_id_for
from evd.core.central.lives import RequestStep
from evd.core.central.point import Point
from evd.core.central.point_index import finds_its_place, is_back
from evd.core.central.rows import Request, Session, SessionStatus
from evd.core.central.sessions import Sessions
from evd.core.central.settlement import Settlement
from evd.core.central.state import State
from evd.core.wire.messages import Action, DriverRequest, RequestStatus, Seen

CANCELLED = "cancelled"
BEACON_AGE_S_MAX = 5.0
# More waiting requests than this are left for their drivers to repeat.
WAITING_MAX = 10_000


@attrs.frozen(slots=True)
class Waiting:
    """A request that is not decided yet, come at the monotonic `since_s`.

    `seen` is None for a call's, which is stored and not repeated.
    """

    request_id: str
    driver_id: str
    cp_id: str | None
    action: Action
    seen: Seen | None
    since_s: float


class Requests:
    """The requests that are open, and those that wait for their decision."""

    def __init__(self, state: State, sessions: Sessions, settlement: Settlement) -> None:
        self.state = state
        self.settlement = settlement
        self.sessions = sessions
        self.waiting: dict[str, Waiting] = {}

    def fail_undecided(self) -> list[Effect]:
        """At Central's start: end the requests that were never decided and nobody will repeat."""
        effects: list[Effect] = []
        for row in list(self.state.ledger.requests.values()):
            if row.status is RequestStatus.PENDING:
                effects += self._give_up(row, "Central restarted before it was decided")
        return effects

    def holds_back(self) -> str:
        """Return why Central begins no session now; empty when it does."""
        state = self.state
        if state.meta.recovering:
            left = ", ".join(sorted(state.meta.recovering)[:5])
            return f"Central's database was restored and waits for the records of {left}"
        if not state.speaks:
            return "no charging point has registered with this Central yet"
        if state.in_grace:
            return "Central has just started"
        return ""

    def on_driver_request(self, message: DriverRequest) -> list[Effect]:
        """Take in what a driver asks: answer it at once, or let it wait for its decision."""
        row = self.state.ledger.requests.get(message.request_id)
        if self._is_anothers(message.request_id, message.driver_id):
            return [PutAside(message, f"driver_id is not that of {message.request_id}")]
        if message.action is Action.CANCEL:
            return self.cancel(message.request_id, message.driver_id, message.cp_id)
        if row is not None and message.action is Action.STOP:
            return self._stop(row)
        if row is not None and row.status is not RequestStatus.PENDING:
            return self.settlement.answer(row)
        before = self.waiting.get(message.request_id)
        if row is None and (before is not None or len(self.waiting) < WAITING_MAX):
            self.waiting[message.request_id] = Waiting(
                message.request_id,
                message.driver_id,
                message.cp_id,
                message.action,
                message.seen,
                before.since_s if before is not None else self.state.now.mono_s,
            )
        return []

    def _is_anothers(self, request_id: str, driver_id: str) -> bool:
        """Return whether another driver's request has this id, decided or not."""
        known = self.state.ledger.requests.get(request_id) or self.waiting.get(request_id)
        return known is not None and known.driver_id != driver_id

    def on_charge_asked(self, event: ChargeAsked) -> list[Effect]:
        """Store a request of a caller that will not repeat it."""
        state = self.state
        row = state.ledger.requests.get(event.request_id)
        if self._is_anothers(event.request_id, event.driver_id):
            why = f"request_id {event.request_id} is another driver's"
            return [_refuse(event, Refusal.CONFLICT, why, "request_id")]
        if row is not None:
            return [Reply(event.call, Accepted())]
        why = self.holds_back()
        if why:
            return [_refuse(event, Refusal.UNAVAILABLE, why)]
        row = self._new(event.request_id, event.driver_id, event.cp_id)
        self.waiting[row.request_id] = Waiting(
            row.request_id, row.driver_id, row.cp_id, Action.START, None, state.now.mono_s
        )
        return [state.ledger.save_request(row, RequestStep.STORED), Reply(event.call, Accepted())]

    def on_request_end_asked(self, event: RequestEndAsked) -> list[Effect]:
        """Cancel a request, or stop its session."""
        row = self.state.ledger.requests.get(event.request_id)
        if row is None:
            why = f"request_id {event.request_id} is not known"
            return [_refuse(event, Refusal.UNKNOWN, why, "request_id")]
        if row.status.final:
            why = f"request_id {event.request_id} has ended"
            return [_refuse(event, Refusal.CONFLICT, why, "request_id")]
        session = self._session_of(row)
        if session is not None and session.confirmed:
            effects = self._stop(row)
        else:
            effects = self.cancel(row.request_id, row.driver_id, row.cp_id)
        return [*effects, Reply(event.call, Accepted())]

    def on_session_stop_asked(self, event: SessionStopAsked) -> list[Effect]:
        """Stop a session at the operator's word."""
        session = self.state.ledger.sessions.get(event.session_id)
        if session is None:
            why = f"session_id {event.session_id} is not known"
            return [_refuse(event, Refusal.UNKNOWN, why, "session_id")]
        if session.status is not SessionStatus.ACTIVE:
            why = f"session_id {event.session_id} has ended"
            return [_refuse(event, Refusal.CONFLICT, why, "session_id")]
        effects = self.sessions.stop(session, "stopped by the operator", bill=True)
        return [*effects, Reply(event.call, Accepted())]

    def _new(self, request_id: str, driver_id: str, cp_id: str | None) -> Request:
        now = self.state.now.wall
        return Request(request_id, driver_id, cp_id, None, RequestStatus.PENDING, "", now, now)

    def _session_of(self, row: Request) -> Session | None:
        return self.state.ledger.sessions.get(row.session_id) if row.session_id else None

    def cancel(self, request_id: str, driver_id: str, cp_id: str | None) -> list[Effect]:
        """Its driver has given up: FAILED, whatever became of it, and what began is stray."""
        self.waiting.pop(request_id, None)
        row = self.state.ledger.requests.get(request_id)
        if row is None:
            # Stored although unknown: a START of it that is still on its way must find it.
            row = self._new(request_id, driver_id, cp_id)
        if row.status.final:
            return self.settlement.answer(row)
        effects: list[Effect] = []
        session = self._session_of(row)
        if session is not None and session.status is SessionStatus.ACTIVE:
            effects += self.sessions.stop(session, f"{CANCELLED} by its driver", bill=False)
        return [*effects, *self._give_up(row, CANCELLED)]

    def _stop(self, row: Request) -> list[Effect]:
        session = self._session_of(row)
        if row.status is RequestStatus.PENDING:
            return self.cancel(row.request_id, row.driver_id, row.cp_id)
        if session is not None and session.status is SessionStatus.ACTIVE:
            return self.sessions.stop(session, "stopped by its driver", bill=True)
        return self.settlement.answer(row)

    def _give_up(self, row: Request, reason: str) -> list[Effect]:
        return self._finish(row, RequestStatus.FAILED, RequestStep.GIVEN_UP, reason)

    def _finish(
        self, row: Request, status: RequestStatus, step: RequestStep, reason: str
    ) -> list[Effect]:
        final = attrs.evolve(row, status=status, reason=reason, updated_at=self.state.now.wall)
        save = self.state.ledger.save_request(final, step)
        return [save, *self.settlement.answer(final)]

    def decide_all(self) -> list[Effect]:
        """Decide what waits, in the order in which it came."""
        effects: list[Effect] = []
        if not self.waiting:
            return effects
        unknown = self._unknown_sessions()
        for waiting in list(self.waiting.values()):
            # Its session runs, and is taken in with its engine's next report.
            if session_id_for(waiting.request_id) not in unknown:
                effects += self._decide(waiting)
        return effects

    def _unknown_sessions(self) -> set[str]:
        """Return what engines run and a lost or restored database does not know."""
        from_s = self.state.now.mono_s - self.state.settings.session_lost_after_s
        seen = {
            point.supplies
            for point in self.state.index.strays()
            if point.supplies is not None and point.heard_s > from_s
        }
        said = seen | self.state.claims.since(from_s)
        return {each for each in said if each not in self.state.ledger.sessions}

    def _decide(self, waiting: Waiting) -> list[Effect]:
        state = self.state
        if waiting.seen is not None and not self._fresh(waiting.seen):
            # Its driver, if it lives, repeats it with a newer beacon.
            del self.waiting[waiting.request_id]
            return []
        if state.meta.recovering:
            if waiting.seen is not None:
                del self.waiting[waiting.request_id]
            return []
        if state.in_grace and not self._all_back(waiting.cp_id):
            return []
        row = state.ledger.requests.get(waiting.request_id)
        if row is not None and row.status is not RequestStatus.PENDING:
            del self.waiting[waiting.request_id]
            return self.settlement.answer(row)
        request = row or self._new(waiting.request_id, waiting.driver_id, waiting.cp_id)
        if waiting.action is Action.STOP:
            del self.waiting[waiting.request_id]
            return self._give_up(request, "no such request")
        point, why = self._choose(request)
        if point is None and self._comes_soon(waiting) and not self._busy(request):
            return []
        del self.waiting[waiting.request_id]
        if point is None:
            return self._finish(request, RequestStatus.DENIED, RequestStep.DENIED, why)
        return self.sessions.begin(request, point)

    def _fresh(self, seen: Seen) -> bool:
        meta = self.state.meta
        if (seen.central_id, seen.epoch) != (meta.central_id, meta.epoch):
            return False
        return 0 <= self.state.up_s - seen.up_s + 0.001 < BEACON_AGE_S_MAX

    def _all_back(self, cp_id: str | None) -> bool:
        """Whether all that this request may be about has reported since Central's start."""
        points = self.state.points
        if cp_id is not None:
            return cp_id in points and is_back(points[cp_id])
        # A new database, or an empty one, can't say that all charging points are here.
        is_old = self.state.meta.epoch > 1 and bool(points)
        return is_old and self.state.index.all_are_back()

    def _comes_soon(self, waiting: Waiting) -> bool:
        """Whether an engine that it may be about is just finding its place in its commands.

        So does every engine after a loss of the broker's data; it is not waited for any longer
        than a monitor is after a start.
        """
        state = self.state
        if state.now.mono_s - waiting.since_s >= state.settings.restart_grace_s:
            return False
        if waiting.cp_id is None:
            return state.index.some_find_their_place()
        point = state.points.get(waiting.cp_id)
        return point is not None and finds_its_place(point)

    def _choose(self, request: Request) -> tuple[Point | None, str]:
        busy = self._busy(request)
        if busy:
            return None, busy
        points, now_s = self.state.points, self.state.now.mono_s
        if request.cp_id is not None:
            point = points.get(request.cp_id)
            if point is None:
                return None, f"no charging point {request.cp_id} is known"
            why = point.unavailable(self._assigned(point), now_s)
            return (None, f"{point.cp_id} is not available: {why}") if why else (point, "")
        free = self.state.index.free()
        best = (each for each in free if not each.unavailable(self._assigned(each), now_s))
        return next(best, None), "no charging point is available"

    def _assigned(self, point: Point) -> str | None:
        session = self.state.ledger.active_at(point.cp_id)
        return session.session_id if session is not None else None

    def _busy(self, request: Request) -> str:
        ledger, driver_id = self.state.ledger, request.driver_id
        other = ledger.accepted_of(driver_id)
        if other is not None:
            return f"{driver_id} has the open request {other.request_id}"
        session = ledger.active_of(driver_id)
        if session is not None:
            return f"{driver_id} has the running session {session.session_id}"
        now_s, lost_s = self.state.now.mono_s, self.state.settings.session_lost_after_s
        for point in self.state.index.of_driver(driver_id):
            if now_s - point.heard_s < lost_s:
                return f"{driver_id} has the running session {point.supplies}"
        if session_id_for(request.request_id) in ledger.sessions:
            # An engine sent its record under another request's name.
            return f"the session of {request.request_id} has ended already"
        return ""


def _refuse(
    event: ChargeAsked | RequestEndAsked | SessionStopAsked,
    refusal: Refusal,
    reason: str,
    field: str | None = None,
) -> Reply:
    return Reply(event.call, Refused(refusal, reason, field))
