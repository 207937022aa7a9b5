"""Central's page where a login is wanted: who gets in, what they see, and how it ends."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs
import pytest

from tests.browser.chromium import Watched, watched_page
from tests.browser.crowd import Crowd, Served, served_crowd
from tests.browser.guard import Answer, Guard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

OF_THE_NETWORK = {"/faults", "/faults/statistics", "/health/history", "/power", "/states"}
OF_THE_NETWORK |= {"/timeline"}
TOKEN = "evd_operator_" + "a" * 43


@attrs.frozen
class Guarded:
    """A crowd behind a guard."""

    served: Served
    guard: Guard


@pytest.fixture(scope="module")
def server() -> Iterator[Guarded]:
    """Some charging points, for those who log in."""
    guard = Guard(tokens={TOKEN: ("operator", "script")})
    with served_crowd(Crowd(8, troubled=0.0, busy=1.0), guard) as served:
        yield Guarded(served, guard)


@pytest.fixture
def guarded(server: Guarded) -> Guarded:
    """The same, with nobody logged in and nothing asked yet."""
    server.guard.end_all()
    server.guard.calls.clear()
    server.guard.answers.clear()
    return server


@pytest.fixture
def watched(browser: "Browser", guarded: Guarded) -> Iterator[Watched]:
    """The page of somebody who has not logged in yet."""
    with watched_page(browser, guarded.served.url) as watched:
        wait_login(watched)
        yield watched
        watched.check()


def wait_login(watched: Watched) -> None:
    """Wait until the login is there, and nothing else."""
    heading = watched.page.get_by_role("heading", name="Log in", exact=True)
    watched.wait(heading.is_visible, "the login")
    assert watched.page.get_by_text("CP-00001", exact=True).count() == 0


def fill(watched: Watched, user: str, password: str) -> None:
    """Fill in the login and send it by the keyboard."""
    watched.page.get_by_label("User").fill(user)
    watched.page.get_by_label("Password", exact=True).fill(password)
    watched.page.keyboard.press("Enter")


def log_in(watched: Watched, user: str) -> None:
    """Log in, and wait until the page lives."""
    fill(watched, user, f"{user} password")
    wait_live(watched)


def wait_live(watched: Watched) -> None:
    """Wait until the page follows the feed."""
    live = watched.page.get_by_text("live", exact=True)
    watched.wait(lambda: live.count() == 1, "a live page")


def alert_of(watched: Watched) -> str:
    """The sentence that the login tells."""
    alert = watched.page.locator("form [role=alert]")
    return str(watched.wait(alert.inner_text, "a sentence"))


def button(watched: Watched, name: str) -> "Locator":
    """A button of the first charging point's card."""
    return watched.card("CP-00001").get_by_role("button", name=name, exact=True)


def test_the_login_leads_to_where_one_wanted_to_go(browser: "Browser", guarded: Guarded) -> None:
    """Proves: the place in the address is shown after the login, also after a reload, without
    another one; the name and the role stand on top."""
    with watched_page(browser, f"{guarded.served.url}#/cp/CP-00002") as watched:
        wait_login(watched)
        log_in(watched, "vera")
        heading = watched.page.get_by_role("heading", level=1)
        watched.wait(lambda: heading.inner_text().startswith("CP-00002"), "the page of CP-00002")
        watched.page.reload()
        watched.wait(lambda: heading.inner_text().startswith("CP-00002"), "the page again")
        assert "vera\nviewer" in watched.page.locator("header").first.inner_text()
        watched.check()


def test_a_password_manager_and_a_screen_reader_find_the_fields(watched: Watched) -> None:
    """Proves: the fields have labels and the attributes by which a browser fills them in; the first
    one has the focus."""
    user, password = watched.page.get_by_label("User"), watched.page.get_by_label("Password")
    assert user.get_attribute("autocomplete") == "username"
    assert user.evaluate("element => element === document.activeElement")
    secret = password.and_(watched.page.locator("input"))
    assert secret.get_attribute("autocomplete") == "current-password"
    assert secret.get_attribute("type") == "password"


def test_a_wrong_password_is_told_and_can_be_typed_again(watched: Watched) -> None:
    """Proves: the sentence says so, and the password has the focus and goes away when one types."""
    fill(watched, "vera", "no")
    assert alert_of(watched) == "Wrong user or password."
    watched.page.keyboard.type("vera password")
    watched.page.keyboard.press("Enter")
    watched.wait_card("CP-00001", "ON")


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (429, {"Retry-After": "45"}, "Too many tries that were wrong. Try again in 45\u00a0s."),
        (
            503,
            {"Retry-After": "1"},
            "Nobody can log in just now: it is busy. Try again in 1\u00a0s.",
        ),
    ],
)
def test_a_login_that_must_wait_says_how_long(
    watched: Watched, guarded: Guarded, status: int, headers: dict[str, str], sentence: str
) -> None:
    """Proves: too many tries, and a busy server, are told in a sentence with the time to wait."""
    guarded.guard.answers["POST", "/auth/login"] = (status, {"error": "it is busy"}, headers)
    fill(watched, "vera", "vera password")
    assert alert_of(watched) == sentence


def test_a_token_logs_in_as_well(watched: Watched) -> None:
    """Proves: the other form takes a token, and tells a wrong one."""
    watched.page.get_by_role("button", name="Token", exact=True).click()
    field = watched.page.locator("input[name=token]")
    field.fill("evd_operator_wrong")
    watched.page.keyboard.press("Enter")
    assert alert_of(watched) == "This token is not valid here."
    field.fill(f" {TOKEN} ")
    watched.page.keyboard.press("Enter")
    watched.wait(button(watched, "Stop").is_visible, "the operator's button")


def test_a_viewer_has_no_buttons(watched: Watched) -> None:
    """Proves: who may only look finds nothing to press, and no way to the admin's pages."""
    log_in(watched, "vera")
    watched.wait_card("CP-00001", "ON")
    assert watched.card("CP-00001").get_by_role("button").count() == 0
    assert watched.page.get_by_role("link", name="Admin").count() == 0


def test_an_operator_stops_but_administers_nothing(watched: Watched, guarded: Guarded) -> None:
    """Proves: an operator has the buttons of a charging point and none of an admin; a refusal of
    the server is shown in its own words."""
    log_in(watched, "oscar")
    watched.wait(button(watched, "Stop session").is_visible, "the operator's buttons")
    assert watched.page.get_by_role("link", name="Admin").count() == 0
    refusal: Answer = (403, {"error": "this needs the role admin"}, {})
    guarded.guard.answers["POST", "/cp/CP-00001/stop"] = refusal
    button(watched, "Stop").click()
    dialog = watched.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Stop", exact=True).click()
    watched.wait(lambda: "this needs the role admin" in dialog.inner_text(), "the refusal")


def test_a_driver_asks_for_nothing_that_is_refused(watched: Watched, guarded: Guarded) -> None:
    """Proves: Central's page of a driver has the charging points, and none of the calls that only
    those of the network may make."""
    guarded.guard.users["dora"] = "driver"
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    log_in(watched, "dora")
    watched.wait_card("CP-00001", "ON")
    assert watched.page.get_by_role("link", name="Faults").count() == 0
    assert watched.page.get_by_role("log").count() == 0
    assert watched.card("CP-00001").get_by_role("button").all_inner_texts() == ["Stop session"]
    watched.page.get_by_text("CP-00001", exact=True).first.click()
    sessions = watched.page.get_by_role("heading", name="Sessions")
    watched.wait(sessions.is_visible, "the page of CP-00001")
    assert not OF_THE_NETWORK.intersection(asked)


def test_a_session_that_ends_brings_the_login_back(watched: Watched, guarded: Guarded) -> None:
    """Proves: nothing that was shown is left for another person, an open question neither; after
    the next login the page goes on where it was, without a reload."""
    log_in(watched, "oscar")
    watched.page.evaluate("window.same = true")
    watched.page.goto(f"{guarded.served.url}#/cp/CP-00002")
    stop = watched.page.get_by_role("main").get_by_role("button", name="Stop", exact=True)
    stop.click()
    guarded.guard.end_all()
    wait_login(watched)
    assert watched.page.get_by_role("dialog").count() == 0
    assert "CP-00002" not in watched.page.locator("body").inner_text()
    assert "CP-00002" not in watched.page.title()
    assert "not logged in any more" in watched.page.locator("form").inner_text()
    log_in(watched, "oscar")
    heading = watched.page.get_by_role("heading", level=1)
    watched.wait(lambda: heading.inner_text().startswith("CP-00002"), "the page goes on")
    assert watched.page.evaluate("window.same") is True
    # Nothing is asked again by itself that changes something.
    asked = [path for _, path, _ in guarded.guard.calls]
    assert asked == ["/auth/login", "/feed/ticket"] * 2


def test_another_reader_sees_nothing_of_the_one_before(watched: Watched, guarded: Guarded) -> None:
    """Proves: the network that one reader saw is not shown to the next one, who has not been told
    of it by the server."""
    log_in(watched, "oscar")
    watched.wait_card("CP-00001", "ON")
    guarded.guard.end_all()
    wait_login(watched)
    away: Answer = (503, {"error": "not now"}, {})
    guarded.guard.answers["POST", "/feed/ticket"] = away
    fill(watched, "vera", "vera password")
    lost = watched.page.get_by_text("connection lost")
    watched.wait(lost.is_visible, "a page without a feed")
    assert watched.page.get_by_text("CP-00001").count() == 0


def test_a_call_that_is_refused_brings_the_login_back(watched: Watched, guarded: Guarded) -> None:
    """Proves: a 401 of any call is enough, also where the feed has not ended."""
    log_in(watched, "vera")
    refusal: Answer = (401, {"error": "log in, or send a token"}, {})
    guarded.guard.answers["GET", "/sessions"] = refusal
    watched.page.get_by_role("link", name="Sessions", exact=True).click()
    wait_login(watched)


def test_each_connection_of_the_feed_has_a_ticket_of_its_own(
    watched: Watched, guarded: Guarded
) -> None:
    """Proves: a ticket is asked for at each new connection."""
    log_in(watched, "vera")
    asked = guarded.guard.calls.count(("POST", "/feed/ticket", {}))
    watched.page.evaluate("dispatchEvent(new Event('pagehide'))")
    watched.page.evaluate("dispatchEvent(new Event('pageshow'))")
    watched.wait(
        lambda: guarded.guard.calls.count(("POST", "/feed/ticket", {})) == asked + 1,
        "another ticket",
    )
    wait_live(watched)


def test_a_logout_is_one_in_every_tab(watched: Watched, guarded: Guarded) -> None:
    """Proves: the button logs out, and the other tabs of this browser show the login as well; a
    login in one of them is one in all."""
    log_in(watched, "vera")
    other = Watched(watched.page.context.new_page())
    other.page.goto(guarded.served.url)
    other.wait_card("CP-00001", "ON")
    other.page.get_by_role("button", name="Log out").click()
    wait_login(other)
    wait_login(watched)
    assert "not logged in any more" not in other.page.locator("form").inner_text()
    log_in(other, "oscar")
    watched.wait(button(watched, "Stop").is_visible, "the operator's page in the first tab")


def test_a_link_from_elsewhere_finds_who_is_logged_in(watched: Watched, guarded: Guarded) -> None:
    """Proves: a page that was asked for without the cookie, as a browser does for a link on another
    site, finds out by itself who its reader is."""
    log_in(watched, "vera")
    watched.page.goto("about:blank")
    watched.page.goto(f"{guarded.served.url.replace('127.0.0.1', 'localhost')}")
    wait_login(watched)
    watched.page.evaluate(f"location.href = '{guarded.served.url}'")
    watched.wait_card("CP-00001", "ON")


def test_without_auth_there_is_no_word_of_it(browser: "Browser") -> None:
    """Proves: the page of a Central with `--auth off` has no login, no logout and no admin's page,
    also by its address; it has every button, and asks for no ticket."""
    with (
        served_crowd(Crowd(4, troubled=0.0, busy=1.0)) as served,
        watched_page(browser, f"{served.url}#/admin") as watched,
    ):
        asked: list[str] = []
        watched.page.on("request", lambda request: asked.append(request.url))
        watched.page.reload()
        watched.wait(button(watched, "Stop").is_visible, "the network")
        top = watched.page.locator("header").first
        assert "Log" not in top.inner_text()
        assert watched.page.get_by_role("link", name="Admin").count() == 0
        assert watched.page.locator("meta[name^=evd-]").count() == 1
        assert not [url for url in asked if "/auth/" in url or "/ticket" in url]
        watched.check()
