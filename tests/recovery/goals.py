"""The goals of the figures, and the table that shows both."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from tests.bench.figures import percentile

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- recovery: begin -->", "<!-- recovery: end -->"


@attrs.frozen
class Goal:
    """One figure's name, what it says, the bound that was required and the one aimed at."""

    name: str
    text: str
    required: str
    goal_s: float


GOALS = (
    Goal("engine crash shown", "engine killed and held down, until shown BROKEN",
         "15 to 20 s", 3.5),
    Goal("engine hang shown", "engine hangs, until shown BROKEN", "15 to 20 s", 5.0),
    Goal("monitor crash shown", "monitor killed, until shown DISCONNECTED", "at once", 0.5),
    Goal("monitor cut off shown", "monitor cut off, until shown DISCONNECTED", "-", 3.5),
    Goal("engine normal again", "engine ready, until its point is in service and its cut-off "
         "session settled", "5 to 10 s", 2.0),
    Goal("engine woken, normal again", "hung engine woken, until its point is in service",
         "5 to 10 s", 2.0),
    Goal("monitor normal again", "monitor ready, until its point is in service", "5 to 10 s", 2.0),
    Goal("link healed, normal again", "link healed, until its point is in service", "-", 10.0),
    Goal("driver normal again", "driver ready, until told what it missed", "5 s", 3.0),
    Goal("Central normal again", "Central ready, until 20 of 20 points are in service and their "
         "20 buffered sessions confirmed", "10 to 15 s", 3.0),
    Goal("Central killed, taken over", "one of two Centrals killed, until the other one has all 20 "
         "points ON", "-", 6.0),
    Goal("Central hangs, taken over", "one of two Centrals hangs, until the same", "-", 12.0),
    Goal("Central cut off, taken over", "one of two Centrals cut off from the database without a "
         "reset, until the same", "-", 12.0),
    Goal("Central switched by hand", "one of two Centrals switched by hand, until the same", "-",
         3.0),
    Goal("broker normal again", "embedded broker ready, until all are in service, all buffered "
         "sessions confirmed, a waiting driver served", "15 to 30 s", 5.0),
    Goal("Kafka normal again", "one node of Apache Kafka ready, until the same", "15 to 30 s",
         10.0),
)  # fmt: skip


def missed(figures: Mapping[str, Sequence[float]]) -> list[Goal]:
    """The measured goals that were missed in any trial."""
    return [each for each in measured(figures) if max(figures[each.name]) > each.goal_s]


def measured(figures: Mapping[str, Sequence[float]]) -> list[Goal]:
    """The goals that there are figures for."""
    return [each for each in GOALS if figures.get(each.name)]


def table(figures: Mapping[str, Sequence[float]]) -> str:
    """The figures of every trial, as a table."""
    rows = [
        "| from, until | required | goal | median | p95 | max | trials | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for goal in measured(figures):
        values = figures[goal.name]
        shown = (statistics.median(values), percentile(values, 0.95), max(values))
        seconds = " | ".join(f"{value:.2f} s" for value in shown)
        verdict = "missed" if goal in missed(figures) else "holds"
        rows.append(
            f"| {goal.text} | {goal.required} | ≤ {goal.goal_s:g} s | {seconds} | {len(values)} "
            f"| {verdict} |"
        )
    return "\n".join(rows)


def write_into(document: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Put `text` between two markers of `document`, in the place of what is there."""
    before, found_begin, rest = document.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{document} lacks {begin} or {end}")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}")
