"""A session's row knows what confirmed it, and whether its record can be."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns: no record that was billed before is suspected now."""
    suspect = sa.Column("suspect", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("charging_sessions", suspect)
    for name in ("confirmed_seq", "recorded_cents"):
        op.add_column("charging_sessions", sa.Column(name, sa.BigInteger))
