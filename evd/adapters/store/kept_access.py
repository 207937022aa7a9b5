"""Users, tokens and logins as a database file has them, and what of them outlives a restore.

The newer word counts: who was removed and what was revoked since a backup stays so, and a charging
point that was added since still gets in.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from evd.adapters.store.address import database_at
from evd.adapters.store.look import open_reading, open_unchanging
from evd.adapters.store.statements import Statements
from evd.adapters.store.tables import users
from evd.core.access.copy import AccessCopy
from evd.core.access.importing import importable
from evd.core.access.rows import (
    AccessImage,
    AccessRow,
    AccessToken,
    KnownAddress,
    Login,
    LoginEnd,
    User,
)
from evd.core.access.token_book import TokenBook


def access_of(cursor: DBAPICursor, statements: Statements) -> AccessImage:
    """Return all of it."""
    return AccessImage(
        list(statements.all_rows(User).ask(cursor)),
        list(statements.all_rows(AccessToken).ask(cursor)),
        list(statements.all_rows(Login).ask(cursor)),
        list(statements.all_rows(KnownAddress).ask(cursor)),
    )


def access_in(path: Path) -> AccessImage:
    """Return that of a file; empty where it does not exist, is damaged or is of an older release.

    A file that has a log is read with it, and any other one without making one beside it.
    """
    has_log = path.with_name(path.name + "-wal").exists()
    try:
        opened = open_reading(path) if has_log else open_unchanging(path)
        with contextlib.closing(cast(DBAPIConnection, opened)) as connection:
            database = database_at(f"sqlite:///{path}")
            if not database.has_table(connection, users.name):
                return AccessImage()
            return access_of(connection.cursor(), Statements(database))
    except sqlite3.Error:
        return AccessImage()


def becomes_valid(present: Path, backup: Path) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names of the users and of the tokens that a restore of `backup` makes valid, and
    that are not valid in the file `present`."""
    found, known = access_in(backup), access_in(present)
    copy = AccessCopy(found.users, found.tokens)
    _, _, outcome = importable(
        copy, {user.name: user for user in known.users}, TokenBook(known.tokens)
    )
    return outcome.users, outcome.tokens


def outlives(present: AccessImage, restored: AccessImage) -> list[AccessRow]:
    """Return the rows that are to be written over those of a restored copy.

    No login of the copy goes on: nobody knows which of them ended since.
    """
    copy = AccessCopy(present.users, present.tokens)
    new_users, new_tokens, _ = importable(
        copy, {user.name: user for user in restored.users}, TokenBook(restored.tokens)
    )
    return [*new_users, *new_tokens, *(LoginEnd(login.digest) for login in restored.logins)]
