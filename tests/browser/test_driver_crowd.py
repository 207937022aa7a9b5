"""A driver's page with very many charging points, and for people who see or hear in other ways."""

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.adapters.http.driver_scene import POINTS, SESSION, Scene
from tests.browser.chromium import PHONE, WIDE, Watched, watched_page
from tests.browser.frames import traced_frames
from tests.browser.served_driver import served_driver
from tests.browser.test_accessible import check_dialog_by_keys, serious_faults

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession

pytestmark = pytest.mark.browser

COUNT = 10_000
FRAME_MS_MAX = 100.0
PLACES = ("#/", "#/cp/CP-001", "#/history", "#/session/session-1", "#/news")


def crowd(count: int, scene: Scene) -> None:
    """Give the scene so many charging points, and a session that has ended."""
    more = [{**POINTS[number % 4], "cp_id": f"CP-{number:05}"} for number in range(5, count + 1)]
    scene.central.answers["/cp"] = (200, {"charging_points": [*POINTS, *more]})
    ended = {**SESSION, "status": "COMPLETED", "end_time": "2026-01-31T12:30:00Z"}
    scene.central.answers["/sessions"] = (200, {"sessions": [ended]})


@pytest.fixture(scope="module")
def few() -> Iterator[str]:
    """Forty charging points."""
    with served_driver(partial(crowd, 40)) as url:
        yield url


@pytest.fixture(scope="module")
def many() -> Iterator[str]:
    """Ten thousand of them."""
    with served_driver(partial(crowd, COUNT)) as url:
        yield url


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing_serious_for_a_driver(
    browser: "Browser", few: str, place: str, dark: bool, size: tuple[int, int]
) -> None:
    """Proves: names, roles, contrast and order hold on each page, in light and dark."""
    with watched_page(browser, few + place, size=size, dark=dark) as watched:
        heading = watched.page.get_by_role("heading", level=1)
        watched.wait(lambda: heading.count() == 1, "a page")
        waiting = watched.page.get_by_text(re.compile("Connecting|Loading|Looking"))
        watched.wait(lambda: waiting.count() == 0, "a loaded page")
        assert serious_faults(watched) == []
        watched.check()


def test_the_dialog_is_reached_and_left_by_the_keyboard(browser: "Browser", few: str) -> None:
    """Proves: Stop session is pressed by keys alone; Escape leaves the question, and the focus goes
    back to where it was."""
    with watched_page(browser, few, size=PHONE) as watched:
        button = watched.page.get_by_role("button", name="Stop session")
        watched.wait(button.is_visible, "the session")
        check_dialog_by_keys(watched, button)


def test_the_link_for_the_keyboard_stays_on_its_page(browser: "Browser", few: str) -> None:
    """Proves: who skips to the content by the keyboard stays on the page that is shown; an address
    that nobody wrote so ends no script."""
    with watched_page(browser, f"{few}#/history") as watched:
        page = watched.page
        heading = page.get_by_role("heading", name="History", level=1)
        watched.wait(heading.is_visible, "the history")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        assert skip.evaluate("element => element === document.activeElement")
        page.keyboard.press("Enter")
        focused = "document.activeElement.id"
        watched.wait(lambda: page.evaluate(focused) == "content", "the content has the focus")
        assert heading.is_visible()
        page.goto(f"{few}#/cp/%")
        watched.wait(page.get_by_role("heading", name="%", level=1).is_visible, "its page")
        watched.check()


def test_a_browser_installs_it(browser: "Browser", few: str) -> None:
    """Proves: Chromium finds the manifest, its icons and the service worker to be those of a page
    that can be installed."""
    with watched_page(browser, few, size=PHONE) as watched:
        devtools = watched.page.context.new_cdp_session(watched.page)
        manifest = devtools.send("Page.getAppManifest")
        assert manifest["errors"] == []
        for icon in orjson.loads(manifest["data"])["icons"]:
            assert watched.page.request.get(few + icon["src"].lstrip("/")).ok
        missing = [each["errorId"] for each in installability_errors(watched, devtools)]
        assert missing == []


def installability_errors(watched: Watched, devtools: "CDPSession") -> list[dict[str, str]]:
    """All that keeps Chromium from offering to install the page, besides a private window."""
    ready = "navigator.serviceWorker.ready.then(() => true)"
    watched.wait(lambda: watched.page.evaluate(ready), "a service worker")
    found: list[dict[str, str]] = devtools.send("Page.getInstallabilityErrors")[
        "installabilityErrors"
    ]
    return [each for each in found if each["errorId"] != "in-incognito"]


def test_ten_thousand_are_searched_without_a_long_frame(browser: "Browser", many: str) -> None:
    """Proves: who looks for one of 10,000 charging points waits for no frame while the meter goes
    on, and finds it; only a part of them is in the document."""
    with watched_page(browser, many, size=PHONE) as watched:
        watched.wait_card("CP-00008", "FREE")
        assert cards(watched) < 100
        with traced_frames(watched) as frames:
            watched.page.get_by_role("searchbox").press_sequentially("CP-07777", delay=60)
            watched.wait(lambda: cards(watched) == 1, "one is found")
            watched.page.get_by_role("searchbox").fill("")
            watched.wait(lambda: cards(watched) > 1, "all are listed")
        frames.check(FRAME_MS_MAX)
        watched.check()


def cards(watched: Watched) -> int:
    """How many charging points are in the document."""
    return int(watched.page.locator(".point").count())
