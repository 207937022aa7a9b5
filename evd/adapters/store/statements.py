"""The SQL that Central says, made from the tables once and carried out by the driver itself.

SQLAlchemy writes it for either kind of database; at each commit it would cost more than the commit.
A placeholder has the name of the value that it stands for.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property, wraps
from typing import Any, Generic, TypeAlias, TypeVar, cast

import attrs
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Executable,
    Insert,
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
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.columns import Getter, RowForm
from evd.adapters.store.database import Database
from evd.adapters.store.tables import (
    OPEN_REQUEST,
    TABLES,
    TOTAL_COST,
    TOTAL_KWH,
    charging_points,
    charging_sessions,
    cp_health_history,
    fault_events,
    meta,
)
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    HealthSnapshot,
    Meta,
    Reading,
    Removal,
    Request,
    Row,
    Session,
    SessionStatus,
)

T = TypeVar("T")
R = TypeVar("R", bound=attrs.AttrsInstance)
Method = TypeVar("Method", bound=Callable[..., Any])
AnySelect: TypeAlias = "Select[*tuple[Any, ...]]"

_ROWS_AT_ONCE = 1000

_sessions = charging_sessions.c
_faults = fault_events.c
_health = cp_health_history.c
_active: ColumnElement[str] = literal_column(f"'{SessionStatus.ACTIVE.value}'")


@attrs.frozen
class Statement:
    """A statement as the driver takes it, and the names of its placeholders in their order."""

    sql: str
    names: Sequence[str]

    def run(self, cursor: DBAPICursor, **values: Any) -> None:
        """Carry it out with these values, of which it may need only some."""
        cursor.execute(self.sql, [values[name] for name in self.names])


@attrs.frozen
class Question(Statement, Generic[T]):
    """A statement that reads; `answer` makes what it returns of a row's stored values."""

    answer: Callable[[Sequence[Any]], T]

    def ask(self, cursor: DBAPICursor, **values: Any) -> Iterator[T]:
        """The answers, read from the database as they are taken."""
        self.run(cursor, **values)
        while found := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from map(self.answer, found)


@attrs.frozen
class Save(Statement):
    """A statement that writes rows of one class, of which `getters` take the values."""

    getters: Mapping[str, Getter]

    def run_each(self, cursor: DBAPICursor, rows: Collection[Row]) -> None:
        """Carry it out once for each row."""
        getters = [self.getters[name] for name in self.names]
        cursor.executemany(self.sql, [[get(row) for get in getters] for row in rows])


def _made_once(make: Method) -> Method:
    """A method that compiles its statement at the first call with some arguments."""

    @wraps(make)
    def made(self: "Statements", *arguments: object) -> Statement:
        key = (make, *arguments)
        if key not in self._made:
            self._made[key] = make(self, *arguments)
        return self._made[key]

    return cast(Method, made)


class Statements:
    """Every statement for one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._made: dict[tuple[object, ...], Statement] = {}

    def _compiled(self, statement: Executable) -> tuple[str, Sequence[str]]:
        compiled = statement.compile(dialect=self._database.dialect)  # type: ignore[attr-defined]
        return str(compiled), tuple(compiled.positiontup)

    def _statement(self, statement: Executable) -> Statement:
        return Statement(*self._compiled(statement))

    def _rows(self, row_class: type[R], statement: AnySelect) -> Question[R]:
        return Question(*self._compiled(statement), RowForm(row_class, self._database).read)

    def _values(self, statement: AnySelect) -> Question[Sequence[Any]]:
        return Question(*self._compiled(statement), tuple)

    def _save(self, row_class: type[Row], statement: Executable) -> Save:
        return Save(*self._compiled(statement), RowForm(row_class, self._database).getters)

    def _upsert(
        self,
        table: Table,
        values: Mapping[str, Any],
        *,
        fixed: Collection[str] = (),
        unless: ColumnElement[bool] | None = None,
    ) -> Insert:
        """Insert a row, or change the one with its key, which is the first of `values`: all of it
        but its `fixed` columns, if not `unless`."""
        sqlite_ = self._database.dialect.name == "sqlite"
        statement = (sqlite.insert if sqlite_ else postgresql.insert)(table).values(values)
        key, *rest = values
        return statement.on_conflict_do_update(
            index_elements=[key],
            set_={name: statement.excluded[name] for name in rest if name not in fixed},
            where=None if unless is None else ~unless,
        )

    @cached_property
    def saves(self) -> Mapping[type[Row], Save]:
        """How the rows of each class are written; a session must be written before its reading."""
        session = {
            **_fields(Session),
            "total_kwh": text(TOTAL_KWH.format(":energy_mwh")),
            "total_cost": text(TOTAL_COST.format(":cost_cents")),
        }
        # Whose a session is never changes.  To name an indexed column here would cost the
        # writing of its index at every change: more than half of the whole.
        fixed = {"request_id", "cp_id", "driver_id"}
        reading = (
            update(charging_sessions)
            .where(_sessions.session_id == bindparam("session_id"), _sessions.status == _active)
            .values(energy_mwh=bindparam("energy_mwh"), total_kwh=session["total_kwh"])
        )
        statements: Mapping[type[Row], Executable] = {
            Session: self._upsert(
                charging_sessions, session, fixed=fixed, unless=_sessions.settled
            ),
            Reading: reading,
            Request: self._upsert(TABLES[Request], _fields(Request)),
            ChargingPoint: self._upsert(charging_points, _fields(ChargingPoint)),
            Removal: delete(charging_points).where(charging_points.c.cp_id == bindparam("cp_id")),
            FaultEvent: insert(fault_events).values(_fields(FaultEvent)).inline(),
            HealthSnapshot: insert(cp_health_history).values(_fields(HealthSnapshot)).inline(),
        }
        return {kind: self._save(kind, statement) for kind, statement in statements.items()}

    @cached_property
    def read_meta(self) -> Question[tuple[Meta, int]]:
        """The row about the database, and the number of its newest commit."""
        form = RowForm(Meta, self._database)
        statement = select(*(meta.c[name] for name in _fields(Meta)), meta.c.commits)
        return Question(
            *self._compiled(statement), lambda values: (form.read(values[:-1]), values[-1])
        )

    @cached_property
    def _save_meta(self) -> Save:
        values = {"id": literal_column("1"), **_fields(Meta), "commits": bindparam("commits")}
        return self._save(Meta, self._upsert(meta, values))

    def save_meta(self, cursor: DBAPICursor, row: Meta, commits: int) -> None:
        """Write the row about the database, and the number of this commit."""
        save = self._save_meta
        values = {name: get(row) for name, get in save.getters.items()}
        save.run(cursor, **values, commits=commits)

    @cached_property
    def count_commit(self) -> Statement:
        """Write the number of this commit, `commits`."""
        return self._statement(update(meta).values(commits=bindparam("commits")))

    @cached_property
    def cp_ids(self) -> Question[Sequence[Any]]:
        """Every known charging point's id."""
        return self._values(select(charging_points.c.cp_id))

    @cached_property
    def all_charging_points(self) -> Question[ChargingPoint]:
        """Every known charging point."""
        statement = _select(ChargingPoint).order_by(charging_points.c.cp_id)
        return self._rows(ChargingPoint, statement)

    @cached_property
    def open_requests(self) -> Question[Request]:
        """Every request that has no final status."""
        return self._rows(Request, _select(Request).where(OPEN_REQUEST))

    @cached_property
    def active_sessions(self) -> Question[Session]:
        """Every session that is ACTIVE, in the order of their starts."""
        statement = _select(Session).where(_sessions.status == _active).order_by(_sessions.seq)
        return self._rows(Session, statement)

    @_made_once
    def by_ids(self, row_class: type[R], count: int) -> Question[R]:
        """The rows with one of the ids `id_0`, `id_1`... up to `count` of them."""
        key = next(iter(_fields(row_class)))
        ids: list[BindParameter[str]] = [bindparam(f"id_{number}") for number in range(count)]
        statement = _select(row_class).where(TABLES[row_class].c[key].in_(ids))
        return self._rows(row_class, statement)

    @cached_property
    def session_seq(self) -> Question[Sequence[Any]]:
        """The place of the session `session_id` in the order of starts."""
        is_it = _sessions.session_id == bindparam("session_id")
        return self._values(select(_sessions.seq).where(is_it))

    @_made_once
    def some_sessions(self, filters: Collection[str], before: bool) -> Question[Session]:
        """The newest `count` sessions with the values of the columns in `filters`, newest first;
        if `before`, only what began before the seq `before`."""
        statement = _select(Session)
        for name in filters:
            statement = statement.where(_sessions[name] == bindparam(name))
        if before:
            statement = statement.where(_sessions.seq < bindparam("before"))
        statement = _first(statement.order_by(_sessions.seq.desc()), bindparam("count"))
        return self._rows(Session, statement)

    @_made_once
    def newest(self, row_class: type[R], of_one: bool) -> Question[R]:
        """The newest `count` rows of a history, of all or of `cp_id`, newest first."""
        columns = TABLES[row_class].c
        statement = _select(row_class).order_by(columns.id.desc())
        if of_one:
            statement = statement.where(columns.cp_id == bindparam("cp_id"))
        return self._rows(row_class, _first(statement, bindparam("count")))

    @_made_once
    def faults_since(self, of_one: bool) -> Question[FaultEvent]:
        """The fault events from `since` on, in the order in which they were appended."""
        statement = _select(FaultEvent).order_by(_faults.id).where(_whose_faults(of_one))
        statement = statement.where(_faults.timestamp >= bindparam("since"))
        return self._rows(FaultEvent, statement)

    @_made_once
    def last_faults_before(self, of_one: bool) -> Question[Sequence[Any]]:
        """cp_id, event_type and the newest id of that type before `since`."""
        statement = select(_faults.cp_id, _faults.event_type, func.max(_faults.id))
        statement = statement.where(_whose_faults(of_one), _faults.timestamp < bindparam("since"))
        return self._values(statement.group_by(_faults.cp_id, _faults.event_type))

    @cached_property
    def first_snapshots(self) -> Question[Sequence[Any]]:
        """cp_id and the time of the oldest health snapshot (or null) of each charging point."""
        cp_id = charging_points.c.cp_id
        return self._values(select(cp_id, _snapshot_time(cp_id, _health.id)))

    @cached_property
    def snapshots_of(self) -> Question[Sequence[Any]]:
        """The times of the oldest and the newest health snapshot of `cp_id` (or nulls)."""
        cp_id: ColumnElement[str] = bindparam("cp_id")
        newest = _snapshot_time(cp_id, _health.id.desc())
        return self._values(select(_snapshot_time(cp_id, _health.id), newest))

    @cached_property
    def prunes(self) -> Sequence[Statement]:
        """For each history: delete of its `step` oldest rows those from before the time `cutoff`,
        and those beyond the newest `rows_max`."""
        return [self._statement(_prune(table)) for table in (fault_events, cp_health_history)]


def _fields(row_class: type[attrs.AttrsInstance]) -> dict[str, Any]:
    """A placeholder for each field, which has the name of the field."""
    return {field.name: bindparam(field.name) for field in attrs.fields(row_class)}


def _select(row_class: type[attrs.AttrsInstance]) -> AnySelect:
    return select(*(TABLES[row_class].c[name] for name in _fields(row_class)))


def _whose_faults(of_one: bool) -> ColumnElement[bool]:
    """Those of `cp_id`, which may have been removed, or of the known charging points."""
    if of_one:
        return _faults.cp_id == bindparam("cp_id")
    return _faults.cp_id.in_(select(charging_points.c.cp_id))


def _prune(table: Table) -> Executable:
    oldest = select(table.c.id, table.c.timestamp).order_by(table.c.id)
    step = _first(oldest, bindparam("step")).subquery()
    newest_id = select(func.max(table.c.id)).scalar_subquery()
    too_old = select(step.c.id).where(
        or_(
            step.c.timestamp < bindparam("cutoff"),
            step.c.id <= newest_id - bindparam("rows_max", type_=table.c.id.type),
        )
    )
    return delete(table).where(table.c.id.in_(too_old))


def _snapshot_time(cp_id: ColumnElement[str], order: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The time of a charging point's first health snapshot in this order."""
    times = select(_health.timestamp).where(_health.cp_id == cp_id).order_by(order)
    return _first(times, literal_column("1")).scalar_subquery()


def _first(statement: AnySelect, count: ColumnElement[int]) -> AnySelect:
    # The offset is said because SQLite's dialect would else add a placeholder of its own for it.
    return statement.limit(count).offset(literal_column("0"))
