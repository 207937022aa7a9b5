"""The database session in which a Central stands by, and from which it then serves.

The lock of this session says which Central serves, so everything that the one that serves writes
goes through it.  The server ends it when its program has said nothing for IDLE_S, and the lock with
it: a hung process would otherwise keep the lock for ever, since its kernel goes on answering.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence

import attrs
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from evd.adapters.store.epoch_file import EpochFile, Progress
from evd.adapters.store.failures import CLOSED, StoreFailed
from evd.adapters.store.postgresql import ADVISORY_LOCK, Postgresql
from evd.adapters.store.schema import bring_to_head
from evd.core.standby.events import Pulse, Standby, Try, may_take
from evd.logs import Repeats

IDLE_S = 5
# A slow statement is better waited for than repeated: what is said meanwhile is held by the lease.
STATEMENT_S_MAX = 20

_TIMES_OUT = (
    f"SET idle_session_timeout = {IDLE_S * 1000}",
    f"SET idle_in_transaction_session_timeout = {IDLE_S * 1000}",
    f"SET statement_timeout = {STATEMENT_S_MAX * 1000}",
)
_WRITE = """
    INSERT INTO standbys (name, address, kafka_up, monitors, seen_at)
    VALUES (%s, %s, %s, %s, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET address = excluded.address, kafka_up = excluded.kafka_up,
    monitors = excluded.monitors, seen_at = excluded.seen_at
"""
_LEAVE = """
    INSERT INTO standbys (name, address, kafka_up, monitors, seen_at, released_at)
    VALUES (%s, %s, false, 0, clock_timestamp() - interval '1 hour', clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET released_at = excluded.released_at
"""
_STANDBYS = """
    SELECT name, address, kafka_up, monitors,
    extract(epoch FROM clock_timestamp() - seen_at)::float8,
    extract(epoch FROM clock_timestamp() - released_at)::float8
    FROM standbys ORDER BY name
"""
# Its client fell silent in the middle of a statement or a transaction.  The server ends no session
# of which half a statement came: some were sent together, and the rest of them is waited for.
_END_SILENT = """
    SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND state <> 'idle' AND wait_event = 'ClientRead'
"""
_STATE = """
    SELECT meta.central_id, meta.epoch, meta.commits, lease.beats, lease.released, lease.holder
    FROM lease LEFT JOIN meta ON true
"""
_OLDER = (
    "%s is an older copy than was known here, and the Central that serves does not know that."
    " `evd central handover` lets one serve that does: then charging points send what it lacks"
)
# No database comes to so many commits: whatever serves the same one is a copy.
BEYOND = 10**18
# Between two lines about the same.
REPEAT_S = 60.0

logger = logging.getLogger(__name__)


@attrs.frozen(slots=True)
class Found:
    """The outcome of a try to take the lock, with the fields of the core's `Tried`."""

    is_granted: bool
    pulse: Pulse = (0, 0, 0)
    is_released: bool = True
    holder: str = ""


class LockSession:
    """One session, opened when it is first needed and again after it was lost.

    `name` is this Central's among all on this database, `address` the one that people are shown.
    For one thread at a time; every method may raise StoreFailed: then the session is over, and with
    it the lock.
    """

    def __init__(
        self, database: Postgresql, epoch_file: EpochFile, name: str, address: str
    ) -> None:
        self._database = database
        self._epoch_file = epoch_file
        self._name = name
        self._address = address
        self._connection: DBAPIConnection | None = None
        self._closed = False
        self._seen: Progress | None = None
        self._repeats = Repeats(REPEAT_S)

    @property
    def connection(self) -> DBAPIConnection:
        """The connection of this session; StoreFailed where it is over."""
        if self._connection is None:
            raise StoreFailed("the database session is over")
        return self._connection

    def attempt(self, wanted: Try) -> Found:
        """Write how this Central is, and take the lock if it is free and this one may.

        Raises StoreRefused for tables of a newer release.
        """
        with self._failing():
            if self._connection is None:
                self._connection = self._open()
            with contextlib.closing(self._connection.cursor()) as cursor:
                found = Found(is_granted=False)
                # A new database has none, nor has one of a release that knows the lock alone.
                if self._database.has_table(self._connection, "standbys"):
                    mine = self._name, self._address, wanted.kafka_up, wanted.monitors
                    cursor.execute(_WRITE, mine)
                    found = self._state(cursor)
                    if not may_take(self._name, self._standbys(cursor)):
                        return found
                    if wanted.ends_silent:
                        cursor.execute(_END_SILENT, (ADVISORY_LOCK,))
                cursor.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY_LOCK,))
                if cursor.fetchone() != (True,):
                    return found
                return self._take(cursor)

    def _open(self) -> DBAPIConnection:
        if self._closed:
            raise StoreFailed(CLOSED)
        try:
            connection = self._database.connect_standby()
        except self._database.errors as error:
            name, why = self._database.name, self._database.explain(error)
            raise StoreFailed(f"--db-url: {name} cannot be opened: {why}") from error
        try:
            with contextlib.closing(connection.cursor()) as cursor:
                for setting in _TIMES_OUT:
                    cursor.execute(setting)
        except BaseException:
            connection.close()
            raise
        return connection

    def _state(self, cursor: DBAPICursor) -> Found:
        cursor.execute(_STATE)
        row = cursor.fetchone()
        if row is None:
            return Found(is_granted=False)
        central_id, epoch, commits, beats, is_released, holder = row
        if holder == self._address:
            # This Central before its last end: nobody is to be sent here for it.
            holder = ""
        if central_id is None:
            # Nobody has served from it yet.
            return Found(False, (0, 0, beats), is_released, holder)
        self._note(Progress(central_id, epoch, commits))
        return Found(False, (epoch, commits, beats), is_released, holder)

    def _note(self, seen: Progress) -> None:
        """Keep up with the Central that serves: else the first start here after a long time would
        not know an older copy for what it is.

        Only what has moved since the last look counts: a database that stands still may be a copy
        that was put back.  One that moves may be too, where the Central that serves it knew no more
        than the copy: then this is remembered, also when the copy has grown past what is known.
        """
        before, self._seen = self._seen, seen
        is_same = before is not None and before.central_id == seen.central_id
        if before is None or not is_same or before.commits >= seen.commits:
            return
        known = self._epoch_file.newest()
        if known is None or known.central_id != seen.central_id or known.commits <= seen.commits:
            self._epoch_file.note(seen)
        else:
            if known.commits < BEYOND:
                self._epoch_file.note(attrs.evolve(known, commits=BEYOND))
            self._repeats.log(logger, logging.ERROR, "older", _OLDER, self._database.name)

    def _take(self, cursor: DBAPICursor) -> Found:
        """Make the database ours; what is returned was read under the lock."""
        cursor.execute("SET synchronous_commit = on")
        # The tables are changed in a connection of its own, while this one says nothing.
        cursor.execute("SET idle_session_timeout = 0")
        bring_to_head(self._database, self.connection)
        cursor.execute(_TIMES_OUT[0])
        found = self._state(cursor)
        cursor.execute("BEGIN")
        cursor.execute("UPDATE lease SET released = false, holder = %s", (self._address,))
        cursor.execute("DELETE FROM standbys WHERE name = %s", (self._name,))
        cursor.execute("COMMIT")
        return attrs.evolve(found, is_granted=True)

    def renew(self) -> tuple[Standby, ...]:
        """Raise the pulse; the others that stand by."""
        with self._failing(), contextlib.closing(self.connection.cursor()) as cursor:
            cursor.execute("UPDATE lease SET beats = beats + 1")
            return tuple(each for each in self._standbys(cursor) if each.name != self._name)

    def release(self, *, is_clean: bool) -> None:
        """Give the lock back; `is_clean`: the next one need not wait."""
        with self._failing(), contextlib.closing(self.connection.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE lease SET released = %s", (is_clean,))
            cursor.execute(_LEAVE, (self._name, self._address))
            cursor.execute("COMMIT")
        self._give_up()

    def _standbys(self, cursor: DBAPICursor) -> Sequence[Standby]:
        cursor.execute(_STANDBYS)
        return [Standby(*row) for row in cursor.fetchall()]

    def close(self) -> None:
        """End the session, for good.  Safe to repeat."""
        self._closed = True
        self._give_up()

    def _give_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._database.let_go(connection)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except self._database.errors as error:
            self._give_up()
            raise StoreFailed(self._database.explain(error)) from error
        except BaseException:
            self._give_up()
            raise
