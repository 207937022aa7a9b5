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
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

from evd.adapters.store.columns import TIME, columns_of
from evd.core.access.rows import AccessToken, AuditEntry, KnownAddress, Login, User
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    HealthSnapshot,
    Meta,
    NetworkSnapshot,
    OperatorEvent,
    Request,
    Session,
    SessionCurve,
)

# The newest of the migrations; read before any of them is imported.
SCHEMA_HEAD = "0007"
# The oldest version whose readers and writers can use these tables all the same: what came since
# was only added.
SCHEMA_LEAST = "0005"

# A status that nobody knows is open: so a start finds it.
OPEN_REQUEST = "status NOT IN ('COMPLETED', 'DENIED', 'FAILED')"
OPEN_SESSION = "status NOT IN ('COMPLETED', 'FAILED')"
# It has ended and never became a session: no bill hangs on it.
REQUEST_ALONE = "session_id IS NULL AND status IN ('DENIED', 'FAILED')"
HAS_ENDED = "end_time IS NOT NULL"
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


def _index_where(name: str, which: str, *columns: str) -> Index:
    """An index of these rows alone, however many others there are."""
    return Index(name, *columns, sqlite_where=text(which), postgresql_where=text(which))


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

# One row: the newest step.
schema_version = Table(
    "schema_version", metadata, Column("version_num", String(32), primary_key=True)
)

# One row: the least version.  A release from before `schema_version` looks here for the version,
# and only here.
alembic_version = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)

# One row: the release whose steps made the tables.  A database that is older has no such table.
schema_release = Table("schema_release", metadata, Column("release", Text, primary_key=True))

# One row.  The Central that serves raises `beats` each second; `holder` is its address, or that of
# the one that served last, and `released` whether that one wrote that it had stopped.
lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("beats", BigInteger, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("holder", Text, nullable=False),
    CheckConstraint("id = 1", name="lease_is_one_row"),
)

# The Centrals that stand by, as each wrote of itself; times by the server's clock.
standbys = Table(
    "standbys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("kafka_up", Boolean, nullable=False),
    Column("monitors", BigInteger, nullable=False),
    Column("seen_at", TIME, nullable=False),
    Column("released_at", TIME),
)

charging_points = Table("charging_points", metadata, *columns_of(ChargingPoint, "cp_id"))

requests = Table(
    "requests",
    metadata,
    *columns_of(Request, "request_id"),
    _index_where("requests_open", OPEN_REQUEST, "request_id"),
    _index_where("requests_alone", REQUEST_ALONE, "updated_at", "request_id"),
    _index_where("requests_alone_by_cp", REQUEST_ALONE, "cp_id", "updated_at", "request_id"),
)

# `seq` is the order in which the rows came; lists have the order of the starts.
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
    Index("charging_sessions_by_time", "start_time", "session_id"),
    Index("charging_sessions_by_cp", "cp_id", "start_time", "session_id"),
    Index("charging_sessions_by_driver", "driver_id", "start_time", "session_id"),
    Index("charging_sessions_by_status", "status", "start_time", "session_id"),
    _index_where("charging_sessions_ended", HAS_ENDED, "cp_id", "end_time", "session_id"),
    _index_where("charging_sessions_open", OPEN_SESSION, "start_time", "session_id"),
)

session_curves = Table("session_curves", metadata, *columns_of(SessionCurve, "session_id"))

fault_events = Table(
    "fault_events",
    metadata,
    _number("id"),
    *columns_of(FaultEvent),
    Index("fault_events_by_cp", "cp_id", "timestamp", "id"),
    Index("fault_events_by_time", "timestamp", "id"),
)

operator_events = Table(
    "operator_events",
    metadata,
    _number("id"),
    *columns_of(OperatorEvent),
    Index("operator_events_by_cp", "cp_id", "timestamp", "id"),
    Index("operator_events_by_time", "timestamp", "id"),
)

cp_health_history = Table(
    "cp_health_history",
    metadata,
    _number("id"),
    *columns_of(HealthSnapshot),
    Index("cp_health_history_by_cp", "cp_id", "timestamp", "id"),
    Index("cp_health_history_by_time", "timestamp", "id"),
)

network_history = Table(
    "network_history",
    metadata,
    _number("id"),
    *columns_of(NetworkSnapshot),
    Index("network_history_by_time", "timestamp", "id"),
)

users = Table("users", metadata, *columns_of(User, "name"))

access_tokens = Table("access_tokens", metadata, *columns_of(AccessToken, "digest"))

logins = Table("logins", metadata, *columns_of(Login, "digest"))

known_addresses = Table("known_addresses", metadata, *columns_of(KnownAddress, "place"))

audit = Table(
    "audit",
    metadata,
    _number("id"),
    *columns_of(AuditEntry),
    Index("audit_by_cp", "cp_id", "ts", "id"),
    Index("audit_by_time", "ts", "id"),
)

TABLES: Mapping[type, Table] = {
    AccessToken: access_tokens,
    AuditEntry: audit,
    ChargingPoint: charging_points,
    FaultEvent: fault_events,
    HealthSnapshot: cp_health_history,
    KnownAddress: known_addresses,
    Login: logins,
    NetworkSnapshot: network_history,
    OperatorEvent: operator_events,
    Request: requests,
    Session: charging_sessions,
    SessionCurve: session_curves,
    User: users,
}
