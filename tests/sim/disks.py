"""The disks that survive a crash: Central's database, an engine's buffer, a driver's notebook.

Each save is durable when it returns, or it failed; one that failed may have been carried out all
the same, and one that its process did not survive is torn: none of it is there.  A disk can be
full, slow, failing, wiped, and put back from an older copy.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto

import attrs

from evd.core.access.rows import AccessImage, AccessToken, AuditEntry
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    Image,
    Meta,
    Reading,
    Removal,
    Request,
    Row,
    Session,
    SessionStatus,
)
from evd.core.driver.disk import BLANK_DISK, DriverDisk
from evd.core.engine.events import (
    EngineDisk,
    ReserveRoom,
    Run,
    Save,
    SaveConfirmed,
    SaveMeter,
    SaveObeyed,
    SaveRecord,
    SaveRun,
)
from evd.core.wire.messages import SessionRecord
from tests.sim.world import Crashed

# The adapters promise: a power cut loses no commit that has returned, and a commit that was torn by
# its process's death leaves nothing.
SYNCHRONOUS = True
ATOMIC = True


class DiskFault(Exception):
    """A read or save did not happen, or nobody can tell."""


class Health(Enum):
    """How a disk is."""

    WELL = auto()
    SLOW = auto()
    FULL = auto()
    FAILING = auto()


@attrs.define
class Database:
    """The rows of Central's database; they are frozen, so a copy is cheap."""

    meta: Meta
    points: dict[str, ChargingPoint] = attrs.Factory(dict)
    requests: dict[str, Request] = attrs.Factory(dict)
    sessions: dict[str, Session] = attrs.Factory(dict)
    faults: list[FaultEvent] = attrs.Factory(list)
    tokens: dict[str, AccessToken] = attrs.Factory(dict)
    audit: list[AuditEntry] = attrs.Factory(list)

    def copy(self) -> "Database":
        """Return a copy of this moment."""
        return Database(
            self.meta,
            dict(self.points),
            dict(self.requests),
            dict(self.sessions),
            self.faults[:],
            dict(self.tokens),
            self.audit[:],
        )


class CentralStore:
    """Central's database on its disk.  `watch` sees each row before it replaces another."""

    def __init__(self, central_id: str, rng: random.Random) -> None:
        self.data = Database(Meta(central_id, 0))
        self.health = Health.WELL
        self.watch: Callable[[Row | None, Row], None] | None = None
        self._rng = rng
        self._synced = self.data.copy()

    def begin_epoch(self) -> None:
        """Count a start of Central."""
        self._check()
        self.data.meta = attrs.evolve(self.data.meta, epoch=self.data.meta.epoch + 1)

    def load(self) -> Image:
        """Return what a start needs: charging points, open requests, ACTIVE sessions."""
        self._check()
        data = self.data
        return Image(
            data.meta,
            tuple(data.points[cp_id] for cp_id in sorted(data.points)),
            tuple(row for row in data.requests.values() if not row.status.final),
            tuple(row for row in data.sessions.values() if row.status is SessionStatus.ACTIVE),
            AccessImage(tokens=tuple(data.tokens.values())),
        )

    def lookup(
        self, request_ids: Iterable[str], session_ids: Iterable[str]
    ) -> tuple[list[Request], list[Session]]:
        """Return those rows that are stored."""
        requests, sessions = self.data.requests, self.data.sessions
        return (
            [requests[each] for each in sorted(request_ids) if each in requests],
            [sessions[each] for each in sorted(session_ids) if each in sessions],
        )

    def commit(self, rows: Sequence[Row], risk: Callable[[], None]) -> None:
        """Store all rows, or raise DiskFault: then none is stored, or all; `risk` may raise."""
        for number in range(len(rows)):
            try:
                risk()
            except Crashed:
                for row in rows[: 0 if ATOMIC else number]:
                    self._write(row)
                raise
        if self.health is Health.FAILING and self._rng.random() < 0.5:
            for row in rows:
                self._write(row)
        self._check()
        for row in rows:
            self._write(row)

    def _check(self) -> None:
        if self.health in (Health.FULL, Health.FAILING):
            raise DiskFault("database or disk is full")

    def _write(self, row: Row) -> None:
        data = self.data
        before: Row | None = None
        match row:
            case Session():
                before = data.sessions.get(row.session_id)
                if self.watch is not None:
                    self.watch(before, row)
                # The table's own rule: a settled row stays.
                if before is None or not before.settled:
                    data.sessions[row.session_id] = row
                return
            case Request():
                before = data.requests.get(row.request_id)
                data.requests[row.request_id] = row
            case Reading():
                session = data.sessions.get(row.session_id)
                if session is not None and session.status is SessionStatus.ACTIVE:
                    data.sessions[row.session_id] = attrs.evolve(session, energy_mwh=row.energy_mwh)
            case ChargingPoint():
                before = data.points.get(row.cp_id)
                data.points[row.cp_id] = row
            case Removal():
                data.points.pop(row.cp_id, None)
            case FaultEvent():
                data.faults.append(row)
            case AccessToken():
                known = data.tokens.get(row.digest)
                # The table's own rule: a revoked one stays.
                if known is None or known.revoked_at is None:
                    data.tokens[row.digest] = row
            case AuditEntry():
                data.audit.append(row)
            case Meta():
                before = data.meta
                data.meta = row
            case _:
                # A history that nobody here reads, or of people, who are not here.
                pass
        if self.watch is not None:
            self.watch(before, row)

    def sync(self) -> None:
        """Write old commits to the disk, as it does by itself, where they are not synchronous."""
        if not SYNCHRONOUS:
            self._synced = self.data.copy()

    def lose_power(self) -> None:
        """Cut the host's power."""
        if not SYNCHRONOUS:
            self.data = self._synced.copy()

    def restore(self, copy: Database, central_id: str) -> None:
        """Put an older copy in place.  It gets another identity, and each known charging point must
        report first."""
        self.data = copy.copy()
        recovering = frozenset(self.data.points)
        meta = self.data.meta
        self.data.meta = attrs.evolve(meta, central_id=central_id, recovering=recovering)
        self._synced = self.data.copy()

    def lose(self, central_id: str) -> None:
        """Begin with an empty database."""
        self.data = Database(Meta(central_id, 0))
        self._synced = self.data.copy()


class BufferDisk:
    """An engine's session buffer: at most one running session, and the records of ended ones."""

    def __init__(self, rng: random.Random) -> None:
        self.health = Health.WELL
        self._rng = rng
        self.wipe()

    def wipe(self) -> None:
        """A new, empty disk."""
        self.central_id: str | None = None
        self.run: Run | None = None
        self.unconfirmed: dict[str, SessionRecord] = {}
        self.confirmed: dict[str, SessionRecord] = {}
        self._has_room = False

    def load(self) -> EngineDisk:
        """Return what an engine finds when it starts."""
        return EngineDisk(self.central_id, self.run, tuple(self.unconfirmed), tuple(self.confirmed))

    def kept(self) -> set[str]:
        """Return the ids of the sessions that it knows of."""
        running = {self.run.session_id} if self.run is not None else set()
        return {*self.unconfirmed, *self.confirmed, *running}

    def records(self) -> list[SessionRecord]:
        """Return the record of every session that ended."""
        return [*self.unconfirmed.values(), *self.confirmed.values()]

    def delay_s(self) -> float:
        """Return how long the next save takes."""
        return self._rng.uniform(0.1, 2.4) if self.health is Health.SLOW else 0.0

    def read(self, session_ids: Iterable[str]) -> list[SessionRecord]:
        """Return those of the records that are there."""
        if self.health is Health.FAILING:
            raise DiskFault("input/output error")
        found = (self.unconfirmed.get(each) or self.confirmed.get(each) for each in session_ids)
        return [record for record in found if record is not None]

    def save(self, effect: Save) -> None:
        """Make it durable, or raise DiskFault."""
        if self.health is Health.FAILING:
            # A save that failed may be on the disk all the same.
            if self._rng.random() < 0.3:
                self._write(effect)
            raise DiskFault("disk did not answer")
        if self.health is Health.FULL and not isinstance(effect, SaveRecord):
            raise DiskFault("no space left on device")
        if self.health is Health.FULL and not self._has_room:
            raise DiskFault("no space left on device")
        self._write(effect)

    def _write(self, effect: Save) -> None:
        match effect:
            case ReserveRoom():
                self.run = None
                self._has_room = True
            case SaveRun(run=run):
                self.run = run
                self._has_room = True
            case SaveMeter():
                if self.run is not None and self.run.session_id == effect.session_id:
                    self.run = attrs.evolve(
                        self.run, energy_mwh=effect.energy_mwh, metered_s=effect.metered_s
                    )
            case SaveRecord(record=record):
                self.run = None
                self.unconfirmed[record.session_id] = record
                self._has_room = self.health is not Health.FULL
            case SaveConfirmed(session_ids=session_ids):
                for session_id in session_ids:
                    if session_id in self.unconfirmed:
                        self.confirmed[session_id] = self.unconfirmed.pop(session_id)
            case SaveObeyed(central_id=central_id):
                self.central_id = central_id
                self.unconfirmed = {**self.confirmed, **self.unconfirmed}
                self.confirmed = {}


class Notebook:
    """A driver's notebook: one page, replaced whole."""

    def __init__(self, rng: random.Random) -> None:
        self.health = Health.WELL
        self._rng = rng
        self.wipe()

    def wipe(self) -> None:
        """A new, empty disk."""
        self.page = BLANK_DISK

    def write(self, page: DriverDisk) -> None:
        """Replace the page, or raise DiskFault: then it may be replaced all the same."""
        if self.health is Health.FULL:
            raise DiskFault("no space left on device")
        if self.health is Health.WELL or self._rng.random() < 0.3:
            self.page = page
        if self.health is not Health.WELL:
            raise DiskFault("input/output error")
