"""The course of a session's power: few points, whatever the session's length.

A session has a step in seconds, and of each step the first reading is kept, and the newest reading
of all.  Where that becomes too many, the step is doubled: so the points are those that the longer
step would have kept from the beginning.
"""

from array import array
from typing import TypeAlias

POINTS_MAX = 120
STEP_S = 1.0
_NUMBERS = 3

# Seconds since the start, kW, kWh.
CurvePoint: TypeAlias = tuple[float, float, float]


class Curve:
    """The course so far of one session, which began at the monotonic `started_s`."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._step_s = STEP_S
        # Plain numbers, three a point: a tenth of the memory that tuples take.
        self._kept = array("d")
        self._newest: CurvePoint | None = None

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """At most POINTS_MAX points, in the order of their times."""
        kept = _points(self._kept)
        if self._newest is not None and kept[-1] != self._newest:
            kept.append(self._newest)
        return tuple(kept)

    def take(self, now_s: float, kw: float, kwh: float) -> None:
        """Take a reading; of several at one moment, as after a silence, the last one counts."""
        at_s = round(max(0.0, now_s - self._started_s), 1)
        before_s = self._kept[-_NUMBERS] if self._kept else None
        self._newest = (at_s, kw, kwh)
        if before_s == at_s:
            del self._kept[-_NUMBERS:]
        elif before_s is not None and before_s // self._step_s == at_s // self._step_s:
            return
        self._kept.extend(self._newest)
        # The newest may be one more.
        while len(self._kept) > (POINTS_MAX - 1) * _NUMBERS:
            self._thin()

    def _thin(self) -> None:
        self._step_s *= 2
        firsts: dict[float, CurvePoint] = {}
        for point in _points(self._kept):
            firsts.setdefault(point[0] // self._step_s, point)
        self._kept = array("d", (number for point in firsts.values() for number in point))


def _points(numbers: "array[float]") -> list[CurvePoint]:
    threes = iter(numbers)
    return list(zip(threes, threes, threes, strict=True))
