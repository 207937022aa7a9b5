"""The version of the tables: looked up at each start, brought to the newest where it is not."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, event, pool
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from evd.adapters.store.database import Database
from evd.adapters.store.failures import StoreFailed
from evd.adapters.store.tables import (
    SCHEMA_HEAD,
    SCHEMA_LEAST,
    alembic_version,
    lease,
    metadata,
    schema_release,
    schema_version,
)
from evd.version import VERSION

MIGRATIONS = Path(__file__).with_name("migrations")

logger = logging.getLogger(__name__)


def bring_to_head(database: Database, connection: DBAPIConnection) -> None:
    """Make or change the tables, all or nothing; raises StoreFailed and StoreRefused.

    `connection` only looks up the version: the steps use one of their own.
    """
    version = database.schema_version(connection)
    if version == SCHEMA_HEAD:
        return
    if version is not None and version > SCHEMA_HEAD:
        maker = database.schema_release(connection) or "a newer release"
        raise database.refused(
            f"has tables of version {version}, made by evd {maker}: this is evd {VERSION}, which"
            f" knows them up to {SCHEMA_HEAD}"
        )
    if version is None:
        make(database)
    else:
        migrate(database)
    logger.info("Tables of %s are at version %s", database.name, SCHEMA_HEAD)


def make(database: Database) -> None:
    """Make the newest tables at once where there are none: the steps are for those of before.

    Raises StoreFailed, and leaves nothing then.
    """
    with _changing(database) as connection, connection.begin():
        metadata.create_all(connection, checkfirst=False)
        connection.execute(schema_version.insert().values(version_num=SCHEMA_HEAD))
        # Nobody has served yet, so nobody is waited for.
        connection.execute(lease.insert().values(id=1, beats=0, released=True, holder=""))
        note_maker(connection)


def note_maker(connection: Connection) -> None:
    """Write down which releases may open these tables, and which one made them."""
    alembic_version.create(connection, checkfirst=True)
    connection.execute(alembic_version.delete())
    connection.execute(alembic_version.insert().values(version_num=SCHEMA_LEAST))
    # By it a release that does not know these tables can say who does.
    schema_release.create(connection, checkfirst=True)
    connection.execute(schema_release.delete())
    connection.execute(schema_release.insert().values(release=VERSION))


def migrate(database: Database) -> None:
    """Run the steps that the database has not had; raises StoreFailed."""
    # It tells of itself at INFO, from its import on, which is not for an operator.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Only here: its import costs 0.3 s, and an ordinary start has no step to run.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _changing(database) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextlib.contextmanager
def _changing(database: Database) -> Iterator[Connection]:
    """Open a connection whose transactions take tables as well; StoreFailed for its errors."""
    engine = create_engine(database.url, poolclass=pool.NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if isinstance(error.orig, database.errors):
            raise StoreFailed(database.explain(error.orig)) from error
        raise
    finally:
        engine.dispose()


# Left alone, Python's sqlite3 opens no transaction for DDL: a crash would leave half the tables.
def _leave_transactions_to_us(connection: DBAPIConnection, _: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
