"""Central's tables: what others may rely on, how they come to be, that no question scans them."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest
import trio
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, create_engine, inspect, pool

from evd.adapters.store import StoreFailed, open_store
from evd.adapters.store.address import database_at
from evd.adapters.store.database import Database
from evd.adapters.store.history_statements import HistoryStatements, Source
from evd.adapters.store.schema import MIGRATIONS, bring_to_head, make, migrate
from evd.adapters.store.statements import Statement, Statements
from evd.adapters.store.tables import SCHEMA_HEAD, SCHEMA_LEAST, metadata
from evd.core.access.rows import AccessImage, AuditEntry
from evd.core.central.rows import (
    FaultEvent,
    HealthSnapshot,
    NetworkSnapshot,
    OperatorEvent,
    OperatorEventType,
    Reading,
    Request,
    Row,
    Session,
    SessionCurve,
)
from evd.version import VERSION
from tests.adapters.store.rows import (
    NOON,
    a_charging_point,
    a_curve,
    a_fault,
    a_request,
    a_session,
    a_snapshot,
    an_ended_session,
)

FOR_OTHERS = {
    "charging_sessions": [
        *("session_id", "request_id", "cp_id", "driver_id", "start_time", "end_time"),
        *("total_kwh", "total_cost", "status", "reason", "estimated", "billable", "stray"),
        "suspect",
    ],
    "fault_events": ["cp_id", "event_type", "reason", "timestamp"],
    "cp_health_history": [
        *("cp_id", "state", "engine_state", "is_faulty", "fault_reason"),
        *("circuit_breaker_state", "timestamp"),
    ],
    "charging_points": ["cp_id", "kw_rate", "euro_rate", "location"],
    "requests": [
        *("request_id", "driver_id", "cp_id", "session_id", "status", "reason"),
        *("created_at", "updated_at"),
    ],
}


STOPPED = OperatorEventType.STOPPED
ACCESS_TABLES = ("users", "access_tokens", "logins", "known_addresses", "audit", "schema_version")
NEWEST_TABLES = ("lease", "standbys", *ACCESS_TABLES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed SQLite database with a row of each kind, and a session that has ended."""
    path = tmp_path / "central.db"
    trio.run(_fill, path)
    return path


async def _fill(path: Path) -> None:
    async with open_store(f"sqlite:///{path}", path.parent) as store:
        await store.commit(
            [
                a_charging_point(),
                a_request(1),
                a_session(1),
                an_ended_session(2),
                an_ended_session(3, cents=None),
                a_fault(1),
                a_snapshot(1),
                a_curve(2),
            ]
        )


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection as any other program has it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as opened:
        yield opened


def test_the_columns_for_others(connection: sqlite3.Connection) -> None:
    """Proves: a report that names these tables and columns goes on working."""
    for table, columns in FOR_OTHERS.items():
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        assert present >= set(columns), table


def test_numbers_and_times_for_others(connection: sqlite3.Connection) -> None:
    """Proves: kWh and euros are plain numbers, times RFC 3339 text, an estimate has no bill."""
    cursor = connection.execute(
        "SELECT start_time, end_time, total_kwh, total_cost, status, estimated, billable"
        " FROM charging_sessions ORDER BY session_id"
    )
    started = "2026-01-31T12:00:0{}.123456Z"
    ended = "2026-01-31T12:00:1{}.123456Z"
    assert cursor.fetchall() == [
        (started.format(1), None, 0.000007, None, "ACTIVE", 0, 1),
        (started.format(2), ended.format(2), 4.100001, 1.23, "COMPLETED", 0, 1),
        (started.format(3), ended.format(3), 4.100001, None, "COMPLETED", 1, 1),
    ]
    [(reason, when)] = connection.execute("SELECT reason, timestamp FROM fault_events")
    assert (reason, when) == ("reason 1", started.format(1))


@pytest.mark.parametrize(
    "change",
    [
        "total_kwh = 5",
        "energy_mwh = 5",
        "total_cost = 9.99 WHERE session_id = 'session-2'",
        "cost_cents = NULL WHERE session_id = 'session-2'",
        "total_cost = 0 WHERE session_id = 'session-3'",
    ],
)
def test_what_is_shown_is_what_is_billed(connection: sqlite3.Connection, change: str) -> None:
    """Proves: the database itself refuses a kWh or a bill that differs from the whole units."""
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"UPDATE charging_sessions SET {change}")


@pytest.fixture
def database(db_url: str) -> Database:
    """A database of either kind, its tables at head."""
    database = database_at(db_url)
    with contextlib.closing(database.connect_writer()) as connection:
        bring_to_head(database, connection)
        assert database.schema_version(connection) == SCHEMA_HEAD
        assert database.schema_release(connection) == VERSION
    return database


@pytest.mark.parametrize("way", [make, migrate])
def test_the_steps_lead_to_the_tables(db_url: str, way: Callable[[Database], None]) -> None:
    """Proves: the tables of a new database, those that the steps make and those that the code
    writes to are the same, with their rules, and say the same of themselves."""
    database = database_at(db_url)
    way(database)
    engine = create_engine(database.url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(found, metadata) == []
        seen = inspect(connection)
        for name, table in metadata.tables.items():
            rules = {rule.name for rule in table.constraints if isinstance(rule, CheckConstraint)}
            assert {rule["name"] for rule in seen.get_check_constraints(name)} == rules
        assert {*seen.get_table_names()} == {*metadata.tables, "alembic_version"}
        least = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    assert least == SCHEMA_LEAST
    with contextlib.closing(database.connect_writer()) as raw:
        assert database.schema_version(raw) == SCHEMA_HEAD
        assert database.schema_release(raw) == VERSION


def test_the_head_is_the_newest_step() -> None:
    """Proves: a migration that was added is also carried out."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_HEAD


@pytest.mark.parametrize("way", [make, migrate])
def test_a_step_that_fails_leaves_nothing(tmp_path: Path, way: Callable[[Database], None]) -> None:
    """Proves: half the tables are never left behind: all of a step is done, or none of it."""
    path = tmp_path / "central.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        # The last of the tables is in the way.
        other.execute("CREATE TABLE cp_health_history (something)")
    with pytest.raises(StoreFailed, match="already exists"):
        way(database_at(f"sqlite:///{path}"))
    with contextlib.closing(sqlite3.connect(path)) as other:
        names = {name for (name,) in other.execute("SELECT name FROM sqlite_master")}
    assert names == {"cp_health_history"}


async def test_sessions_of_before_are_known_as_stray(
    database: Database, db_url: str, tmp_path: Path
) -> None:
    """Proves: an update to a release that knows stray sessions finds those that were stored."""
    rows = [a_session(1), attrs.evolve(an_ended_session(2), billable=False, stray=True)]
    async with open_store(db_url, tmp_path) as store:
        await store.commit(rows)
    with contextlib.closing(database.connect_writer()) as connection:
        cursor = connection.cursor()
        for name in ("stray", "suspect", "confirmed_seq", "recorded_cents"):
            cursor.execute(f"ALTER TABLE charging_sessions DROP COLUMN {name}")
        for index in ("requests_alone_by_cp", "charging_sessions_ended"):
            cursor.execute(f"DROP INDEX {index}")
        for table in ("session_curves", "network_history", "operator_events", *NEWEST_TABLES):
            cursor.execute(f"DROP TABLE {table}")
        cursor.execute("ALTER TABLE charging_points DROP COLUMN state_since")
        cursor.execute("ALTER TABLE cp_health_history DROP COLUMN kw")
        cursor.execute("UPDATE alembic_version SET version_num = '0001'")
    async with open_store(db_url, tmp_path) as store:
        _, found = await store.lookup([], ["session-1", "session-2"])
    assert sorted(found, key=lambda row: row.session_id) == rows


async def test_the_release_before_may_open_what_this_one_made(
    database: Database, db_url: str, tmp_path: Path
) -> None:
    """Proves: on the way back the release before finds the version that it knows, and what it
    writes is read by this one again: also its row of the operator, which says nobody."""
    async with open_store(db_url, tmp_path) as store:
        await store.commit([OperatorEvent("CP-001", STOPPED, NOON, "alice")])
    with contextlib.closing(database.connect_writer()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT version_num FROM alembic_version")
        assert cursor.fetchall() == [(SCHEMA_LEAST,)]
        cursor.execute("SELECT cp_id, event_type, timestamp FROM operator_events")
        ((cp_id, _, when),) = cursor.fetchall()
        cursor.execute(
            "INSERT INTO operator_events (cp_id, event_type, timestamp)"
            f" VALUES ('{cp_id}', 'RESUMED', '{when}')"
        )
    async with open_store(db_url, tmp_path) as store:
        entries = [each.entry for each in await store.timeline("CP-001")]
    assert [(entry.kind.value, entry.who) for entry in entries] == [
        ("RESUMED", None),
        ("STOPPED", "alice"),
    ]


async def test_tables_of_the_release_before_get_what_is_new(
    database: Database, db_url: str, tmp_path: Path
) -> None:
    """Proves: a database of the release before, with its one table of versions, is brought to head
    with all that is in it, and once only."""
    async with open_store(db_url, tmp_path) as store:
        await store.commit([a_charging_point(), OperatorEvent("CP-001", STOPPED, NOON)])
    with contextlib.closing(database.connect_writer()) as connection:
        cursor = connection.cursor()
        for table in NEWEST_TABLES:
            cursor.execute(f"DROP TABLE {table}")
        cursor.execute("ALTER TABLE operator_events DROP COLUMN who")
        assert database.schema_version(connection) == SCHEMA_LEAST
    for _ in range(2):
        async with open_store(db_url, tmp_path) as store:
            image = await store.load()
            assert [row.cp_id for row in image.charging_points] == ["CP-001"]
            assert image.access == AccessImage([], [], [], [])
            (entry,) = await store.timeline("CP-001")
            assert entry.entry.who is None
    with contextlib.closing(database.connect_writer()) as connection:
        assert database.schema_version(connection) == SCHEMA_HEAD


@pytest.mark.parametrize("is_new", [True, False])
def test_an_ordinary_start_needs_no_alembic(path: Path, tmp_path: Path, is_new: bool) -> None:
    """Proves: only a start that changes tables of before pays for what changes them."""
    if is_new:
        path = tmp_path / "new" / "central.db"
        path.parent.mkdir()
    program = (
        "import sys, trio; from pathlib import Path; from evd.adapters.store import open_store\n"
        "async def start():\n"
        "    async with open_store(sys.argv[1], Path(sys.argv[2])): pass\n"
        "trio.run(start); sys.exit('alembic' in sys.modules or 'psycopg' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{path}", str(path.parent)]
    assert subprocess.run(command, check=False).returncode == 0


OPEN_SESSIONS = "SCAN charging_sessions USING INDEX charging_sessions_open"
SESSION_FILTERS = [
    ("cp_id",),
    ("cp_id", "since", "until"),
    ("cp_id", "before"),
    ("driver_id", "before"),
    ("status", "before"),
    ("cp_id", "driver_id", "status", "before"),
    ("before",),
    ("since",),
    ("until",),
    ("since", "until", "before"),
]
OF_EACH_POINT: Sequence[type[Row]] = (FaultEvent, HealthSnapshot, OperatorEvent)
# Those of a charging point, and those of all.
HISTORY_FILTERS = [
    (*of, *within)
    for of in (("cp_id",), ())
    for within in (("before",), ("since", "until"), ("since", "until", "before"))
] + [("cp_id",)]


def plan(connection: sqlite3.Connection, statement: Statement) -> str:
    """How SQLite carries the statement out, with a 1 for each value."""
    values = [1] * len(statement.names)
    cursor = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", values)
    return "; ".join(row[3] for row in cursor)


def test_no_question_reads_a_whole_table(connection: sqlite3.Connection) -> None:
    """Proves: a million sessions make no question slow: each finds its rows by an index."""
    sql = Statements(database_at("sqlite:///none"))
    over_time = HistoryStatements(database_at("sqlite:///none"))
    questions: list[Statement] = [
        sql.open_requests,
        sql.active_sessions,
        sql.by_ids(Request, 2),
        sql.by_ids(Session, 2),
        sql.by_ids(SessionCurve, 1),
        *(sql.time_of(kind) for kind in (FaultEvent, HealthSnapshot, Session)),
        *(sql.newest(Session, filters) for filters in SESSION_FILTERS),
        *(
            sql.newest(kind, filters)
            for kind in (AuditEntry, FaultEvent, HealthSnapshot)
            for filters in HISTORY_FILTERS
        ),
        sql.faults_since(True),
        sql.stood_before(True),
        sql.snapshots_of,
        *(sql.next_of(kind) for kind in OF_EACH_POINT),
        *(sql.newest_beyond(kind, True) for kind in OF_EACH_POINT),
        *(sql.prune(kind, True) for kind in OF_EACH_POINT),
        *(
            sql.prune(kind, False)
            for kind in (*OF_EACH_POINT, AuditEntry, NetworkSnapshot, Request)
        ),
        sql.saves[Reading],
        *(over_time.story(source, True) for source in Source),
        over_time.changes,
        over_time.minutes,
        over_time.power_of_one,
        over_time.power_of_all,
    ]
    for question in questions:
        # These hold what is open and nothing else; and a SELECT of one value has no table.
        found = plan(connection, question)
        for one in ("requests USING INDEX requests_open", "CONSTANT ROW", "point"):
            found = found.replace(f"SCAN {one}", "")
        assert "SCAN" not in found.replace(OPEN_SESSIONS, ""), f"{question.sql}: {found}"
        assert "TEMP B-TREE FOR ORDER" not in found, f"{question.sql}: {found}"
    # Newest first of all is an index backwards, from its end.
    of_all: list[Statement] = [
        *(sql.newest(kind, ()) for kind in (AuditEntry, FaultEvent, HealthSnapshot, Session)),
        *(sql.newest_beyond(kind, False) for kind in (AuditEntry, Request)),
        # The ends of all have no order of their own: a million are read in 0.3 s.
        *(over_time.story(source, False) for source in Source if source is not Source.ENDS),
    ]
    for question in of_all:
        found = plan(connection, question)
        assert "TEMP B-TREE" not in found and "USING" in found, f"{question.sql}: {found}"
