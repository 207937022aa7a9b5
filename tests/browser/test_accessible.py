"""The dashboard for people who see, hear or move in other ways."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

import pytest

from tests.browser.chromium import PHONE, WIDE, Watched, watched_page
from tests.browser.crowd import Crowd, Served, served_crowd, text_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Route

pytestmark = pytest.mark.browser

# The widest screen of each kind that has one layout; the narrowest is 1,280 pixels at 400 %.
WIDTHS = (1280, 900, 640, 390, 320)
TABS = 4
FITS_S_MAX = 5.0
OLDER_EACH, OLDER_PRESSES = 50, 5
OUTSIDE_DIALOG = """
document.activeElement !== document.body
  && !document.querySelector("dialog").contains(document.activeElement)
"""
# A sign that turns while an answer is waited for.
SPINNER = """
document.body.append(Object.assign(document.createElement("i"), { className: "spinner" }))
"""
# Whether anything moves for longer than an eye sees.
MOVES = """
[...document.querySelectorAll("*")]
  .map((each) => getComputedStyle(each))
  .flatMap((each) => [...each.transitionDuration.split(","), ...each.animationDuration.split(",")])
  .some((text) => parseFloat(text) > 0.01)
"""
# Each wish that a system tells its programs, and whether anything moves then.
MOTIONS: Final[tuple[tuple[Literal["reduce", "no-preference"], bool], ...]] = (
    ("reduce", False),
    ("no-preference", True),
)
EVIL = "<img src=x onerror=alert(1)>"
LONG_CP, LONG_DRIVER, LONG_PLACE = "C" * 32, "d" * 64, "Wide Street " * 16
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
    for _ in range(TABS):
        watched.page.keyboard.press("Tab")
        assert watched.page.evaluate(OUTSIDE_DIALOG) is False
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
    """Proves: who asks the system for less motion gets none that lasts; who does not sees some."""
    for motion, expected in MOTIONS:
        with watched_page(browser, crowd.url) as watched:
            page = watched.page
            page.emulate_media(reduced_motion=motion)
            cp_id = crowd.crowd.charging[0]["cp_id"]
            button = watched.card(cp_id).get_by_role("button", name="Stop", exact=True)
            watched.wait(button.is_visible, "a button")
            page.evaluate(SPINNER)
            assert page.evaluate(MOVES) is expected


def test_values_are_in_the_reader_s_language(browser: "Browser", crowd: Served) -> None:
    """Proves: money, energy and times are written as the browser's language writes them, times in
    the reader's own zone: noon in London is one o'clock in Madrid."""
    for language, money, energy, time in (
        ("de-DE", "18.036,15\u00a0€", "60.121\u00a0kWh", "31.01.2026, 13:00:00"),
        ("es-ES", "18.036,15\u00a0€", "60.121\u00a0kWh", "31 ene 2026, 13:00:00"),
        ("en-GB", "€18,036.15", "60,121\u00a0kWh", "31 Jan 2026, 13:00:00"),
    ):
        with watched_page(browser, crowd.url, language=language) as watched:
            totals = watched.page.get_by_role("region", name="Totals")
            for words in (money, energy):
                watched.wait(lambda: words in totals.inner_text(), f"{words} in {language}")  # noqa: B023
            watched.page.goto(f"{crowd.url}#/session/session-2")
            main = watched.page.locator("main")
            watched.wait(lambda: time in main.inner_text(), f"{time} in {language}")  # noqa: B023


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


def long_names() -> Crowd:
    """Charging points, one of which has all names as long as they may be, and one evil ones."""
    crowd = Crowd(8, troubled=0.0, busy=1.0)
    crowd.points[0] |= {
        "cp_id": LONG_CP,
        "location": LONG_PLACE,
        "current_driver": LONG_DRIVER,
        "breaker": "HALF_OPEN",
        "unconfirmed": 100,
    }
    crowd.points[1] |= {"cp_id": EVIL, "location": EVIL, "current_driver": EVIL}
    return crowd


def tell_long_session(route: "Route") -> None:
    """Answer with a session of the long names."""
    row = route.fetch().json()
    route.fulfill(json={**row, "cp_id": LONG_CP, "driver_id": LONG_DRIVER, "reason": LONG_PLACE})


def test_nothing_is_wider_than_the_screen(browser: "Browser") -> None:
    """Proves: no page must be scrolled sideways, down to 320 pixels and with the longest names; a
    name that is HTML is a text everywhere."""
    with (
        served_crowd(long_names()) as served,
        watched_page(browser, served.url) as watched,
    ):
        page = watched.page
        page.route("**/sessions/session-2", tell_long_session)
        watched.wait_card(EVIL, "ON")
        for place in (*PLACES, f"#/cp/{LONG_CP}", f"#/cp/{quote(EVIL)}"):
            page.goto(served.url + place)
            watched.wait(lambda: page.get_by_text("Loading…").count() == 0, "a loaded page")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                fits = "document.documentElement.scrollWidth <= innerWidth"
                watched.wait(partial(page.evaluate, fits), f"{place} fits into {width}", FITS_S_MAX)
        assert page.get_by_role("heading", level=1).inner_text().startswith(EVIL)
        assert page.locator("img").count() == 0
        watched.check()


def test_a_row_that_moves_keeps_the_focus(browser: "Browser") -> None:
    """Proves: who works by keyboard is not thrown out of the list when its order changes."""
    with (
        served_crowd(Crowd(12, troubled=0.0, busy=1.0)) as served,
        watched_page(browser, served.url) as watched,
    ):
        watched.page.get_by_role("combobox", name="Sort by").select_option("energy")
        points = sorted(served.crowd.charging, key=lambda point: -point["telemetry"]["kwh"])
        last = points[-1]
        name = watched.card(last["cp_id"]).get_by_role("link", name=last["cp_id"], exact=True)
        name.focus()
        last["telemetry"]["kwh"] += 1000.0
        first = watched.page.locator("[aria-posinset='1']")
        watched.wait(lambda: last["cp_id"] in first.inner_text(), "it is the first")
        assert name.evaluate("element => element === document.activeElement")


def test_older_faults_stand_behind_the_newest(browser: "Browser", crowd: Served) -> None:
    """Proves: each press brings older ones, however many there are already."""
    asked: list[str] = []

    def tell(route: "Route") -> None:
        asked.append(route.request.url)
        number = len(asked) * OLDER_EACH
        route.fulfill(json={"faults": [fault(number + each) for each in range(OLDER_EACH)]})

    with watched_page(browser, crowd.url) as watched:
        watched.page.route("**/faults?*", tell)
        log = watched.page.get_by_role("log")
        lines = log.get_by_role("listitem")
        watched.wait(lambda: lines.count() > 0, "events")
        for _ in range(OLDER_PRESSES):
            before = lines.count()
            log.get_by_role("button", name="Older faults").click()
            watched.wait(lambda: lines.count() == before + OLDER_EACH, "older ones")  # noqa: B023
        assert f"before={OLDER_EACH * OLDER_PRESSES - 1}" in asked[-1]


def fault(number: int) -> dict[str, object]:
    """A row of /faults; a higher number is an older one."""
    at = text_of(datetime(2026, 1, 1, tzinfo=UTC) - timedelta(minutes=number))
    return {
        "id": number,
        "cp_id": "CP-00001",
        "event_type": "FAULT",
        "reason": "refused",
        "timestamp": at,
    }


def test_the_last_day_is_drawn_from_what_is_stored(browser: "Browser", crowd: Served) -> None:
    """Proves: the chart of a day shows the stored power, also what no feed has told."""
    now = datetime.now(UTC)
    rows = [
        {"ts": text_of(now - timedelta(hours=hours)), "kw": kw}
        for hours, kw in ((9, 777.0), (8, 11.0))
    ]
    with watched_page(browser, crowd.url) as watched:
        watched.page.route("**/power", lambda route: route.fulfill(json={"power": rows}))
        watched.page.get_by_role("button", name="24 h").click()
        chart = watched.page.get_by_role("img", name="most 777.0\u00a0kW")
        watched.wait(chart.is_visible, "the power of nine hours ago")
