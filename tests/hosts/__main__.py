"""`make test-hosts`: every test on real hosts, with its time; `N passed, N failed` comes last.

It takes about fifteen minutes; run nothing beside it, for some of the promises are about time.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.hosts.site import KINDS, Figures, kind_of
from tests.recovery import goals

BEGIN, END = "<!-- hosts: begin -->", "<!-- hosts: end -->"
FOLDER = Path(__file__).parent


class ByLab(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each lab's tests to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return kind_of(nodeid).name


class Report:
    """Shows each test's time, the reset of its hosts included, and counts how they ended."""

    def __init__(self) -> None:
        self.figures = Figures()
        self._seconds: dict[str, dict[str, float]] = defaultdict(dict)
        self.passed: set[str] = set()
        self.failed: set[str] = set()

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ByLab:
        """Choose who gives the tests to the workers."""
        return ByLab(config, log)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that failed in any of its phases as failed; gather what was measured."""
        self._took_s(report)
        for name, measured in report.user_properties:
            if name == Figures.PROPERTY and isinstance(measured, dict):
                self.figures.seconds.update(measured)
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.passed and report.when == "call":
            self.passed.add(report.nodeid)
        self.passed -= self.failed

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """The word behind a test's name: how it ended, and after how long."""
        if report.when != "call" or not (report.passed or report.failed):
            return None
        word, letter = ("passed", ".") if report.passed else ("failed", "F")
        return word, letter, f"{word} in {self._took_s(report):.1f} s"

    def _took_s(self, report: pytest.TestReport) -> float:
        """The seconds of a test's phases up to this one."""
        phases = self._seconds[report.nodeid]
        phases[report.when] = report.duration
        return sum(phases.values())

    @property
    def last_line(self) -> str:
        return f"{len(self.passed)} passed, {len(self.failed)} failed"


def main(argv: Sequence[str] | None = None) -> int:
    """Run them; the exit code, 0 also where this machine can't boot hosts."""
    parser = argparse.ArgumentParser(prog="make test-hosts", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help=f"put the figures into docs/{goals.DOCUMENT.name}"
    )
    parser.add_argument(
        "--slow", action="store_true", help="those that take too long for each run, and no others"
    )
    options, more = parser.parse_known_args(argv)
    report = Report()
    marked = f"hosts and {'' if options.slow else 'not '}slow"
    # A test may take minutes, and hang no earlier than that.
    patient = ("-o", "faulthandler_timeout=900")
    # The labs side by side: a test mostly waits.
    options_given = ["-n", str(len(KINDS)), "-v", "-m", marked, *patient, str(FOLDER), *more]
    began_s = time.monotonic()
    code = pytest.main(options_given, plugins=[report])
    minutes = (time.monotonic() - began_s) / 60
    for what, seconds in report.figures.seconds.items():
        print(f"{seconds:7.2f} s  {what}")
    # One that was broken off has not measured all of them.
    if options.write and code == pytest.ExitCode.OK and report.passed:
        goals.write_into(goals.DOCUMENT, _section(report, minutes), BEGIN, END)
        print(f"Written into docs/{goals.DOCUMENT.name}")
    print(report.last_line)
    return int(code)


def _section(report: Report, minutes: float) -> str:
    rows = "\n".join(
        f"| {what} | {seconds:.2f} s |" for what, seconds in report.figures.seconds.items()
    )
    load = os.getloadavg()[2]
    *sizes, last = (str(len(kind.hosts)) for kind in KINDS)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {report.last_line}, on networks of {', '.join(sizes)} "
        f"and {last} hosts, "
        f"all on one machine with {os.cpu_count()} cores (load over the last 15 "
        f"minutes: {load:.1f}), in {minutes:.0f} minutes.\n\n"
        f"| from, until | |\n|---|---|\n{rows}"
    )


if __name__ == "__main__":
    sys.exit(main())
