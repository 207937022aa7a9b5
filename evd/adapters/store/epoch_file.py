"""A small file beside the database that knows how far it had come.

By it a database that was put back from an older copy, or swapped for another, is found at the next
start.  It holds one line: the central_id, its epoch, and the number of the newest commit.
"""

import contextlib
import logging
import os
import re
from pathlib import Path

import attrs

from evd.adapters.files.regular_file import open_regular

FILE_NAME = "central.epoch"

_LINE = re.compile(r"(?P<central_id>[A-Za-z0-9_.-]{1,64}) (?P<epoch>\d{20}) (?P<commits>\d{20})\n")
_LINE_BYTES_MAX = 128

logger = logging.getLogger(__name__)


@attrs.frozen(slots=True)
class Progress:
    """The newest state of the database that this file knows."""

    central_id: str
    epoch: int
    commits: int

    def line(self) -> bytes:
        """As it stands in the file: of one length as long as the id is the same."""
        return f"{self.central_id} {self.epoch:020d} {self.commits:020d}\n".encode()


class EpochFile:
    """The file in the state directory.

    It is written after each commit and not flushed.  A killed process loses nothing of it; after
    a power cut it may know less than the database, which is durable, and never more.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        self._fd: int | None = None
        self._central_id = ""
        self._warned = False
        self._newest: Progress | None = None
        self._was_read = False

    def read(self) -> Progress | None:
        """The newest line of the file; None where there is none, or none that can be read."""
        self._was_read = True
        try:
            with open(open_regular(self.path), "rb") as file:
                text = file.read(_LINE_BYTES_MAX).decode(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("%s cannot be read: %s", self.path, error.strerror)
            return None
        match = _LINE.fullmatch(text)
        if match is None:
            logger.warning("%s is damaged: a restored database would not be noticed", self.path)
            return None
        self._newest = Progress(match["central_id"], int(match["epoch"]), int(match["commits"]))
        return self._newest

    def newest(self) -> Progress | None:
        """The newest that was read or noted; the file itself is read once at the most."""
        if self._newest is None and not self._was_read:
            self.read()
        return self._newest

    def note(self, seen: Progress) -> None:
        """Write it down; where that fails it is said once, for the commit itself has succeeded."""
        self._newest = seen
        try:
            if seen.central_id != self._central_id or self._fd is None:
                self._replace(seen)
            else:
                # In place: a few bytes of one sector, and so never half of them.
                os.pwrite(self._fd, seen.line(), 0)
            if self._warned:
                self._warned = False
                logger.info("%s can be written again", self.path)
        except OSError as error:
            if not self._warned:
                self._warned = True
                logger.warning(
                    "%s cannot be written: %s; a restored database might not be noticed",
                    self.path,
                    error.strerror,
                )

    def close(self) -> None:
        """Close the file.  Safe to repeat."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _replace(self, seen: Progress) -> None:
        self.close()
        new = self.path.with_name(FILE_NAME + ".new")
        fd = open_regular(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(fd, seen.line())
            os.fsync(fd)
            os.replace(new, self.path)
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        self._fd = fd
        self._central_id = seen.central_id
