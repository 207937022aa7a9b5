"""Sessions that ran although their request had ended are marked as stray."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add `stray`: until now a session was stray exactly if it was not billable."""
    # SQLite adds a column that may not be null with a default alone, and then keeps that.
    stray = sa.Column("stray", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("charging_sessions", stray)
    op.execute("UPDATE charging_sessions SET stray = TRUE WHERE NOT billable")
