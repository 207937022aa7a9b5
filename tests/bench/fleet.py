"""Charging points that one Central carries: `evd fleet` against a Central on a core of its own.

`python -m tests.bench.fleet 1000 10000 --restart 10000 --beside 10000`: a row for each number, how
soon all are back after a restart, and what costly readers beside them do to heartbeats.
"""

import argparse
import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from evd.core.fleet.plan import CHARGING
from tests.bench.beside import crowd_on, readers_of
from tests.bench.exports import watched
from tests.bench.figures import line, percentile
from tests.network.network import Network
from tests.network.processes import Program

# Short: for `make bench`.
CPS: Final = (200,)
SECONDS: Final = 15
READERS: Final = 100
PAGES: Final = ("/cp", "/metrics", "/sessions?format=csv")
# The niceness of readers, who are elsewhere in a real network.
ASIDE: Final = 10
# Goals at the largest number.
CPS_GOAL: Final = 10_000
CORES_MAX: Final = 1.0
RESIDENT_MB_MAX: Final = 500.0
ACCEPTED_P50_MS_MAX: Final = 50.0
ACCEPTED_P99_MS_MAX: Final = 250.0
SHOWN_P99_MS_MAX: Final = 500.0
BACK_S_MAX: Final = 10.0
ACK_MS_MAX: Final = 100.0
AROUND_S_MAX: Final = 600.0

Report = dict[str, Any]


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Start programs on this core alone, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def _played(cps: int, charging: float, seconds: int) -> Iterator[tuple[Network, Program]]:
    """A Central on the first core; its broker, and a fleet that registers, on the second."""
    with tempfile.TemporaryDirectory(prefix="evd-fleet-") as name, Network(Path(name)) as network:
        with on_core(1):
            network.broker.start_until_ready()
        with on_core(0):
            network.central("--cps-max", str(2 * cps)).start()
        network.wait_healthy()
        fleet = network.program(
            "fleet",
            *("evd", "--central-url", network.url, "fleet", "--json"),
            *("--cps", str(cps), "--seconds", str(seconds), "--charging", str(charging)),
            *("--central-port", str(network.control_port)),
            *("--kafka-bootstrap", network.bootstrap),
        )
        with on_core(1):
            fleet.start()
        yield network, fleet


def _report(fleet: Program, seconds: int) -> Report:
    code = fleet.wait(seconds + AROUND_S_MAX)
    if code not in (0, 1) or not fleet.printed():
        raise RuntimeError(f"evd fleet ended with {code}: {fleet.logged()[-1000:]}")
    report: Report = json.loads(fleet.printed())
    return report


def _wait_measured(fleet: Program) -> None:
    fleet.wait_for_line("measuring for", AROUND_S_MAX)


def row(cps: int, charging: float, seconds: int) -> Report:
    """Print what one Central carries of so many; its report."""
    with _played(cps, charging, seconds) as (_, fleet):
        report = _report(fleet, seconds)
    central, at_goal = report["central"], cps == CPS_GOAL
    name = f"{cps:,} charging points, {report['charging']:,} charge"
    registered = f"{report['registered']:,}, all in {report['registered_s']} s"
    line(f"{name}: registered", registered, f"{cps:,}", report["registered"] == cps)
    for what, figure, unit, most in (
        ("Central's processor", central["cores"], "of a core", CORES_MAX),
        ("Central's memory", central["resident_mb"], "MB", RESIDENT_MB_MAX),
        ("request to ACCEPTED, p50", _of(report, "accepted", "p50_ms"), "ms", ACCEPTED_P50_MS_MAX),
        ("request to ACCEPTED, p99", _of(report, "accepted", "p99_ms"), "ms", ACCEPTED_P99_MS_MAX),
        ("reading to IN_PROGRESS, p99", _of(report, "shown", "p99_ms"), "ms", SHOWN_P99_MS_MAX),
    ):
        goal = f"at most {most:g} {unit}" if at_goal else ""
        holds = figure <= most if at_goal and figure is not None else None
        line(f"{name}: {what}", f"{figure} {unit}", goal, holds)
    line(f"{name}: heartbeat to ACK, longest", f"{_of(report, 'acked', 'most_ms')} ms")
    line(f"{name}: the fleet's own processor", f"{report['own_cores']} of a core")
    _verdict(name, report)
    return report


def _of(report: Report, spread: str, figure: str) -> float | None:
    found = report[spread]
    return None if found is None else float(found[figure])


def _verdict(name: str, report: Report) -> None:
    told = "; ".join(report["shortfalls"]) or "in all"
    late = " (the fleet itself was late)" if report["played_late"] else ""
    line(f"{name}: kept up", f"{told}{late}", "in all", report["kept_up"])


def restart(cps: int, charging: float) -> Report:
    """Print how soon all monitors are back after Central was killed and started again."""
    seconds = 40
    with _played(cps, charging, seconds) as (network, fleet):
        _wait_measured(fleet)
        central = network.programs["central"]
        central.kill()
        with on_core(0):
            central.start()
        report = _report(fleet, seconds)
    back_s, refused = report["away_s"], report["nacks"]
    line(
        f"{cps:,} monitors back after Central was killed",
        f"{back_s:g} s; refused: {refused or 'none'}",
        f"at most {BACK_S_MAX:g} s, none refused",
        0 < back_s <= BACK_S_MAX and not refused and report["registered"] == cps,
    )
    return report


def beside(cps: int, charging: float, seconds: int) -> Report:
    """Print the longest wait of a heartbeat while others read all that there is."""
    with _played(cps, charging, seconds) as (network, fleet), ExitStack() as stack:
        _wait_measured(fleet)
        # A reader's own work is neither Central's nor the fleet's.
        with on_core(1):
            stack.enter_context(crowd_on(network.feed_port, READERS, niceness=ASIDE))
            stack.enter_context(readers_of(network.url, PAGES, niceness=ASIDE))
            monitor = stack.enter_context(watched(network))
        report = _report(fleet, seconds)
    longest = max(monitor.answers)
    name = f"{cps:,} charging points beside {READERS} feeds, GET /cp, /metrics, CSV"
    p99 = percentile(monitor.answers, 0.99)
    line(
        f"{name}: ACK to a monitor of its own",
        f"p99 {p99:.1f} ms, longest {longest:.1f} ms of {len(monitor.answers):,}",
        f"longest at most {ACK_MS_MAX:g} ms",
        longest <= ACK_MS_MAX,
    )
    # That one has its readers' work beside it, on its own core.
    line(f"{name}: ACK to the fleet", f"longest {_of(report, 'acked', 'most_ms')} ms")
    return report


def measure(cps: Sequence[int], charging: float = CHARGING, seconds: int = SECONDS) -> list[Report]:
    """Print a row for each number, and how the cost grows between them."""
    reports = [row(each, charging, seconds) for each in cps]
    for (few, less), (many, more) in itertools.pairwise(zip(cps, reports, strict=True)):
        before, after = less["central"]["cores"], more["central"]["cores"]
        if before and after:
            grown, times = after / before, many / few
            goal = f"at most {times:g} times"
            line(f"cost of {many:,} beside {few:,}", f"{grown:.1f} times", goal, grown <= times)
    return reports


def main() -> None:
    """Measure what was asked for; the exit code is 1 where Central did not keep up."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    parser.add_argument("cps", type=int, nargs="*", help=f"rows (default {CPS[0]})")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--charging", type=float, default=CHARGING)
    parser.add_argument("--restart", type=int, default=0, metavar="CPS")
    parser.add_argument("--beside", type=int, default=0, metavar="CPS")
    options = parser.parse_args()
    only_others = not options.cps and (options.restart or options.beside)
    reports = measure(() if only_others else options.cps or CPS, options.charging, options.seconds)
    if options.restart:
        restart(options.restart, options.charging)
    if options.beside:
        beside(options.beside, options.charging, options.seconds)
    if not all(report["kept_up"] for report in reports):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
