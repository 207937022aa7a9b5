"""Files that are files: no FIFO, device or socket, whose opening may wait for ever or do things."""

import errno
import os
import stat
from pathlib import Path


def may_be_regular(path: Path) -> bool:
    """Whether `path` is a regular file, or nothing yet."""
    return path.is_file() or not path.exists()


def check_regular(path: Path) -> None:
    """Raise OSError where `path` is there and is no regular file."""
    if not may_be_regular(path):
        raise OSError(errno.EINVAL, "is no regular file", str(path))


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o640) -> int:
    """A descriptor of the file, made where `flags` say so; OSError, at once, where it is none."""
    check_regular(path)
    # It may have become another since: so the open itself must not wait either.
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return fd
