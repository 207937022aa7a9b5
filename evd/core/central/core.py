"""Central's core: `handle(event, now)` takes what happened and returns what must be done.

It reads no clock and touches no disk.  Before an event is handed in, `missing` names the rows
that only the database has, and `remember` takes them.

    requests    what drivers ask for, decided once
    sessions    what each charging point should be doing, repeated until it does
    settlement  how a session ends and what is billed
    monitors    who is registered, and what they say of their engines
    operator    stop, resume, shut down, remove
    access_calls  users, tokens, logins
    auditing    who asked for what
    recovery    the wait after a restore
    lives       the steps that a request's and a session's row can take
"""

from collections.abc import Iterable, Sequence

from evd.core.access.access import Access
from evd.core.access.events import CallNoted
from evd.core.access.unready import Unready
from evd.core.central.access_calls import AccessCalls
from evd.core.central.auditing import Auditing
from evd.core.central.events import (
    CentralSettings,
    ChargeAsked,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    Effect,
    Event,
    FrameRefused,
    JudgementAsked,
    MonitorLeft,
    MonitorSaid,
    Polled,
    RecoveryAccepted,
    RequestEndAsked,
    SessionStopAsked,
    Ticked,
    is_call,
)
from evd.core.central.ledger import session_id_for
from evd.core.central.minutes import Minutes
from evd.core.central.monitors import Monitors
from evd.core.central.operator import Operator
from evd.core.central.recovery import Recovery
from evd.core.central.requests import Requests
from evd.core.central.rows import Image, Request, Session
from evd.core.central.sessions import Sessions
from evd.core.central.settlement import Settlement
from evd.core.central.state import State
from evd.core.central.views import CpView
from evd.core.curve import CurvePoint
from evd.core.effects import Level, Note, Now
from evd.core.machine import Saved, SaveFailed
from evd.core.stall import StallWatch
from evd.core.wire.control import Heartbeat
from evd.core.wire.messages import CpStatus, DriverRequest, SessionRecord, Telemetry

TICK_S = 0.25
BEACON_S = 1.0
# A shell that brought no tick for so long stands still, as with a database that hangs.
TURN_S_MAX = 1.0
# After so long without the broker, silence says nothing of the others.
AWAY_S = 2.0


class Central:
    """Central, as a machine: events in, effects out.

    After SaveFailed it is spent: its memory may hold what the database does not.  Its shell throws
    it away, and begins anew from what is stored.
    """

    def __init__(self, settings: CentralSettings, image: Image, now: Now) -> None:
        self._state = State(settings, image, now)
        self._settlement = Settlement(self._state)
        self._sessions = Sessions(self._state, self._settlement)
        self._requests = Requests(self._state, self._sessions, self._settlement)
        self._operator = Operator(self._state)
        self._recovery = Recovery(self._state)
        self._monitors = Monitors(self._state, self._sessions, self._recovery)
        self._minutes = Minutes(self._state)
        self._access_calls = AccessCalls(self._state, self._recovery)
        self._auditing = Auditing(self._state)
        self._stall = StallWatch()
        self._spent = False
        self._tick_s = self._beacon_s = self._broker_s = now.mono_s
        self._broker_up = False

    @property
    def wake_at_s(self) -> float:
        """The monotonic time at which it wants its next Ticked."""
        return self._tick_s + TICK_S

    def start(self, now: Now) -> list[Effect]:
        """Return what must be done before the first event."""
        self._state.now = now
        self._stall.observe(now.mono_s)
        self._sessions.watch_all()
        meta = self._state.meta
        text = f"Central {meta.central_id} started for the {_nth(meta.epoch)} time"
        return [
            *self._requests.fail_undecided(),
            Note(Level.INFO, text),
            *self._recovery.on_start(),
        ]

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """Return what must be done about `event`; the saves in it are one commit, before all else.

        A shell may hand in several events and commit what they save together.
        """
        if self._spent:
            raise RuntimeError("this core is spent: a save failed")
        self._state.now = now
        if self._stall.observe(now.mono_s):
            self._monitors.restart_timeouts()
            self._sessions.restart_timeouts()
        effects = self._handle(event)
        if is_call(event):
            effects += self._auditing.of_call(event, effects)
        return effects

    def _handle(self, event: Event) -> list[Effect]:
        match event:
            case Telemetry():
                return self._sessions.on_telemetry(event)
            case MonitorSaid():
                return self._monitors.on_message(event)
            case CpStatus():
                return self._monitors.on_status(event)
            case Polled():
                # The last event of a batch, so that a meter is one row of it.
                return [*self._requests.decide_all(), *self._state.ledger.save_meters()]
            case Ticked():
                return self._on_tick(event)
            case DriverRequest():
                return self._requests.on_driver_request(event)
            case SessionRecord():
                return self._settlement.on_record(event)
            case FrameRefused():
                return self._monitors.on_refused(event)
            case MonitorLeft():
                return self._monitors.on_left(event.connection)
            case ChargeAsked():
                return self._requests.on_charge_asked(event)
            case RequestEndAsked():
                return self._requests.on_request_end_asked(event)
            case SessionStopAsked():
                return self._requests.on_session_stop_asked(event)
            case JudgementAsked():
                return self._settlement.on_judgement_asked(event)
            case CpStopAsked() | CpResumeAsked() | CpShutdownAsked() | CpRemovalAsked():
                return self._operator.on_asked(event)
            case RecoveryAccepted():
                return self._recovery.on_accepted(event)
            case CallNoted():
                return self._auditing.on_noted(event)
            case Saved():
                return []
            case SaveFailed():
                self._spent = True
                return []
            case _:
                return self._access_calls.on_asked(event)

    def acknowledge(self, connection: int, message: Heartbeat, now: Now) -> bool:
        """Note a heartbeat that says nothing new: its ACK is due; False: hand it in as an event.

        There is nothing to store, so it may come while a commit is under way.  Nothing is
        acknowledged past a shell that stands still: its monitors are to notice that.
        """
        if self._spent or now.mono_s - self._tick_s > TURN_S_MAX:
            return False
        return self._monitors.acknowledge(connection, message, now)

    def missing(self, events: Iterable[Event]) -> tuple[set[str], set[str]]:
        """Return the ids of requests and sessions that these events name and memory does not hold.

        Memory holds what it holds now until these events have been handed in.
        """
        ledger = self._state.ledger
        ledger.trim(keep=self._requests.waiting)
        request_ids: set[str] = set()
        session_ids: set[str] = set()
        for event in events:
            # The most frequent ones come first.
            match event:
                case Telemetry():
                    pass
                case CpStatus() | SessionRecord():
                    request_ids.add(event.request_id or "")
                    session_ids.add(event.session_id or "")
                case DriverRequest() | ChargeAsked() | RequestEndAsked():
                    request_ids.add(event.request_id)
                    session_ids.add(session_id_for(event.request_id))
                case SessionStopAsked() | JudgementAsked():
                    session_ids.add(event.session_id)
                case MonitorSaid(message=Heartbeat() as message):
                    session_ids.add(message.session_id or "")
                case Ticked():
                    # A session may outlive its request, which is then not among the open ones.
                    request_ids.update(ledger.unread)
                    # An engine may run a session that ended here long ago.
                    for point in self._state.index.strays():
                        if point.report is not None:
                            request_ids.add(point.report.request_id or "")
                            session_ids.add(point.report.session_id or "")
        request_ids.discard("")
        session_ids.discard("")
        return request_ids - ledger.requests.keys(), session_ids - ledger.sessions.keys()

    def remember(self, requests: Sequence[Request], sessions: Sequence[Session]) -> None:
        """Take rows that `missing` named, as the database has them."""
        for request in requests:
            self._state.ledger.put_request(request)
        for session in sessions:
            self._state.ledger.put_session(session)

    def _on_tick(self, event: Ticked) -> list[Effect]:
        now_s = self._tick_s = self._state.now.mono_s
        points, sessions = self._state.take_changes()
        self._sessions.take_up(points, sessions)
        self._operator.take_up(points)
        effects = self._monitors.tick(points)
        if event.broker_up:
            if now_s - self._broker_s > AWAY_S or not self._broker_up:
                self._sessions.restart_timeouts()
            self._broker_s = now_s
            effects += self._requests.decide_all()
            effects += self._sessions.level()
        self._broker_up = event.broker_up
        effects += self._operator.tick()
        effects += self._recovery.tick()
        effects += self._minutes.tick()
        effects += self._access_calls.tick()
        if now_s - self._beacon_s >= BEACON_S:
            self._beacon_s = now_s
            effects += self._state.beacon()
        return effects

    @property
    def access(self) -> Access:
        """The users, tokens and logins; to be read, and changed by events alone."""
        return self._state.access

    def unready(self, now: Now) -> list[Unready]:
        """Return all that --auth required would refuse."""
        return [*self._monitors.unready(now), *self._state.access.unready(now)]

    @property
    def active_requests(self) -> int:
        """How many requests are open."""
        return self._state.ledger.open_count

    def curve(self, session_id: str) -> tuple[CurvePoint, ...]:
        """Return the course so far of an ACTIVE session's power."""
        return self._state.curves.points(session_id)

    @property
    def active_sessions(self) -> int:
        """How many sessions run, or wait for their record."""
        return self._state.ledger.active_count

    @property
    def awaited_count(self) -> int:
        """How many charging points Central waits for after a restore, before it begins sessions."""
        return len(self._state.meta.recovering)

    @property
    def central_id(self) -> str:
        """The id of Central's database."""
        return self._state.meta.central_id

    @property
    def epoch(self) -> int:
        """The number of this start of Central."""
        return self._state.meta.epoch

    def views(self, now: Now) -> list[CpView]:
        """Return every charging point as it is shown, by id."""
        return [self.view(cp_id, now) for cp_id in sorted(self._state.points)]

    @property
    def cp_ids(self) -> list[str]:
        """The charging points on the list."""
        return [*self._state.points]

    @property
    def cps_count(self) -> int:
        """How many charging points are on the list."""
        return len(self._state.points)

    def take_changed(self) -> list[str]:
        """Return those that may be shown otherwise than the last time that this was asked."""
        return self._state.take_shown_changes()

    def knows(self, cp_id: str) -> bool:
        """Return whether the charging point is on the list."""
        return cp_id in self._state.points

    def view(self, cp_id: str, now: Now) -> CpView:
        """Return one charging point as it is shown; KeyError for an unknown one."""
        point = self._state.points[cp_id]
        session = self._state.ledger.active_at(cp_id)
        assigned = (session.session_id, session.driver_id) if session is not None else None
        return point.view(assigned, now.mono_s)

    def outline(self, cp_id: str, now: Now) -> tuple[object, ...]:
        """Return what is equal while the charging point's view is; it costs a fraction of it."""
        session = self._state.ledger.active_at(cp_id)
        session_id = session.session_id if session is not None else None
        return self._state.points[cp_id].outline(now.mono_s), session_id

    def unconfirmed(self, cp_id: str) -> int | None:
        """Return how many records a charging point's engine keeps; None: not known."""
        point = self._state.points.get(cp_id)
        return point.report.unconfirmed if point is not None and point.report is not None else None

    @property
    def holding_back(self) -> str | None:
        """Why Central begins no session, as of the newest event; None when it does."""
        return self._requests.holds_back() or None

    def meters(self) -> list[Telemetry]:
        """Return the newest telemetry of each charging point that supplies."""
        rows = []
        for cp_id, point in sorted(self._state.points.items()):
            session = self._state.ledger.active_at(cp_id)
            meter = point.meter
            if meter is not None and session and meter.session_id == session.session_id:
                rows.append(meter)
        return rows


def _nth(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
