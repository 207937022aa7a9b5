"""Room on the disk that nobody else can take: a file that is given up when it is needed."""

import contextlib
import os
from pathlib import Path
from typing import Final

from evd.adapters.files.regular_file import open_regular

# A record takes a few pages of 4 KiB, in the log and in the table; the rest is for the file system.
RESERVE_BYTES: Final = 256 * 1024


class Reserve:
    """`size` bytes at `path`."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def ensure(self) -> None:
        """Take the room where it is not taken yet; OSError where the disk has none."""
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size == self._size:
                return
        fd = open_regular(self._path, os.O_WRONLY | os.O_CREAT)
        try:
            os.posix_fallocate(fd, 0, self._size)
        except OSError:
            # Part of it would only make the disk fuller.
            self.release()
            raise
        finally:
            os.close(fd)

    def release(self) -> bool:
        """Give the room up; returns whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
