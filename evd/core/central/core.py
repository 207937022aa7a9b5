"""Central's core: `handle(event, now)` takes what happened and returns what must be done.

It reads no clock and touches no disk.  Before an event is handed in, `missing` names the rows
that only the database has, and `remember` takes them.

    requests    what drivers ask for, decided once
    sessions    what each charging point should be doing, repeated until it does
    settlement  how a session ends and what is billed
    monitors    who is registered, and what they say of their engines
    operator    stop, resume, shut down, remove
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from evd.core.central.events import (
    ChargeAsked,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    Event,
    FrameRefused,
    MonitorLeft,
    MonitorSaid,
    Polled,
    RecoveryAccepted,
    RequestEndAsked,
    SessionStopAsked,
    Ticked,
)
from evd.core.central.ledger import session_id_for
from evd.core.central.monitors import Monitors
from evd.core.central.operator import Operator
from evd.core.central.requests import Requests
from evd.core.central.rows import Image, Request, Session
from evd.core.central.sessions import Sessions
from evd.core.central.settlement import Settlement
from evd.core.central.state import CentralSettings, Effect, State
from evd.core.central.views import CpView
from evd.core.effects import Level, Now
from evd.core.wire.control import Heartbeat
from evd.core.wire.messages import CpStatus, DriverRequest, SessionRecord, Telemetry

BEACON_S = 1.0
# A loop that stood still, or was away from the broker, for longer must not judge on silence.
STALL_S = 1.0
AWAY_S = 2.0


class Central:
    """Central, as a machine: events in, effects out."""

    def __init__(self, settings: CentralSettings, image: Image, now: Now) -> None:
        self._state = State(settings, image, now)
        self._settlement = Settlement(self._state)
        self._sessions = Sessions(self._state, self._settlement)
        self._requests = Requests(self._state, self._sessions, self._settlement)
        self._operator = Operator(self._state)
        self._monitors = Monitors(self._state, self._sessions, self._operator.recovered)
        self._beacon_s = now.mono_s
        self._broker_s = now.mono_s
        self._broker_up = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            DriverRequest: self._requests.asked,
            CpStatus: self._monitors.reported,
            Telemetry: self._sessions.metered,
            SessionRecord: self._settlement.recorded,
            Polled: lambda _: self._requests.decide_all(),
            Ticked: self._ticked,
            MonitorSaid: self._monitors.said,
            FrameRefused: self._monitors.refused,
            MonitorLeft: lambda event: self._monitors.left(event.connection),
            ChargeAsked: self._requests.charge_asked,
            RequestEndAsked: self._requests.end_asked,
            SessionStopAsked: self._requests.session_stop_asked,
            CpStopAsked: self._operator.stop,
            CpResumeAsked: self._operator.resume,
            CpShutdownAsked: self._operator.shutdown,
            CpRemovalAsked: self._operator.remove,
            RecoveryAccepted: self._operator.accept,
        }

    def start(self) -> list[Effect]:
        """What must be done before the first event."""
        self._requests.fail_undecided()
        self._sessions.watch_all()
        meta = self._state.meta
        self._state.note(
            Level.INFO, f"Central {meta.central_id} started for the {_nth(meta.epoch)} time"
        )
        if meta.recovering:
            count = len(meta.recovering)
            self._state.note(
                Level.WARNING,
                "The database was restored: no session begins until "
                f"{count} charging point{'s have' if count != 1 else ' has'} handed over records",
            )
        return self._state.take_effects()

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """Take in one event; the saves among the effects are one commit, before all else."""
        if now.mono_s - self._state.now.mono_s > STALL_S:
            self._state.now = now
            self._monitors.took_up()
            self._sessions.took_up()
        self._state.now = now
        self._handlers[type(event)](event)
        return self._state.take_effects()

    def missing(self, events: Iterable[Event]) -> tuple[set[str], set[str]]:
        """The ids of requests and of sessions that these events name and memory does not hold.

        What memory holds now, it holds until these events have been handed in.
        """
        ledger = self._state.ledger
        ledger.trim(keep=self._requests.waiting)
        request_ids: set[str] = set()
        session_ids: set[str] = set()
        for event in events:
            if isinstance(event, DriverRequest | ChargeAsked | RequestEndAsked):
                request_ids.add(event.request_id)
                session_ids.add(session_id_for(event.request_id))
            elif isinstance(event, CpStatus | SessionRecord):
                request_ids.add(event.request_id or "")
                session_ids.add(event.session_id or "")
            elif isinstance(event, SessionStopAsked):
                session_ids.add(event.session_id)
            elif isinstance(event, MonitorSaid) and isinstance(event.message, Heartbeat):
                session_ids.add(event.message.session_id or "")
            elif isinstance(event, Ticked):
                # A session may outlive its request, which is then not among the open ones.
                request_ids.update(session.request_id for session in ledger.active())
                # What an engine runs may be a session that ended here long ago.
                for point in self._state.points.values():
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

    def _ticked(self, event: Ticked) -> None:
        state, now_s = self._state, self._state.now.mono_s
        self._monitors.tick()
        if event.broker_up:
            if now_s - self._broker_s > AWAY_S or not self._broker_up:
                self._sessions.took_up()
            self._broker_s, self._broker_up = now_s, True
            self._requests.decide_all()
            self._sessions.level()
        else:
            self._broker_up = False
        self._operator.tick()
        if now_s - self._beacon_s >= BEACON_S:
            self._beacon_s = now_s
            state.beacon()

    @property
    def holds_back(self) -> str:
        """Why no session begins now; empty when it does."""
        return self._requests.holds_back()

    @property
    def active_requests(self) -> int:
        """How many requests are open."""
        return self._state.ledger.open_count

    @property
    def speaks(self) -> bool:
        """Whether a monitor has registered since the start."""
        return self._state.speaks

    @property
    def central_id(self) -> str:
        """The id of Central's database."""
        return self._state.meta.central_id

    def views(self, now: Now) -> list[CpView]:
        """Every charging point as it is shown, by id."""
        return [self.view(cp_id, now) for cp_id in sorted(self._state.points)]

    def knows(self, cp_id: str) -> bool:
        """Whether the charging point is on the list."""
        return cp_id in self._state.points

    def view(self, cp_id: str, now: Now) -> CpView:
        """One charging point as it is shown; KeyError for an unknown one."""
        point = self._state.points[cp_id]
        session = self._state.ledger.active_at(cp_id)
        assigned = (session.session_id, session.driver_id) if session is not None else None
        return point.view(assigned, now.mono_s)

    def meters(self) -> list[Telemetry]:
        """The newest telemetry of each charging point that supplies."""
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
