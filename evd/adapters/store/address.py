"""Which database an address means."""

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from evd.adapters.store.database import Database
from evd.adapters.store.failures import StoreRefused
from evd.adapters.store.sqlite import Sqlite


def database_at(db_url: str) -> Database:
    """The database that `--db-url` names; raises StoreRefused."""
    try:
        url = make_url(db_url)
    # ValueError: a port that is no number.
    except (ArgumentError, ValueError):
        raise StoreRefused("--db-url: is not the address of a database") from None
    if url.drivername == "sqlite" and url.database:
        return Sqlite(url)
    if url.drivername == "postgresql+psycopg":
        # Only here: psycopg is an extra, and its import costs 150 ms.
        try:
            from evd.adapters.store.postgresql import Postgresql
        except ImportError:
            raise StoreRefused(
                "--db-url: PostgreSQL needs psycopg: pip install 'evd[postgres]'"
            ) from None
        return Postgresql(url)
    raise StoreRefused("--db-url: must begin with sqlite:///<file> or postgresql+psycopg://")


def is_shared(db_url: str) -> bool:
    """Return whether several Centrals may have this database; raises StoreRefused."""
    return database_at(db_url).is_shared
