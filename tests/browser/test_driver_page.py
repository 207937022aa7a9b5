"""A driver's page on a real network, in a real browser, as a phone shows it."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.browser.chromium import PHONE, Watched, watched_page
from tests.network.network import READY_S_MAX, Network
from tests.network.processes import Program, free_port, listens
from tests.network.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=alert(1)>"
LONG = ("--session-seconds", "600", "--telemetry-interval", "0.5")
BACK_S_MAX = 30.0
# The service worker gives the page's files 4 s, and the page the driver's events 12 s.
SILENCE_S_MAX = 30.0
# Whether the browser keeps all that the page has loaded.
KEPT = """
Promise.all(
  ["/", ...performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname)]
    .filter((path) => path === "/" || path.startsWith("/web/"))
    .map((path) => caches.match(path)),
).then((found) => found.every(Boolean))
"""


@attrs.frozen
class Served:
    """A network, its driver, and where the driver's page is."""

    network: Network
    driver: Program
    url: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two charging points, one with a location from a bad hand, and a driver with a page."""
    with Network(tmp_path_factory.mktemp("network")) as network:
        network.up("CP-001", engine_flags=(*LONG, "--kw-rate", "11", "--euro-rate", "0.25"))
        network.charging_point("CP-002", engine_flags=(*LONG, "--location", EVIL)).start()
        network.wait_available("CP-002")
        port = free_port()
        driver = network.driver("driver-alice", flags=("--http-port", str(port)))
        driver.start()
        wait_until(lambda: listens(port), READY_S_MAX, "the page is served")
        yield Served(network, driver, f"http://127.0.0.1:{port}/")


@pytest.fixture
def watched(browser: "Browser", served: Served) -> Iterator[Watched]:
    """The page, and at the end of the test that nothing went wrong in it."""
    with watched_page(browser, served.url, size=PHONE) as watched:
        watched.wait_card("CP-001", "FREE")
        yield watched
        watched.check()


def dialog_press(watched: Watched, name: str) -> None:
    """Press a button of the dialog that asks."""
    watched.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


def charge(watched: Watched, cp_id: str) -> None:
    """Ask for a charge by the button of its card, and wait until it runs."""
    watched.card(cp_id).get_by_role("button", name=f"Charge at {cp_id}").click()
    dialog_press(watched, "Charge")
    stop = watched.page.get_by_role("button", name="Stop session")
    watched.wait(stop.is_visible, "the session runs")


def stop(watched: Watched) -> None:
    """Stop the session, and close the dialog once it says with which bill it ended."""
    watched.page.get_by_role("button", name="Stop session").click()
    dialog_press(watched, "Stop session")
    dialog = watched.page.get_by_role("dialog")
    watched.wait(lambda: "kWh, €" in dialog.inner_text(), "the dialog tells the bill")
    dialog_press(watched, "Close")


def test_what_is_free_with_power_and_price(watched: Watched) -> None:
    """Proves: a card has the id, FREE, power and price as its engine tells them; its link opens
    the charging point alone; the search narrows the list."""
    text = watched.card("CP-001").inner_text()
    assert "11.0" in text
    assert "0.25" in text
    watched.wait_card("CP-002", "FREE")
    watched.page.get_by_role("searchbox").fill("cp-002")
    watched.wait(lambda: watched.card("CP-001").count() == 0, "CP-001 is filtered out")
    watched.page.get_by_text("CP-002", exact=True).click()
    heading = watched.page.get_by_role("heading", level=1)
    watched.wait(lambda: heading.inner_text() == "CP-002", "the page of CP-002")


def test_text_from_outside_stays_text(watched: Watched) -> None:
    """Proves: a location that is HTML is shown as it was written, and makes no element."""
    watched.wait(lambda: EVIL in watched.card("CP-002").inner_text(), "the location")
    assert watched.page.locator("img").count() == 0


def test_a_charge_from_the_question_to_the_bill(watched: Watched, served: Served) -> None:
    """Proves: asked and stopped by buttons that ask first; the meter moves and its course is drawn
    without a reload; history, the session's page and the notifications tell the same bill."""
    charge(watched, "CP-001")
    watched.wait_card("CP-001", "OCCUPIED")
    meter = watched.page.locator(".meter b")
    watched.wait(lambda: meter.inner_text() > "0.000", "a reading")
    first = meter.inner_text()
    watched.wait(lambda: meter.inner_text() != first, "another reading")
    chart = watched.page.get_by_role("img", name="Power over the session")
    assert "11.0" in (chart.get_attribute("aria-label") or "")
    stop(watched)
    watched.wait_card("CP-001", "FREE")
    (row,) = served.network.sessions(driver_id="driver-alice", status="COMPLETED")
    energy = f"{row['total_kwh']:.3f}"
    watched.page.get_by_role("link", name="History").click()
    listed = watched.page.get_by_role("listitem").filter(has_text=energy)
    watched.wait(lambda: listed.count() == 1, "the session is in the history")
    listed.get_by_role("link").click()
    bill = f"{row['total_cost']:.2f}"
    # The list that it came from shows the same figures.
    page_of = watched.page.get_by_role("article").filter(has_text="Session at CP-001")
    watched.wait(page_of.is_visible, "the session's own page")
    assert bill in page_of.inner_text()
    assert energy in page_of.inner_text()
    assert page_of.get_by_role("img", name="Power over the session").is_visible()
    watched.page.get_by_role("link", name="Notifications").click()
    log = watched.page.get_by_role("log")
    watched.wait(lambda: "Finished at CP-001" in log.inner_text(), "the end is told")
    assert energy in log.inner_text()


def test_a_request_is_cancelled(watched: Watched, served: Served) -> None:
    """Proves: what is not answered yet is shown as such, can be cancelled, and is then over."""
    central = served.network.central()
    central.freeze()
    try:
        watched.card("CP-001").get_by_role("button", name="Charge at CP-001").click()
        dialog_press(watched, "Charge")
        asking = watched.page.get_by_role("heading", name="Asking for CP-001")
        watched.wait(asking.is_visible, "the open request")
        watched.page.get_by_role("button", name="Cancel", exact=True).click()
        watched.wait(
            watched.page.get_by_text("Being cancelled").is_visible, "it is being cancelled"
        )
    finally:
        central.thaw()
    ended = watched.page.get_by_role("heading", name="Failed at CP-001")
    watched.wait(ended.is_visible, "it is over", BACK_S_MAX)


def test_a_session_that_others_began_is_shown(watched: Watched, served: Served) -> None:
    """Proves: the operator's request for this driver appears by itself, and can be stopped."""
    served.network.request_charge("driver-alice", "CP-002")
    running = watched.page.get_by_role("heading", name="Charging at CP-002")
    watched.wait(running.is_visible, "the session")
    stop(watched)


def test_while_central_is_away(watched: Watched, served: Served) -> None:
    """Proves: the page says 'connection lost' and OFFLINE while Central is away, its session goes
    on, and all is right again without a reload."""
    watched.page.evaluate("window.same = true")
    charge(watched, "CP-001")
    central = served.network.central()
    central.kill()
    lost = watched.page.get_by_text("connection lost")
    watched.wait(lost.is_visible, "connection lost")
    watched.wait_card("CP-002", "OFFLINE")
    assert watched.page.get_by_role("button", name="Stop session").is_visible()
    central.start()
    watched.wait_card("CP-002", "FREE", BACK_S_MAX)
    watched.wait(lambda: lost.count() == 0, "the connection is back", BACK_S_MAX)
    stop(watched)
    assert watched.page.evaluate("window.same") is True


def wait_kept(watched: Watched) -> None:
    """Wait until the browser keeps the page and every file of it."""
    watched.wait(lambda: watched.page.evaluate(KEPT), "the page's files are kept")


def test_the_page_outlives_its_driver(watched: Watched, served: Served) -> None:
    """Proves: without its driver the page says 'connection lost', also where it is opened anew, and
    shows by itself how things stand once the driver is back."""
    wait_kept(watched)
    served.driver.kill()
    lost = watched.page.get_by_text("connection lost")
    watched.wait(lost.is_visible, "connection lost")
    watched.page.reload()
    watched.wait(lost.is_visible, "connection lost, on a page that was opened without a driver")
    served.driver.start()
    watched.wait_card("CP-001", "FREE", BACK_S_MAX)
    watched.wait(lambda: lost.count() == 0, "the connection is back")


def test_the_page_opens_where_its_driver_hangs(watched: Watched, served: Served) -> None:
    """Proves: a driver that takes calls and answers none, as in a bad network, holds up neither the
    page nor the words that say so."""
    wait_kept(watched)
    served.driver.freeze()
    try:
        watched.page.reload(wait_until="commit", timeout=SILENCE_S_MAX * 1000)
        lost = watched.page.get_by_text("connection lost")
        watched.wait(lost.is_visible, "connection lost", SILENCE_S_MAX)
    finally:
        served.driver.thaw()
    watched.wait_card("CP-001", "FREE", BACK_S_MAX)


def test_nothing_is_wider_than_a_phone(watched: Watched) -> None:
    """Proves: no part of the page must be scrolled sideways."""
    fits = "document.documentElement.scrollWidth <= innerWidth"
    for place in ("#/", "#/cp/CP-002", "#/history", "#/news"):
        watched.page.goto(watched.page.url.partition("#")[0] + place)
        watched.wait(functools.partial(watched.page.evaluate, fits), f"{place} fits")


def test_the_browser_tells_of_news(browser: "Browser", served: Served) -> None:
    """Proves: once its user has said so, the browser itself tells of news while another page is
    looked at, and not before."""
    with watched_page(browser, f"{served.url}#/news", size=PHONE) as watched:
        page = watched.page
        page.context.grant_permissions(["notifications"], origin=served.url.rstrip("/"))
        page.reload()
        switch = page.get_by_role("switch")
        assert switch.get_attribute("aria-checked") == "false"
        switch.click()
        watched.wait(lambda: switch.get_attribute("aria-checked") == "true", "it is on")
        # Playwright lets each page believe that it is looked at.
        devtools = page.context.new_cdp_session(page)
        devtools.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
        page.context.new_page().bring_to_front()
        told = "navigator.serviceWorker.ready.then((ready) => ready.getNotifications())"
        titles = f"{told}.then((found) => found.map(({{ title }}) => title))"
        assert page.evaluate(titles) == []
        served.network.request_charge("driver-alice", "CP-001")
        watched.wait(lambda: page.evaluate(titles) == ["Charging at CP-001"], "the browser tells")
        page.bring_to_front()
        page.get_by_role("link", name="Charge", exact=True).click()
        stop(watched)
        watched.check()
