"""One of several Centrals on one database: it stands by, or serves as long as its lease holds."""

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from evd.core.central.core import Central
from evd.core.central.events import Accepted, Asked, Refused
from evd.core.central.rows import Image, Meta, Request
from evd.core.effects import Level, Note
from evd.core.standby.events import (
    Answered,
    Ask,
    CameToRest,
    Effect,
    End,
    Event,
    HandOverAsked,
    MonitorDialled,
    Release,
    Released,
    Serve,
    SessionLost,
    Ticked,
    Tried,
    Try,
)
from evd.core.standby.lease import Lease, Phase
from evd.core.wire import codec
from evd.core.wire.control import MonitorMessage, Nack, NackCode
from evd.daemons.central.steps import (
    Commit,
    Found,
    Hold,
    LookUp,
    Rest,
    Step,
    batch_steps,
    start_steps,
)
from tests.sim.broker import Broker, Messenger, Reader
from tests.sim.links import Connection
from tests.sim.links import End as LinkEnd
from tests.sim.parts_central import AWAY, GROUP, READS, CentralPart
from tests.sim.server import DbServer, DbSession
from tests.sim.world import World

# Its supervisor starts it again after it.
AGAIN_S = 1.0
# The time from which a batch is held up by the database.
HELD_UP_S = 0.25
# A look once a second sees for so long that it was: all time-outs began anew by it.
HELD_UP_SEEN_S = 2.0
# All that is served is read after the lock is had.
LOADED_LATE = True
# An answer that something is unknown comes from the database, asked after the call came.
ASKED_LATE = True


class MemberPart(CentralPart):
    """One of several Centrals."""

    def __init__(
        self, world: World, broker: Broker, name: str, host: str, server: DbServer
    ) -> None:
        super().__init__(world, broker, name, host, server.store)
        self.server = server
        # Called when it begins to serve, and with what it has then loaded.
        self.on_serving: Callable[[], None] = lambda: None
        self.on_loaded: Callable[[Meta], None] = lambda _: None
        # The Central that a person or a tool finds.
        self.find_active: Callable[[], CentralPart] = lambda: self

    def boot(self) -> None:
        """Stand by."""
        self.core = None
        self._numbers = 0
        self._connections = {}
        self._calls = {}
        self._inbox = []
        self._marks = {}
        self._is_batch_due = False
        self._steps: Generator[Step, Found | None, Any] | None = None
        self._held_up_s = -HELD_UP_SEEN_S
        self._done: Callable[[Any], None] = lambda _: None
        self._is_held = self._is_looking_up = False
        # One statement after the other, as in the daemon's one thread that writes.
        self._statements: deque[tuple[Callable[[], Any], Callable[[float, Any], None]]] = deque()
        self._is_asking = False
        self._early: Image | None = None
        self.lease = Lease(self.now())
        self.session: DbSession | None = None
        self._reading: DbSession | None = None
        self._tick_lease()

    @property
    def is_serving(self) -> bool:
        """Whether it has the lock, and has begun to serve."""
        return self.alive and self.lease.phase in (Phase.SERVING, Phase.LEAVING)

    @property
    def is_held_up(self) -> bool:
        """Whether its database is slow, or cut off; its lease bounds how long anybody sees it."""
        waits = self._steps is not None and self.world.t_s - self._began_s > HELD_UP_S
        return waits or self.world.t_s - self._held_up_s < HELD_UP_SEEN_S

    def may_speak(self) -> bool:
        """Whether its lease holds now."""
        return self.lease.may_speak(self.now().mono_s)

    def _tick_lease(self) -> None:
        is_up = self.broker.reachable(self.host)
        if self.core is not None:
            is_up = self._reader.link_up()
        self._tell(Ticked(is_up, len(self._connections)))
        delay_s = self.lease.wake_at_s - self.now().mono_s
        self.later(max(0.001, delay_s), self._tick_lease)

    def _tell(self, event: Event) -> None:
        for effect in self.lease.handle(event, self.now()):
            self._carry_out_lease(effect)

    def _carry_out_lease(self, effect: Effect) -> None:
        match effect:
            case Try():
                self._try(effect)
            case Ask():
                session = self._session
                self._question(lambda: self.server.renew(session), self._renewed)
            case Serve():
                self._begin()
            case Release():
                self._release()
            case End():
                self.crash(effect.reason, AGAIN_S)
            case Note():
                self.note(effect.text)

    @property
    def _session(self) -> DbSession:
        if self.session is None:
            raise RuntimeError("it has no session")
        return self.session

    def _lost(self, session: DbSession) -> None:
        """A grant belongs to its session: nothing that one says after it is lost is believed."""
        if session is self.session:
            self.session = None
            self._statements.clear()
            self._is_asking = False
            self._tell(SessionLost("its database session is lost"))
        elif session is self._reading:
            self._reading = None
            if self._is_looking_up:
                self._tell(SessionLost("the database can't be read"))

    def _question(
        self, statement: Callable[[], Any], answered: Callable[[float, Any], None]
    ) -> None:
        self._statements.append((statement, answered))
        self._ask_next()

    def _ask_next(self) -> None:
        if self._is_asking or not self._statements or self.session is None:
            return
        self._is_asking = True
        statement, answered = self._statements.popleft()
        session, asked_s = self.session, self.now().mono_s

        def hear(result: Any) -> None:
            if session is self.session:
                self._is_asking = False
                answered(asked_s, result)
                self._ask_next()

        self.server.ask(session, statement, hear)

    def _try(self, effect: Try) -> None:
        if self.session is None:
            self.session = self.server.connect(self, self._lost)
        session = self.session
        if not LOADED_LATE and self._early is None:
            self._early = self.store.load()

        kafka_up, monitors = effect.kafka_up, effect.monitors
        self._question(
            lambda: self.server.attempt(session, self.name, kafka_up=kafka_up, monitors=monitors),
            lambda asked_s, found: self._tell(Tried(asked_s, *found)),
        )

    def _renewed(self, asked_s: float, standbys: Any) -> None:
        self._tell(Answered(asked_s, standbys))
        self._go_on()

    def _release(self) -> None:
        # A message that is still to be sent may come late: then the successor waits.
        is_clean = self._messenger.is_empty
        session = self._session
        self._question(
            lambda: self.server.release(session, is_clean=is_clean),
            lambda *_: self._tell(Released()),
        )

    def hand_over(self) -> bool:
        """Ask for a switch, as `evd central handover` does; whether it is done."""
        if not self.alive or self.hung or self.lease.why_stay(self.now()):
            return False
        self._tell(HandOverAsked())
        return True

    def _begin(self) -> None:
        self._messenger = Messenger(self, self.broker)
        self._reader = Reader(self, self.broker, GROUP, READS, self._on_messages, self._on_bad)
        self.on_serving()
        self._question(self.store.load, self._loaded)

    def _loaded(self, asked_s: float, image: Image) -> None:
        self._tell(Answered(asked_s))
        self.on_loaded(image.meta)
        core = Central(self.settings, self._early or image, self.now())
        self._run(start_steps(core, self.now(), self.may_speak), lambda _: self._started(core))

    def _started(self, core: Central) -> None:
        self.core = core
        self._tick()

    def _run(self, steps: Generator[Step, Found | None, Any], done: Callable[[Any], None]) -> None:
        self._steps, self._done = steps, done
        self._began_s = self.world.t_s
        self._advance(None)

    def _advance(self, outcome: Found | None) -> None:
        """Carry out steps, up to one that has to wait."""
        while self._steps is not None:
            try:
                step = self._steps.send(outcome)
            except StopIteration as end:
                self._steps = None
                if self.world.t_s - self._began_s > HELD_UP_S:
                    self._held_up_s = self.world.t_s
                self._done(end.value)
                return
            outcome = None
            match step:
                case LookUp(request_ids, session_ids):
                    self._is_looking_up = True
                    self._read(lambda: self.store.lookup(request_ids, session_ids), self._found)
                    return
                case Commit(rows):
                    self._question(lambda: self.server.commit(rows), self._committed)
                    return
                case Hold():
                    self._is_held = True
                    return
                case Note(level=Level.DEBUG) | Rest():
                    pass
                case _:
                    self._speak()
                    self._carry_out(step)

    def _committed(self, asked_s: float, _: Any) -> None:
        self._tell(Answered(asked_s))
        self._advance(None)

    def _go_on(self) -> None:
        if self._is_held and self.may_speak():
            self._is_held = False
            self._advance(None)

    def _read(self, statement: Callable[[], Any], answered: Callable[[Any], None]) -> None:
        if self._reading is None:
            self._reading = self.server.connect(self, self._lost, only_reads=True)
        self.server.ask(self._reading, statement, answered)

    def _found(self, found: Found) -> None:
        self._is_looking_up = False
        self._advance(found)

    def _speak(self) -> None:
        """Check that nobody else serves."""
        lock = self.server.lock
        if lock is None or lock is self.session or not isinstance(lock.owner, MemberPart):
            return
        if not lock.owner.is_serving:
            return
        if "cpause" in self.world.mix.kinds:
            self.world.allow("one whose clock stood still speaks while another serves")
        else:
            self.world.violate(9, f"{self.name} speaks while {lock.owner.name} serves")

    def _handle_batch(self) -> None:
        self._is_batch_due = False
        core = self.core
        if core is None or self._steps is not None:
            return
        events, self._inbox = self._inbox, []
        marks, self._marks = self._marks, {}
        steps = batch_steps(
            *(core, events, marks),
            is_waiting=self._calls.__contains__,
            is_open=self._connections.__contains__,
            now=self.now,
            may_speak=self.may_speak,
        )
        self._run(steps, self._handled)

    def _handled(self, handled: Any) -> None:
        if self.server.lock is self.session:
            self._on_handled(handled)
        if self.lease.wants_to_leave:
            self._tell(CameToRest())
        if self._inbox:
            self._put()

    def accept(self, connect: Callable[[LinkEnd], Connection]) -> None:
        """Take a monitor's connection, or turn it away after its first word."""
        if self.core is not None:
            super().accept(connect)
            return
        end = LinkEnd(self, self.life, lambda raw: self._turn_away(raw, connection), _unseen)
        connection = connect(end)

    def _turn_away(self, raw: bytes, connection: Connection) -> None:
        try:
            message: MonitorMessage = codec.structure_monitor(codec.load_object(raw))
        except codec.BadMessage:
            connection.close(1)
            return
        self._tell(MonitorDialled(message.cp_id))
        nack = Nack(message.seq, "another Central serves", code=NackCode.STANDING_BY)
        connection.send(1, codec.encode_control(nack))
        connection.close(1)

    def _acknowledge(self, number: int, message: MonitorMessage) -> str | None:
        central_id = super()._acknowledge(number, message)
        if central_id is not None:
            self._speak()
        return central_id

    def _note_contact(self, cp_id: str) -> None:
        # One that has lost the lock can tell nobody what it hears.
        if self.server.lock is self.session:
            self.on_contact(cp_id)

    def call(
        self,
        make: Callable[[int], Asked],
        answered: Callable[[Accepted | Refused], None] = lambda _: None,
    ) -> None:
        """Have somebody ask the Central that serves."""
        active = self.find_active()
        if active.alive:
            active.later(0.0, active.ask, make, answered)

    def look(self, request_id: str, answered: Callable[[int, Request | None], None]) -> None:
        """Answer GET /requests/{request_id} from the database, while the lease holds."""
        if self.core is None:
            answered(503, None)
            return

        def found(row: Request | None) -> None:
            if not self.may_speak():
                answered(503, None)
                return
            self._speak()
            answered(200 if row is not None else 404, row)

        if ASKED_LATE:
            self._read(lambda: self.store.data.requests.get(request_id), found)
        else:
            found(self.core._state.ledger.requests.get(request_id))

    def died(self) -> None:
        """Stop answering; callers see their connection end."""
        super().died()
        calls, self._calls = self._calls, {}
        for answered in calls.values():
            answered(AWAY)


def _unseen() -> None:
    """It was turned away already."""
