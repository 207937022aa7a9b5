"""The admin's pages: users, tokens, the audit."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import PHONE, WIDE, Watched, watched_page
from tests.browser.crowd import Crowd, Served, served_crowd
from tests.browser.guard import Answer, Fields, Guard
from tests.browser.test_accessible import FITS_S_MAX, WIDTHS, serious_faults
from tests.browser.test_login import Guarded, log_in, wait_login

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

PLACES = ("#/admin", "#/tokens", "#/audit")
TOKEN = "evd_viewer_" + "a" * 43
NOON = "2026-01-31T12:00:00Z"
LONG = "a" * 64
PAGE = 100


def users(*names: str) -> Answer:
    """The list of users of these names."""
    return 200, {"users": [{"user": name, "role": "operator"} for name in names]}, {}


def token(name: str, role: str, **more: object) -> Fields:
    """A token as it is listed."""
    fields = {"name": name, "role": role, "driver_id": None, "cp_id": None, "created_at": NOON}
    return {**fields, "expires_at": None, "used_at": None, "revoked": False, **more}


def audit(first: int, count: int) -> Answer:
    """So many rows of the audit; `first` is the newest one's id."""
    row = {"ts": NOON, "who": "oscar", "role": "operator", "address": "192.0.2.7"}
    row |= {"action": "stop", "object": "CP-001", "outcome": "refused"}
    return 200, {"audit": [{"id": first - each, **row} for each in range(count)]}, {}


@pytest.fixture(scope="module")
def server() -> Iterator[Guarded]:
    """Some charging points, for those who log in."""
    guard = Guard()
    with served_crowd(Crowd(4, troubled=0.0), guard) as served:
        yield Guarded(served, guard)


@pytest.fixture
def guarded(server: Guarded) -> Guarded:
    """The same with two users, four tokens and a full page of the audit."""
    guard = server.guard
    guard.end_all()
    guard.calls.clear()
    guard.answers = {
        ("GET", "/users"): users("ada", LONG),
        ("GET", "/tokens"): (
            200,
            {
                "tokens": [
                    token("CP-001", "monitor", cp_id="CP-001", used_at=NOON),
                    token(LONG, "viewer", expires_at=NOON),
                    token("driver-alice", "driver", driver_id="driver-alice"),
                    token("old", "operator", revoked=True),
                ]
            },
            {},
        ),
        ("GET", "/audit"): audit(1_000, PAGE),
    }
    return server


@pytest.fixture
def watched(browser: "Browser", guarded: Guarded) -> Iterator[Watched]:
    """The page of an admin who has logged in."""
    with watched_page(browser, guarded.served.url) as watched:
        wait_login(watched)
        log_in(watched, "ada")
        yield watched
        watched.check()


def go(watched: Watched, served: Served, place: str) -> None:
    """Go to a page of the admin's and wait until it is loaded."""
    watched.page.goto(served.url + place)
    rows = watched.page.get_by_role("row")
    watched.wait(lambda: rows.count() > 1, "a list")


def row(watched: Watched, name: str) -> "Locator":
    """The row of that name."""
    head = watched.page.get_by_role("rowheader", name=name)
    return watched.page.get_by_role("row").filter(has=head)


def press(watched: Watched, name: str) -> "Locator":
    """Press the button of that name, and return the dialog that it opens."""
    watched.page.get_by_role("button", name=name, exact=True).click()
    return watched.page.get_by_role("dialog")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_for_an_admin(
    browser: "Browser", guarded: Guarded, dark: bool, size: tuple[int, int]
) -> None:
    """Proves: names, roles, contrast and order hold on the login, with and without its sentence,
    on the admin's pages and in their dialogs, and nothing is wider than the screen."""
    with watched_page(browser, guarded.served.url, size=size, dark=dark) as watched:
        page = watched.page
        wait_login(watched)
        assert serious_faults(watched) == []
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("User").fill("ada")
        page.get_by_label("Password", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        watched.wait(page.locator("form .trouble").is_visible, "the sentence")
        assert serious_faults(watched) == []
        log_in(watched, "ada")
        for place in PLACES:
            go(watched, guarded.served, place)
            assert serious_faults(watched) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        go(watched, guarded.served, "#/tokens")
        press(watched, "New token")
        assert serious_faults(watched) == []
        guarded.guard.answers["POST", "/tokens"] = (201, {"token": TOKEN}, {})
        page.get_by_role("dialog").get_by_role("button", name="Make").click()
        watched.wait(page.get_by_role("button", name="Copy").is_visible, "the token")
        assert serious_faults(watched) == []
        watched.check()


def test_nothing_of_an_admin_is_wider_than_the_screen(browser: "Browser", guarded: Guarded) -> None:
    """Proves: with the longest names, no page must be scrolled sideways, down to 320 pixels."""
    guarded.guard.users[LONG] = "admin"
    with watched_page(browser, guarded.served.url) as watched:
        page = watched.page
        wait_login(watched)
        log_in(watched, LONG)
        for place in ("#/", *PLACES):
            page.goto(guarded.served.url + place)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                fits = "document.documentElement.scrollWidth <= innerWidth"
                watched.wait(partial(page.evaluate, fits), f"{place} fits into {width}", FITS_S_MAX)
        assert page.get_by_role("button", name="Log out").is_visible()
        watched.check()


def test_a_user_is_added_and_what_is_wrong_is_named(watched: Watched, guarded: Guarded) -> None:
    """Proves: what the server says of a field stands beside that field, which has the focus; what
    was typed stays; then the user is on the list."""
    go(watched, guarded.served, "#/admin")
    dialog = press(watched, "Add user")
    dialog.get_by_label("User", exact=True).fill("bob")
    dialog.get_by_label("Role").select_option("viewer")
    dialog.get_by_label("Password").fill("short")
    sentence = "password must have at least 10 characters"
    guarded.guard.answers["POST", "/users"] = (400, {"error": sentence, "field": "password"}, {})
    watched.page.keyboard.press("Enter")
    password = dialog.get_by_label("Password")
    watched.wait(lambda: password.get_attribute("aria-invalid") == "true", "the field is marked")
    assert sentence in dialog.inner_text()
    assert password.evaluate("element => element === document.activeElement")
    guarded.guard.answers["POST", "/users"] = (201, {"user": "bob", "role": "viewer"}, {})
    guarded.guard.answers["GET", "/users"] = users("ada", "bob")
    password.fill(" long enough ")
    watched.page.keyboard.press("Enter")
    watched.wait(row(watched, "bob").is_visible, "bob on the list")
    body = {"user": "bob", "password": " long enough ", "role": "viewer"}
    assert guarded.guard.calls[-1] == ("POST", "/users", body)


def test_a_user_gets_another_password_another_role_and_goes(
    watched: Watched, guarded: Guarded
) -> None:
    """Proves: each of the buttons of a user asks for the right thing; a refusal is shown as it
    is."""
    go(watched, guarded.served, "#/admin")
    guarded.guard.answers |= {
        ("POST", "/users/ada/password"): (204, {}, {}),
        ("POST", "/users/ada/role"): (204, {}, {}),
        ("DELETE", "/users/ada"): (409, {"error": "ada is the last admin"}, {}),
    }
    dialog = press(watched, "Password: ada")
    dialog.get_by_label("Password").fill("another one")
    dialog.get_by_role("button", name="Set").click()
    watched.wait(lambda: dialog.count() == 0, "it is set")
    press(watched, "Role: ada")
    dialog.get_by_label("Role").select_option("viewer")
    dialog.get_by_role("button", name="Set").click()
    watched.wait(lambda: dialog.count() == 0, "it is set")
    press(watched, "Remove: ada")
    dialog.get_by_role("button", name="Remove").click()
    watched.wait(lambda: "ada is the last admin" in dialog.inner_text(), "the refusal")
    asked = [call for call in guarded.guard.calls if call[1].startswith("/users")]
    assert asked == [
        ("POST", "/users/ada/password", {"password": "another one"}),
        ("POST", "/users/ada/role", {"role": "viewer"}),
        ("DELETE", "/users/ada", {}),
    ]


def test_a_token_is_shown_once(watched: Watched, guarded: Guarded) -> None:
    """Proves: a new token can be copied, and is nowhere in the page after that; a driver's one asks
    for the driver."""
    go(watched, guarded.served, "#/tokens")
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog = press(watched, "New token")
    assert dialog.get_by_label("Driver", exact=True).count() == 0
    dialog.get_by_label("Role").select_option("driver")
    dialog.get_by_label("Name").fill("phone")
    dialog.get_by_label("Driver", exact=True).fill("driver-bob")
    dialog.get_by_label("Days").fill("0")
    guarded.guard.answers["POST", "/tokens"] = (201, {"token": TOKEN}, {})
    dialog.get_by_role("button", name="Make").click()
    copy = watched.page.get_by_role("button", name="Copy")
    watched.wait(copy.is_visible, "the token")
    copy.click()
    watched.wait(lambda: "It is copied." in dialog.inner_text(), "it is copied")
    assert watched.page.evaluate("navigator.clipboard.readText()") == TOKEN
    watched.page.get_by_role("button", name="Close").click()
    watched.wait(lambda: dialog.count() == 0, "no dialog")
    assert TOKEN not in watched.page.content()
    body = {"name": "phone", "role": "driver", "driver_id": "driver-bob", "days": 0}
    assert guarded.guard.calls[-1] == ("POST", "/tokens", body)


def test_tokens_of_charging_points_and_drivers(watched: Watched, guarded: Guarded) -> None:
    """Proves: both are made here, and ended here; a revoked one has no button more."""
    go(watched, guarded.served, "#/tokens")
    made: Answer = (201, {"token": TOKEN}, {})
    guarded.guard.answers |= {
        ("POST", "/cp/CP-002/token"): made,
        ("POST", "/drivers"): made,
        ("DELETE", "/tokens/CP-001"): (204, {}, {}),
        ("DELETE", "/drivers/driver-alice"): (204, {}, {}),
    }
    for name, field, value in (
        ("Charging point's token", "Charging point", "CP-002"),
        ("Driver's token", "Driver", "driver-bob"),
    ):
        dialog = press(watched, name)
        dialog.get_by_label(field, exact=True).fill(value)
        dialog.get_by_role("button", name="Make").click()
        close = watched.page.get_by_role("button", name="Close")
        watched.wait(close.is_visible, "the token")
        close.click()
    for name, action in (("Revoke: CP-001", "Revoke"), ("Remove driver: driver-alice", "Remove")):
        dialog = press(watched, name)
        dialog.get_by_role("button", name=action, exact=True).click()
        close = dialog.get_by_role("button", name="Close")
        watched.wait(close.is_visible, "it is done")
        close.click()
    assert [call for call in guarded.guard.calls if not call[1].startswith(("/auth", "/feed"))] == [
        ("POST", "/cp/CP-002/token", {}),
        ("POST", "/drivers", {"driver_id": "driver-bob"}),
        ("DELETE", "/tokens/CP-001", {}),
        ("DELETE", "/drivers/driver-alice", {}),
    ]
    assert row(watched, "old").get_by_role("button").count() == 0


def test_the_audit_is_read_page_by_page(watched: Watched, guarded: Guarded) -> None:
    """Proves: the newest rows come first, a press brings older ones, and a filter is asked for."""
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    go(watched, guarded.served, "#/audit")
    lines = watched.page.get_by_role("row")
    assert lines.count() == PAGE + 1
    first = lines.nth(1).inner_text()
    for words in ("oscar", "operator", "192.0.2.7", "stop", "CP-001", "refused"):
        assert words in first
    guarded.guard.answers["GET", "/audit"] = audit(900, 3)
    watched.page.get_by_role("button", name="Older").click()
    watched.wait(lambda: lines.count() == PAGE + 4, "the older ones")
    assert asked[-1].endswith("before=901")
    field = watched.page.get_by_label("Charging point", exact=True)
    field.fill("CP-001")
    field.press("Tab")
    watched.wait(lambda: lines.count() == 4, "those of the charging point")
    assert "cp_id=CP-001" in asked[-1]


def test_an_operator_reads_the_audit_of_a_charging_point(
    browser: "Browser", guarded: Guarded
) -> None:
    """Proves: the way there is on the charging point's page; there is no address, and no way to the
    other pages of the admin."""
    with watched_page(browser, f"{guarded.served.url}#/cp/CP-00001") as watched:
        wait_login(watched)
        log_in(watched, "oscar")
        watched.page.get_by_role("link", name="Audit").click()
        lines = watched.page.get_by_role("row")
        watched.wait(lambda: lines.count() == PAGE + 1, "the audit")
        assert "192.0.2.7" not in watched.page.locator("main").inner_text()
        assert watched.page.get_by_role("link", name="Tokens").count() == 0
        watched.check()


def test_the_story_says_who_stopped_it(browser: "Browser", guarded: Guarded) -> None:
    """Proves: a stop has the name of the person who asked for it."""
    story = {"id": "1", "kind": "STOPPED", "cp_id": "CP-00001", "ts": NOON}
    story |= {"text": "stopped by the operator", "who": "oscar"}
    guarded.guard.answers["GET", "/timeline"] = (200, {"timeline": [story]}, {})
    with watched_page(browser, f"{guarded.served.url}#/cp/CP-00001") as watched:
        wait_login(watched)
        log_in(watched, "vera")
        entry = watched.page.get_by_role("listitem").filter(has_text="Stopped · by oscar")
        watched.wait(entry.is_visible, "who stopped it")
        assert watched.page.get_by_role("link", name="Audit").count() == 0
        watched.check()
