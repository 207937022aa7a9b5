"""The dashboard for people who see, hear or move in other ways."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import PHONE, WIDE, Watched, watched_page
from tests.browser.crowd import Crowd, Served, served_crowd

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

SERIOUS = {"serious", "critical"}
PLACES = ("#/", "#/cp/CP-00001", "#/session/session-2", "#/sessions", "#/faults", "#/reports")


@pytest.fixture(scope="module")
def crowd() -> Iterator[Served]:
    """Forty charging points: free, charging, broken and disconnected ones."""
    with served_crowd(Crowd(40, troubled=0.2, busy=0.4)) as served:
        yield served


def serious_faults(watched: Watched) -> list[str]:
    """The serious faults that axe-core finds, each with the first element that has it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(watched.page).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]} {fault['nodes'][0]['failureSummary']}"
        for fault in found
        if fault["impact"] in SERIOUS
    ]


def check_dialog_by_keys(watched: Watched, button: "Locator") -> None:
    """Open the dialog of a button and leave it, by keys alone."""
    button.focus()
    watched.page.keyboard.press("Enter")
    dialog = watched.page.get_by_role("dialog")
    assert dialog.is_visible()
    assert serious_faults(watched) == []
    watched.page.keyboard.press("Escape")
    watched.wait(lambda: dialog.count() == 0, "no dialog")
    assert button.evaluate("element => element === document.activeElement")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing_serious(
    browser: "Browser", crowd: Served, place: str, dark: bool, size: tuple[int, int]
) -> None:
    """Proves: names, roles, contrast and order hold on each page, in light and dark."""
    with watched_page(browser, crowd.url + place, size=size, dark=dark) as watched:
        live = watched.page.get_by_text("live", exact=True)
        watched.wait(lambda: live.count() == 1, "a live page")
        watched.wait(lambda: watched.page.get_by_text("Loading…").count() == 0, "a loaded page")
        assert serious_faults(watched) == []
        watched.check()


def test_the_dialog_is_accessible_and_left_by_the_keyboard(
    browser: "Browser", crowd: Served
) -> None:
    """Proves: the buttons are reached and pressed by keys alone; Escape leaves the question, and
    the focus goes back to where it was."""
    with watched_page(browser, crowd.url) as watched:
        cp_id = crowd.crowd.points[0]["cp_id"]
        button = watched.card(cp_id).get_by_role("button", name="Stop", exact=True)
        watched.wait(button.is_visible, "a button")
        check_dialog_by_keys(watched, button)


def test_less_motion_is_less_motion(browser: "Browser", crowd: Served) -> None:
    """Proves: who asks the system for less motion gets none that lasts."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(crowd.url)
    lasting = page.evaluate(
        "[...document.querySelectorAll('*')].map(each => getComputedStyle(each))"
        ".filter(each => parseFloat(each.transitionDuration) > 0.01).length"
    )
    context.close()
    assert lasting == 0


def test_values_are_in_the_reader_s_language(browser: "Browser", crowd: Served) -> None:
    """Proves: money and energy are written as the browser's language writes them."""
    for language, money in (("de-DE", "18.036,15\u00a0€"), ("en-GB", "€18,036.15")):
        with watched_page(browser, crowd.url, language=language) as watched:
            totals = watched.page.get_by_role("region", name="Totals")
            watched.wait(lambda: money in totals.inner_text(), f"{money} in {language}")  # noqa: B023


def test_an_alert_tells_of_itself_in_the_tab(browser: "Browser", crowd: Served) -> None:
    """Proves: trouble stands on top with what to do, and the tab's title and icon tell of it."""
    with watched_page(browser, crowd.url) as watched:
        troubled = crowd.crowd.troubled
        watched.wait_card(troubled[0]["cp_id"], "BROKEN")
        alerts = watched.page.get_by_role("region", name="Alerts")
        assert f"{troubled[0]['cp_id']} is BROKEN" in alerts.inner_text()
        assert "See the log of its engine" in alerts.inner_text()
        assert watched.page.title().startswith(f"({len(troubled)}) ")
        icon = watched.page.locator('link[rel="icon"]').get_attribute("href") or ""
        assert icon.startswith("data:image/svg+xml,")
