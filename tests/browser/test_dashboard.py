"""Central's dashboard on a real network, in a real browser."""

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import Watched, watched_page
from tests.network.network import Network
from tests.network.waiting import BUSY_S_MAX

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=alert(1)>"
LONG = ("--session-seconds", "600", "--telemetry-interval", "0.5")
BRIEF = ("--session-seconds", "4")
# The bound of docs/reliability.md for a killed engine, until it is shown BROKEN.
DETECTED_S = 3.5
SHOWN_S = 0.5
BACK_S_MAX = 30.0
# The page gives an open connection 25 s, and looks every 5 s.
SILENCE_S_MAX = 35.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Three charging points; one has a location from a bad hand."""
    with Network(tmp_path_factory.mktemp("network")) as network:
        network.up("CP-001", "CP-002", engine_flags=LONG)
        network.charging_point("CP-003", engine_flags=("--location", EVIL, *BRIEF)).start()
        network.wait_available("CP-003")
        yield network


@pytest.fixture
def watched(browser: "Browser", network: Network) -> Iterator[Watched]:
    """The dashboard, and at the end of the test that nothing went wrong in it."""
    with watched_page(browser, f"http://127.0.0.1:{network.http_port}/") as watched:
        watched.wait_card("CP-001", "ON")
        yield watched
        watched.check()


def press(watched: Watched, cp_id: str, name: str) -> None:
    """Press a button of a charging point, and the same in the dialog that asks."""
    watched.card(cp_id).get_by_role("button", name=name, exact=True).click()
    watched.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


def told(watched: Watched, words: str) -> None:
    """Wait until the dialog tells what became of it, and close it."""
    dialog = watched.page.get_by_role("dialog")
    watched.wait(lambda: words in dialog.inner_text(), f"the dialog says: {words}")
    dialog.get_by_role("button", name="Close").click()


def charged_kwh(card: "Locator") -> float | None:
    """The reading that a card shows, in kWh; a price (€0.30/kWh) is none."""
    found = re.search(r"(\d+\.\d+)\s+kWh", card.inner_text())
    return float(found.group(1)) if found else None


def test_charging_points_are_there(watched: Watched) -> None:
    """Proves: each charging point has a card with its id alone and its state in a word; the link
    leads to its own page, where its story stands."""
    for cp_id in ("CP-001", "CP-002", "CP-003"):
        watched.wait_card(cp_id, "ON")
    watched.page.get_by_text("CP-002", exact=True).click()
    heading = watched.page.get_by_role("heading", level=1)
    watched.wait(lambda: "CP-002" in heading.inner_text(), "the page of CP-002")
    watched.page.get_by_role("link", name="Network").first.click()
    watched.wait_card("CP-002", "ON")


def test_text_from_outside_stays_text(watched: Watched) -> None:
    """Proves: a location that is HTML is shown as it was written, and makes no element."""
    watched.wait(lambda: EVIL in watched.card("CP-003").inner_text(), "the location")
    assert watched.page.locator("img").count() == 0
    watched.page.get_by_text("CP-003", exact=True).click()
    watched.wait(
        lambda: EVIL in watched.page.locator("main").inner_text(), "the location on its page"
    )
    assert watched.page.locator("img").count() == 0


def test_a_meter_moves_and_a_session_is_stopped(watched: Watched, network: Network) -> None:
    """Proves: a session's kW and kWh move without a reload; Stop session asks, ends it, and says
    with which bill; the log of events has it."""
    network.request_charge("driver-alice", "CP-001")
    card = watched.card("CP-001")
    watched.wait(lambda: "driver-alice" in card.inner_text(), "its driver")
    first_kwh = watched.wait(lambda: charged_kwh(card), "a reading")
    watched.wait(lambda: (charged_kwh(card) or 0.0) > first_kwh, "a higher reading")
    press(watched, "CP-001", "Stop session")
    told(watched, "The session has ended")
    watched.wait(lambda: "driver-alice" not in card.inner_text(), "a free charging point")
    log = watched.page.get_by_role("log")
    watched.wait(lambda: "Session ended" in log.inner_text(), "the event")


def test_a_session_has_its_page(watched: Watched, network: Network) -> None:
    """Proves: from the list of sessions a link leads to who, where, when, the bill, the outcome
    and the course of its power."""
    request_id = network.request_charge("driver-dora", "CP-003")
    network.wait_request(request_id, "COMPLETED", within_s=40.0)
    page = watched.page
    page.get_by_role("link", name="Sessions", exact=True).click()
    row = page.get_by_role("row").filter(has_text="driver-dora")
    row.get_by_role("link").first.click()
    facts = page.locator("main")
    for words in ("CP-003", "driver-dora", "COMPLETED", "kWh", "€"):
        watched.wait(lambda: words in facts.inner_text(), words)  # noqa: B023
    course = page.get_by_role("img", name="Power of the session: now")
    watched.wait(course.is_visible, "the course of its power")


def test_a_story_says_why_it_did_not_charge(watched: Watched, network: Network) -> None:
    """Proves: a click on a charging point shows its story, with who stopped it, and the request
    that was refused with its reason."""
    network.http.post("/cp/CP-003/stop")
    watched.wait(lambda: network.cp("CP-003")["engine_state"] == "STOPPED", "a stopped engine")
    request_id = network.request_charge("driver-late", "CP-003")
    network.wait_request(request_id, "DENIED")
    watched.page.get_by_text("CP-003", exact=True).click()
    story = watched.page.locator(".story")
    for words in ("Stopped", "by the operator", "Refused", "driver-late"):
        watched.wait(lambda: words in story.inner_text(), words)  # noqa: B023
    network.http.post("/cp/CP-003/resume")
    network.wait_available("CP-003")


def test_stop_and_resume(watched: Watched, network: Network) -> None:
    """Proves: Stop and Resume ask, do it, and tell once it is so; a no changes nothing."""
    card = watched.card("CP-002")
    card.get_by_role("button", name="Stop", exact=True).click()
    watched.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert network.cp("CP-002")["stopped"] is False
    press(watched, "CP-002", "Stop")
    told(watched, "is stopped and takes no drivers")
    assert network.cp("CP-002")["engine_state"] == "STOPPED"
    press(watched, "CP-002", "Resume")
    told(watched, "takes drivers again")
    network.wait_available("CP-002")


def test_a_search_narrows_the_list(watched: Watched) -> None:
    """Proves: the search field finds by a part of the name, and says where nothing fits."""
    search = watched.page.get_by_role("searchbox")
    search.fill("cp- 002")
    watched.wait(lambda: watched.card("CP-001").count() == 0, "CP-001 is filtered out")
    assert watched.card("CP-002").count() == 1
    search.fill("nowhere")
    none = watched.page.get_by_text("No charging point is like that.")
    watched.wait(lambda: none.is_visible(), "an empty list says so")


def test_a_killed_engine_turns_its_card_red(watched: Watched, network: Network) -> None:
    """Proves: a kill is seen within the detection time and half a second, without a reload, and
    so is the recovery."""
    watched.page.evaluate("window.same = true")
    engine = network.points["CP-002"].engine
    engine.kill()
    killed_s = time.monotonic()
    watched.wait_card("CP-002", "BROKEN", DETECTED_S + SHOWN_S + BUSY_S_MAX)
    print(f"BROKEN on the page {time.monotonic() - killed_s:.2f} s after the kill")
    engine.start()
    watched.wait_card("CP-002", "ON", BACK_S_MAX)
    assert watched.page.evaluate("window.same") is True


def test_a_central_that_hangs_is_noticed(watched: Watched, network: Network) -> None:
    """Proves: a connection that is open and says nothing is taken for lost, and the page goes on by
    itself once Central does."""
    central = network.central()
    lost = watched.page.get_by_text("connection lost")
    central.freeze()
    try:
        watched.wait(lambda: lost.first.is_visible(), "connection lost", SILENCE_S_MAX)
    finally:
        central.thaw()
    watched.wait(lambda: lost.count() == 0, "the connection is back", BACK_S_MAX)
    watched.wait_card("CP-001", "ON", BACK_S_MAX)


def test_the_page_outlives_a_restart_of_central(watched: Watched, network: Network) -> None:
    """Proves: without Central the page says 'connection lost', and shows by itself how things
    stand once Central is back."""
    watched.page.evaluate("window.same = true")
    central = network.central()
    central.kill()
    lost = watched.page.get_by_text("connection lost")
    watched.wait(lambda: lost.first.is_visible(), "connection lost")
    assert "connection lost" in watched.page.title()
    engine = network.points["CP-003"].engine
    engine.kill()
    central.start()
    watched.wait_card("CP-003", "BROKEN", BACK_S_MAX)
    watched.wait(lambda: lost.count() == 0, "the connection is back")
    engine.start()
    watched.wait_card("CP-003", "ON", BACK_S_MAX)
    assert watched.page.evaluate("window.same") is True
