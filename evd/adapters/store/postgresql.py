"""Central's database on a PostgreSQL server."""

from datetime import UTC, datetime
from typing import Any, cast

import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection

from evd.adapters.store.database import LOCK_WAIT_S, Database
from evd.adapters.store.failures import StoreInUse

# Any number that is ours alone among the programs that use the same database.
ADVISORY_LOCK = 0x657664
CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_S = 4
# A server whose host has gone silent is given up after this.
UNANSWERED_S = 4
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 2, 1, 2

_CLIENT = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": KEEPALIVE_IDLE_S,
    "keepalives_interval": KEEPALIVE_INTERVAL_S,
    "keepalives_count": KEEPALIVE_COUNT,
    "tcp_user_timeout": UNANSWERED_S * 1000,
    "application_name": "evd-central",
}
_SERVER = (
    "SET TimeZone = 'UTC'",
    f"SET lock_timeout = {round(LOCK_WAIT_S * 1000)}",
    f"SET statement_timeout = {STATEMENT_TIMEOUT_S * 1000}",
    # The server's end too: while it keeps the connection of a host that is gone, for two hours by
    # default, it keeps the lock of the Central there, and no other can begin.
    f"SET tcp_keepalives_idle = {KEEPALIVE_IDLE_S}",
    f"SET tcp_keepalives_interval = {KEEPALIVE_INTERVAL_S}",
    f"SET tcp_keepalives_count = {KEEPALIVE_COUNT}",
    f"SET tcp_user_timeout = {UNANSWERED_S * 1000}",
)


class Postgresql(Database):
    """A server's database.

    The connection that writes holds the lock.  Where it is lost the lock is lost with it, and no
    other connection of this Central can write without taking it again.
    """

    is_shared = True
    begin = "BEGIN"
    month = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM')"
    errors = psycopg.Error
    dialect: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self._arguments, self._options = self.dialect.create_connect_args(url)

    def lock(self) -> None:
        """Nothing: `connect_writer` takes the lock."""

    def unlock(self) -> None:
        """Nothing: closing the connection releases the lock."""

    def connect_writer(self) -> DBAPIConnection:
        """The connection that writes, with the lock; raises StoreInUse."""
        connection = self._connect()
        try:
            connection.execute("SET synchronous_commit = on")
            # Waited for: the server lets go of a connection a moment after its client has.
            connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        except psycopg.errors.LockNotAvailable:
            connection.close()
            raise StoreInUse(f"--db-url: {self.name} is in use by another Central") from None
        except BaseException:
            connection.close()
            raise
        return cast(DBAPIConnection, connection)

    def connect_standby(self) -> DBAPIConnection:
        """A connection that may take the lock later; what it writes until then may be lost."""
        connection = self._connect()
        try:
            connection.execute("SET synchronous_commit = off")
        except BaseException:
            connection.close()
            raise
        return cast(DBAPIConnection, connection)

    def connect_reader(self) -> DBAPIConnection:
        """A connection that only reads."""
        connection = self._connect()
        connection.execute("SET default_transaction_read_only = on")
        return cast(DBAPIConnection, connection)

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        options: dict[str, Any] = {**_CLIENT, **self._options, "autocommit": True}
        connection = psycopg.connect(*self._arguments, **options)
        for setting in _SERVER:
            connection.execute(setting)
        return connection

    def check(self, connection: DBAPIConnection) -> None:
        """Nothing: the server looks after its own files."""

    def has_table(self, connection: DBAPIConnection, name: str) -> bool:
        """Whether it has a table of this name."""
        cursor = connection.cursor()
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
        return cursor.fetchone() == (True,)

    def explain(self, error: Exception) -> str:
        """PostgreSQL's error in words, on one line."""
        return " ".join(str(error).split())

    def time_from_column(self, stored: datetime) -> datetime:
        """The time in the UTC that all of evd uses."""
        return stored.astimezone(UTC)
