"""Connections that only read, beside the one that writes and never in its way."""

import contextlib
from collections.abc import Callable
from typing import TypeVar

import trio
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from evd.adapters.store.database import Database
from evd.adapters.store.failures import CLOSED, StoreFailed

T = TypeVar("T")


class Readers:
    """At most `readers_max` connections, each in a thread of its own while it is used."""

    def __init__(self, database: Database, readers_max: int) -> None:
        self._database = database
        self._limiter = trio.CapacityLimiter(readers_max)
        self._idle: list[DBAPIConnection] = []
        self._closed = False

    async def run(self, read: Callable[[DBAPICursor], T]) -> T:
        """Return the result of `read`; raises StoreFailed."""
        return await trio.to_thread.run_sync(self._run, read, limiter=self._limiter)

    def close(self) -> None:
        """Close the connections, for good; one that is in use is closed after that."""
        self._closed = True
        while (connection := self._take_idle()) is not None:
            self._database.let_go(connection)

    def _run(self, read: Callable[[DBAPICursor], T]) -> T:
        if self._closed:
            raise StoreFailed(CLOSED)
        idle = self._take_idle()
        if idle is not None:
            # One that lay idle may have been cut off meanwhile: that is no answer yet.
            with contextlib.suppress(StoreFailed):
                return self._use(idle, read)
        return self._use(self._connect(), read)

    def _take_idle(self) -> DBAPIConnection | None:
        # Asked for and taken in one step: another thread may want it too.
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> DBAPIConnection:
        try:
            return self._database.connect_reader()
        except self._database.errors as error:
            raise StoreFailed(self._database.explain(error)) from error

    def _use(self, connection: DBAPIConnection, read: Callable[[DBAPICursor], T]) -> T:
        reusable = True
        try:
            with contextlib.closing(connection.cursor()) as cursor:
                return read(cursor)
        except self._database.errors as error:
            reusable = False
            self._database.let_go(connection)
            raise StoreFailed(self._database.explain(error)) from error
        finally:
            if reusable:
                self._idle.append(connection)
                # Closed meanwhile: whoever closed it has not seen this one.
                if self._closed:
                    self.close()
