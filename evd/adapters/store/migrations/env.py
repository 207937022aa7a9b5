"""Alembic's entry point: the steps run on the connection that is handed in, in one transaction."""

import sqlalchemy as sa
from alembic import context

from evd.adapters.store.tables import SCHEMA_LEAST, metadata, schema_release, schema_version
from evd.version import VERSION

# A release from before `schema_version` looks here for the version, and only here.
_alembic_version = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)


def _begin(connection: sa.Connection) -> None:
    """Let the steps begin where an older release, with one table of versions, has ended."""
    is_new = not sa.inspect(connection).has_table(schema_version.name)
    schema_version.create(connection, checkfirst=True)
    if is_new and sa.inspect(connection).has_table(_alembic_version.name):
        found = connection.execute(sa.select(_alembic_version.c.version_num)).scalar()
        connection.execute(schema_version.insert().values(version_num=found))


def _end(connection: sa.Connection) -> None:
    """Write down which releases may open these tables, and which one made them."""
    _alembic_version.create(connection, checkfirst=True)
    connection.execute(_alembic_version.delete())
    connection.execute(_alembic_version.insert().values(version_num=SCHEMA_LEAST))
    # By it a release that does not know these tables can say who does.
    schema_release.create(connection, checkfirst=True)
    connection.execute(schema_release.delete())
    connection.execute(schema_release.insert().values(release=VERSION))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=schema_version.name,
    # SQLite can take back what a step did to its tables, and cannot alter a column in place.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    _begin(context.get_bind())
    context.run_migrations()
    _end(context.get_bind())
