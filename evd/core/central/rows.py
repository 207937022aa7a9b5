"""The rows of Central's database: one frozen class a table, one value a row.

Energy is in whole mWh, money in whole cents, power in kW, rates in euros a kWh.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import attrs

from evd.core.access.rows import AccessImage, AccessRow
from evd.core.curve import CurvePoint
from evd.core.wire.control import EngineStatus
from evd.core.wire.messages import CpState, RequestStatus


class SessionStatus(StrEnum):
    """Where a session's row stands."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Want(StrEnum):
    """The wish for an ACTIVE session: its charging point is to run it, or to stop it."""

    RUN = "RUN"
    STOP = "STOP"


class BreakerState(StrEnum):
    """A circuit breaker: CLOSED lets calls through, OPEN none, HALF_OPEN one at a time."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class EventType(StrEnum):
    """The kinds of fault events.  REFUSED: somebody had no right token; its state is as before."""

    FAULT = "FAULT"
    RECOVERY = "RECOVERY"
    DISCONNECTED = "DISCONNECTED"
    RECONNECTED = "RECONNECTED"
    REFUSED = "REFUSED"


class OperatorEventType(StrEnum):
    """The kinds of what an operator did to a charging point."""

    STOPPED = "STOPPED"
    RESUMED = "RESUMED"
    SHUTDOWN = "SHUTDOWN"

    @property
    def done(self) -> str:
        """The same in words."""
        return _DONE[self]


_DONE = {
    OperatorEventType.STOPPED: "stopped by the operator",
    OperatorEventType.RESUMED: "resumed by the operator",
    OperatorEventType.SHUTDOWN: "shut down by the operator",
}


class ShownState(StrEnum):
    """The state that Central shows for a charging point."""

    ON = "ON"
    BROKEN = "BROKEN"
    DISCONNECTED = "DISCONNECTED"


@attrs.frozen(slots=True)
class Meta:
    """The one row about the database itself.

    `epoch` rises at each start of Central.  `recovering`: the charging points that must first
    report to a restored Central; empty when it may begin sessions.
    """

    central_id: str
    epoch: int
    recovering: frozenset[str] = frozenset()


@attrs.frozen(slots=True)
class Request:
    """A driver's request; `kwh` and `euros` are what its final status told, if energy flowed."""

    request_id: str
    driver_id: str
    cp_id: str | None
    session_id: str | None
    status: RequestStatus
    reason: str
    created_at: datetime
    updated_at: datetime
    kwh: float | None = None
    euros: float | None = None


@attrs.frozen(slots=True)
class Session:
    """A charging session.

    While ACTIVE, `want` is what its engine is told, `boot_id` the engine's boot that it is meant
    for, and `confirmed` whether that engine was ever heard to run it.  `cost_cents` is None until
    a record settles it (`settled`); nothing changes it after that.  `estimated`: closed without
    the engine's record.  `billable` false: its bill is 0.  `stray`: it ran although its request
    had ended.  `confirmed_seq`: of the report or telemetry of `boot_id` that confirmed it.
    `suspect`: its record can't be; `recorded_cents` is its bill if the operator accepts it.
    """

    session_id: str
    request_id: str
    cp_id: str
    driver_id: str
    start_time: datetime
    boot_id: str | None = None
    until_up_s: float = 0.0
    end_time: datetime | None = None
    energy_mwh: int = 0
    cost_cents: int | None = None
    status: SessionStatus = SessionStatus.ACTIVE
    reason: str = ""
    want: Want = Want.RUN
    confirmed: bool = False
    estimated: bool = False
    billable: bool = True
    settled: bool = False
    stray: bool = False
    confirmed_seq: int | None = None
    suspect: bool = False
    recorded_cents: int | None = None

    @property
    def begun_here(self) -> bool:
        """Whether Central began it, and did not learn of it from an engine."""
        return self.until_up_s > 0


@attrs.frozen(slots=True)
class ChargingPoint:
    """A known charging point.

    `connected` and `engine_status` are what was last written down of its monitor and engine, so
    that a fault is told once.  `stopped`: the operator took it out of service.  `state_since`: when
    the state that is shown last changed.
    """

    cp_id: str
    kw_rate: float | None = None
    euro_rate: float | None = None
    location: str | None = None
    stopped: bool = False
    stop_reason: str = ""
    breaker: BreakerState = BreakerState.CLOSED
    breaker_failures: int = 0
    breaker_successes: int = 0
    connected: bool = False
    engine_status: EngineStatus | None = None
    boot_id: str | None = None
    last_update: datetime | None = None
    state_since: datetime | None = None


@attrs.frozen(slots=True)
class FaultEvent:
    """One line of the history of faults; appended, never changed."""

    cp_id: str
    event_type: EventType
    reason: str
    timestamp: datetime


@attrs.frozen(slots=True)
class OperatorEvent:
    """One line of what the operator did to a charging point; appended, never changed.

    `who` did it; None: it is not known.
    """

    cp_id: str
    event_type: OperatorEventType
    timestamp: datetime
    who: str | None = None


@attrs.frozen(slots=True)
class HealthSnapshot:
    """How a charging point stood at a moment; appended at each change and every minute.

    `kw` is what it supplied; None: nobody knew.
    """

    cp_id: str
    state: ShownState
    engine_state: CpState | None
    is_faulty: bool
    fault_reason: str
    circuit_breaker_state: BreakerState
    timestamp: datetime
    kw: float | None = None


@attrs.frozen(slots=True)
class NetworkSnapshot:
    """The network over a minute that ended at `timestamp`: its mean power, and how many charging
    points supplied and stood how at its end."""

    timestamp: datetime
    kw: float
    charging_count: int
    on_count: int
    broken_count: int
    disconnected_count: int


@attrs.frozen(slots=True)
class Reading:
    """The newest meter of a running session, written over the one before."""

    session_id: str
    energy_mwh: int


@attrs.frozen(slots=True)
class SessionCurve:
    """The course of a session's power, written once, with the end of the session."""

    session_id: str
    points: tuple[CurvePoint, ...]


@attrs.frozen(slots=True)
class Removal:
    """A charging point taken off the list; its history stays."""

    cp_id: str


Row = (
    Meta
    | Request
    | Session
    | ChargingPoint
    | FaultEvent
    | OperatorEvent
    | HealthSnapshot
    | NetworkSnapshot
    | Reading
    | SessionCurve
    | Removal
    | AccessRow
)


@attrs.frozen(slots=True)
class Image:
    """The part of the database that Central needs at its start: its identity, all that is open,
    who may do what."""

    meta: Meta
    charging_points: Sequence[ChargingPoint] = ()
    requests: Sequence[Request] = ()
    sessions: Sequence[Session] = ()
    access: AccessImage = AccessImage()
