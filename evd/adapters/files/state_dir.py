"""A state directory: held by one process at a time, its files written whole or not at all.

A note in it tells the format of its files, and the release that wrote them: a release that does
not know a newer one's format leaves them alone.
"""

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from evd.adapters.files.regular_file import open_regular
from evd.version import VERSION

LOCK_FILE: Final = "lock"
FORMAT_FILE: Final = "format"

# A newer release may say more behind the two words.
_FORMAT: Final = re.compile(
    r"(?P<format>[0-9]{1,6}) (?P<release>[A-Za-z0-9.+-]{1,40})(\s.*)?", re.S
)
_FORMAT_BYTES_MAX: Final = 256

logger = logging.getLogger(__name__)


class StateDirRefused(Exception):
    """Another process works with this state directory, or a newer release wrote its files."""


@contextlib.contextmanager
def held_state_dir(state_dir: Path, file_format: int) -> Iterator[None]:
    """Keep other processes out of `state_dir` for as long as the block, or this process, lasts.

    `file_format` is the newest format of its files that this release knows, and the one that it
    writes.  Raises StateDirRefused, and OSError if the directory can't be written.
    """
    # Reading is enough for a lock, and works on a disk that has become read-only.
    fd = open_regular(state_dir / LOCK_FILE, os.O_RDONLY | os.O_CREAT)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateDirRefused(f"{str(state_dir)!r} is in use by another process") from None
        _note_format(state_dir, file_format)
        yield
    finally:
        # The file stays: after its removal two processes could lock two files of the same name.
        os.close(fd)


def _note_format(state_dir: Path, known: int) -> None:
    """Write down who writes in the directory from now on; StateDirRefused where that may harm."""
    path = state_dir / FORMAT_FILE
    text = ""
    with contextlib.suppress(FileNotFoundError), open(open_regular(path), "rb") as file:
        text = file.read(_FORMAT_BYTES_MAX).decode(errors="replace")
    found = _FORMAT.fullmatch(text)
    if found is not None and int(found["format"]) > known:
        raise StateDirRefused(
            f"the files in {str(state_dir)!r} have format {found['format']}, written by evd"
            f" {found['release']}: this is evd {VERSION}, which knows formats up to {known}"
        )
    own = f"{known} {VERSION}\n"
    if text != own:
        try:
            write_whole(path, own.encode())
        except OSError as error:
            # A full disk must not keep an engine from the sessions on it.
            logger.warning("%s can't be written: %s", path, error.strerror)


def write_secret(path: Path, content: bytes, owner: tuple[int, int] = (-1, -1)) -> None:
    """Write a file as `write_whole` does, that nobody but its owner can ever read.

    `owner` are the numbers of a user and a group, -1 for whoever writes it.
    """
    new = path.with_name(path.name + ".new")
    # One that lies there may be open to others.
    new.unlink(missing_ok=True)
    fd = open_regular(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchown(fd, *owner)
    _fill(new, fd, content, path)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file durably: after a crash it is the old one or the new one, never half of it.

    Raises OSError; nobody can tell then which of the two it is.
    """
    new = path.with_name(path.name + ".new")
    _fill(new, open_regular(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), content, path)


def _fill(new: Path, fd: int, content: bytes, path: Path) -> None:
    """Write the file that is open, and put it in the place of `path`."""
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
