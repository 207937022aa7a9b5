"""Figures as they are printed: a median, its spread, and what it is held against."""

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """Median, smallest and largest of some runs."""
    shown = f"{statistics.median(values):,.{digits}f} {unit}"
    return f"{shown} ({min(values):,.{digits}f} to {max(values):,.{digits}f}, {len(values)} runs)"


def line(name: str, figure: str, goal: str = "", holds: bool | None = None) -> None:
    """Print one figure; `holds`: whether it meets its goal."""
    verdict = {True: "  holds", False: "  MISSED", None: ""}[holds]
    print(f"{name:46} {figure}{f'  goal: {goal}' if goal else ''}{verdict}", flush=True)


def goal_line(
    name: str, values: Sequence[float], unit: str, digits: int, **goal: float | None
) -> None:
    """Print the figure of some runs; `goal`: `least` or `most`, that its median is held against."""
    ((bound, value),) = goal.items()
    if value is None:
        line(name, spread(values, unit, digits))
        return
    median = statistics.median(values)
    holds = median >= value if bound == "least" else median <= value
    line(name, spread(values, unit, digits), f"at {bound} {value:,g} {unit}".rstrip(), holds)
