"""The files that pages load: served as they are, by their names alone."""

import gzip
from pathlib import Path

import pytest

from evd.adapters.http.web_files import FOLDER, web_files
from tests.adapters.http.fake_central import Client, assert_error

THEME = "/web/shared/theme.css"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (THEME, "text/css; charset=utf-8"),
        ("/web/shared/feed.js", "text/javascript; charset=utf-8"),
        ("/web/vendor/uplot/uPlot.esm.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_a_file_has_its_type(client: Client, path: str, kind: str) -> None:
    """Proves: a browser that guesses no type runs the scripts and takes the sheets."""
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.content == (FOLDER / path.removeprefix("/web/")).read_bytes()


async def test_a_file_is_sent_once(client: Client) -> None:
    """Proves: a browser that has a file is told so and is sent nothing; it asks each time, so a
    new version counts at once."""
    first = await client.get(THEME)
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get(THEME, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await client.get(THEME, headers={"If-None-Match": 'W/"other"'})
    assert other.status_code == 200


async def test_a_file_is_packed_for_those_who_unpack(client: Client) -> None:
    """Proves: a text goes out as gzip where the browser takes it, and plain where it does not."""
    packed = await client.get(THEME, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = await client.get(THEME, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content
    assert gzip.decompress(web_files()["shared/theme.css"].packed or b"") == plain.content


@pytest.mark.parametrize(
    "path",
    [
        "/web/",
        "/web/shared/",
        "/web/none.css",
        "/web/vendor/README.md",
        "/web/vendor/uplot/LICENSE",
        "/web/../pages.py",
        "/web/shared/../../pages.py",
        "/web/%2e%2e/pages.py",
        "/web/shared/..%2Fshared/theme.css",
        "/web/shared\\theme.css",
        "/web/shared/theme.css%00",
    ],
)
async def test_no_other_path_leads_to_a_file(client: Client, path: str) -> None:
    """Proves: only what is meant for browsers is served, whatever a path is made of."""
    assert_error(await client.get(path), 404)


def test_every_library_has_its_licence() -> None:
    """Proves: each vendored library stands beside its licence, and its version is written down."""
    folders = [path for path in (FOLDER / "vendor").iterdir() if path.is_dir()]
    notes = (FOLDER / "vendor" / "README.md").read_text()
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").is_file()
        assert f"`{folder.name}/`" in notes


def own_sources() -> list[Path]:
    """The scripts, sheets and pages of our own."""
    found = [path for kind in ("*.js", "*.css", "*.html") for path in FOLDER.rglob(kind)]
    return sorted(path for path in found if "vendor" not in path.parts)


@pytest.mark.parametrize("path", own_sources(), ids=lambda path: path.name)
def test_own_files_are_short_and_safe(path: Path) -> None:
    """Proves: a file of the pages fits into a head; none loads from another host, or makes HTML or
    code out of a text."""
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
    ):
        assert word not in text
    for word in (
        "unsafeHTML",
        "unsafeSVG",
        "http://",
        "https://",
        "javascript:",
        ' style="',
        "onclick=",
    ):
        assert word not in text.replace("http://www.w3.org/2000/svg", "")
