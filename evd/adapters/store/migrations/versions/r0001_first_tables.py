"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

# Written out here: a step must go on making the same tables when tables.py has moved on.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.Text().with_variant(TIMESTAMP(timezone=True), "postgresql")
_KWH: TypeEngine[float] = sa.Double().with_variant(sa.Numeric(18, 6), "postgresql")
_EUROS: TypeEngine[float] = sa.Double().with_variant(sa.Numeric(16, 2), "postgresql")
_OPEN = sa.text("status IN ('PENDING', 'ACCEPTED', 'IN_PROGRESS')")


def upgrade() -> None:
    """Make every table."""
    _make_meta()
    _make_charging_points()
    _make_requests()
    _make_sessions()
    _make_histories()


def _make_meta() -> None:
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("central_id", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("recovering", sa.Text, nullable=False),
        sa.Column("commits", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="meta_is_one_row"),
    )


def _make_charging_points() -> None:
    op.create_table(
        "charging_points",
        sa.Column("cp_id", sa.Text, primary_key=True),
        sa.Column("kw_rate", sa.Double),
        sa.Column("euro_rate", sa.Double),
        sa.Column("location", sa.Text),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sa.Column("stop_reason", sa.Text, nullable=False),
        sa.Column("breaker", sa.Text, nullable=False),
        sa.Column("breaker_failures", sa.BigInteger, nullable=False),
        sa.Column("breaker_successes", sa.BigInteger, nullable=False),
        sa.Column("connected", sa.Boolean, nullable=False),
        sa.Column("engine_status", sa.Text),
        sa.Column("boot_id", sa.Text),
        sa.Column("last_update", _TIME),
    )


def _make_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("driver_id", sa.Text, nullable=False),
        sa.Column("cp_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("kwh", sa.Double),
        sa.Column("euros", sa.Double),
    )
    op.create_index(
        "requests_open", "requests", ["request_id"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )


def _make_sessions() -> None:
    op.create_table(
        "charging_sessions",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("cp_id", sa.Text, nullable=False),
        sa.Column("driver_id", sa.Text, nullable=False),
        sa.Column("start_time", _TIME, nullable=False),
        sa.Column("end_time", _TIME),
        sa.Column("total_kwh", _KWH, nullable=False),
        sa.Column("total_cost", _EUROS),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("billable", sa.Boolean, nullable=False),
        sa.Column("energy_mwh", sa.BigInteger, nullable=False),
        sa.Column("cost_cents", sa.BigInteger),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("want", sa.Text, nullable=False),
        sa.Column("confirmed", sa.Boolean, nullable=False),
        sa.Column("boot_id", sa.Text),
        sa.Column("until_up_s", sa.Double, nullable=False),
        sa.CheckConstraint("total_kwh = energy_mwh / 1000000.0", name="total_kwh_is_energy_mwh"),
        sa.CheckConstraint(
            "coalesce(total_cost = cost_cents / 100.0, total_cost IS NULL AND cost_cents IS NULL)",
            name="total_cost_is_cost_cents",
        ),
    )
    op.create_index("charging_sessions_by_id", "charging_sessions", ["session_id"], unique=True)
    op.create_index("charging_sessions_by_cp", "charging_sessions", ["cp_id", "seq"])
    op.create_index("charging_sessions_by_driver", "charging_sessions", ["driver_id", "seq"])
    op.create_index("charging_sessions_by_status", "charging_sessions", ["status", "seq"])


def _make_histories() -> None:
    op.create_table(
        "fault_events",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("cp_id", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("timestamp", _TIME, nullable=False),
    )
    op.create_index("fault_events_by_cp", "fault_events", ["cp_id", "id"])
    op.create_index("fault_events_by_time", "fault_events", ["timestamp"])
    op.create_table(
        "cp_health_history",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("cp_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("engine_state", sa.Text),
        sa.Column("is_faulty", sa.Boolean, nullable=False),
        sa.Column("fault_reason", sa.Text, nullable=False),
        sa.Column("circuit_breaker_state", sa.Text, nullable=False),
        sa.Column("timestamp", _TIME, nullable=False),
    )
    op.create_index("cp_health_history_by_cp", "cp_health_history", ["cp_id", "id"])
