"""The pages of a real Central that wants to know who calls, from its first admin on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import httpx
import pytest

from tests.browser.chromium import Watched, watched_page
from tests.browser.test_admin import press, row
from tests.browser.test_login import alert_of, fill, wait_live
from tests.network.network import Network

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@attrs.frozen
class Site:
    """A Central, and where its page is."""

    network: Network
    url: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A broker and a Central whose first admin, ada, was made over the admin socket."""
    with Network(tmp_path_factory.mktemp("network")) as network:
        network.broker.start()
        network.central("--auth", "required").start_until_ready()
        add_ada(network)
        yield Site(network, f"http://127.0.0.1:{network.http_port}/")
        assert "Traceback" not in network.central().logged()


def add_ada(network: Network) -> None:
    """Make the first admin, over the admin socket."""
    socket = str(network.folder / "central" / "admin.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket), timeout=20) as client:
        ada = {"user": "ada", "password": PASSWORD, "role": "admin"}
        answer = client.post("http://localhost/users", json=ada)
        assert answer.status_code == 201, answer.text


@pytest.fixture
def watched(browser: "Browser", site: Site) -> Iterator[Watched]:
    """The page of ada, who has logged in."""
    with watched_page(browser, site.url) as watched:
        log_in(watched, "ada")
        yield watched
        watched.check()


def wait_login(watched: Watched) -> None:
    """Wait until the login is there."""
    heading = watched.page.get_by_role("heading", name="Log in", exact=True)
    watched.wait(heading.is_visible, "the login")


def log_in(watched: Watched, user: str) -> None:
    """Log in, and wait until the page lives."""
    wait_login(watched)
    fill(watched, user, PASSWORD)
    wait_live(watched)


def test_a_wrong_login_is_told(browser: "Browser", site: Site) -> None:
    """Proves: a wrong password, a name that is none and a token that is none are told in a sentence
    each, and the right password works after that."""
    with watched_page(browser, site.url) as watched:
        wait_login(watched)
        fill(watched, "ada", "not this one")
        assert alert_of(watched) == "Wrong user or password."
        fill(watched, "a name", PASSWORD)
        watched.wait(lambda: alert_of(watched).startswith("user must"), "the field is named")
        watched.page.get_by_role("button", name="Token", exact=True).click()
        watched.page.locator("input[name=token]").fill("no token")
        watched.page.keyboard.press("Enter")
        watched.wait(lambda: "token" in alert_of(watched), "the field is named")
        watched.page.get_by_role("button", name="Password", exact=True).click()
        log_in(watched, "ada")
        watched.check()


def test_a_person_comes_and_goes(browser: "Browser", site: Site, watched: Watched) -> None:
    """Proves: a user whom the admin's page has added logs in and may do what the role has; removed,
    the open page shows the login within seconds; the audit tells of all of it."""
    page = watched.page
    page.get_by_role("link", name="Admin").click()
    dialog = press(watched, "Add user")
    dialog.get_by_label("User", exact=True).fill("vera")
    dialog.get_by_label("Password").fill("short")
    page.keyboard.press("Enter")
    wrong = dialog.locator("[aria-invalid=true]")
    watched.wait(lambda: wrong.get_attribute("name") == "password", "the field is named")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    watched.wait(row(watched, "vera").is_visible, "vera on the list")
    with watched_page(browser, site.url) as other:
        log_in(other, "vera")
        assert "vera\nviewer" in other.page.locator("header").first.inner_text()
        assert other.page.get_by_role("link", name="Admin").count() == 0
        dialog = press(watched, "Remove: vera")
        dialog.get_by_role("button", name="Remove", exact=True).click()
        wait_login(other)
        assert "not logged in any more" in other.page.locator("form").inner_text()
        other.check()
    dialog.get_by_role("button", name="Close").click()
    watched.wait(lambda: row(watched, "vera").count() == 0, "vera off the list")
    page.get_by_role("link", name="Audit").click()
    for words in ("vera", "ada", "local:", "127.0.0.1", "done"):
        watched.wait(lambda: words in page.locator("main").inner_text(), f"{words} in the audit")  # noqa: B023


def test_a_role_that_changes_ends_the_session(
    browser: "Browser", site: Site, watched: Watched
) -> None:
    """Proves: a viewer who becomes an operator logs in again, and has the way to the audit."""
    page = watched.page
    page.get_by_role("link", name="Admin").click()
    dialog = press(watched, "Add user")
    dialog.get_by_label("User", exact=True).fill("olga")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    watched.wait(row(watched, "olga").is_visible, "olga on the list")
    with watched_page(browser, site.url) as other:
        log_in(other, "olga")
        press(watched, "Role: olga")
        dialog.get_by_label("Role").select_option("operator")
        dialog.get_by_role("button", name="Set").click()
        log_in(other, "olga")
        assert "olga\noperator" in other.page.locator("header").first.inner_text()
        other.check()
    press(watched, "Role: ada")
    dialog.get_by_label("Role").select_option("viewer")
    dialog.get_by_role("button", name="Set").click()
    watched.wait(lambda: "last admin" in dialog.inner_text(), "the refusal")


def test_a_token_opens_what_its_role_has_until_it_is_revoked(
    browser: "Browser", site: Site, watched: Watched
) -> None:
    """Proves: the token that is shown once logs in; revoked, its page shows the login; those of a
    charging point and a driver are made and listed."""
    page = watched.page
    page.goto(f"{site.url}#/tokens")
    dialog = press(watched, "New token")
    dialog.get_by_label("Name", exact=True).fill("wall")
    dialog.get_by_role("button", name="Make").click()
    shown = dialog.locator("input[readonly]")
    watched.wait(shown.is_visible, "the token")
    token = shown.input_value()
    dialog.get_by_role("button", name="Close").click()
    with watched_page(browser, site.url) as other:
        wait_login(other)
        other.page.get_by_role("button", name="Token", exact=True).click()
        other.page.locator("input[name=token]").fill(token)
        other.page.keyboard.press("Enter")
        wait_live(other)
        dialog = press(watched, "Revoke: wall")
        dialog.get_by_role("button", name="Revoke", exact=True).click()
        wait_login(other)
        other.check()
    dialog.get_by_role("button", name="Close").click()
    for name, field, value in (
        ("Charging point's token", "Charging point", "CP-002"),
        ("Driver's token", "Driver", "driver-bob"),
    ):
        dialog = press(watched, name)
        dialog.get_by_label(field, exact=True).fill(value)
        dialog.get_by_role("button", name="Make").click()
        watched.wait(shown.is_visible, "the token")
        dialog.get_by_role("button", name="Close").click()
        watched.wait(row(watched, value).is_visible, f"{value} on the list")


def test_central_that_restarts_keeps_the_login(site: Site, watched: Watched) -> None:
    """Proves: the page goes on by itself after a restart of Central, without a login."""
    central = site.network.central()
    central.kill()
    lost = watched.page.get_by_text("connection lost")
    watched.wait(lost.is_visible, "connection lost")
    central.start_until_ready()
    wait_live(watched)


def test_on_the_way_over_a_login_is_offered(browser: "Browser", tmp_path: Path) -> None:
    """Proves: with `--auth warn` the page works for everybody as before, and offers a login; the
    charging point's story then says who stopped it."""
    with Network(tmp_path) as network:
        network.central("--auth", "warn")
        network.up("CP-001")
        add_ada(network)
        with watched_page(browser, f"http://127.0.0.1:{network.http_port}/") as watched:
            page = watched.page
            watched.wait_card("CP-001", "ON")
            stop = watched.card("CP-001").get_by_role("button", name="Stop", exact=True)
            assert stop.is_visible()
            assert page.get_by_role("link", name="Admin").count() == 0
            page.get_by_role("button", name="Log in").click()
            wait_login(watched)
            page.get_by_role("link", name="EV charging network").click()
            watched.wait_card("CP-001", "ON")
            page.get_by_role("button", name="Log in").click()
            log_in(watched, "ada")
            watched.wait(stop.is_visible, "the button")
            dialog = press(watched, "Stop")
            dialog.get_by_role("button", name="Stop", exact=True).click()
            watched.wait(lambda: "takes no drivers" in dialog.inner_text(), "it is stopped")
            dialog.get_by_role("button", name="Close").click()
            page.get_by_text("CP-001", exact=True).first.click()
            entry = page.get_by_role("listitem").filter(has_text="Stopped · by ada")
            watched.wait(entry.is_visible, "who stopped it")
            watched.check()
