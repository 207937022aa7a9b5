"""The history of a charging point as it is written down: its faults and recoveries, and how it
stood at each change and every minute.
"""

import math
from zlib import crc32

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
    """How one charging point stood when that was last written down, and by when it is again.

    Each charging point has its own moment of the minute: thousands that register together would
    be written down together ever after.
    """

    def __init__(self, cp_id: str) -> None:
        self._standing: tuple[object, ...] | None = None
        self._first_span_s = crc32(cp_id.encode()) / 2**32 * SNAPSHOT_S
        self._next_s = math.inf

    @property
    def next_s(self) -> float:
        """By when the next one is written down at the latest; never before the first."""
        return self._next_s

    def wants(self, standing: tuple[object, ...], now_s: float, *, is_flapping: bool) -> bool:
        """Return whether it is to be written down now: where it stands otherwise, and every
        minute."""
        if self._standing is None:
            self._next_s = now_s + self._first_span_s
        elif now_s >= self._next_s:
            self._next_s = now_s + SNAPSHOT_S
        elif standing == self._standing or is_flapping:
            return False
        self._standing = standing
        return True
