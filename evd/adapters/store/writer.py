"""The one connection that writes: one transaction for one batch, on the disk when it returns."""

import contextlib
import logging
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence

import attrs
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from evd.adapters.store.batch import newest_by_kind
from evd.adapters.store.database import Database
from evd.adapters.store.epoch_file import Progress
from evd.adapters.store.failures import CLOSED, StoreFailed, StoreInUse
from evd.adapters.store.queries import Excess
from evd.adapters.store.statements import Statements
from evd.core.central.rows import Meta, Row

HISTORY_DAYS_MAX = 90
# One row a minute.
NETWORK_DAYS_MAX = 30
# The bound of each charging point: none pushes out what is known of the others.
HISTORY_ROWS_MAX = 10_000
REQUESTS_MAX = 1_000_000
AUDIT_DAYS_MAX = 730
AUDIT_ROWS_MAX = 1_000_000
# One step of pruning deletes this much of each: a few ms, for which a commit may have to wait.
PRUNED_ROWS_MAX = 500

logger = logging.getLogger(__name__)


@attrs.frozen(slots=True)
class Retention:
    """The bounds of what is no bill.  Sessions, and the requests that became one, have none.

    `network_days_max`: of `network_history`.
    `rows_max`: of `fault_events`, `operator_events` and `cp_health_history`, of each charging
    point.
    `requests_max`: of the requests that ended without a session.
    `audit_days_max`, `audit_rows_max`: of the audit.
    """

    days_max: int = HISTORY_DAYS_MAX
    rows_max: int = HISTORY_ROWS_MAX
    network_days_max: int = NETWORK_DAYS_MAX
    requests_max: int = REQUESTS_MAX
    audit_days_max: int = AUDIT_DAYS_MAX
    audit_rows_max: int = AUDIT_ROWS_MAX


def new_central_id() -> str:
    """A name that no Central had before."""
    return f"central-{uuid.uuid4().hex}"


class Writer:
    """Writes, and knows how far the database has come.  For one thread at a time.

    A connection that failed is given up, and the next transaction opens another, unless it is the
    only one that may write (`reconnects` false).  `note` is told of each commit.
    """

    def __init__(
        self,
        database: Database,
        statements: Statements,
        note: Callable[[Progress], None],
        *,
        reconnects: bool = True,
    ) -> None:
        self._database = database
        self._statements = statements
        self._note = note
        self._connection: DBAPIConnection | None = None
        self._closed = not reconnects
        self._meta: Meta | None = None
        self._commits = 0
        # How the database stands if the transaction that failed last was stored after all.
        self._attempted: Progress | None = None
        self._failed_rows: Sequence[Row] = ()

    @property
    def meta(self) -> Meta:
        """The row about the database, as it was last written."""
        if self._meta is None:
            raise RuntimeError("the database has not been opened")
        return self._meta

    def open(self, connection: DBAPIConnection, known: Progress | None) -> None:
        """Take over `connection`, whose tables are at head.

        A new database gets its first row.  One that is an older copy than was last `known` here,
        or another database, gets a new identity.
        """
        self._connection = connection
        found = self._read_meta(connection)
        if found is None:
            self._transact(_nothing, Meta(new_central_id(), 0))
            return
        self._meta, self._commits = found
        if known is None or self._continues(known):
            return
        self.renew_identity()
        logger.warning(
            "The database is an older copy, or another one, than Central last had here (%s, "
            "commit %d). Central is now %s and begins no session until it has heard of %s",
            known.central_id,
            known.commits,
            self.meta.central_id,
            ", ".join(sorted(self.meta.recovering)) or "its charging points, and it knows none",
        )

    def close(self) -> None:
        """Close the connection, for good.  Safe to repeat."""
        self._closed = True
        self._give_up()

    def _give_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._database.let_go(connection)

    def commit(self, rows: Sequence[Row]) -> None:
        """Store all of `rows` or, raising StoreFailed, none of them.

        Only a connection that was cut off in mid-commit leaves open which of the two: the same
        rows, committed again, are then stored once.  Raises StoreInUse when somebody else wrote.
        """
        if self._connection is None and self._reconnect() and rows == self._failed_rows:
            return
        newest = newest_by_kind(rows)
        meta = next((row for row in reversed(rows) if isinstance(row, Meta)), None)
        try:
            self._transact(lambda cursor: self._write(cursor, newest), meta)
        except StoreFailed:
            self._failed_rows = rows
            raise

    def begin_epoch(self) -> Meta:
        """Count a start of Central."""
        self._transact(_nothing, attrs.evolve(self.meta, epoch=self.meta.epoch + 1))
        return self.meta

    def renew_identity(self) -> Meta:
        """Become another Central, to which the charging points that are known must first report."""
        known: set[str] = set()

        def read(cursor: DBAPICursor) -> None:
            known.update(cp_id for (cp_id,) in self._statements.cp_ids.ask(cursor))

        self._transact(read)
        self._transact(
            _nothing,
            attrs.evolve(self.meta, central_id=new_central_id(), recovering=frozenset(known)),
        )
        return self.meta

    def prune_step(self, excess: Excess) -> int:
        """Delete some rows of `excess`, the oldest first; how many."""
        deleted = 0

        def prune(cursor: DBAPICursor) -> None:
            nonlocal deleted
            statement = self._statements.prune(excess.row_class, excess.cp_id is not None)
            statement.run(
                cursor,
                cp_id=excess.cp_id,
                time=excess.time,
                key=excess.key,
                step=PRUNED_ROWS_MAX,
            )
            deleted = cursor.rowcount

        self._transact(prune)
        return deleted

    def _write(self, cursor: DBAPICursor, rows: Mapping[type[Row], Collection[Row]]) -> None:
        for kind, save in self._statements.saves.items():
            if found := rows.get(kind):
                save.run_each(cursor, found)

    def _transact(self, write: Callable[[DBAPICursor], None], meta: Meta | None = None) -> None:
        """One transaction: what `write` does, the new `meta` if one is given, and the count."""
        if self._connection is None:
            self._reconnect()
        connection = self._connection
        new = meta or self.meta
        attempted = Progress(new.central_id, new.epoch, self._commits + 1)
        try:
            if connection is None:
                raise RuntimeError("there is no connection")
            # Closed before the connection is: SQLite keeps a file open while a statement is.
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(self._database.begin)
                write(cursor)
                if meta is None:
                    self._statements.count_commit.run(cursor, commits=attempted.commits)
                else:
                    self._statements.save_meta(cursor, meta, attempted.commits)
                cursor.execute("COMMIT")
        except BaseException as error:
            # Whatever it was, nothing half done stays open; a driver's error is the disk's fault.
            self._give_up()
            self._attempted = attempted
            if isinstance(error, self._database.errors):
                raise StoreFailed(self._database.explain(error)) from error
            raise
        self._meta, self._commits = new, attempted.commits
        self._note(attempted)

    def _read_meta(self, connection: DBAPIConnection) -> tuple[Meta, int] | None:
        with contextlib.closing(connection.cursor()) as cursor:
            return next(self._statements.read_meta.ask(cursor), None)

    def _continues(self, known: Progress) -> bool:
        return self.meta.central_id == known.central_id and self._commits >= known.commits

    def _reconnect(self) -> bool:
        """Open a connection again; whether the transaction that failed last is stored after all.

        Raises StoreFailed, and StoreInUse where somebody else has written meanwhile.
        """
        if self._closed:
            raise StoreFailed(CLOSED)
        try:
            connection = self._database.connect_writer()
            try:
                found = self._read_meta(connection)
            except BaseException:
                connection.close()
                raise
        except self._database.errors as error:
            raise StoreFailed(self._database.explain(error)) from error
        stands = found and Progress(found[0].central_id, found[0].epoch, found[1])
        before = Progress(self.meta.central_id, self.meta.epoch, self._commits)
        if found is None or stands not in (before, self._attempted):
            connection.close()
            raise StoreInUse(
                f"--db-url: {self._database.name} was written by somebody else, or put back from "
                "a copy, while this Central had it"
            )
        self._connection = connection
        self._meta, self._commits = found
        return stands != before


def _nothing(_: DBAPICursor) -> None:
    """For a transaction that only writes `meta`."""
