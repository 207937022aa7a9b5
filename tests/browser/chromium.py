"""Debian's Chromium, driven by Playwright; and one page of it that is watched for trouble."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import attrs

from tests.network.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    # Root has no sandbox, and these browsers meet only pages of this checkout.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE: Final = (1440, 900)
PHONE: Final = (390, 844)
SHOWN_S_MAX: Final = 20.0

# Notes what the page's policy forbids, before any script of the page runs.
_WATCH: Final = """
window.forbidden = [];
addEventListener("securitypolicyviolation", (event) =>
  window.forbidden.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class NoBrowser(Exception):
    """This machine has no browser, or nothing that drives it."""


def find_chromium() -> str:
    """The path of Chromium; raises NoBrowser."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        raise NoBrowser("the package playwright is missing: make browser") from None
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise NoBrowser("Chromium is missing: make browser")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A browser that ends with the `with`."""
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@attrs.define
class Watched:
    """A page, and all that went wrong in it."""

    page: "Page"
    troubles: list[str] = attrs.Factory(list)

    def check(self) -> None:
        """That no script failed and the policy had nothing to forbid."""
        assert self.page.evaluate("window.forbidden") == []
        assert self.troubles == []

    def wait(self, condition: Callable[[], Any], what: str, within_s: float = SHOWN_S_MAX) -> Any:
        """Look at the page until `condition` is true; returns that."""
        return wait_until(condition, within_s, what, look_s=0.05)

    def card(self, cp_id: str) -> "Locator":
        """The card or row of a charging point."""
        name = self.page.get_by_text(cp_id, exact=True)
        return self.page.get_by_role("listitem").filter(has=name)

    def wait_card(self, cp_id: str, word: str, within_s: float = SHOWN_S_MAX) -> None:
        """Wait until the card of a charging point has this word in an element of its own."""
        found = self.card(cp_id).get_by_text(word, exact=True)
        self.wait(lambda: found.is_visible(), f"{cp_id} has the word {word}", within_s)


@contextmanager
def watched_page(
    browser: "Browser",
    url: str,
    *,
    size: tuple[int, int] = WIDE,
    dark: bool = False,
    language: str = "en-GB",
) -> Iterator[Watched]:
    """A page at `url` in a context of its own."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        locale=language,
        timezone_id="Europe/Madrid",
        is_mobile=size == PHONE,
        has_touch=size == PHONE,
        device_scale_factor=1,
    )
    context.add_init_script(_WATCH)
    page = context.new_page()
    watched = Watched(page)
    page.on("pageerror", lambda error: watched.troubles.append(f"a script failed: {error}"))
    try:
        page.goto(url)
        yield watched
    finally:
        context.close()
