"""The browser of the tests; where a machine has none the run says what it leaves out."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import NoBrowser, chromium, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_left_out: list[str] = []


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """One browser for all tests; each opens pages of its own."""
    try:
        find_chromium()
    except NoBrowser as failure:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI looks at the pages in a browser: {failure}")
        _left_out.append(str(failure))
        pytest.skip(str(failure))
    with chromium() as browser:
        yield browser


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Warns in the summary that the browser was left out."""
    if _left_out:
        terminalreporter.section("LEFT OUT: everything in a browser", sep="!", red=True)
        terminalreporter.line(_left_out[0])
