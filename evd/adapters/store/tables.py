"""Central's tables, for SQLite and PostgreSQL alike.

Others may read `charging_sessions`, `fault_events`, `cp_health_history`, `charging_points` and
`requests`.  Whole mWh and cents are the truth.  `total_kwh` and `total_cost` say the same as plain
numbers, and a CHECK keeps the database from ever holding two that differ.

The columns are the fields of the rows.  A change of either needs a migration: see
`evd.adapters.store.migrations`.
"""

from collections.abc import Mapping

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    text,
)
from sqlalchemy.types import TypeEngine

from evd.adapters.store.columns import columns_of
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    HealthSnapshot,
    Meta,
    Request,
    Session,
)

# The newest of the migrations; read before any of them is imported.
SCHEMA_HEAD = "0002"

OPEN_REQUEST = "status IN ('PENDING', 'ACCEPTED', 'IN_PROGRESS')"
# The plain numbers, from the column or the placeholder that holds whole units.
TOTAL_KWH = "{} / 1000000.0"
TOTAL_COST = "{} / 100.0"


def _number(name: str) -> Column[int]:
    """The number that the database gives each row: it rises."""
    # In SQLite only an INTEGER is the row's own number.
    number = BigInteger().with_variant(Integer, "sqlite")
    return Column(name, number, primary_key=True, autoincrement=True)


def _amount(digits: int, decimals: int) -> TypeEngine[float]:
    return Double().with_variant(Numeric(digits, decimals), "postgresql")


metadata = MetaData()

# One row.  `commits` counts every commit: by it an older copy of the database is known.
meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    *columns_of(Meta),
    Column("commits", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="meta_is_one_row"),
)

charging_points = Table("charging_points", metadata, *columns_of(ChargingPoint, "cp_id"))

requests = Table(
    "requests",
    metadata,
    *columns_of(Request, "request_id"),
    # Only what is still open, however many have ended.
    Index(
        "requests_open",
        "request_id",
        sqlite_where=text(OPEN_REQUEST),
        postgresql_where=text(OPEN_REQUEST),
    ),
)

# `seq` is the order in which the sessions began, and the order of every list of them.
charging_sessions = Table(
    "charging_sessions",
    metadata,
    _number("seq"),
    *columns_of(Session),
    Column("total_kwh", _amount(18, 6), nullable=False),
    Column("total_cost", _amount(16, 2)),
    CheckConstraint(
        f"total_kwh = {TOTAL_KWH.format('energy_mwh')}", name="total_kwh_is_energy_mwh"
    ),
    CheckConstraint(
        f"coalesce(total_cost = {TOTAL_COST.format('cost_cents')},"
        " total_cost IS NULL AND cost_cents IS NULL)",
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
    _number("id"),
    *columns_of(FaultEvent),
    Index("fault_events_by_cp", "cp_id", "id"),
    Index("fault_events_by_time", "timestamp"),
)

cp_health_history = Table(
    "cp_health_history",
    metadata,
    _number("id"),
    *columns_of(HealthSnapshot),
    Index("cp_health_history_by_cp", "cp_id", "id"),
)

TABLES: Mapping[type, Table] = {
    ChargingPoint: charging_points,
    FaultEvent: fault_events,
    HealthSnapshot: cp_health_history,
    Request: requests,
    Session: charging_sessions,
}
