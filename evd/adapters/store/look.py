"""A look at a file before anything is opened for writing in it, or made beside it.

`--db-url` may name any file of the machine.  SQLite itself would make a log or an index beside the
database of another program, and wait for ever at a FIFO.
"""

import contextlib
import os
import sqlite3
import stat
from pathlib import Path

from evd.adapters.files.regular_file import may_be_regular

_MAGIC = b"SQLite format 3\0"
# Another program may have some of these names, but hardly all.
_OURS = {"alembic_version", "meta", "charging_sessions"}
# SQLite opens these beside a database.
_SUFFIXES = ("-wal", "-shm", "-journal")


def open_unchanging(path: Path) -> sqlite3.Connection:
    """A connection that only reads, and makes nothing beside the file.

    Of a file that has a log, or of one that others write, it may see less than is there.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def open_reading(path: Path) -> sqlite3.Connection:
    """A connection that only reads, also beside the one that writes."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def why_not_ours(path: Path, *, is_known: bool) -> str:
    """Return why the file at `path` can't be Central's database; empty where it may be.

    A file that does not exist, or is empty, may become one.  `is_known`: our lock stands beside
    it, so a file that can't be read is a damaged one of ours.  Raises OSError where it can't be
    looked at.
    """
    for suffix in _SUFFIXES:
        beside = path.with_name(path.name + suffix)
        if not may_be_regular(beside):
            return f"has beside it {beside.name}, which is no regular file"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "" if path.parent.is_dir() else "is in a directory that does not exist"
    except NotADirectoryError:
        return "is in a directory that does not exist"
    if not stat.S_ISREG(mode):
        return "is a directory" if stat.S_ISDIR(mode) else "is not a regular file"
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start != _MAGIC:
        return "" if is_known or not start else "is not an SQLite database"
    has_log = _size(path.with_name(path.name + "-wal")) > 0
    try:
        tables = _tables(path)
    except sqlite3.Error:
        return "" if is_known else "is damaged, or not a database of Central's"
    if tables >= _OURS or (is_known and has_log):
        return ""
    return "is the database of another program" if tables or has_log else ""


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _tables(path: Path) -> set[str]:
    with contextlib.closing(open_unchanging(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}
