"""The charging points by what decisions ask of them, kept up with those that have changed.

A question costs by its answer and by what has changed since the last one, not by how many charging
points there are.
"""

import bisect
from collections.abc import Iterator, Mapping

from evd.core.central.ledger import Ledger
from evd.core.central.point import Point
from evd.core.central.rows import SessionStatus, ShownState
from evd.core.wire.messages import CpState

# The cheapest comes first, then the most powerful, then the one that was idle the longest.
Rank = tuple[float, float, float, str]


class PointIndex:
    """All charging points of one Central."""

    def __init__(self, points: Mapping[str, Point], ledger: Ledger) -> None:
        self._points = points
        self._ledger = ledger
        self._changed: dict[str, None] = {}
        self._away: dict[str, None] = {}
        self._placing: dict[str, None] = {}
        self._supplying: dict[str, None] = {}
        self._strays: dict[str, None] = {}
        self._drivers: dict[str, str] = {}
        self._by_driver: dict[str, dict[str, None]] = {}
        self._ranks: dict[str, Rank] = {}
        self._free: list[Rank] = []

    def mark(self, cp_id: str) -> None:
        """A charging point, or the session that Central has open there, has changed."""
        self._changed[cp_id] = None

    def strays(self) -> list[Point]:
        """Return those whose engine runs a session that Central does not have open there."""
        return self._found(self._strays)

    def supplying(self) -> list[Point]:
        """Return those whose engine runs a session."""
        return self._found(self._supplying)

    def of_driver(self, driver_id: str) -> list[Point]:
        """Return those whose engine runs a session of this driver."""
        self._refresh()
        return self._found(self._by_driver.get(driver_id, {}))

    def all_are_back(self) -> bool:
        """Return whether all have reported since Central's start."""
        self._refresh()
        return not self._away

    def some_find_their_place(self) -> bool:
        """Return whether an engine is just finding its place in its commands."""
        self._refresh()
        return bool(self._placing)

    def free(self) -> Iterator[Point]:
        """The ones that nothing but a breaker keeps from taking a driver, the best first."""
        self._refresh()
        return (self._points[rank[-1]] for rank in self._free)

    def _found(self, kept: Mapping[str, None]) -> list[Point]:
        self._refresh()
        return [self._points[cp_id] for cp_id in kept]

    def _refresh(self) -> None:
        if self._changed:
            changed, self._changed = self._changed, {}
            for cp_id in changed:
                self._put(cp_id, self._points.get(cp_id))

    def _put(self, cp_id: str, point: Point | None) -> None:
        is_here = point is not None
        supplies = point.supplies if point is not None else None
        _keep(self._away, cp_id, point is not None and not is_back(point))
        _keep(self._placing, cp_id, point is not None and finds_its_place(point))
        _keep(self._supplying, cp_id, supplies is not None)
        _keep(self._strays, cp_id, is_here and not self._is_open(supplies, cp_id))
        report = point.report if point is not None else None
        self._put_driver(cp_id, report.driver_id if report and report.session_id else None)
        self._put_rank(cp_id, self._rank(point) if point is not None else None)

    def _is_open(self, session_id: str | None, cp_id: str) -> bool:
        session = self._ledger.sessions.get(session_id or "")
        return session_id is None or (
            session is not None
            and session.status is SessionStatus.ACTIVE
            and session.cp_id == cp_id
        )

    def _put_driver(self, cp_id: str, driver_id: str | None) -> None:
        before = self._drivers.pop(cp_id, None)
        if before is not None:
            del self._by_driver[before][cp_id]
            if not self._by_driver[before]:
                del self._by_driver[before]
        if driver_id is not None:
            self._drivers[cp_id] = driver_id
            self._by_driver.setdefault(driver_id, {})[cp_id] = None

    def _rank(self, point: Point) -> Rank | None:
        session = self._ledger.active_at(point.cp_id)
        assigned = session.session_id if session is not None else None
        euro_rate, kw_rate = point.row.euro_rate, point.row.kw_rate
        if point.hindered(assigned) or euro_rate is None or kw_rate is None:
            return None
        return euro_rate, -kw_rate, point.idle_since_s, point.cp_id

    def _put_rank(self, cp_id: str, rank: Rank | None) -> None:
        before = self._ranks.pop(cp_id, None)
        if before != rank and before is not None:
            del self._free[bisect.bisect_left(self._free, before)]
        if rank is not None:
            self._ranks[cp_id] = rank
            if rank != before:
                bisect.insort(self._free, rank)


def _keep(kept: dict[str, None], cp_id: str, is_one: bool) -> None:
    if is_one:
        kept[cp_id] = None
    else:
        kept.pop(cp_id, None)


def is_back(point: Point) -> bool:
    """Return whether all that is to be known of it has been heard since Central's start."""
    if not point.monitor_ok:
        return False
    # An engine that was started with Central is still finding its place in its commands.
    report = point.report
    settled = report is not None and report.state is not CpState.DISCONNECTED
    return settled or bool(point.ko_reason)


def finds_its_place(point: Point) -> bool:
    """Return whether its engine is just finding its place in its commands."""
    report = point.report
    found = report is None or report.state is not CpState.DISCONNECTED
    return point.shown is ShownState.ON and not found
