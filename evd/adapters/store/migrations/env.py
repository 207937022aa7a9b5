"""Alembic's entry point: the steps run on the connection that is handed in, in one transaction."""

from alembic import context

from evd.adapters.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can take back what a step did to its tables, and cannot alter a column in place.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
