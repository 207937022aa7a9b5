"""`make recovery`: fail every part many times over, and print how soon it was seen and mended.

It takes about a quarter of an hour on two cores; run nothing beside it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from evd.kafka_node.installation import NotInstalled, find_installation
from tests.adapters.store.databases import why_no_postgres
from tests.network.brokers import KAFKA
from tests.recovery import goals
from tests.recovery.failures import FAILURES, KAFKA_FAILURES, Failure, Figures
from tests.recovery.scene import POINTS, SESSION_S, scene_in
from tests.recovery.takeover import TAKEOVERS, Takeover, two_centrals_in

# Fewer are no figure to publish.
TRIALS_MIN = 20

Measured = dict[str, list[float]]
SceneT = TypeVar("SceneT")
FailureT = TypeVar("FailureT", Failure, Takeover)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 when a goal was missed."""
    rows = [each.__name__ for each in (*FAILURES, *TAKEOVERS, *KAFKA_FAILURES)]
    parser = argparse.ArgumentParser(prog="make recovery", description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS_MIN, help="of each failure")
    parser.add_argument("--only", choices=rows, action="append", help="a failure; repeatable")
    parser.add_argument(
        "--write", action="store_true", help=f"put the table into docs/{goals.DOCUMENT.name}"
    )
    options = parser.parse_args(argv)
    if options.trials < 1:
        parser.error("--trials: must be at least 1")
    if options.write and (options.only or options.trials < TRIALS_MIN):
        parser.error(f"--write: needs every failure, and at least {TRIALS_MIN} trials")
    chosen = rows if options.only is None else options.only
    figures: Measured = defaultdict(list)
    try:
        left_out = _measure(options.trials, chosen, figures)
    finally:
        # Also where a trial came to no end.
        print(goals.table(figures))
    if options.write:
        goals.write_into(goals.DOCUMENT, _section(options.trials, figures, left_out))
        print(f"Written into docs/{goals.DOCUMENT.name}")
    for each in left_out:
        print(f"LEFT OUT: {each}", file=sys.stderr)
    missed = goals.missed(figures)
    for goal in missed:
        worst_s = max(figures[goal.name])
        print(f"MISSED: {goal.name}: {worst_s:.2f} s, not {goal.goal_s:g} s", file=sys.stderr)
    return 1 if missed else 0


def _measure(trials: int, chosen: Collection[str], figures: Measured) -> list[str]:
    """Fill in `figures`; what is not among them, each with why."""

    def named(failures: Sequence[FailureT]) -> list[FailureT]:
        return [each for each in failures if each.__name__ in chosen]

    left_out = []
    _try(trials, named(FAILURES), scene_in, figures)
    if takeovers := named(TAKEOVERS):
        if why := why_no_postgres():
            left_out.append(f"two Centrals on one database: {why}")
        else:
            _try(trials, takeovers, two_centrals_in, figures)
    if on_kafka := named(KAFKA_FAILURES):
        try:
            find_installation()
        except NotInstalled as failure:
            left_out.append(f"a node of Apache Kafka: {failure}")
        else:
            _try(trials, on_kafka, partial(scene_in, broker=KAFKA), figures)
    return left_out


def _try(
    trials: int,
    failures: Sequence[Callable[[SceneT, int], Figures]],
    opened: Callable[[Path], AbstractContextManager[SceneT]],
    figures: Measured,
) -> None:
    if not failures:
        return
    with (
        tempfile.TemporaryDirectory(prefix="evd-recovery-") as name,
        opened(Path(name)) as scene,
    ):
        for trial in range(trials):
            for failure in failures:
                began_s = time.monotonic()
                found = failure(scene, trial)
                shown = ", ".join(f"{what} {value:.2f} s" for what, value in found.items())
                took_s = time.monotonic() - began_s
                print(f"trial {trial + 1}/{trials}: {shown} (took {took_s:.0f} s)", flush=True)
                for what, value in found.items():
                    figures[what].append(value)


def _section(trials: int, figures: Measured, left_out: Sequence[str]) -> str:
    load = os.getloadavg()[2]
    text = (
        f"{datetime.now(UTC):%Y-%m-%d}: {trials} trials of each in one network of {POINTS} "
        f"charging points with sessions of {SESSION_S:g} s, everything else at its default, on "
        f"{os.cpu_count()} cores (load over the last 15 minutes: {load:.1f}). A goal holds when "
        "every trial met it. No trial restarted anything but what failed: the process ids of all "
        "others stayed the same.\n\n"
        f"{goals.table(figures)}"
    )
    return "\n\n".join((text, *(f"Left out: {each}" for each in left_out)))


if __name__ == "__main__":
    sys.exit(main())
