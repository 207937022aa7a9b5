"""A database server with sessions: over a network, one of them with the lock, each with an end.

A statement travels, waits, is carried out and answered; each of that may be late or never come.
"""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from evd.core.central.rows import Row
from evd.core.standby.events import Pulse, Standby, may_take
from tests.sim.disks import CentralStore
from tests.sim.world import Process, World

HOST = "host-db"
TICK_S = 0.25
# The server ends a session that says nothing for so long.
IDLE_S = 5.0
# A cut connection is given up by its client after so long.
UNANSWERED_S = 5.0
# A session is ended for the silence of its program; TCP answers also for one that hangs.
PROGRAMS_SILENCE = True
# A commit is only carried out in a session that is alive.
FENCED = True
# A take-over is a start of Central, with an epoch of its own.
RAISED = True


@attrs.define(eq=False)
class DbSession:
    """A connection of one life of a Central to the server; `lost` is told once that it is over."""

    owner: Process
    life: int
    lost: Callable[["DbSession"], None]
    # One that only reads may say nothing for as long as it likes.
    only_reads: bool = False
    dead: bool = False
    pending: int = 0
    busy_s: float = 0.0
    there_s: float = 0.0
    back_s: float = 0.0
    heard_s: float = 0.0
    tcp_s: float = 0.0

    def tell(self, action: Callable[..., None], *args: Any) -> None:
        """Let its owner hear something, if that life is not over."""
        self.owner.act(self.life, action, args)


@attrs.define
class _Written:
    """A Central's own account of how it is, and its time."""

    address: str
    kafka_up: bool
    monitors: int
    seen_s: float
    released_s: float | None = None


class DbServer:
    """One server, on a host of its own."""

    def __init__(self, world: World, store: CentralStore) -> None:
        self.world = world
        self.store = store
        self.up = True
        self.slow_until_s = 0.0
        self.lock: DbSession | None = None
        self._sessions: list[DbSession] = []
        self._commits = self._beats = 0
        self._is_released = True
        self._holder = ""
        self._lines: dict[str, _Written] = {}
        world.at(TICK_S, self._tick)

    def connect(
        self, owner: Process, lost: Callable[[DbSession], None], *, only_reads: bool = False
    ) -> DbSession:
        """Open a session."""
        session = DbSession(owner, owner.life, lost, only_reads, heard_s=self.world.t_s)
        self._sessions.append(session)
        owner.on_death.append(lambda silent: self._owner_died(session, silent))
        return session

    def _owner_died(self, session: DbSession, silent: bool) -> None:
        if not silent and self.world.passes(session.owner.host, HOST):
            self.world.at(0.01, self.free, session, "its process has ended")

    def ask(
        self, session: DbSession, statement: Callable[[], Any], answered: Callable[[Any], None]
    ) -> None:
        """Send a statement; `answered` is told its result, unless the session is lost."""
        world = self.world
        session.there_s = max(session.there_s, world.t_s + world.soon_s() / 3)
        world.at_time(session.there_s, self._arrive, session, statement, answered, world.t_s)

    def _arrive(self, session: DbSession, statement: Any, answered: Any, sent_s: float) -> None:
        world = self.world
        if not world.passes(session.owner.host, HOST):
            self._wait(session, sent_s, self._arrive, session, statement, answered, sent_s)
            return
        is_slow = world.t_s < self.slow_until_s
        took_s = world.rng.uniform(0.2, 6.0) if is_slow else world.rng.uniform(0.001, 0.01)
        session.busy_s = max(world.t_s, session.busy_s) + took_s
        session.pending += 1
        world.at_time(session.busy_s, self._carry_out, session, statement, answered)

    def _wait(self, session: DbSession, sent_s: float, again: Any, *args: Any) -> None:
        if self.world.t_s - sent_s > UNANSWERED_S:
            session.tell(session.lost, session)
        else:
            self.world.at(TICK_S, again, *args)

    def _carry_out(self, session: DbSession, statement: Any, answered: Any) -> None:
        session.pending -= 1
        session.heard_s = self.world.t_s
        if not self.up or (session.dead and FENCED):
            self.world.at(0.01, self._broken, session)
        else:
            self._answer(session, answered, statement(), self.world.t_s)

    def _answer(self, session: DbSession, answered: Any, result: Any, sent_s: float) -> None:
        world = self.world
        if not world.passes(HOST, session.owner.host):
            self._wait(session, sent_s, self._answer, session, answered, result, sent_s)
            return
        session.back_s = max(session.back_s, world.t_s + world.soon_s() / 3)
        world.at_time(session.back_s, session.tell, answered, result)

    def _broken(self, session: DbSession) -> None:
        """Reset a connection, as soon as that gets through."""
        if session.owner.life != session.life or not session.owner.alive:
            return
        if self.world.passes(HOST, session.owner.host):
            session.tell(session.lost, session)
        else:
            self.world.at(TICK_S, self._broken, session)

    def free(self, session: DbSession, why: str) -> None:
        """End a session, and with it its lock."""
        if session.dead:
            return
        session.dead = True
        self._sessions.remove(session)
        if self.lock is session:
            self.lock = None
            self.world.tell("database", f"the lock of {session.owner.name} is free: {why}")
        self.world.at(0.01, self._broken, session)

    def _tick(self) -> None:
        self.world.at(TICK_S, self._tick)
        world = self.world
        for session in self._sessions[:]:
            owner = session.owner
            if owner.alive and owner.life == session.life:
                ways = world.passes(owner.host, HOST), world.passes(HOST, owner.host)
                session.tcp_s = world.t_s if all(ways) else session.tcp_s
            heard_s = session.heard_s if PROGRAMS_SILENCE else session.tcp_s
            is_silent = world.t_s - heard_s > IDLE_S and not session.only_reads
            if is_silent and not session.pending:
                self.free(session, "it says nothing")

    def restart(self, away_s: float) -> None:
        """Stop the server; it comes back, and all sessions are over."""
        if not self.up:
            return
        self.up = False
        self.world.tell("database", f"the server is down for {away_s:.1f} s")
        for session in self._sessions[:]:
            self.free(session, "the server restarts")
        self.world.at(away_s, self._come_back)

    def _come_back(self) -> None:
        self.up = True
        self.world.tell("database", "the server is up")

    def attempt(
        self, session: DbSession, address: str, *, kafka_up: bool, monitors: int
    ) -> tuple[bool, Pulse, bool, str]:
        """Write how a Central is, and take the lock if it may; the fields of Tried."""
        name, t_s = session.owner.name, self.world.t_s
        line = self._lines.setdefault(name, _Written(address, kafka_up, monitors, t_s))
        line.kafka_up, line.monitors, line.seen_s = kafka_up, monitors, t_s
        found = (self._pulse, self._is_released, self._holder)
        if self.lock is not None or session.dead or not may_take(name, self._standbys()):
            return False, *found
        self.lock, self._is_released, self._holder = session, False, address
        if RAISED:
            self.store.begin_epoch()
        self.world.tell("database", f"{name} has the lock, epoch {self.store.data.meta.epoch}")
        return True, *found

    @property
    def _pulse(self) -> Pulse:
        return self.store.data.meta.epoch, self._commits, self._beats

    def _standbys(self) -> tuple[Standby, ...]:
        t_s = self.world.t_s
        return tuple(
            Standby(
                *(name, line.address, line.kafka_up, line.monitors, t_s - line.seen_s),
                None if line.released_s is None else t_s - line.released_s,
            )
            for name, line in self._lines.items()
        )

    def renew(self, session: DbSession) -> tuple[Standby, ...]:
        """Raise the pulse; the others."""
        self._beats += 1
        return tuple(each for each in self._standbys() if each.name != session.owner.name)

    def commit(self, rows: Sequence[Row]) -> None:
        """Store rows in one transaction."""
        self._commits += 1
        self.store.commit(rows, _nothing)

    def release(self, session: DbSession, *, is_clean: bool) -> None:
        """Give the lock back."""
        self._is_released = is_clean
        self._lines[session.owner.name].released_s = self.world.t_s
        self.free(session, "handed over")


def _nothing() -> None:
    """A server tears no commit."""
