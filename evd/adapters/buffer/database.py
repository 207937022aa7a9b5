"""The file of an engine's sessions, for one thread at a time.

A record is never deleted before it was confirmed; after that it is kept for 30 days and among the
newest 10,000.  The days are those that the engine has run: a wrong clock deletes nothing.
"""

import contextlib
import errno
import logging
import math
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from evd.adapters.buffer.reserve import Reserve
from evd.core.engine.events import (
    EngineDisk,
    ReserveRoom,
    Run,
    Save,
    SaveConfirmed,
    SaveMeter,
    SaveObeyed,
    SaveRecord,
    SaveRun,
)
from evd.core.wire import codec
from evd.core.wire.fields import CP_ID_FORM, ID_FORM, format_time
from evd.core.wire.messages import SessionRecord
from evd.version import VERSION

KEPT_MAX: Final = 10_000
KEPT_S: Final = 30 * 24 * 3600.0
# A small number, so that the write-ahead log soon has the size that it will keep.
CHECKPOINT_PAGES: Final = 64
BUSY_TIMEOUT_S: Final = 1.0

# Each entry brings the file one version on; the first makes it.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """CREATE TABLE engine (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            cp_id TEXT NOT NULL, central_id TEXT, ran_s REAL NOT NULL) STRICT""",
        """CREATE TABLE run (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            session_id TEXT NOT NULL, request_id TEXT NOT NULL, driver_id TEXT NOT NULL,
            boot_id TEXT NOT NULL, started_at TEXT NOT NULL,
            kw_rate REAL NOT NULL, euro_rate REAL NOT NULL,
            energy_mwh INTEGER NOT NULL, metered_s REAL NOT NULL) STRICT""",
        """CREATE TABLE records (
            number INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE,
            fields TEXT NOT NULL, crc INTEGER NOT NULL, confirmed_ran_s REAL) STRICT""",
        """CREATE INDEX confirmed ON records (confirmed_ran_s, number)
            WHERE confirmed_ran_s IS NOT NULL""",
    ),
)

# The version of a file that has had each step.
SESSIONS_FORMAT: Final = len(MIGRATIONS)

_RUN_COLUMNS: Final = tuple(attribute.name for attribute in attrs.fields(Run))
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FULL_ERRNOS: Final = {errno.ENOSPC, errno.EDQUOT}

logger = logging.getLogger(__name__)


class BufferFailed(Exception):
    """The disk did not do its work; `reason` in words, `is_full` where it has no room."""

    def __init__(self, reason: str, is_full: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_full = is_full


class BufferCorrupt(Exception):
    """The file is damaged: it must be opened again, which carries over what can be read."""


class BufferUnusable(Exception):
    """The state directory can't be worked with, in words for an operator."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether `error` says that the file itself is not as SQLite left it."""
    # The lower byte is the kind of error; the upper ones give details.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file at `path` that makes each commit durable before it returns.

    The file is locked until it is closed: a reader meanwhile takes a copy of it and of its log.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    # Bytes that are no text must not keep the engine from all the rest.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        # Without this, the log's index is mapped memory, where a full disk is a deadly signal.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all that is done inside, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A commit that failed may have ended the transaction already.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def make_tables(connection: sqlite3.Connection, cp_id: str) -> None:
    """Bring the file to the newest version; BufferUnusable where it is another's."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SESSIONS_FORMAT:
        raise BufferUnusable(
            f"was written by a newer evd-engine (version {version}): this is evd {VERSION}, which"
            f" knows versions up to {SESSIONS_FORMAT}"
        )
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number}")
    row = connection.execute("SELECT cp_id FROM engine").fetchone()
    if row is None:
        connection.execute("INSERT INTO engine VALUES (1, ?, NULL, 0)", (cp_id,))
    elif CP_ID_FORM.fullmatch(row[0]) is None:
        connection.execute("UPDATE engine SET cp_id = ?", (cp_id,))
    elif row[0] != cp_id:
        raise BufferUnusable(f"keeps the sessions of {row[0]}, and not of {cp_id}")


class SessionDatabase:
    """The open file.  A method that raises BufferFailed or BufferCorrupt has changed nothing."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        reserve: Reserve,
        *,
        clock: Callable[[], float] = time.monotonic,
        kept_max: int = KEPT_MAX,
    ) -> None:
        """Take over `connection`, which has the tables; `clock` is monotonic."""
        self._connection = connection
        self._reserve = reserve
        self._clock = clock
        self._kept_max = kept_max
        (ran_s,) = connection.execute("SELECT ran_s FROM engine").fetchone()
        self._ran_from_s: float = clock() - (ran_s if 0 <= ran_s < math.inf else 0.0)
        self._must_prove = True

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def load(self) -> EngineDisk:
        """All that is on disk but the records themselves."""
        with self._as_buffer_errors():
            return EngineDisk(
                self._load_central_id(),
                self._load_run(),
                self._ids("confirmed_ran_s IS NULL ORDER BY number"),
                self._ids("confirmed_ran_s IS NOT NULL ORDER BY confirmed_ran_s, number"),
            )

    def _load_central_id(self) -> str | None:
        central_id: str | None
        (central_id,) = self._one("SELECT central_id FROM engine")
        if central_id is None or ID_FORM.fullmatch(central_id):
            return central_id
        logger.error("Which Central is obeyed can't be read: the next that is heard is obeyed")
        return None

    def _load_run(self) -> Run | None:
        """The session that runs; one that can't be read is put aside among the records.

        There nothing reads it either, so nothing is said of it, and it stays for a person.
        """
        row = self._connection.execute(f"SELECT {', '.join(_RUN_COLUMNS)} FROM run").fetchone()
        if row is None:
            return None
        try:
            return _run(row)
        except (ValueError, TypeError) as error:
            logger.error("Session %s can't be read, and is put aside: %s", row[0], error)
        fields = orjson.dumps(dict(zip(_RUN_COLUMNS, row, strict=True))).decode()
        self._with_room(lambda: self._put_aside(row[0], fields))
        return None

    def _put_aside(self, session_id: str, fields: str) -> tuple[str, ...]:
        with transaction(self._connection):
            self._connection.execute(
                "INSERT OR IGNORE INTO records (session_id, fields, crc) VALUES (?, ?, ?)",
                (session_id, fields, _crc(fields)),
            )
            self._connection.execute("DELETE FROM run")
        return ()

    def read(self, session_ids: Sequence[str]) -> list[SessionRecord]:
        """Those of the records that are there and whole, in the order of `session_ids`."""
        with self._as_buffer_errors():
            found = (self._read_one(session_id) for session_id in session_ids)
            return [record for record in found if record is not None]

    def save(self, effect: Save) -> tuple[str, ...]:
        """Make `effect` durable; the ids of the confirmed records that were deleted with it."""
        if isinstance(effect, SaveRecord):
            return self._with_room(lambda: self._save(effect))
        with self._proving():
            return self._save(effect)

    def _with_room(self, work: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """Do `work`; where the disk is full, in the room that was reserved for it."""
        try:
            with self._proving():
                return work()
        except BufferFailed as error:
            if not (error.is_full and self._reserve.release()):
                raise
        with self._as_buffer_errors():
            return work()

    @contextlib.contextmanager
    def _proving(self) -> Iterator[None]:
        """Remember of a failure that the disk must prove itself."""
        try:
            with self._as_buffer_errors():
                yield
        except BufferFailed:
            self._must_prove = True
            raise

    def _save(self, effect: Save) -> tuple[str, ...]:
        if isinstance(effect, ReserveRoom):
            self._reserve_room()
            return ()
        if isinstance(effect, SaveRun):
            self._reserve.ensure()
        with transaction(self._connection):
            return self._write(effect)

    def _write(self, effect: Save) -> tuple[str, ...]:
        execute = self._connection.execute
        match effect:
            case SaveRun(run):
                marks = ", ".join("?" for _ in _RUN_COLUMNS)
                execute(
                    f"REPLACE INTO run (only_row, {', '.join(_RUN_COLUMNS)}) VALUES (1, {marks})",
                    _row(run),
                )
            case SaveMeter(session_id, energy_mwh, metered_s):
                execute(
                    "UPDATE run SET energy_mwh = ?, metered_s = ? WHERE session_id = ?",
                    (energy_mwh, metered_s, session_id),
                )
            case SaveRecord(record):
                fields = orjson.dumps(codec.to_fields(record)).decode()
                execute(
                    "REPLACE INTO records (session_id, fields, crc) VALUES (?, ?, ?)",
                    (record.session_id, fields, _crc(fields)),
                )
                execute("DELETE FROM run")
            case SaveConfirmed(session_ids):
                return self._confirm(session_ids)
            case SaveObeyed(central_id):
                execute("UPDATE engine SET central_id = ?", (central_id,))
                execute("UPDATE records SET confirmed_ran_s = NULL WHERE confirmed_ran_s >= 0")
        return ()

    def _reserve_room(self) -> None:
        """Take the room, and prove that the disk can be written where that was in doubt."""
        self._reserve.ensure()
        (runs,) = self._one("SELECT count(*) FROM run")
        if runs or self._must_prove:
            with transaction(self._connection):
                self._connection.execute("DELETE FROM run")
                self._save_ran_s()
        self._must_prove = False

    def _confirm(self, session_ids: Sequence[str]) -> tuple[str, ...]:
        ran_s = self._save_ran_s()
        self._connection.executemany(
            "UPDATE records SET confirmed_ran_s = ? WHERE session_id = ?",
            [(ran_s, session_id) for session_id in session_ids],
        )
        gone = self._connection.execute(
            """DELETE FROM records WHERE confirmed_ran_s < ? OR number IN (
                SELECT number FROM records WHERE confirmed_ran_s IS NOT NULL
                ORDER BY confirmed_ran_s DESC, number DESC LIMIT -1 OFFSET ?
            ) RETURNING session_id""",
            (ran_s - KEPT_S, self._kept_max),
        ).fetchall()
        return tuple(session_id for (session_id,) in gone)

    def _save_ran_s(self) -> float:
        ran_s = self._clock() - self._ran_from_s
        self._connection.execute("UPDATE engine SET ran_s = ?", (ran_s,))
        return ran_s

    def _read_one(self, session_id: str) -> SessionRecord | None:
        row = self._connection.execute(
            "SELECT fields, crc FROM records WHERE session_id = ?", (session_id,)
        ).fetchone()
        return None if row is None else whole_record(*row)

    def _ids(self, which: str) -> tuple[str, ...]:
        rows = self._connection.execute(f"SELECT session_id FROM records WHERE {which}")
        return tuple(session_id for (session_id,) in rows)

    def _one(self, statement: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._connection.execute(statement).fetchone()
        return row

    @contextlib.contextmanager
    def _as_buffer_errors(self) -> Iterator[None]:
        """Raise BufferFailed or BufferCorrupt for an error of SQLite or of the system."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.Error) and is_damage(error):
                raise BufferCorrupt(str(error)) from error
            raise _failed(error) from error


def whole_record(fields: str, crc: int) -> SessionRecord | None:
    """The record in a row, or None where it is not what was written."""
    if _crc(fields) != crc:
        return None
    try:
        return codec.structure(SessionRecord, codec.load_object(fields.encode()))
    except codec.BadMessage:
        return None


def _crc(fields: str) -> int:
    return zlib.crc32(fields.encode())


def _row(run: Run) -> tuple[Any, ...]:
    values = attrs.asdict(run)
    return tuple({**values, "started_at": format_time(run.started_at)}.values())


def _run(row: Sequence[Any]) -> Run:
    values = dict(zip(_RUN_COLUMNS, row, strict=True))
    values["started_at"] = datetime.fromisoformat(values["started_at"])
    return Run(**values)


def _failed(error: sqlite3.Error | OSError) -> BufferFailed:
    if isinstance(error, OSError):
        is_full, text = error.errno in _FULL_ERRNOS, error.strerror or str(error)
    else:
        code = getattr(error, "sqlite_errorcode", 0)
        is_full, text = code & 0xFF == sqlite3.SQLITE_FULL, str(error)
    return BufferFailed("disk is full" if is_full else text, is_full)
