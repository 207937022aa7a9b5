"""The dashboard with ten thousand charging points."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import Watched, watched_page
from tests.browser.crowd import Crowd, Served, served_crowd
from tests.browser.frames import Queue, traced_frames

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

COUNT = 10_000
PAINTED_S_MAX, FEW_PAINTED_S_MAX = 2.0, 1.0
FEW = 5
LOADS_MAX = 3
# Notes when the first charging point is on the screen, in ms since the page was asked for.
_NOTE_FIRST_CARD = """
new MutationObserver((_, watch) => {
  if (!document.querySelector("[aria-posinset]")) return;
  watch.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstCardMs = performance.now(); }));
}).observe(document, { subtree: true, childList: true });
"""
FRAME_MS_MAX = 100.0
# A turn of a wheel, and how often.
WHEEL_PX, TURNS = 600, 40


@pytest.fixture(scope="module")
def crowd() -> Iterator[Served]:
    """Ten thousand charging points, a hundred of which change each second."""
    with served_crowd(Crowd(COUNT)) as served:
        yield served


@pytest.fixture
def watched(browser: "Browser", crowd: Served) -> Iterator[Watched]:
    """The dashboard of the crowd, with its cards."""
    with watched_page(browser, crowd.url) as watched:
        watched.wait_card("CP-00002", "ON")
        yield watched
        watched.check()


def test_it_is_painted_soon(browser: "Browser", crowd: Served) -> None:
    """Proves: with 10,000 charging points the first cards are painted within two seconds.  A page
    that is late is late each time; a busy machine now and then."""
    check_painted(browser, crowd.url, PAINTED_S_MAX)


def test_few_are_painted_sooner(browser: "Browser") -> None:
    """Proves: a network of five is painted within a second."""
    with served_crowd(Crowd(FEW)) as served:
        check_painted(browser, served.url, FEW_PAINTED_S_MAX)


def check_painted(browser: "Browser", url: str, within_s: float) -> None:
    """That one of a few loads shows its first cards in time."""
    painted_s: list[float] = []
    while len(painted_s) < LOADS_MAX and min(painted_s, default=math.inf) > within_s:
        painted_s.append(first_card_s(browser, url))
    assert painted_s[-1] <= within_s


def first_card_s(browser: "Browser", url: str) -> float:
    """How long after the page was asked for its first cards were on the screen, less the time in
    which other programs had all cores."""
    with watched_page(browser, "about:blank") as watched:
        watched.page.add_init_script(_NOTE_FIRST_CARD)
        queue = Queue()
        watched.page.goto(url)
        first_ms = watched.wait(lambda: watched.page.evaluate("window.firstCardMs"), "a card")
        assert 0 < shown(watched) < 200
        queued_s = queue.queued_s
        print(f"first cards after {first_ms / 1000:.2f} s, {queued_s:.2f} s without a core")
        return float(first_ms / 1000 - queued_s)


def shown(watched: Watched) -> int:
    """How many charging points are in the document."""
    return int(watched.page.locator("[aria-posinset]").count())


@pytest.mark.parametrize("look", ["Cards", "Rows"])
def test_it_scrolls_without_a_long_frame(watched: Watched, look: str) -> None:
    """Proves: who scrolls through 10,000 charging points waits for no frame, and finds the last
    one at the end; only what is on the screen is in the document."""
    page = watched.page
    page.get_by_role("button", name=look).click()
    page.mouse.move(400, 700)
    with traced_frames(watched) as frames:
        for _ in range(TURNS):
            page.mouse.wheel(0, WHEEL_PX)
            page.evaluate("new Promise(requestAnimationFrame)")
    assert page.evaluate("scrollY") > WHEEL_PX * TURNS / 2
    frames.check(FRAME_MS_MAX)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    watched.wait(lambda: watched.card(f"CP-{COUNT:05d}").count() == 1, "the last one")
    assert shown(watched) < 200


def test_it_searches_without_a_long_frame(watched: Watched) -> None:
    """Proves: who types into the search of 10,000 charging points waits for no frame, and finds
    exactly those that fit."""
    page = watched.page
    search = page.get_by_role("searchbox")
    with traced_frames(watched) as frames:
        search.press_sequentially("CP-0777", delay=60)
        watched.wait(lambda: "10 of" in found(watched), "ten are found")
    frames.check(FRAME_MS_MAX)
    assert watched.card("CP-07770").count() == 1


def found(watched: Watched) -> str:
    """The words that say how many are listed."""
    return str(watched.page.get_by_role("heading", name="Charging points").inner_text())
