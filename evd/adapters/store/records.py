"""Rows of Central to tuples in the order of the tables' columns, and back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from evd.adapters.store.database import Database, storable
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    Request,
    Session,
    SessionStatus,
    ShownState,
    Want,
)
from evd.core.wire.control import EngineStatus
from evd.core.wire.messages import CpState, RequestStatus
from evd.core.wire.units import euros_from_cents, kwh_from_mwh

Values = Sequence[Any]


class ToColumns:
    """Rows to tuples, without the numbers that the database itself gives."""

    def __init__(self, database: Database) -> None:
        self._time = database.time_to_column

    def _maybe_time(self, when: datetime | None) -> Any:
        return None if when is None else self._time(when)

    def request(self, row: Request) -> Values:
        """For `requests`."""
        return (
            row.request_id,
            row.driver_id,
            row.cp_id,
            row.session_id,
            row.status.value,
            storable(row.reason),
            self._time(row.created_at),
            self._time(row.updated_at),
            row.kwh,
            row.euros,
        )

    def session(self, row: Session) -> Values:
        """For `charging_sessions`: the whole units, and the plain numbers made of them here."""
        cents = row.cost_cents
        return (
            row.session_id,
            row.request_id,
            row.cp_id,
            row.driver_id,
            self._time(row.start_time),
            self._maybe_time(row.end_time),
            kwh_from_mwh(row.energy_mwh),
            None if cents is None else euros_from_cents(cents),
            row.status.value,
            storable(row.reason),
            row.estimated,
            row.billable,
            row.energy_mwh,
            cents,
            row.settled,
            row.want.value,
            row.confirmed,
            row.boot_id,
            row.until_up_s,
        )

    def charging_point(self, row: ChargingPoint) -> Values:
        """For `charging_points`."""
        return (
            row.cp_id,
            row.kw_rate,
            row.euro_rate,
            None if row.location is None else storable(row.location),
            row.stopped,
            storable(row.stop_reason),
            row.breaker.value,
            row.breaker_failures,
            row.breaker_successes,
            row.connected,
            None if row.engine_status is None else row.engine_status.value,
            row.boot_id,
            self._maybe_time(row.last_update),
        )

    def fault_event(self, row: FaultEvent) -> Values:
        """For `fault_events`."""
        return (
            row.cp_id,
            row.event_type.value,
            storable(row.reason),
            self._time(row.timestamp),
        )

    def health_snapshot(self, row: HealthSnapshot) -> Values:
        """For `cp_health_history`."""
        return (
            row.cp_id,
            row.state.value,
            None if row.engine_state is None else row.engine_state.value,
            row.is_faulty,
            storable(row.fault_reason),
            row.circuit_breaker_state.value,
            self._time(row.timestamp),
        )


class FromColumns:
    """Tuples to rows; a column that holds something else than was written raises ValueError."""

    def __init__(self, database: Database) -> None:
        self._time = database.time_from_column

    def time(self, stored: Any) -> datetime | None:
        """From any column of times."""
        return None if stored is None else self._time(stored)

    def request(self, values: Values) -> Request:
        """From `requests`."""
        request_id, driver_id, cp_id, session_id, status, reason, created, updated, kwh, euros = (
            values
        )
        return Request(
            request_id,
            driver_id,
            cp_id,
            session_id,
            RequestStatus(status),
            reason,
            self._time(created),
            self._time(updated),
            kwh,
            euros,
        )

    def session(self, values: Values) -> Session:
        """From `charging_sessions`: what others read of it says nothing more."""
        session_id, request_id, cp_id, driver_id, start_time, end_time = values[:6]
        status, reason, estimated, billable, energy_mwh, cost_cents = values[8:14]
        settled, want, confirmed, boot_id, until_up_s = values[14:]
        return Session(
            session_id,
            request_id,
            cp_id,
            driver_id,
            self._time(start_time),
            boot_id,
            until_up_s,
            self.time(end_time),
            energy_mwh,
            cost_cents,
            SessionStatus(status),
            reason,
            Want(want),
            bool(confirmed),
            bool(estimated),
            bool(billable),
            bool(settled),
        )

    def charging_point(self, values: Values) -> ChargingPoint:
        """From `charging_points`."""
        cp_id, kw_rate, euro_rate, location, stopped, stop_reason = values[:6]
        breaker, failures, successes, connected, engine_status, boot_id, last_update = values[6:]
        return ChargingPoint(
            cp_id,
            kw_rate,
            euro_rate,
            location,
            bool(stopped),
            stop_reason,
            BreakerState(breaker),
            failures,
            successes,
            bool(connected),
            None if engine_status is None else EngineStatus(engine_status),
            boot_id,
            self.time(last_update),
        )

    def fault_event(self, values: Values) -> FaultEvent:
        """From `fault_events`."""
        cp_id, event_type, reason, timestamp = values
        return FaultEvent(cp_id, EventType(event_type), reason, self._time(timestamp))

    def health_snapshot(self, values: Values) -> HealthSnapshot:
        """From `cp_health_history`."""
        cp_id, state, engine_state, is_faulty, fault_reason, breaker, timestamp = values
        return HealthSnapshot(
            cp_id,
            ShownState(state),
            None if engine_state is None else CpState(engine_state),
            bool(is_faulty),
            fault_reason,
            BreakerState(breaker),
            self._time(timestamp),
        )
