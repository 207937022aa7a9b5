"""A database as Central needs it, SQLite or PostgreSQL."""

import contextlib
import re
from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy.engine import URL, Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection

from evd.adapters.store.failures import StoreRefused
from evd.adapters.store.unreadable import Unreadable

# How long an operation waits for a lock that somebody else holds.
LOCK_WAIT_S = 1.0

# A text may not hold: half a character for both, NUL for PostgreSQL.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Database(ABC):
    """One database: how to reach it, and what differs from the other kind.

    `errors` is what its driver raises.  `begin` opens a transaction that writes.  `month` is the
    month in UTC, such as 2026-01, of the column that is put into it.
    """

    # Whether several Centrals may have it, one of which serves.
    is_shared: ClassVar[bool] = False
    begin: ClassVar[str]
    month: ClassVar[str]
    errors: type[Exception]
    # With placeholders by position, as the statements are carried out.
    dialect: Dialect

    def __init__(self, url: URL) -> None:
        self.url = url
        self.unreadable = Unreadable()

    @property
    def name(self) -> str:
        """The URL as it may be shown: without the password."""
        return self.url.render_as_string(hide_password=True)

    def refused(self, why: str) -> StoreRefused:
        """The sentence for an operator."""
        return StoreRefused(f"--db-url: {self.name} {why}")

    @abstractmethod
    def lock(self) -> None:
        """Make sure that no other Central has it; raises StoreInUse."""

    @abstractmethod
    def unlock(self) -> None:
        """Let another Central have it.  Safe to repeat."""

    @abstractmethod
    def connect_writer(self) -> DBAPIConnection:
        """The one connection that writes, durably; raises StoreInUse and `errors`."""

    @abstractmethod
    def connect_reader(self) -> DBAPIConnection:
        """A connection that cannot write; raises `errors`."""

    def let_go(self, connection: DBAPIConnection) -> None:
        """Close a connection; one that failed may fail to close as well.

        What it had not committed is undone.
        """
        with contextlib.suppress(self.errors):
            connection.close()

    @abstractmethod
    def check(self, connection: DBAPIConnection) -> None:
        """Look for damage where a quick look can find it; raises StoreRefused."""

    @abstractmethod
    def has_table(self, connection: DBAPIConnection, name: str) -> bool:
        """Whether it has a table of this name."""

    def schema_version(self, connection: DBAPIConnection) -> str | None:
        """The version of its tables; None where there are none of ours yet."""
        tables = ("schema_version", "alembic_version")
        found = [self._only_value(connection, table, "version_num") for table in tables]
        return max(filter(None, found), default=None)

    def schema_release(self, connection: DBAPIConnection) -> str | None:
        """The release that made its tables; None where that was before any release said so."""
        return self._only_value(connection, "schema_release", "release")

    def _only_value(self, connection: DBAPIConnection, table: str, column: str) -> str | None:
        if not self.has_table(connection, table):
            return None
        cursor = connection.cursor()
        cursor.execute(f"SELECT {column} FROM {table}")
        row = cursor.fetchone()
        return str(row[0]) if row else None

    @abstractmethod
    def explain(self, error: Exception) -> str:
        """One of `errors` in words that fit into a sentence."""

    def is_damage(self, error: Exception) -> bool:
        """Whether the error says that only a backup helps."""
        return False

    def time_to_column(self, when: datetime) -> Any:
        """A time as it is stored."""
        return when

    def time_from_column(self, stored: Any) -> datetime:
        """A stored time."""
        raise NotImplementedError

    def readable_time(self, stored: Any) -> datetime | None:
        """A stored time; None where there is none that could have been written."""
        try:
            return None if stored is None else self.time_from_column(stored)
        except (TypeError, ValueError):
            return None


def storable(words: str) -> str:
    """`words` without what a database can't hold."""
    return words if words.isascii() and "\0" not in words else _UNSTORABLE.sub("\ufffd", words)
