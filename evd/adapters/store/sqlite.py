"""Central's database as an SQLite file: write-ahead log, flushed to the disk at each commit."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection

from evd.adapters.store.database import LOCK_WAIT_S, Database
from evd.adapters.store.failures import StoreFailed, StoreInUse
from evd.adapters.store.lock import FileLock, FileLocked, ForeignLock
from evd.adapters.store.look import why_not_ours
from evd.core.wire.fields import format_time, parse_time

CACHE_KIB = 32 * 1024
# The log is copied into the database when it has grown to so many pages of 4 KiB.
CHECKPOINT_PAGES = 4000
LOG_BYTES_MAX = 64 * 1024 * 1024
# Above this, looking for damage would cost more of a start than the 0.1 s that it may take.
CHECKED_BYTES_MAX = 32 * 1024 * 1024

# A disk that may do again what it does not do now; any other error is for an operator.
DISK_FAILS = {errno.EIO, errno.EROFS, errno.ENOSPC, errno.EDQUOT}

_PRIMARY_CODE = 0xFF
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_BUSY: "another program holds the database locked",
    sqlite3.SQLITE_LOCKED: "another program holds the database locked",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database",
}


class Sqlite(Database):
    """A file, and beside it its write-ahead log and the lock that says which Central has it."""

    begin = "BEGIN IMMEDIATE"
    month = "substr({}, 1, 7)"
    errors = sqlite3.Error
    dialect = SQLiteDialect_pysqlite(paramstyle="qmark")

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        # Resolved: two names of one file have one lock.
        self.path = Path(os.path.realpath(url.database or ""))
        self.log_path = self.path.with_name(self.path.name + "-wal")
        self._lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        self._ended_uncleanly = False

    def lock(self) -> None:
        """Take the lock beside the file; raises StoreInUse, and StoreFailed for a failing disk."""
        self.look()
        try:
            with self._naming("locked"):
                self._lock.acquire()
        except FileLocked as error:
            holder = f" (process {error.holder})" if error.holder else ""
            raise StoreInUse(
                f"--db-url: {self.name} is in use by another Central{holder}"
            ) from None
        except ForeignLock:
            raise self.refused(
                f"has beside it {self._lock.path.name}, which is no lock of Central's"
            ) from None
        # A log that is left over says that whoever wrote it did not close the database.
        self._ended_uncleanly = self.log_path.exists()

    def look(self) -> None:
        """Raise StoreRefused where the file is not Central's, before anything of it is touched."""
        with self._naming("read"):
            why = why_not_ours(self.path, is_known=self._lock.path.is_file())
        if why:
            raise self.refused(why)

    @contextlib.contextmanager
    def _naming(self, done: str) -> Iterator[None]:
        """Turn an OSError into StoreRefused, or into StoreFailed for a failing disk."""
        try:
            yield
        except OSError as error:
            why = f"cannot be {done}: {error.strerror}"
            if error.errno in DISK_FAILS:
                raise StoreFailed(f"--db-url: {self.name} {why}") from None
            raise self.refused(why) from None

    def unlock(self) -> None:
        """Release the lock."""
        self._lock.release()

    def connect_writer(self) -> DBAPIConnection:
        """The connection that writes; each commit is on the disk when it returns."""
        connection = self._connect()
        try:
            [(mode,)] = connection.execute("PRAGMA journal_mode = WAL")
            if mode != "wal":
                raise self.refused("is on a file system that SQLite's write-ahead log cannot use")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except BaseException:
            connection.close()
            raise
        return cast(DBAPIConnection, connection)

    def connect_reader(self) -> DBAPIConnection:
        """A connection that only reads: it never waits for the writer, nor the writer for it."""
        connection = self._connect()
        try:
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return cast(DBAPIConnection, connection)

    def _connect(self) -> sqlite3.Connection:
        # Used by one thread at a time, but not always by the same one.
        connection = sqlite3.connect(
            self.path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
        )
        # One row with bytes that are no text must not fail the question for all.
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        return connection

    def check(self, connection: DBAPIConnection) -> None:
        """Read the whole file, if it is small and its last user did not close it."""
        if not self._ended_uncleanly or self.path.stat().st_size > CHECKED_BYTES_MAX:
            return
        cursor = connection.cursor()
        cursor.execute("PRAGMA quick_check(1)")
        [(verdict,)] = cursor.fetchall()
        if verdict != "ok":
            raise sqlite3_damage(verdict)

    def has_table(self, connection: DBAPIConnection, name: str) -> bool:
        """Whether it has a table of this name."""
        cursor = connection.cursor()
        cursor.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))
        return cursor.fetchone() is not None

    def explain(self, error: Exception) -> str:
        """SQLite's error in words."""
        return _REASONS.get(_code(error)) or str(error)

    def is_damage(self, error: Exception) -> bool:
        """Whether the file is no longer an SQLite database."""
        return _code(error) in _DAMAGE

    def time_to_column(self, when: datetime) -> str:
        """RFC 3339 text."""
        return format_time(when)

    def time_from_column(self, stored: str) -> datetime:
        """The time of an RFC 3339 text that is ours."""
        return parse_time(stored, "a time")


def sqlite3_damage(verdict: str) -> sqlite3.DatabaseError:
    """The error that SQLite raises itself where it comes upon the damage."""
    error = sqlite3.DatabaseError(verdict)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _code(error: Exception) -> int:
    # Some errors, such as those of closed connections, are Python's own and have no code.
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
