"""The history of a charging point as it is written down: its faults and recoveries, and how it
stood at each change and every minute.
"""

import math

from evd.core.central.events import Effect, Save
from evd.core.central.rows import EventType, FaultEvent, ShownState
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
    """How one charging point stood when that was last written down, and when it was."""

    def __init__(self) -> None:
        self._standing: tuple[object, ...] | None = None
        self._written_s = -math.inf

    @property
    def next_s(self) -> float:
        """By when the next one is written down at the latest; never before the first."""
        return math.inf if self._standing is None else self._written_s + SNAPSHOT_S

    def wants(self, standing: tuple[object, ...], now_s: float, *, is_flapping: bool) -> bool:
        """Return whether it is to be written down now: where it stands otherwise, and every
        minute."""
        is_due = now_s >= self.next_s or self._standing is None
        if not is_due and (standing == self._standing or is_flapping):
            return False
        self._standing, self._written_s = standing, now_s
        return True
