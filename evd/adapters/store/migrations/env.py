"""Alembic's entry point: the steps run on the connection that is handed in, in one transaction."""

from alembic import context

from evd.adapters.store.tables import metadata, schema_release
from evd.version import VERSION

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can take back what a step did to its tables, and cannot alter a column in place.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
    # By it a release that does not know these tables can say who does.
    connection = context.get_bind()
    schema_release.create(connection, checkfirst=True)
    connection.execute(schema_release.delete())
    connection.execute(schema_release.insert().values(release=VERSION))
