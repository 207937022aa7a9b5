"""The SQL that Central says, made from the tables once and carried out by the driver itself.

SQLAlchemy writes it for either kind of database; at each commit it would cost more than the commit.
Placeholders stand by position: of an INSERT in the order of the columns, else as each line says.
"""

from functools import cache, cached_property
from typing import Any, TypeAlias

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Executable,
    ScalarSelect,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from evd.adapters.store.tables import (
    OPEN_REQUEST,
    charging_points,
    charging_sessions,
    cp_health_history,
    fault_events,
    meta,
    requests,
)
from evd.core.central.rows import SessionStatus

AnySelect: TypeAlias = "Select[*tuple[Any, ...]]"

_sessions = charging_sessions.c
_faults = fault_events.c
_health = cp_health_history.c


def written(table: Table) -> list[Column[Any]]:
    """The columns that Central writes: all but the number that the database gives."""
    return [column for column in table.columns if column is not table.autoincrement_column]


class Statements:
    """Every statement for one kind of database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        # Methods whose text depends on arguments are compiled once for each of them.
        self.some_sessions = cache(self._some_sessions)
        self.by_ids = cache(self._by_ids)

    def _sql(self, statement: Executable, *order: str) -> str:
        """`statement` as text, its placeholders in the order of the names in `order`."""
        compiled = statement.compile(dialect=self._dialect)  # type: ignore[attr-defined]
        if tuple(compiled.positiontup) != order:
            raise ValueError(f"placeholders stand as {compiled.positiontup}, not as {order}")
        return str(compiled)

    def _upsert(
        self,
        table: Table,
        *,
        fixed: frozenset[str] = frozenset(),
        unless: ColumnElement[bool] | None = None,
    ) -> str:
        """Insert a row, or change the one of its key: all of it but its `fixed` columns, if not
        `unless`."""
        insert_into = sqlite.insert if self._dialect.name == "sqlite" else postgresql.insert
        columns = written(table)
        key, *rest = columns
        statement = insert_into(table).values({c: bindparam(c.name) for c in columns})
        statement = statement.on_conflict_do_update(
            index_elements=[key],
            set_={c.name: statement.excluded[c.name] for c in rest if c.name not in fixed},
            where=None if unless is None else ~unless,
        )
        return self._sql(statement, *(c.name for c in columns))

    def _append(self, table: Table) -> str:
        columns = written(table)
        statement = insert(table).values({c: bindparam(c.name) for c in columns}).inline()
        return self._sql(statement, *(c.name for c in columns))

    @cached_property
    def save_request(self) -> str:
        """Insert or replace a request."""
        return self._upsert(requests)

    @cached_property
    def save_session(self) -> str:
        """Insert or change a session; one that is settled stays as it is."""
        # Whose a session is never changes.  To name an indexed column here would cost the
        # writing of its index at every change: more than half of the whole.
        fixed = frozenset({"request_id", "cp_id", "driver_id"})
        return self._upsert(charging_sessions, fixed=fixed, unless=_sessions.settled)

    @cached_property
    def save_charging_point(self) -> str:
        """Insert or replace a charging point."""
        return self._upsert(charging_points)

    @cached_property
    def remove_charging_point(self) -> str:
        """By cp_id."""
        statement = delete(charging_points).where(charging_points.c.cp_id == bindparam("key"))
        return self._sql(statement, "key")

    @cached_property
    def save_reading(self) -> str:
        """total_kwh, energy_mwh, session_id: the meter of a session that is ACTIVE."""
        statement = (
            update(charging_sessions)
            .where(_sessions.session_id == bindparam("key"), _sessions.status == _active)
            .values(total_kwh=bindparam("total"), energy_mwh=bindparam("energy"))
        )
        return self._sql(statement, "total", "energy", "key")

    @cached_property
    def append_fault(self) -> str:
        """Append a fault event."""
        return self._append(fault_events)

    @cached_property
    def append_health(self) -> str:
        """Append a health snapshot."""
        return self._append(cp_health_history)

    @cached_property
    def insert_meta(self) -> str:
        """id, central_id, epoch, recovering, commits."""
        return self._append(meta)

    @cached_property
    def read_meta(self) -> str:
        """central_id, epoch, recovering, commits."""
        return self._sql(select(*meta.columns[1:]))

    @cached_property
    def save_meta(self) -> str:
        """central_id, epoch, recovering, commits."""
        names = meta.columns.keys()[1:]
        statement = update(meta).values({name: bindparam(f"new_{name}") for name in names})
        return self._sql(statement, *(f"new_{name}" for name in names))

    @cached_property
    def count_commit(self) -> str:
        """The number of this commit."""
        return self._sql(update(meta).values(commits=bindparam("commits_now")), "commits_now")

    @cached_property
    def cp_ids(self) -> str:
        """Every known charging point's id."""
        return self._sql(select(charging_points.c.cp_id))

    @cached_property
    def all_charging_points(self) -> str:
        """Every known charging point."""
        return self._sql(select(*written(charging_points)).order_by(charging_points.c.cp_id))

    @cached_property
    def open_requests(self) -> str:
        """Every request that has no final status."""
        return self._sql(select(*written(requests)).where(OPEN_REQUEST))

    @cached_property
    def active_sessions(self) -> str:
        """Every session that is ACTIVE, in the order of their starts."""
        statement = _session_rows().where(_sessions.status == _active).order_by(_sessions.seq)
        return self._sql(statement)

    def _by_ids(self, table: Table, count: int) -> str:
        """The rows with one of `count` ids (of the table's own kind)."""
        key = written(table)[0]
        names = [f"key{number}" for number in range(count)]
        statement = select(*written(table)).where(key.in_([bindparam(name) for name in names]))
        return self._sql(statement, *names)

    @cached_property
    def session_seq(self) -> str:
        """By session_id: its place in the order of starts."""
        statement = select(_sessions.seq).where(_sessions.session_id == bindparam("key"))
        return self._sql(statement, "key")

    def _some_sessions(self, filters: tuple[str, ...], before: bool) -> str:
        """The values of the columns in `filters`, then the seq that the page ends before (if
        `before`), then how many: sessions, newest first."""
        statement = _session_rows()
        for name in filters:
            statement = statement.where(_sessions[name] == bindparam(f"only_{name}"))
        if before:
            statement = statement.where(_sessions.seq < bindparam("before"))
        statement = _first(statement.order_by(_sessions.seq.desc()), bindparam("count"))
        names = [f"only_{name}" for name in filters] + ["before"] * before
        return self._sql(statement, *names, "count")

    def _newest(self, table: Table) -> tuple[str, str]:
        statement = select(*written(table)).order_by(table.c.id.desc())
        of_one = statement.where(table.c.cp_id == bindparam("key"))
        count: BindParameter[int] = bindparam("count")
        return (
            self._sql(_first(statement, count), "count"),
            self._sql(_first(of_one, count), "key", "count"),
        )

    @cached_property
    def newest_faults(self) -> tuple[str, str]:
        """(How many), (cp_id, how many): fault events, newest first."""
        return self._newest(fault_events)

    @cached_property
    def newest_health(self) -> tuple[str, str]:
        """(How many), (cp_id, how many): health snapshots, newest first."""
        return self._newest(cp_health_history)

    def _faults_by_time(self, statement: AnySelect, when: ColumnElement[bool]) -> tuple[str, str]:
        of_known = statement.where(_faults.cp_id.in_(select(charging_points.c.cp_id)))
        of_one = statement.where(_faults.cp_id == bindparam("key"))
        return (
            self._sql(of_known.where(when), "since"),
            self._sql(of_one.where(when), "key", "since"),
        )

    @cached_property
    def faults_since(self) -> tuple[str, str]:
        """(since), (cp_id, since): fault events of the known charging points, or of one that may
        have been removed, in the order in which they were appended."""
        statement = select(*written(fault_events)).order_by(_faults.id)
        return self._faults_by_time(statement, _faults.timestamp >= bindparam("since"))

    @cached_property
    def last_faults_before(self) -> tuple[str, str]:
        """(since), (cp_id, since): cp_id, event_type and the newest id of that type before."""
        statement = select(_faults.cp_id, _faults.event_type, func.max(_faults.id))
        statement = statement.group_by(_faults.cp_id, _faults.event_type)
        return self._faults_by_time(statement, _faults.timestamp < bindparam("since"))

    @cached_property
    def first_snapshots(self) -> str:
        """cp_id and the time of the oldest health snapshot (or null) of each charging point."""
        points = charging_points.c
        return self._sql(select(points.cp_id, _snapshot_time(points.cp_id, _health.id)))

    @cached_property
    def snapshots_of(self) -> str:
        """cp_id, twice: the times of its oldest and its newest health snapshot (or nulls)."""
        oldest = _snapshot_time(bindparam("of"), _health.id)
        newest = _snapshot_time(bindparam("of_too"), _health.id.desc())
        return self._sql(select(oldest, newest), "of", "of_too")

    def _prune(self, table: Table) -> str:
        oldest = select(table.c.id, table.c.timestamp).order_by(table.c.id)
        step = _first(oldest, bindparam("step")).subquery()
        newest_id = select(func.max(table.c.id)).scalar_subquery()
        too_old = select(step.c.id).where(
            or_(
                step.c.timestamp < bindparam("cutoff"),
                step.c.id <= newest_id - bindparam("rows_max", type_=table.c.id.type),
            )
        )
        statement = delete(table).where(table.c.id.in_(too_old))
        return self._sql(statement, "step", "cutoff", "rows_max")

    @cached_property
    def prunes(self) -> tuple[str, ...]:
        """How many, cutoff time, rows kept: delete of the oldest so many those beyond a bound."""
        return self._prune(fault_events), self._prune(cp_health_history)


_active: ColumnElement[str] = literal_column(f"'{SessionStatus.ACTIVE.value}'")


def _session_rows() -> AnySelect:
    return select(*written(charging_sessions))


def _snapshot_time(cp_id: ColumnElement[str], order: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The time of a charging point's first health snapshot in this order."""
    times = select(_health.timestamp).where(_health.cp_id == cp_id).order_by(order)
    return _first(times, literal_column("1")).scalar_subquery()


def _first(statement: AnySelect, count: ColumnElement[int]) -> AnySelect:
    # The offset is said because SQLite's dialect would else add a placeholder of its own for it.
    return statement.limit(count).offset(literal_column("0"))
