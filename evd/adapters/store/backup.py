"""A copy of the database while Central runs, and the way back from one.

Both are an operator's, and need no running Central; `restore` needs it to be stopped.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evd.adapters.store import kept_access
from evd.adapters.store.address import database_at
from evd.adapters.store.database import Database
from evd.adapters.store.epoch_file import EpochFile
from evd.adapters.store.failures import StoreFailed, StoreRefused
from evd.adapters.store.kept_access import access_in, outlives
from evd.adapters.store.look import open_reading, open_unchanging, why_not_ours
from evd.adapters.store.schema import bring_to_head
from evd.adapters.store.sqlite import Sqlite
from evd.adapters.store.statements import Statements
from evd.adapters.store.writer import Writer
from evd.core.access.rows import AccessRow, AuditEntry, Outcome
from evd.core.central.rows import Meta

# A restore keeps the database that it replaced beside the new one, until the next restore.
REPLACED = ".replaced"
_LOG = "-wal"
_LOG_INDEX = "-shm"


def backup(db_url: str, path: Path) -> None:
    """Copy the database to the new file `path`, as it is at one moment.

    Raises StoreRefused where there is nothing to copy, `path` exists, or it is PostgreSQL, and
    StoreFailed where the copy cannot be read or written.
    """
    copy_database(database_at(db_url), path)


def copy_database(database: Database, path: Path) -> None:
    """The same for a database that may be open here."""
    source = _sqlite(database, "pg_dump")
    if not source.path.exists():
        raise source.refused("does not exist")
    source.look()
    if path.exists():
        raise StoreRefused(f"{path} exists already")
    partial = _beside(path, ".partial")
    with _removed_at_last(partial), _as_store_errors(database, path):
        _copy(open_reading(source.path), partial)
        # A link and no rename: it never writes over what somebody else has just made.
        os.link(partial, path)
        _flush(path.parent)


def check_backup(db_url: str, path: Path) -> None:
    """Raises StoreRefused where the file `path` can't be put in the place of the database at
    `db_url`: that one is PostgreSQL, or the file is no SQLite database, or none of Central's."""
    target = _sqlite(database_at(db_url), "pg_restore")
    _check_copy(target, path)


def becomes_valid(db_url: str, path: Path) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names of the users and of the tokens that a restore of `path` makes valid and
    that are not so now; raises StoreRefused for PostgreSQL."""
    return kept_access.becomes_valid(_sqlite(database_at(db_url), "pg_restore").path, path)


def restore(db_url: str, state_dir: Path, path: Path, by: str = "") -> Meta:
    """Put the backup `path` in the place of the database; Central must not be running.

    Central becomes another one (`central_id`), and begins no session until the charging points
    that the backup knows have reported: so they send again what the backup lacks.  What was there
    before stays beside it, with the suffix `.replaced`.  Who was removed and what was revoked there
    stays so.  `by` is the one who does it, for the audit.

    Raises StoreInUse, StoreRefused where `path` is no sound backup, StoreFailed.
    """
    target = _sqlite(database_at(db_url), "pg_restore")
    target.lock()
    new = _beside(target.path, ".restoring")
    try:
        with _removed_at_last(new), _as_store_errors(target, path):
            _check_copy(target, path)
            # Where it has no log, none is made beside it: it may be on a disk of others.
            has_log = _beside(path, _LOG).exists()
            _copy(open_reading(path) if has_log else open_unchanging(path), new)
            epoch_file = EpochFile(state_dir)
            present = access_in(target.path)
            rows = [
                *outlives(present, access_in(new)),
                AuditEntry(
                    datetime.now(UTC),
                    by,
                    "admin" if by else "",
                    "",
                    "central restore",
                    path.name,
                    Outcome.DONE,
                ),
            ]
            meta = _make_ours(Sqlite(target.url.set(database=str(new))), path, epoch_file, rows)
            _own_as(target.path.parent, [new, *target.path.parent.glob("*.lock")])
            _own_as(state_dir, [*state_dir.glob(epoch_file.path.name)])
            _swap(new, target.path)
    finally:
        target.unlock()
    return meta


def _sqlite(database: Database, tool: str) -> Sqlite:
    if not isinstance(database, Sqlite):
        raise database.refused(f"is PostgreSQL: use {tool}")
    return database


def _check_copy(target: Sqlite, path: Path) -> None:
    """Raise StoreRefused where `path` is no copy of Central's database; nothing is touched."""
    with _as_store_errors(target, path):
        if not path.exists():
            raise StoreRefused(f"{path} does not exist")
        why = why_not_ours(path, is_known=False)
        if why or not path.stat().st_size:
            raise StoreRefused(f"{path} {why or 'is empty'}: it is no backup of Central's database")


def _copy(source: sqlite3.Connection, target: Path) -> None:
    with (
        contextlib.closing(source) as a,
        contextlib.closing(sqlite3.connect(target)) as b,
    ):
        # All at once: in steps it would begin anew at each commit of a running Central.
        a.backup(b)
    _flush(target)


def _make_ours(
    database: Sqlite, path: Path, epoch_file: EpochFile, rows: Sequence[AccessRow]
) -> Meta:
    """Bring the copy's tables to head, give it a new identity, and write `rows` into it."""
    connection = database.connect_writer()
    writer = Writer(database, Statements(database), epoch_file.note)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != ("ok",) or database.schema_version(connection) is None:
            raise StoreRefused(f"{path} is damaged, or no backup of Central's database")
        bring_to_head(database, connection)
        writer.open(connection, None)
        meta = writer.renew_identity()
        writer.commit(rows)
        return meta
    finally:
        connection.close()
        writer.close()
        epoch_file.close()


def _swap(new: Path, path: Path) -> None:
    """Put `new` where `path` is: at no moment is there no database."""
    kept = _beside(path, REPLACED)
    for old in (kept, _beside(kept, _LOG)):
        old.unlink(missing_ok=True)
    if path.exists():
        os.link(path, kept)
    # The log belongs to what is replaced: beside the new file it would be taken for its own.
    if _beside(path, _LOG).exists():
        os.replace(_beside(path, _LOG), _beside(kept, _LOG))
    _beside(path, _LOG_INDEX).unlink(missing_ok=True)
    os.replace(new, path)
    _flush(path.parent)


def _own_as(directory: Path, files: list[Path]) -> None:
    """Give what root made to the directory's owner, who runs Central."""
    if os.geteuid() == 0:
        owner = directory.stat()
        for file in files:
            os.chown(file, owner.st_uid, owner.st_gid)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _removed_at_last(path: Path) -> Iterator[None]:
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        for suffix in ("", _LOG, _LOG_INDEX):
            _beside(path, suffix).unlink(missing_ok=True)


@contextlib.contextmanager
def _as_store_errors(database: Database, path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if database.is_damage(error):
            raise StoreRefused(f"{path}: {database.explain(error)}") from error
        raise StoreFailed(f"{path}: {database.explain(error)}") from error
    except OSError as error:
        raise StoreFailed(f"{error.filename or path}: {error.strerror}") from error
