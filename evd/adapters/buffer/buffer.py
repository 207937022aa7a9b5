"""The buffer under Trio: one worker thread, and no wait for a disk that does not answer."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import trio

from evd.adapters.buffer.database import (
    BufferFailed,
    BufferUnusable,
    SessionDatabase,
    connect,
    is_damage,
    make_tables,
)
from evd.adapters.buffer.reserve import Reserve
from evd.adapters.buffer.salvage import finish, is_whole, salvage
from evd.adapters.files.regular_file import check_regular
from evd.core.engine.events import EngineDisk, Save
from evd.core.wire.messages import SessionRecord

FILE_NAME: Final = "sessions.db"
RESERVE_NAME: Final = "reserve"
DISK_TIMEOUT_S: Final = 2.5
CLOSE_TIMEOUT_S: Final = 0.5

T = TypeVar("T")


class SessionBuffer:
    """The sessions of one engine on disk; open it with `open_buffer`."""

    def __init__(
        self, database: SessionDatabase, disk: EngineDisk, timeout_s: float = DISK_TIMEOUT_S
    ) -> None:
        self.disk = disk
        self._database = database
        self._timeout_s = timeout_s
        self._limiter = trio.CapacityLimiter(1)

    async def save(self, effect: Save) -> tuple[str, ...]:
        """Make `effect` durable; the ids of confirmed records that were let go, being too old.

        Raises BufferFailed: it did not happen, or, where the disk took too long, may happen yet;
        BufferCorrupt: the file must be opened again.
        """
        return await self._work(lambda: self._database.save(effect))

    async def read(self, session_ids: Sequence[str]) -> list[SessionRecord]:
        """Those of the records that are there and whole.  Raises as `save` does."""
        return await self._work(lambda: self._database.read(session_ids))

    async def _work(self, work: Callable[[], T]) -> T:
        if not self._limiter.available_tokens:
            # A save queued behind it would only wait too, and the engine with it.
            raise BufferFailed("disk still does not answer")
        with trio.move_on_after(self._timeout_s):
            return await trio.to_thread.run_sync(
                work, limiter=self._limiter, abandon_on_cancel=True
            )
        raise BufferFailed(f"disk did not answer within {self._timeout_s:g} s")

    async def aclose(self) -> None:
        """Close the file, unless the disk does not let us."""
        with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await trio.to_thread.run_sync(
                self._database.close, limiter=self._limiter, abandon_on_cancel=True
            )


@asynccontextmanager
async def open_buffer(state_dir: Path, cp_id: str) -> AsyncIterator[SessionBuffer]:
    """The sessions that charging point `cp_id` keeps in `state_dir`, which is made where missing.

    Raises BufferUnusable where it can't be read or written at all, or is another's.
    """
    database, disk = await trio.to_thread.run_sync(_open, state_dir, cp_id)
    buffer = SessionBuffer(database, disk)
    try:
        yield buffer
    finally:
        await buffer.aclose()


def _open(state_dir: Path, cp_id: str) -> tuple[SessionDatabase, EngineDisk]:
    path = state_dir / FILE_NAME
    reserve = Reserve(state_dir / RESERVE_NAME)
    try:
        for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}.salvaged", RESERVE_NAME):
            check_regular(state_dir / name)
        finish(path)
        connection = _open_or_salvage(path, cp_id, reserve)
        try:
            make_tables(connection, cp_id)
            database = SessionDatabase(connection, reserve)
            return database, database.load()
        except BaseException:
            # It would hold the file's lock for as long as somebody keeps the error.
            connection.close()
            raise
    except OSError as error:
        raise BufferUnusable(f"{error.filename or path}: {error.strerror or error}") from error
    except (sqlite3.Error, BufferFailed) as error:
        raise BufferUnusable(f"{path}: {error}") from error
    except BufferUnusable as error:
        raise BufferUnusable(f"{path}: {error}") from None


def _open_or_salvage(path: Path, cp_id: str, reserve: Reserve) -> sqlite3.Connection:
    """The open file, or in the place of a damaged one all that can be read of it."""
    try:
        connection = _open_whole(path)
    except sqlite3.OperationalError:
        # A full disk leaves no room even for a reader.
        if not reserve.release():
            raise
        connection = _open_whole(path)
    if connection is None:
        salvage(path, cp_id)
        connection = connect(path)
    return connection


def _open_whole(path: Path) -> sqlite3.Connection | None:
    """The open file, or None where it is damaged."""
    try:
        connection = connect(path)
        try:
            if is_whole(connection):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    return None
