"""The repair of a damaged file: it is put aside, and the rows that can be read are carried over.

Each step can be cut off: the salvaged file gets its name when it is complete, and from then on the
next opening only finishes the exchange.
"""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from evd.adapters.buffer.database import connect, make_tables, transaction, whole_record

# The rest is given up after so many rows in a row that can't be read.
BAD_ROWS_MAX: Final = 1_000
ASIDE_MAX: Final = 1_000
# The log belongs to its file by its name alone, so they move together.
_PARTS: Final = ("", "-wal")

logger = logging.getLogger(__name__)


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether SQLite finds nothing wrong with the file."""
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return bool(verdict == "ok")


def salvage(path: Path, cp_id: str) -> None:
    """Replace the damaged file at `path` by one with all that can be read of it."""
    unfinished, salvaged = _unfinished(path), _salvaged(path)
    _remove(unfinished)
    kept = _copy(path, unfinished, cp_id)
    unfinished.rename(salvaged)
    logger.error("%s is damaged: %d of its records could be read", path, kept)
    finish(path)


def finish(path: Path) -> None:
    """Put the damaged file aside and the salvaged one, if there is one, in its place."""
    salvaged = _salvaged(path)
    if not salvaged.exists():
        return
    aside = _free_name(path)
    for part in reversed(_PARTS):
        source = _part(path, part)
        if source.exists():
            source.rename(_part(aside, part))
    salvaged.rename(path)
    logger.error("The damaged file was put aside as %s", aside)


def _copy(path: Path, target: Path, cp_id: str) -> int:
    kept = 0
    new = connect(target)
    try:
        make_tables(new, cp_id)
        with transaction(new):
            for row in _rows(path, "engine", "only_row"):
                new.execute("REPLACE INTO engine VALUES (?, ?, ?, ?)", row)
            for row in _rows(path, "run", "only_row"):
                new.execute(f"REPLACE INTO run VALUES ({_marks(row)})", row)
            for row in _rows(path, "records", "number"):
                if whole_record(row[2], row[3]) is not None:
                    new.execute(f"INSERT OR IGNORE INTO records VALUES ({_marks(row)})", row)
                    kept += 1
    finally:
        # The close writes the log into the file, which can then be renamed alone.
        new.close()
    return kept


def _marks(row: tuple[Any, ...]) -> str:
    return ", ".join("?" for _ in row)


def _rows(path: Path, table: str, key: str) -> Iterator[tuple[Any, ...]]:
    """The rows of `table` that can be read, found from both ends."""
    seen: set[int] = set()
    for order, beyond in (("ASC", ">"), ("DESC", "<")):
        for row in _rows_in_order(path, table, key, order, beyond):
            if row[0] not in seen:
                seen.add(row[0])
                yield row


def _rows_in_order(
    path: Path, table: str, key: str, order: str, beyond: str
) -> Iterator[tuple[Any, ...]]:
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        # Without this, a file that is shorter than its header says is refused as a whole.
        connection.execute("PRAGMA writable_schema=ON")
    except sqlite3.Error:
        return
    try:
        last: int | None = None
        for _ in range(BAD_ROWS_MAX):
            where = "" if last is None else f"WHERE {key} {beyond} {last}"
            try:
                for row in connection.execute(
                    f"SELECT * FROM {table} {where} ORDER BY {key} {order}"
                ):
                    last = row[0]
                    yield row
                return
            except sqlite3.Error:
                if last is None:
                    return
                last += 1 if order == "ASC" else -1
    finally:
        connection.close()


def _part(path: Path, part: str) -> Path:
    return path.with_name(path.name + part)


def _unfinished(path: Path) -> Path:
    return _part(path, ".salvaging")


def _salvaged(path: Path) -> Path:
    return _part(path, ".salvaged")


def _free_name(path: Path) -> Path:
    names = (_part(path, f".corrupt-{number}") for number in range(1, ASIDE_MAX + 1))
    return next(name for name in names if not name.exists())


def _remove(path: Path) -> None:
    for part in _PARTS:
        _part(path, part).unlink(missing_ok=True)
