"""Takes the pictures of docs/img: `.venv/bin/python -m tests.browser.pictures`.

The network is made up (`crowd`, `story`), so they show a whole day, and no secret of anybody.
"""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from tests.browser import driver_story, story
from tests.browser.chromium import PHONE, Watched, chromium, watched_page
from tests.browser.crowd import Crowd, Served, served_crowd
from tests.browser.served_driver import served_driver
from tests.network.processes import CHECKOUT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

FOLDER: Final = CHECKOUT / "docs" / "img"
# Wide enough for all columns, and small enough for a page of documentation.
WIDE: Final = (1280, 800)
BYTES_MAX: Final = 150_000
COUNT: Final = 14
SETTLE_MS: Final = 2_500


@attrs.frozen
class Picture:
    """A page at a place, wide or on a phone, light or dark; `look`: charging points as what."""

    name: str
    place: str = ""
    look: str = ""
    size: tuple[int, int] = WIDE
    dark: bool = False


PICTURES: Final = (
    Picture("network-light", look="Cards"),
    Picture("network-dark", look="Rows", dark=True),
    Picture("network-phone", look="Cards", size=PHONE, dark=True),
    Picture("charging-point-light", f"#/cp/{story.CP_ID}"),
    Picture("session-dark", f"#/session/session-{1:032x}", dark=True),
)

DRIVER_PICTURES: Final = (
    Picture("driver-phone-light", size=PHONE),
    Picture("driver-phone-dark", "#/history", size=PHONE, dark=True),
)


def main() -> int:
    """Take all of them; 1 where one is too large for the documentation."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with served_crowd(Crowd(COUNT, troubled=0.2, busy=0.55)) as served, chromium() as browser:
        sizes = [_take(browser, served, picture) for picture in PICTURES]
        with served_driver(driver_story.prepare) as url:
            sizes += [_take_driver(browser, url, picture) for picture in DRIVER_PICTURES]
    return 0 if max(sizes) <= BYTES_MAX else 1


def _take(browser: "Browser", served: Served, picture: Picture) -> int:
    size, dark = picture.size, picture.dark
    with watched_page(browser, "about:blank", size=size, dark=dark) as watched:
        page = watched.page
        page.route("**/*", partial(_tell, served.crowd))
        page.goto(served.url + picture.place)
        live = page.get_by_text("live", exact=True)
        watched.wait(lambda: live.count() == 1, "a live page")
        if picture.look:
            page.get_by_role("button", name=picture.look).click()
            page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.wait_for_timeout(SETTLE_MS)
        return _write(watched, FOLDER / f"{picture.name}.png")


def _take_driver(browser: "Browser", url: str, picture: Picture) -> int:
    size, dark = picture.size, picture.dark
    with watched_page(browser, url + picture.place, size=size, dark=dark) as watched:
        heading = watched.page.get_by_role("heading", level=1)
        watched.wait(lambda: heading.count() == 1, "a page")
        watched.page.wait_for_timeout(SETTLE_MS)
        return _write(watched, FOLDER / f"{picture.name}.png")


def _tell(crowd: Crowd, route: "Route") -> None:
    found = story.answer(route.request.url, crowd, datetime.now(UTC))
    if found is None:
        route.fallback()
    else:
        route.fulfill(json=found)


def _write(watched: Watched, path: Path) -> int:
    watched.page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path.relative_to(CHECKOUT)}: {size / 1000:.0f} kB")
    return size


if __name__ == "__main__":
    sys.exit(main())
