"""A state directory: held by one process at a time, its files written whole or not at all."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from evd.adapters.files.regular_file import open_regular

LOCK_FILE: Final = "lock"


class StateDirInUse(Exception):
    """Another process works with this state directory."""


@contextlib.contextmanager
def held_state_dir(state_dir: Path) -> Iterator[None]:
    """Keep other processes out of `state_dir` for as long as the block, or this process, lasts.

    Raises StateDirInUse, and OSError if the directory can't be written.
    """
    # Reading is enough for a lock, and works on a disk that has become read-only.
    fd = open_regular(state_dir / LOCK_FILE, os.O_RDONLY | os.O_CREAT)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateDirInUse(f"{str(state_dir)!r} is in use by another process") from None
        yield
    finally:
        # The file stays: after its removal two processes could lock two files of the same name.
        os.close(fd)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file durably: after a crash it is the old one or the new one, never half of it.

    Raises OSError; nobody can tell then which of the two it is.
    """
    new = path.with_name(path.name + ".new")
    with open(open_regular(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
