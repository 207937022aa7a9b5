"""The history of a charging point as it is written down: its faults and recoveries, and how it
stood at each change and every minute.
"""

import math

import attrs

from evd.core.central.events import Effect, Save
from evd.core.central.rows import EventType, FaultEvent, HealthSnapshot, ShownState
from evd.core.effects import Level, Note

SNAPSHOT_S = 60.0

_SHOWN = {
    EventType.FAULT: "marked as FAULTY",
    EventType.RECOVERY: "recovered",
    EventType.DISCONNECTED: "is DISCONNECTED",
    EventType.RECONNECTED: "is connected again",
}


def told(event: FaultEvent, level: Level, shown: ShownState) -> list[Effect]:
    """Write down an event and log it; `shown` is the state after it."""
    text = f"CP {event.cp_id} {_SHOWN[event.event_type]}: {event.reason}"
    if event.event_type in (EventType.FAULT, EventType.RECOVERY):
        text += f"; it is {shown}"
    return [Save(event), Note(level, text, about=f"CP {event.cp_id}")]


class Snapshots:
    """The newest snapshot of one charging point, and when it was written down."""

    def __init__(self) -> None:
        self._newest: HealthSnapshot | None = None
        self._written_s = -math.inf

    def take(self, snapshot: HealthSnapshot, now_s: float, *, is_flapping: bool) -> list[Effect]:
        """Write it down where it says something new, and every minute."""
        before = self._newest
        if before is not None and now_s - self._written_s < SNAPSHOT_S:
            # The power alone is no news but where it begins or ends.
            alike = attrs.evolve(
                before,
                fault_reason=snapshot.fault_reason,
                timestamp=snapshot.timestamp,
                kw=snapshot.kw if bool(snapshot.kw) is bool(before.kw) else before.kw,
            )
            if alike == snapshot or is_flapping:
                return []
        self._newest, self._written_s = snapshot, now_s
        return [Save(snapshot)]
