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
    op.create_table(
        "operator_events",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("cp_id", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("timestamp", _TIME, nullable=False),
    )
    op.create_index("operator_events_by_cp", "operator_events", ["cp_id", "timestamp", "id"])
    op.create_index("operator_events_by_time", "operator_events", ["timestamp", "id"])
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
    _index_where(
        "requests_alone_by_cp",
        "requests",
        ["cp_id", "updated_at", "request_id"],
        "session_id IS NULL AND status IN ('DENIED', 'FAILED')",
    )
    _index_where(
        "charging_sessions_ended",
        "charging_sessions",
        ["cp_id", "end_time", "session_id"],
        "end_time IS NOT NULL",
    )


def _index_where(name: str, table: str, columns: list[str], which: str) -> None:
    where = sa.text(which)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
