"""The monitors that had no right token, as they are written down: one row and one line of the log
a minute for each charging point and address, with how many they were."""

import itertools

import attrs

from evd.core.central.events import Effect, Save
from evd.core.central.rows import EventType, FaultEvent
from evd.core.effects import Level, Note, Now

MINUTE_S = 60.0
# Charging points that nobody knows may have any name: so many of them are written down a minute.
UNKNOWN_MAX = 50
PLACES_MAX = 25_000


@attrs.define(slots=True)
class _Minute:
    """A minute of one charging point and address: since when, how many, and why the last one."""

    began_s: float
    is_known: bool
    why: str
    count: int = 0


class TurnedAway:
    """Those of the present minute."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, str], _Minute] = {}
        self._unknown_count = 0

    def add(self, cp_id: str, address: str, why: str, *, is_known: bool, now: Now) -> list[Effect]:
        """Count one; the first of a minute is written down at once."""
        minute = self._minutes.get((cp_id, address))
        if minute is not None:
            minute.count += 1
            minute.why = why
            return []
        too_many = len(self._minutes) >= PLACES_MAX
        if too_many or (not is_known and self._unknown_count >= UNKNOWN_MAX):
            text = "Monitors of charging points that nobody knows are turned away: too many names"
            return [Note(Level.WARNING, text, about="monitors of unknown names", is_one=True)]
        self._begin(cp_id, address, _Minute(now.mono_s, is_known, why))
        return _told(cp_id, address, why, 1, now)

    def _begin(self, cp_id: str, address: str, minute: _Minute) -> None:
        self._minutes[cp_id, address] = minute
        self._unknown_count += not minute.is_known

    def tick(self, now: Now) -> list[Effect]:
        """Write down the rest of the minutes that are over."""
        # They stand in the order of their beginnings.
        over = [
            *itertools.takewhile(
                lambda each: now.mono_s - each[1].began_s >= MINUTE_S, self._minutes.items()
            )
        ]
        effects: list[Effect] = []
        for (cp_id, address), minute in over:
            del self._minutes[cp_id, address]
            self._unknown_count -= not minute.is_known
            if minute.count:
                effects += _told(cp_id, address, minute.why, minute.count, now)
                self._begin(cp_id, address, _Minute(now.mono_s, minute.is_known, minute.why))
        return effects


def _told(cp_id: str, address: str, why: str, count: int, now: Now) -> list[Effect]:
    times = "" if count == 1 else f", {count} times in a minute"
    reason = f"a monitor at {address or 'an unknown address'} is turned away: {why}{times}"
    return [
        Save(FaultEvent(cp_id, EventType.REFUSED, reason, now.wall)),
        Note(Level.WARNING, f"CP {cp_id}: {reason}", about=f"CP {cp_id}"),
    ]
