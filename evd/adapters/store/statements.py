"""The SQL that Central says: text in which a placeholder has the name of its value.

The columns come from the rows.  The driver carries the text out itself: SQLAlchemy's engine would
cost more at each commit than the commit.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, wraps
from typing import Any, Generic, TypeVar, cast

import attrs
from sqlalchemy import text
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.columns import Getter, RowForm
from evd.adapters.store.database import Database
from evd.adapters.store.report import BILLED, Grouping, ReportRow
from evd.adapters.store.tables import (
    OPEN_REQUEST,
    OPEN_SESSION,
    REQUEST_ALONE,
    TABLES,
    TOTAL_COST,
    TOTAL_KWH,
)
from evd.core.access.rows import (
    AccessToken,
    AddressEnd,
    AuditEntry,
    KnownAddress,
    Login,
    LoginEnd,
    TokenEnd,
    User,
)
from evd.core.central.rows import (
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    Meta,
    NetworkSnapshot,
    OperatorEvent,
    Reading,
    Removal,
    Request,
    Row,
    Session,
    SessionCurve,
)

T = TypeVar("T")
R = TypeVar("R", bound=attrs.AttrsInstance)
Method = TypeVar("Method", bound=Callable[..., Any])

_ROWS_AT_ONCE = 1000
# A monitor without a right token says nothing of its charging point.
NO_REFUSAL = f"event_type <> '{EventType.REFUSED}'"
# The key and the time by which the rows of a table are ordered.
_ORDERS: Mapping[type, tuple[str, str]] = {
    AuditEntry: ("id", "ts"),
    FaultEvent: ("id", "timestamp"),
    HealthSnapshot: ("id", "timestamp"),
    NetworkSnapshot: ("id", "timestamp"),
    OperatorEvent: ("id", "timestamp"),
    Request: ("request_id", "updated_at"),
    Session: ("session_id", "start_time"),
}


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
    """A statement that reads; `answer` makes what it returns of a row's stored values, or None."""

    answer: Callable[[Sequence[Any]], T | None]

    def ask(self, cursor: DBAPICursor, **values: Any) -> Iterator[T]:
        """The answers, read from the database as they are taken."""
        self.run(cursor, **values)
        while found := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from (each for each in map(self.answer, found) if each is not None)


@attrs.frozen(slots=True)
class Listed(Generic[R]):
    """A row in a list: its key, its time as it is stored, and the row, None where it or its time
    can't be read."""

    key: Any
    time: Any
    row: R | None


@attrs.frozen
class Save(Statement):
    """A statement that writes rows of one class, of which `getters` take the values."""

    getters: Mapping[str, Getter]

    def run_each(self, cursor: DBAPICursor, rows: Collection[Row]) -> None:
        """Carry it out once for each row."""
        getters = [self.getters[name] for name in self.names]
        cursor.executemany(self.sql, [[get(row) for get in getters] for row in rows])


def read_on(
    ask: Callable[[int, Listed[R] | None], Iterable[Listed[R]]], limit: int
) -> list[Listed[R]]:
    """The first `limit` rows that can be read of a list: one that can't must not end it early.

    `ask` takes how many rows it is to return at the most, and the one that stands before them.
    """
    rows: list[Listed[R]] = []
    last: Listed[R] | None = None
    while True:
        wanted = limit - len(rows)
        found = list(ask(wanted, last))
        rows += [each for each in found if each.row is not None]
        if len(found) < wanted or len(rows) == limit:
            return rows
        last = found[-1]


def made_once(make: Method) -> Method:
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

    def _compiled(self, sql: str) -> tuple[str, Sequence[str]]:
        compiled = text(sql).compile(dialect=self._database.dialect)
        return str(compiled), tuple(compiled.positiontup or ())

    def _rows(self, row_class: type[R], which: str) -> Question[R]:
        sql = f"SELECT {', '.join(_fields(row_class))} FROM {TABLES[row_class]} {which}"
        return Question(*self._compiled(sql), RowForm(row_class, self._database).read)

    def listed(self, row_class: type[R], key: str, time: str, which: str) -> Question[Listed[R]]:
        """The newest `count` rows of these, by time and then by key."""
        sql = (
            f"SELECT {key}, {time}, {', '.join(_fields(row_class))} FROM {TABLES[row_class]}"
            f" {which} ORDER BY {time} DESC, {key} DESC LIMIT :count"
        )
        read, time_of = RowForm(row_class, self._database).read, self._database.readable_time

        def listed(values: Sequence[Any]) -> Listed[R]:
            row = read(values[2:])
            # A row without a time has no place among the others: it is found by its id alone.
            return Listed(values[0], values[1], None if time_of(values[1]) is None else row)

        return Question(*self._compiled(sql), listed)

    def _values(self, sql: str) -> Question[Sequence[Any]]:
        return Question(*self._compiled(sql), tuple)

    @cached_property
    def saves(self) -> Mapping[type[Row], Save]:
        """How the rows of each class are written; a session must be written before its reading."""
        total_kwh, total_cost = TOTAL_KWH.format(":energy_mwh"), TOTAL_COST.format(":cost_cents")
        session = _fields(Session) | {"total_kwh": total_kwh, "total_cost": total_cost}
        # The owner of a session never changes.  To name an indexed column here would cost the
        # writing of its index at every change: more than half of the whole.
        fixed = ("request_id", "cp_id", "driver_id")
        sqls: Mapping[type[Row], str] = {
            Session: _upsert("charging_sessions", session, fixed)
            + " WHERE NOT charging_sessions.settled",
            Reading: f"UPDATE charging_sessions SET energy_mwh = :energy_mwh,"
            f" total_kwh = {total_kwh} WHERE session_id = :session_id AND status = 'ACTIVE'",
            Request: _upsert("requests", _fields(Request)),
            ChargingPoint: _upsert("charging_points", _fields(ChargingPoint)),
            Removal: "DELETE FROM charging_points WHERE cp_id = :cp_id",
            FaultEvent: _insert("fault_events", _fields(FaultEvent)),
            HealthSnapshot: _insert("cp_health_history", _fields(HealthSnapshot)),
            OperatorEvent: _insert("operator_events", _fields(OperatorEvent)),
            NetworkSnapshot: _insert("network_history", _fields(NetworkSnapshot)),
            SessionCurve: _insert("session_curves", _fields(SessionCurve))
            + " ON CONFLICT (session_id) DO NOTHING",
            User: _upsert("users", _fields(User)),
            # Revoked once, it stays so, whoever writes it and in whatever order.
            AccessToken: _upsert("access_tokens", _fields(AccessToken))
            + " WHERE access_tokens.revoked_at IS NULL",
            TokenEnd: "DELETE FROM access_tokens WHERE digest = :digest",
            Login: _upsert("logins", _fields(Login)),
            LoginEnd: "DELETE FROM logins WHERE digest = :digest",
            KnownAddress: _upsert("known_addresses", _fields(KnownAddress)),
            AddressEnd: "DELETE FROM known_addresses WHERE place = :place",
            AuditEntry: _insert("audit", _fields(AuditEntry)),
        }
        return {kind: self._save(kind, sql) for kind, sql in sqls.items()}

    def _save(self, row_class: type[Row], sql: str) -> Save:
        return Save(*self._compiled(sql), RowForm(row_class, self._database).getters)

    @cached_property
    def read_meta(self) -> Question[tuple[Meta, int]]:
        """The row about the database, and the number of its newest commit."""
        form = RowForm(Meta, self._database)
        sql = f"SELECT {', '.join(_fields(Meta))}, commits FROM meta"

        def read(values: Sequence[Any]) -> tuple[Meta, int]:
            meta = form.read(values[:-1])
            if meta is None or type(values[-1]) is not int:
                raise self._database.refused(
                    "is damaged (its row about itself can't be read):"
                    " put back a copy with `evd central restore`"
                )
            return meta, values[-1]

        return Question(*self._compiled(sql), read)

    @cached_property
    def _save_meta(self) -> Save:
        values = {"id": "1", **_fields(Meta), "commits": ":commits"}
        return self._save(Meta, _upsert("meta", values))

    def save_meta(self, cursor: DBAPICursor, row: Meta, commits: int) -> None:
        """Write the row about the database, and the number of this commit."""
        values = {name: get(row) for name, get in self._save_meta.getters.items()}
        self._save_meta.run(cursor, **values, commits=commits)

    @cached_property
    def count_commit(self) -> Statement:
        """Write the number of this commit, `commits`."""
        return Statement(*self._compiled("UPDATE meta SET commits = :commits"))

    @cached_property
    def cp_ids(self) -> Question[Sequence[Any]]:
        """Every known charging point's id."""
        return self._values("SELECT cp_id FROM charging_points")

    @cached_property
    def all_charging_points(self) -> Question[ChargingPoint]:
        """Every known charging point."""
        return self._rows(ChargingPoint, "ORDER BY cp_id")

    @cached_property
    def open_requests(self) -> Question[Request]:
        """Every request that has no final status."""
        return self._rows(Request, f"WHERE {OPEN_REQUEST}")

    @cached_property
    def active_sessions(self) -> Question[Session]:
        """Every session that is ACTIVE, in the order of their starts."""
        return self._rows(Session, f"WHERE {OPEN_SESSION} ORDER BY start_time, session_id")

    @made_once
    def all_rows(self, row_class: type[R]) -> Question[R]:
        """Every row of a table."""
        return self._rows(row_class, "")

    @made_once
    def by_ids(self, row_class: type[R], count: int) -> Question[R]:
        """The rows with one of the ids `id_0`, `id_1`... up to `count` of them."""
        key = next(iter(_fields(row_class)))
        ids = ", ".join(f":id_{number}" for number in range(count))
        return self._rows(row_class, f"WHERE {key} IN ({ids})")

    @made_once
    def time_of(self, row_class: type) -> Question[Sequence[Any]]:
        """The time of the row with the key `before`, as it is stored."""
        key, time = _ORDERS[row_class]
        return self._values(f"SELECT {time} FROM {TABLES[row_class]} WHERE {key} = :before")

    @cached_property
    def ended(self) -> Question[Sequence[Any]]:
        """Number, energy and cost of the sessions that ended from `since` until `until` and began
        at `began` or later; those that are not settled one by one, with their ids."""
        unsettled = "CASE WHEN settled THEN NULL ELSE session_id END"
        return self._values(
            f"SELECT {unsettled}, count(*), coalesce(sum(energy_mwh), 0),"
            " coalesce(sum(cost_cents), 0) FROM charging_sessions"
            " WHERE start_time >= :began AND end_time >= :since AND end_time < :until"
            f" AND NOT ({OPEN_SESSION}) GROUP BY {unsettled}"
        )

    @made_once
    def newest(self, row_class: type[R], filters: Collection[str]) -> Question[Listed[R]]:
        """The newest `count` rows for which these hold, by time and then by key.

        A filter is a column, which must have the value of its name; `since` or `until`; or
        `before`: behind the row with this key, whose time is `before_time`.
        """
        key, time = _ORDERS[row_class]
        return self.listed(row_class, key, time, _where(row_class, filters))

    @made_once
    def billed(self, by: Grouping, filters: Collection[str]) -> Question[ReportRow]:
        """The sums of what was billed and for which the filters of `newest` hold, by the keys;
        of `count` keys at the most."""
        # No plain columns: SQLite would take each row of a million by way of an index of theirs,
        # which is three times as slow as to read the table.
        keys = {
            Grouping.MONTH: self._database.month.format("start_time"),
            Grouping.CP: "coalesce(cp_id, '')",
            Grouping.DRIVER: "coalesce(driver_id, '')",
        }
        sql = (
            f"SELECT {keys[by]}, count(*), sum(energy_mwh), sum(cost_cents) FROM charging_sessions"
            f" {_where(Session, filters, BILLED)} GROUP BY 1 LIMIT :count"
        )
        return Question(
            # PostgreSQL's sums are Decimals.
            *self._compiled(sql),
            lambda values: ReportRow(values[0], *map(int, values[1:])),
        )

    @made_once
    def faults_since(self, of_one: bool) -> Question[FaultEvent]:
        """The fault events from `since` on, in the order of their times."""
        whose = "cp_id = :cp_id" if of_one else "cp_id IN (SELECT cp_id FROM charging_points)"
        which = f"WHERE {whose} AND timestamp >= :since AND {NO_REFUSAL} ORDER BY timestamp, id"
        return self._rows(FaultEvent, which)

    @made_once
    def stood_before(self, of_one: bool) -> Question[Sequence[Any]]:
        """cp_id, and its newest event (or null) before `since` about its engine, and about its
        monitor."""
        points = "(SELECT CAST(:cp_id AS TEXT) AS cp_id)" if of_one else "charging_points"
        newest = [
            "(SELECT event_type FROM fault_events AS event WHERE event.cp_id = point.cp_id"
            f" AND event_type IN ('{begin}', '{end}') AND timestamp < :since"
            " ORDER BY timestamp DESC, id DESC LIMIT 1)"
            for begin, end in (
                (EventType.FAULT, EventType.RECOVERY),
                (EventType.DISCONNECTED, EventType.RECONNECTED),
            )
        ]
        return self._values(f"SELECT point.cp_id, {', '.join(newest)} FROM {points} AS point")

    @cached_property
    def first_snapshots(self) -> Question[Sequence[Any]]:
        """cp_id and the time of the oldest health snapshot (or null) of each charging point."""
        first = _snapshot_time("charging_points.cp_id", "min")
        return self._values(f"SELECT cp_id, {first} FROM charging_points")

    @cached_property
    def snapshots_of(self) -> Question[Sequence[Any]]:
        """The times of the oldest and the newest health snapshot of `cp_id` (or nulls)."""
        first, last = _snapshot_time(":cp_id", "min"), _snapshot_time(":cp_id", "max")
        return self._values(f"SELECT {first}, {last}")

    @made_once
    def next_of(self, row_class: type[Row]) -> Question[Sequence[Any]]:
        """The first charging point after `cp_id` that has rows of this history, or null."""
        return self._values(f"SELECT min(cp_id) FROM {TABLES[row_class]} WHERE cp_id > :cp_id")

    @made_once
    def newest_beyond(self, row_class: type[Row], of_one: bool) -> Question[Sequence[Any]]:
        """The time and the key of the newest row behind the newest `rows_max`."""
        key, time, which = _pruned(row_class, of_one)
        return self._values(
            f"SELECT {time}, {key} FROM {TABLES[row_class]} WHERE {which}"
            f" ORDER BY {time} DESC, {key} DESC LIMIT 1 OFFSET :rows_max"
        )

    @made_once
    def prune(self, row_class: type[Row], of_one: bool) -> Statement:
        """Delete the `step` oldest rows, up to the one with `time` and `key`."""
        key, time, which = _pruned(row_class, of_one)
        return Statement(
            *self._compiled(
                f"DELETE FROM {TABLES[row_class]} WHERE {key} IN (SELECT {key}"
                f" FROM {TABLES[row_class]} WHERE {which} AND ({time}, {key}) <= (:time, :key)"
                f" ORDER BY {time}, {key} LIMIT :step)"
            )
        )


def _fields(row_class: type[attrs.AttrsInstance]) -> dict[str, str]:
    """The placeholder of each field, which has the field's name."""
    return {field.name: f":{field.name}" for field in attrs.fields(row_class)}


def _where(row_class: type, filters: Collection[str], *conditions: str) -> str:
    key, time = _ORDERS[row_class]
    spans = {
        "since": f"{time} >= :since",
        "until": f"{time} < :until",
        "before": f"({time}, {key}) < (:before_time, :before)",
    }
    wanted = [*(spans.get(name, f"{name} = :{name}") for name in filters), *conditions]
    return f"WHERE {' AND '.join(wanted)}" if wanted else ""


def _insert(table: str, values: Mapping[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def _upsert(table: str, values: Mapping[str, str], fixed: Collection[str] = ()) -> str:
    """Insert a row, or change the one with its key, which is the first of `values`: all of it but
    its `fixed` columns."""
    key, *rest = values
    changes = ", ".join(f"{name} = excluded.{name}" for name in rest if name not in fixed)
    return f"{_insert(table, values)} ON CONFLICT ({key}) DO UPDATE SET {changes}"


def _pruned(row_class: type[Row], of_one: bool) -> tuple[str, str, str]:
    """The key, the time and the condition of rows that are not kept for ever."""
    which = "cp_id = :cp_id" if of_one else "1 = 1"
    return *_ORDERS[row_class], REQUEST_ALONE if row_class is Request else which


def _snapshot_time(cp_id: str, which: str) -> str:
    return f"(SELECT {which}(timestamp) FROM cp_health_history AS of WHERE of.cp_id = {cp_id})"
