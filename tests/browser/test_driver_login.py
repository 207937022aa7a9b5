"""A driver's page where a login is wanted: with the driver's token, and how it ends."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from evd.core.access.roles import Auth
from tests.adapters.http.driver_scene import ALICE
from tests.browser.chromium import PHONE, Watched, watched_page
from tests.browser.served_driver import served_driver
from tests.browser.test_accessible import serious_faults
from tests.browser.test_login import alert_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

TOKEN: Final = "evd_driver_" + "a" * 43
ANOTHER: Final = "evd_driver_" + "b" * 43


@attrs.define
class Door:
    """The page of driver-alice, and the token that opens it; another one ends all logins."""

    url: str = ""
    token: str = TOKEN


@pytest.fixture(scope="module")
def served() -> Iterator[Door]:
    """The page of a driver who charges, for those who have the token."""
    door = Door()
    with served_driver(auth=Auth.REQUIRED, token=lambda: door.token) as door.url:
        yield door


@pytest.fixture
def door(served: Door) -> Door:
    """The same with its first token."""
    served.token = TOKEN
    return served


@pytest.fixture
def watched(browser: "Browser", door: Door) -> Iterator[Watched]:
    """The page of somebody who has not logged in yet."""
    with watched_page(browser, door.url, size=PHONE) as watched:
        wait_login(watched)
        yield watched
        watched.check()


def wait_login(watched: Watched) -> None:
    """Wait until the login is there, and nothing of the driver's."""
    heading = watched.page.get_by_role("heading", name="Log in", exact=True)
    watched.wait(heading.is_visible, "the login")
    assert watched.page.get_by_text("CP-001").count() == 0


def log_in(watched: Watched, token: str = TOKEN) -> None:
    """Send the driver's token by the keyboard."""
    watched.page.get_by_label(f"Token of {ALICE}").fill(token)
    watched.page.keyboard.press("Enter")


def wait_charging(watched: Watched) -> None:
    """Wait until the driver's session is shown."""
    running = watched.page.get_by_role("heading", name="Charging at CP-001")
    watched.wait(running.is_visible, "the session")


def test_a_driver_logs_in_with_the_token(watched: Watched) -> None:
    """Proves: a wrong token is told; the right one opens the page, which stays open over a reload;
    a password manager finds a name and a secret; axe finds nothing serious."""
    form = watched.page.locator("form")
    assert form.locator("input[autocomplete=username]").input_value() == ALICE
    assert form.locator("input[type=password]").get_attribute("autocomplete") == "current-password"
    assert serious_faults(watched) == []
    log_in(watched, ANOTHER)
    assert alert_of(watched) == "This token is not valid here."
    log_in(watched)
    wait_charging(watched)
    assert serious_faults(watched) == []
    watched.page.reload()
    wait_charging(watched)


def test_a_session_that_ends_brings_a_driver_s_login_back(watched: Watched, door: Door) -> None:
    """Proves: the stream that the server cuts off and refuses to go on with is the end; nothing of
    the driver's is left, and after the login the page goes on where it was."""
    log_in(watched)
    wait_charging(watched)
    watched.page.get_by_role("link", name="History").click()
    watched.page.evaluate("window.same = true")
    door.token = ANOTHER
    wait_login(watched)
    assert "connection lost" not in watched.page.locator("body").inner_text()
    log_in(watched, ANOTHER)
    heading = watched.page.get_by_role("heading", level=1, name="History")
    watched.wait(heading.is_visible, "the history")
    assert watched.page.evaluate("window.same") is True


def test_a_driver_logs_out(watched: Watched, door: Door) -> None:
    """Proves: the button ends it at the server, and puts away what was shown."""
    log_in(watched)
    wait_charging(watched)
    cookies = watched.page.context.cookies()
    watched.page.get_by_role("button", name="Log out").click()
    wait_login(watched)
    assert watched.page.title() == "Log in · EV charging"
    sent = {"Cookie": f"{cookies[0]['name']}={cookies[0]['value']}"}
    path = f"{door.url}drivers/{ALICE}/sessions/current"
    assert watched.page.request.get(path, headers=sent).status == 401


def test_a_refused_call_of_a_driver_is_the_end(watched: Watched) -> None:
    """Proves: a 401 of any call brings the login back, and closes the question that asked it."""
    log_in(watched)
    wait_charging(watched)
    unknown = {"error": "this call needs a login"}
    watched.page.route("**/stop", lambda route: route.fulfill(status=401, json=unknown))
    watched.page.get_by_role("button", name="Stop session").click()
    dialog = watched.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Stop session", exact=True).click()
    wait_login(watched)
    assert dialog.count() == 0


def test_without_auth_a_driver_sees_no_login(browser: "Browser") -> None:
    """Proves: the page of a driver with `--auth off` has no login and no logout."""
    with (
        served_driver() as url,
        watched_page(browser, url, size=PHONE) as watched,
    ):
        wait_charging(watched)
        assert watched.page.get_by_role("button", name="Log").count() == 0
        assert watched.page.locator("meta[name^=evd-]").count() == 1
        watched.check()
