"""Debian's Prometheus for the tests; without it the run says what it leaves out."""

import pytest

from tests.prometheus.install import Installation, NotInstalled, find_prometheus


@pytest.fixture(scope="session")
def installed() -> Installation:
    """The two programs; where there are none the test is left out, and fails under CI=true."""
    try:
        return find_prometheus()
    except NotInstalled as missing:
        pytest.skip(str(missing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Warn in the summary that Prometheus was left out, also by a test in another process."""
    skipped = terminalreporter.stats.get("skipped", [])
    left_out = [each for each in skipped if "make prometheus" in str(each.longrepr)]
    if left_out:
        text = f"LEFT OUT: {len(left_out)} tests on Prometheus (run `make prometheus` first)"
        terminalreporter.section(text, sep="!", red=True)
