"""Alembic's entry point: the steps run on the connection that is handed in, in one transaction."""

import sqlalchemy as sa
from alembic import context

from evd.adapters.store.schema import note_maker
from evd.adapters.store.tables import alembic_version, metadata, schema_version


def _begin(connection: sa.Connection) -> None:
    """Let the steps begin where an older release, with one table of versions, has ended."""
    is_new = not sa.inspect(connection).has_table(schema_version.name)
    schema_version.create(connection, checkfirst=True)
    if is_new and sa.inspect(connection).has_table(alembic_version.name):
        found = connection.execute(sa.select(alembic_version.c.version_num)).scalar()
        connection.execute(schema_version.insert().values(version_num=found))


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
    note_maker(context.get_bind())
