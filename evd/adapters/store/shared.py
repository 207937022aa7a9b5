"""The database as a Central sees it that may have to stand by first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from evd.adapters.store.address import database_at
from evd.adapters.store.database import Database
from evd.adapters.store.epoch_file import EpochFile
from evd.adapters.store.failures import StoreFailed, StoreRefused
from evd.adapters.store.statements import Statements
from evd.adapters.store.store import Store
from evd.adapters.store.writer import Writer
from evd.core.standby.events import Standby, Try

if TYPE_CHECKING:
    from evd.adapters.store.lock_session import Found, LockSession


class SharedDatabase:
    """A database of which several Centrals may have one.  Made by `open_shared`.

    Every method but `store` asks one question, one after the other.  StoreFailed: the session is
    over, and the lock with it.
    """

    def __init__(self, database: Database, epoch_file: EpochFile, session: "LockSession") -> None:
        self._database = database
        self._epoch_file = epoch_file
        self._session = session
        self._asking = trio.CapacityLimiter(1)

    async def attempt(self, wanted: Try) -> "Found":
        """Write how this Central is, and take the lock if it is free and this one may."""
        return await trio.to_thread.run_sync(
            lambda: self._session.attempt(wanted),
            limiter=self._asking,
            abandon_on_cancel=True,
        )

    async def renew(self) -> tuple[Standby, ...]:
        """Raise the pulse; the others that stand by."""
        return await trio.to_thread.run_sync(
            self._session.renew, limiter=self._asking, abandon_on_cancel=True
        )

    async def release(self, *, is_clean: bool) -> None:
        """Give the lock back; `is_clean`: the next one need not wait."""
        await trio.to_thread.run_sync(
            lambda: self._session.release(is_clean=is_clean), limiter=self._asking
        )

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """Open the store, which writes in the session that has the lock and in no other."""
        statements = Statements(self._database)
        writer = Writer(self._database, statements, self._epoch_file.note, reconnects=False)
        store = Store(self._database, statements, writer, self._asking)
        try:
            await trio.to_thread.run_sync(self._open, writer, limiter=self._asking)
            yield store
        finally:
            with trio.CancelScope(shield=True):
                await store.aclose()

    def _open(self, writer: Writer) -> None:
        try:
            writer.open(self._session.connection, self._epoch_file.read())
        except self._database.errors as error:
            raise StoreFailed(self._database.explain(error)) from error

    def close(self) -> None:
        """End the session; safe to repeat."""
        self._session.close()
        self._epoch_file.close()


@asynccontextmanager
async def open_shared(
    db_url: str, state_dir: Path, name: str, address: str
) -> AsyncIterator[SharedDatabase]:
    """Stand by at this database; it need not answer yet.  Raises StoreRefused."""
    database = database_at(db_url)
    # Only here: it needs psycopg, which is an extra.
    from evd.adapters.store.lock_session import LockSession
    from evd.adapters.store.postgresql import Postgresql

    if not isinstance(database, Postgresql):
        raise StoreRefused("--db-url: only PostgreSQL serves several Centrals")
    epoch_file = EpochFile(state_dir)
    session = LockSession(database, epoch_file, name, address)
    shared = SharedDatabase(database, epoch_file, session)
    try:
        yield shared
    finally:
        shared.close()
