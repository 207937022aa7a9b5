"""The course of a running session, thinned so that it stays small however long the session is."""

from typing import Final

POINTS_MAX: Final = 120

# Seconds since the start, kW, kWh.
CoursePoint = tuple[float, float, float]


class Course:
    """At most POINTS_MAX points of one session, evenly spread, the newest reading among them."""

    def __init__(self) -> None:
        self._kept: list[CoursePoint] = []
        self._newest: CoursePoint | None = None
        self._apart_s = 0.0

    @property
    def points(self) -> tuple[CoursePoint, ...]:
        """The points, oldest first."""
        if self._newest is None or (self._kept and self._kept[-1] == self._newest):
            return tuple(self._kept)
        return (*self._kept, self._newest)

    def add(self, seconds: float, kw: float, kwh: float) -> None:
        """Add a reading; one that is not later than the newest is left out."""
        if self._newest is not None and seconds <= self._newest[0]:
            return
        self._newest = (round(seconds, 3), kw, kwh)
        if self._kept and seconds - self._kept[-1][0] < self._apart_s:
            return
        self._kept.append(self._newest)
        # One place stays free for the newest reading.
        if len(self._kept) >= POINTS_MAX:
            last_s = self._kept[-1][0]
            self._kept = self._kept[::2]
            self._apart_s = 2 * last_s / POINTS_MAX
