"""What one commit writes: of each key only its newest row."""

from collections.abc import Sequence

import attrs

from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    HealthSnapshot,
    Meta,
    Reading,
    Removal,
    Request,
    Row,
    Session,
)


@attrs.define(slots=True)
class Batch:
    """Rows by kind.  Within it the order of two kinds does not matter, but that readings come
    after sessions."""

    meta: Meta | None = None
    requests: dict[str, Request] = attrs.Factory(dict)
    sessions: dict[str, Session] = attrs.Factory(dict)
    readings: dict[str, Reading] = attrs.Factory(dict)
    charging_points: dict[str, ChargingPoint] = attrs.Factory(dict)
    removals: set[str] = attrs.Factory(set)
    faults: list[FaultEvent] = attrs.Factory(list)
    health: list[HealthSnapshot] = attrs.Factory(list)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Batch":
        """The outcome of `rows`, written one after the other."""
        batch = cls()
        for row in rows:
            batch._take(row)
        return batch

    def _take(self, row: Row) -> None:
        match row:
            case Session():
                self.sessions[row.session_id] = row
                # An older meter must not come out on top of the newer row.
                self.readings.pop(row.session_id, None)
            case Reading():
                self.readings[row.session_id] = row
            case Request():
                self.requests[row.request_id] = row
            case ChargingPoint():
                self.charging_points[row.cp_id] = row
                self.removals.discard(row.cp_id)
            case Removal():
                self.removals.add(row.cp_id)
                self.charging_points.pop(row.cp_id, None)
            case FaultEvent():
                self.faults.append(row)
            case HealthSnapshot():
                self.health.append(row)
            case Meta():
                self.meta = row
