"""A lock on a file: who has it open alone.  The kernel lets go of it when its process ends."""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path


class FileLocked(Exception):
    """Another process has the lock; `holder` is its number, where it could be read."""

    def __init__(self, holder: int | None) -> None:
        super().__init__(f"locked by process {holder or 'unknown'}")
        self.holder = holder


class ForeignLock(Exception):
    """Another program's file, or a link, has the name of the lock."""


class FileLock:
    """An exclusive lock on `path`, which is made and never removed.

    Removing it would let two processes lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take it at once, or raise FileLocked or ForeignLock; OSError where it can't be made."""
        # A link would lead to a file that is not ours to write.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(self.path, flags, 0o640)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise ForeignLock from None
            raise
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ForeignLock
            holder = os.pread(fd, 20, 0).decode(errors="replace").strip()
            if holder and not holder.isdecimal():
                raise ForeignLock
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FileLocked(int(holder) if holder else None) from None
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        # For whoever finds it locked; on a full disk the lock holds without it.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go.  Safe to repeat."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
