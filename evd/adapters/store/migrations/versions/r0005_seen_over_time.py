"""Sessions, charging points and the network can be looked at over time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0005"
down_revision = "0004"

# Written out here: a step must go on making the same tables when tables.py has moved on.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.Text().with_variant(TIMESTAMP(timezone=True), "postgresql")
_COUNTS = ("charging_count", "on_count", "broken_count", "disconnected_count")


def upgrade() -> None:
    """Add the tables and columns: nobody wrote down before what stands in them."""
    op.create_table(
        "session_curves",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("points", sa.Text, nullable=False),
    )
    op.add_column("charging_points", sa.Column("state_since", _TIME))
    op.add_column("cp_health_history", sa.Column("kw", sa.Double))
    op.create_table(
        "network_history",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("timestamp", _TIME, nullable=False),
        sa.Column("kw", sa.Double, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTS),
    )
    op.create_index("network_history_by_time", "network_history", ["timestamp", "id"])
