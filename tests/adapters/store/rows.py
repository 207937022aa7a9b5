"""Rows for tests of Central's database: each is whole, and differs from the next."""

from datetime import UTC, datetime, timedelta

from evd.adapters.store import Store
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    NetworkSnapshot,
    OperatorEvent,
    OperatorEventType,
    Request,
    Session,
    SessionCurve,
    SessionStatus,
    ShownState,
)
from evd.core.wire.messages import CpState, RequestStatus

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)


def a_session(number: int, cp_id: str = "CP-001", driver_id: str = "driver-alice") -> Session:
    """A session that has just begun."""
    return Session(
        f"session-{number}",
        f"req-{number}",
        cp_id,
        driver_id,
        NOON + timedelta(seconds=number),
        boot_id="boot-1",
        until_up_s=12.5,
        energy_mwh=number * 7,
    )


def an_ended_session(number: int, cp_id: str = "CP-001", cents: int | None = 123) -> Session:
    """The same session when its record has come; without cents it is an estimate."""
    return Session(
        f"session-{number}",
        f"req-{number}",
        cp_id,
        "driver-alice",
        NOON + timedelta(seconds=number),
        end_time=NOON + timedelta(seconds=number + 10),
        energy_mwh=4_100_001,
        cost_cents=cents,
        status=SessionStatus.COMPLETED,
        estimated=cents is None,
        settled=cents is not None,
    )


def a_request(number: int, status: RequestStatus = RequestStatus.ACCEPTED) -> Request:
    """A request of the driver Alice."""
    return Request(
        f"req-{number}", "driver-alice", "CP-001", f"session-{number}", status, "", NOON, NOON
    )


def a_fault(
    number: int, event_type: EventType = EventType.FAULT, cp_id: str = "CP-001"
) -> FaultEvent:
    """A fault event, `number` seconds after noon."""
    return FaultEvent(cp_id, event_type, f"reason {number}", NOON + timedelta(seconds=number))


def a_snapshot(number: int, cp_id: str = "CP-001") -> HealthSnapshot:
    """A health snapshot, `number` seconds after noon."""
    return HealthSnapshot(
        cp_id,
        ShownState.BROKEN,
        CpState.SUPPLYING,
        True,
        f"reason {number}",
        BreakerState.HALF_OPEN,
        NOON + timedelta(seconds=number),
    )


def a_minute(number: int, kw: float = 44.0) -> NetworkSnapshot:
    """The network, `number` minutes after noon."""
    return NetworkSnapshot(NOON + timedelta(minutes=number), kw, 2, 3, 1, 0)


def a_stop(
    number: int,
    cp_id: str = "CP-001",
    event_type: OperatorEventType = OperatorEventType.STOPPED,
) -> OperatorEvent:
    """A stop or a resume by the operator, `number` seconds after noon."""
    return OperatorEvent(cp_id, event_type, NOON + timedelta(seconds=number))


def a_curve(number: int, kw: float = 22.0) -> SessionCurve:
    """The course of the session's power, of two readings."""
    return SessionCurve(f"session-{number}", ((0.5, kw, 0.003), (61.0, kw, 0.372778)))


def a_charging_point(cp_id: str = "CP-001") -> ChargingPoint:
    """A charging point that is known by its id alone."""
    return ChargingPoint(cp_id)


async def stored_session(store: Store, session_id: str) -> Session | None:
    """The session as it is stored, or None."""
    _, found = await store.lookup([], [session_id])
    return found[0] if found else None
