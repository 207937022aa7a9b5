"""The course of power over a span of time: few enough points to be drawn."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

import attrs

POINTS_MAX = 1_500
# A sample is written at least each minute: over a longer silence nobody knows the power.
HOLDS = timedelta(minutes=1)
# Samples at one moment still count.
_LEAST = timedelta(microseconds=1)


@attrs.frozen(slots=True)
class PowerPoint:
    """The power, in kW, from `ts` until the next point."""

    ts: datetime
    kw: float


def thinned(samples: Sequence[PowerPoint], points_max: int = POINTS_MAX) -> list[PowerPoint]:
    """At most `points_max` points: each the mean over an equal part of the time.

    `samples` come in the order of their times; each holds until the next, but no longer than
    HOLDS.
    """
    if len(samples) <= points_max:
        return list(samples)
    first = samples[0].ts
    part = (samples[-1].ts - first) / points_max
    nexts = [after.ts - sample.ts for sample, after in pairwise(samples)]
    weights = [max(_LEAST, min(each, HOLDS)) / _LEAST for each in (*nexts, HOLDS)]

    def part_of(pair: tuple[PowerPoint, float]) -> int:
        # The last sample stands at the end of the last part.
        return min(points_max - 1, (pair[0].ts - first) // part) if part else 0

    points = []
    for _, pairs in groupby(zip(samples, weights, strict=True), part_of):
        inside = list(pairs)
        held = sum(weight for _, weight in inside)
        mean_kw = sum(sample.kw * weight for sample, weight in inside) / held
        points.append(PowerPoint(inside[0][0].ts, round(mean_kw, 3)))
    return points
