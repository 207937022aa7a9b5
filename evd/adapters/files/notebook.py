"""A driver's notebook: one small file with all that it keeps over a restart.

It is replaced whole, so a crash leaves the old page or the new one.  Its content is checked when
it is read: a damaged file is put aside with an error in the log, and the driver begins anew.
"""

import logging
import zlib
from pathlib import Path
from typing import Any, Final

import orjson

from evd.adapters.files.regular_file import open_regular
from evd.adapters.files.state_dir import write_whole
from evd.core.driver.disk import BLANK_DISK, DriverDisk
from evd.core.wire import codec

FILE_NAME: Final = "notebook.json"
# Raised with a change that an older release would take for damage, or would lose.
NOTEBOOK_FORMAT: Final = 1
DAMAGED_SUFFIX: Final = ".damaged"
# A file within the bounds of the core is far smaller.
FILE_BYTES_MAX: Final = 4_000_000

logger = logging.getLogger(__name__)


class NotSaved(Exception):
    """The disk refused a page; nobody can tell which page is on it now."""


class ForeignNotebook(Exception):
    """The notebook is another driver's."""


class Notebook:
    """The notebook of `driver_id` in `state_dir`, which its process must hold."""

    def __init__(self, state_dir: Path, driver_id: str) -> None:
        self.path = state_dir / FILE_NAME
        self._driver_id = driver_id

    def read(self) -> DriverDisk:
        """Return the page; a blank one if there is none yet, or none that can be trusted.

        Raises ForeignNotebook, and OSError if the file can't be read or put aside.
        """
        try:
            with open(open_regular(self.path), "rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            return BLANK_DISK
        try:
            page = _checked(content)
            if page["driver_id"] != self._driver_id:
                raise ForeignNotebook(f"{self.path} belongs to driver {page['driver_id']}")
            return codec.structure(DriverDisk, page["disk"])
        # TypeError: nested deeper than orjson writes.
        except (codec.BadMessage, TypeError) as error:
            aside = self.path.with_name(FILE_NAME + DAMAGED_SUFFIX)
            self.path.replace(aside)
            logger.error("%s is damaged, put aside as %s: %s", self.path, aside.name, error)
            return BLANK_DISK

    def write(self, disk: DriverDisk) -> None:
        """Replace the page by `disk`, durably, or raise NotSaved."""
        fields = codec.to_fields(disk)
        page = {"driver_id": self._driver_id, "crc32": _checksum(fields), "disk": fields}
        try:
            write_whole(self.path, orjson.dumps(page) + b"\n")
        except OSError as error:
            raise NotSaved(f"{self.path}: {error.strerror}") from error


def _checked(content: bytes) -> dict[str, Any]:
    page = codec.load_object(content)
    disk = page.get("disk")
    if not isinstance(disk, dict) or not isinstance(page.get("driver_id"), str):
        raise codec.BadMessage("", "is no page of a notebook")
    if page.get("crc32") != _checksum(disk):
        raise codec.BadMessage("crc32", "does not match")
    return page


def _checksum(fields: dict[str, Any]) -> int:
    # JSON objects keep their order, so a page that was read is dumped as it was written.
    return zlib.crc32(orjson.dumps(fields))
