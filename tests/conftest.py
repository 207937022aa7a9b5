"""Shared by tests of every kind: the same order of tasks, and nothing left out in CI."""

import os
import signal
from collections.abc import Generator, Iterator

import pytest
import trio._core._run as trio_run
from hypothesis import HealthCheck, settings

SEED = 20260131

# A run in the background may have been told to ignore these, and its programs would do so as well.
for _each in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_each) is signal.SIG_IGN:
        signal.signal(
            _each, signal.default_int_handler if _each is signal.SIGINT else signal.SIG_DFL
        )

# How fast this machine is at the moment is no property of the code.
settings.register_profile("evd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("evd")


@pytest.fixture(autouse=True)
def _deterministic_trio(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give a test marked `deterministic_trio` the same order of tasks in each run.

    Trio shuffles the tasks that are ready; the shuffle is private, so it is checked that it is
    still what we think it is.
    """
    if request.node.get_closest_marker("deterministic_trio") is None:
        yield
        return
    assert isinstance(trio_run._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    monkeypatch.setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    state = trio_run._r.getstate()
    trio_run._r.seed(SEED)
    yield
    trio_run._r.setstate(state)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail in CI where a test was left out because this machine lacks something."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"left out, and in CI nothing may be: {report.longreprtext}"
    return report
