"""Which charging point a driver gets who takes any: the cheapest, then the most powerful, then
the one that was idle the longest."""

from collections.abc import Iterable

from evd.core.central.point import Point


def choose(free: Iterable[Point]) -> Point | None:
    """The best of the charging points in `free`, all of which are available; None for none."""
    return min(free, key=_rank, default=None)


def _rank(point: Point) -> tuple[float, float, float, str]:
    euro_rate, kw_rate = point.row.euro_rate, point.row.kw_rate
    if euro_rate is None or kw_rate is None:
        raise ValueError(f"{point.cp_id} has no rates: it is not available")
    return euro_rate, -kw_rate, point.idle_since_s, point.cp_id
