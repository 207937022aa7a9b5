"""The files that the pages load, as they stand in the folder `web` beside this module.

They are read once and served by their exact names, so no path leads to another file.
"""

import functools
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from litestar import Request, Response, get
from litestar.params import FromPath

from evd.adapters.http.access.rights import needing
from evd.adapters.http.refused import Refused

FOLDER: Final = Path(__file__).with_name("web")
# Asked for again each time, and answered with 304: a new version is never mixed with an old one.
CACHING: Final = "no-cache"

# The kinds that a page may load; licences and notes beside them are not served.  Litestar adds the
# charset of a text.
_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_PACKED_TYPES: Final = {".css", ".js", ".svg"}


@attrs.frozen
class WebFile:
    """A file; `packed` is its content by gzip, None where that is of no use."""

    content: bytes
    packed: bytes | None
    media_type: str
    etag: str


@functools.cache
def web_files() -> Mapping[str, WebFile]:
    """Every file that is served, by its path below /web/."""
    paths = [path for path in FOLDER.rglob("*") if path.suffix in _TYPES]
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> WebFile:
    content = path.read_bytes()
    return WebFile(
        content,
        gzip.compress(content, mtime=0) if path.suffix in _PACKED_TYPES else None,
        _TYPES[path.suffix],
        # Weak: the packed bytes are another form of the same file.
        f'W/"{hashlib.sha256(content).hexdigest()[:24]}"',
    )


@get(
    "/web/{file:path}",
    media_type="application/octet-stream",
    include_in_schema=False,
    **needing(None),
)
async def web_file(request: Request[Any, Any, Any], file: FromPath[str]) -> Response[bytes]:
    """One file, or 304 where the browser has it."""
    return served(request, file.removeprefix("/"))


def served(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    """The file of that name, or 304 where the browser has it; raises Refused for another name."""
    found = web_files().get(name)
    if found is None:
        raise Refused(404, "there is no such file")
    headers = {"Cache-Control": CACHING, "ETag": found.etag, "Vary": "Accept-Encoding"}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    content = found.content
    if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = found.packed, "gzip"
    return Response(content, media_type=found.media_type, headers=headers)
