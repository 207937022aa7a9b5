"""Central's tables, for SQLite and PostgreSQL alike.

Others may read `charging_sessions`, `fault_events`, `cp_health_history`, `charging_points` and
`requests`.  Whole mWh and cents are the truth.  `total_kwh` and `total_cost` say the same as plain
numbers, and a CHECK keeps the database from ever holding two that differ.

A change here needs a migration: see `evd.adapters.store.migrations`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeEngine

# The newest of the migrations; read before any of them is imported.
SCHEMA_HEAD = "0001"

# In SQLite only an INTEGER is the row's own number.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")
# RFC 3339 in UTC, always of the same length: it sorts as the times do.
_TIME = Text().with_variant(TIMESTAMP(timezone=True), "postgresql")

OPEN_REQUEST = text("status IN ('PENDING', 'ACCEPTED', 'IN_PROGRESS')")


def _amount(digits: int, decimals: int) -> TypeEngine[float]:
    return Double().with_variant(Numeric(digits, decimals), "postgresql")


metadata = MetaData()

# One row.  `commits` counts every commit: by it an older copy of the database is known.
meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("central_id", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("recovering", Text, nullable=False),
    Column("commits", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="meta_is_one_row"),
)

charging_points = Table(
    "charging_points",
    metadata,
    Column("cp_id", Text, primary_key=True),
    Column("kw_rate", Double),
    Column("euro_rate", Double),
    Column("location", Text),
    Column("stopped", Boolean, nullable=False),
    Column("stop_reason", Text, nullable=False),
    Column("breaker", Text, nullable=False),
    Column("breaker_failures", BigInteger, nullable=False),
    Column("breaker_successes", BigInteger, nullable=False),
    Column("connected", Boolean, nullable=False),
    Column("engine_status", Text),
    Column("boot_id", Text),
    Column("last_update", _TIME),
)

requests = Table(
    "requests",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("driver_id", Text, nullable=False),
    Column("cp_id", Text),
    Column("session_id", Text),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("kwh", Double),
    Column("euros", Double),
    # Only what is still open, however many have ended.
    Index(
        "requests_open",
        "request_id",
        sqlite_where=OPEN_REQUEST,
        postgresql_where=OPEN_REQUEST,
    ),
)

# `seq` is the order in which the sessions began, and the order of every list of them.
charging_sessions = Table(
    "charging_sessions",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("session_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("cp_id", Text, nullable=False),
    Column("driver_id", Text, nullable=False),
    Column("start_time", _TIME, nullable=False),
    Column("end_time", _TIME),
    Column("total_kwh", _amount(18, 6), nullable=False),
    Column("total_cost", _amount(16, 2)),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("billable", Boolean, nullable=False),
    Column("energy_mwh", BigInteger, nullable=False),
    Column("cost_cents", BigInteger),
    Column("settled", Boolean, nullable=False),
    Column("want", Text, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("boot_id", Text),
    Column("until_up_s", Double, nullable=False),
    CheckConstraint("total_kwh = energy_mwh / 1000000.0", name="total_kwh_is_energy_mwh"),
    CheckConstraint(
        "coalesce(total_cost = cost_cents / 100.0, total_cost IS NULL AND cost_cents IS NULL)",
        name="total_cost_is_cost_cents",
    ),
    Index("charging_sessions_by_id", "session_id", unique=True),
    Index("charging_sessions_by_cp", "cp_id", "seq"),
    Index("charging_sessions_by_driver", "driver_id", "seq"),
    Index("charging_sessions_by_status", "status", "seq"),
)

fault_events = Table(
    "fault_events",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("cp_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("timestamp", _TIME, nullable=False),
    Index("fault_events_by_cp", "cp_id", "id"),
    Index("fault_events_by_time", "timestamp"),
)

cp_health_history = Table(
    "cp_health_history",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("cp_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("engine_state", Text),
    Column("is_faulty", Boolean, nullable=False),
    Column("fault_reason", Text, nullable=False),
    Column("circuit_breaker_state", Text, nullable=False),
    Column("timestamp", _TIME, nullable=False),
    Index("cp_health_history_by_cp", "cp_id", "id"),
)
