"""The course of each session's power is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the new tables: of what was before, nobody wrote it down."""
    op.create_table(
        "session_curves",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("points", sa.Text, nullable=False),
    )
