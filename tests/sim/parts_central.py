"""Central's shell in the simulation: the steps of its daemon, over the sim's links and disks."""

from collections.abc import Callable, Iterable, Mapping

import attrs

from evd.core.access.roles import Auth
from evd.core.central.core import Central
from evd.core.central.events import (
    Accepted,
    Answer,
    Asked,
    CentralSettings,
    Event,
    FrameRefused,
    HangUp,
    MonitorLeft,
    MonitorSaid,
    PutAside,
    Refusal,
    Refused,
    Reply,
    RequestEndAsked,
    TelemetryRefused,
    Ticked,
)
from evd.core.central.rows import Request
from evd.core.effects import Level, Note, Send
from evd.core.wire import codec
from evd.core.wire.control import Heartbeat, MonitorMessage, NackCode
from evd.core.wire.messages import (
    REQUESTS,
    SESSIONS,
    STATUS,
    TELEMETRY,
    CpStatus,
    DriverRequest,
    Message,
    Telemetry,
)
from evd.core.wire.partition import Mark, Place
from evd.daemons.central.steps import (
    Commit,
    CommitMarks,
    Found,
    LookUp,
    Step,
    batch_steps,
    quiet_ack,
    start_steps,
)
from tests.sim.broker import Broker, Messenger, Reader, places_of
from tests.sim.disks import CentralStore, DiskFault, Health
from tests.sim.drive import drive
from tests.sim.links import Connection, End
from tests.sim.world import Process, World

TICK_S = 0.25
RETRY_S = 1.0
# A person or a tool that was not answered asks again after it.
ASK_S = 1.0
# The daemon closes a connection too after so many bad frames in a row.
BAD_FRAMES_MAX = 10
GROUP = "evd-central"
READS = [place for topic in (REQUESTS, STATUS, TELEMETRY, SESSIONS) for place in places_of(topic)]

Answered = Callable[[Accepted | Refused], None]
AWAY = Refused(Refusal.UNAVAILABLE, "no core")


def settings_for(lost_after_s: float) -> CentralSettings:
    """Central's bounds: the two long ones are scaled so that runs meet them."""
    return CentralSettings(engine_gone_after_s=6.0, session_lost_after_s=lost_after_s)


@attrs.define
class MonitorConnection:
    """A monitor's connection, how many bad frames it sent in a row, and how many of its frames
    wait for their answer."""

    connection: Connection
    bad: int = 0
    waiting: int = 0


class CentralPart(Process):
    """One Central: its process, its store, its connections."""

    def __init__(
        self, world: World, broker: Broker, name: str, host: str, store: CentralStore
    ) -> None:
        super().__init__(world, name, host)
        self.broker = broker
        self.store = store
        self.core: Central | None = None
        auth = Auth.REQUIRED if world.mix.guarded else Auth.OFF
        self.settings = attrs.evolve(settings_for(world.mix.lost_after_s), auth=auth)
        self.dead_letters = self.telemetry_refused = 0
        # Called with each charging point that Central hears of.
        self.on_contact: Callable[[str], None] = lambda _: None
        # Called with each demand about a request and each reading, once it is dealt with.
        self.on_read: Callable[[DriverRequest | RequestEndAsked | Telemetry], None] = lambda _: None

    def boot(self) -> None:
        """Start a process with nothing in its memory."""
        self.core = None
        self._numbers = 0
        self._connections: dict[int, MonitorConnection] = {}
        self._calls: dict[int, Answered] = {}
        self._inbox: list[Event] = []
        self._marks: dict[Place, Mark] = {}
        self._is_batch_due = False
        self._messenger = Messenger(self, self.broker)
        self._reader = Reader(self, self.broker, GROUP, READS, self._on_messages, self._on_bad)
        self._start_core()
        self._tick()

    def died(self) -> None:
        """Stop answering."""
        self.core = None

    def _start_core(self) -> None:
        try:
            self.risk()
            self.store.begin_epoch()
            core = Central(self.settings, self.store.load(), self.now())
            drive(start_steps(core, self.now()), self._carry_out)
        except DiskFault:
            self.later(RETRY_S, self._start_core)
            return
        self.core = core

    def _stop_serving(self) -> None:
        self.note("its database fails: nothing is said until it can be stored")
        self.core = None
        calls, self._calls = self._calls, {}
        for answered in calls.values():
            answered(AWAY)
        for number in list(self._connections):
            self._hang_up(number)
        self.later(RETRY_S, self._start_core)

    def _tick(self) -> None:
        self.later(TICK_S, self._tick)
        self._put(Ticked(self._reader.link_up()))

    def _put(self, *events: Event) -> None:
        self._inbox.extend(events)
        if not self._is_batch_due:
            self._is_batch_due = True
            self.later(self.world.rng.uniform(0.0005, 0.004), self._handle_batch)

    def _on_messages(self, messages: list[Message], marks: Mapping[Place, Mark]) -> None:
        self._marks.update(marks)
        for message in messages:
            if isinstance(message, CpStatus | Telemetry):
                self._note_contact(message.cp_id)
        self._put(*messages)  # type: ignore[arg-type]

    def _on_bad(self, *_: object) -> None:
        self.dead_letters += 1

    def _handle_batch(self) -> None:
        self._is_batch_due = False
        core = self.core
        if core is None:
            if self._inbox:
                # They wait for the next core, as in the daemon's inbox.
                self._is_batch_due = True
                self.later(TICK_S, self._handle_batch)
            return
        events, self._inbox = self._inbox, []
        marks, self._marks = self._marks, {}
        steps = batch_steps(
            *(core, events, marks),
            is_waiting=self._calls.__contains__,
            is_open=self._connections.__contains__,
            now=self.now,
        )
        try:
            handled = drive(steps, self._carry_out)
        except DiskFault:
            self._stop_serving()
            return
        self._on_handled(handled)

    def _on_handled(self, handled: Iterable[Event]) -> None:
        for event in handled:
            if isinstance(event, DriverRequest | RequestEndAsked | Telemetry):
                self.on_read(event)

    def _note_contact(self, cp_id: str) -> None:
        self.on_contact(cp_id)

    def may_speak(self) -> bool:
        """Whether no other Central on its database can serve."""
        return True

    @property
    def is_held_up(self) -> bool:
        """Whether it has waited for its database for a while, and what it shows is as old."""
        return False

    def _carry_out(self, step: Step) -> Found | None:
        match step:
            case LookUp():
                return self.store.lookup(step.request_ids, step.session_ids)
            case Commit():
                self.store.commit(step.rows, self.risk)
            case CommitMarks():
                self.risk()
                self._reader.commit(step.marks)
            case Send():
                self._messenger.send(step.topic, step.key, step.message)
            case Answer():
                self._answer(step)
            case HangUp():
                self._hang_up(step.connection)
            case Reply():
                self.risk()
                answered = self._calls.pop(step.call, None)
                if answered is not None:
                    answered(step.answer)
            case Note():
                if step.level is not Level.DEBUG:
                    self.note(step.text)
            case PutAside():
                self.dead_letters += 1
                self.note(f"puts aside: {step.error}: {step.message}")
            case TelemetryRefused():
                self.telemetry_refused += 1
        return None

    def accept(self, connect: Callable[[End], Connection]) -> None:
        """Take a monitor's connection; `connect` takes our end of it."""
        self._numbers += 1
        number = self._numbers
        end = End(
            self,
            self.life,
            received=lambda raw: self._on_frame(number, raw),
            closed=lambda: self._on_closed(number),
        )
        connection = connect(end)
        if self.core is None:
            connection.close(1)
            return
        self._connections[number] = MonitorConnection(connection)

    def _on_frame(self, number: int, raw: bytes) -> None:
        monitor = self._connections.get(number)
        if monitor is None:
            return
        try:
            message: MonitorMessage = codec.structure_monitor(codec.load_object(raw))
        except codec.BadMessage as error:
            # An object came in a good frame; anything else is a bad frame.
            seq, is_object = _seq_of(raw)
            monitor.bad = 0 if is_object else monitor.bad + 1
            last = monitor.bad >= BAD_FRAMES_MAX
            code = NackCode.BAD_FIELD if is_object else NackCode.BAD_FRAME
            monitor.waiting += 1
            self._put(FrameRefused(number, code, seq, str(error), last))
            return
        monitor.bad = 0
        self._note_contact(message.cp_id)
        if (central_id := self._acknowledge(number, message)) is not None:
            self.risk()
            monitor.connection.send(1, codec.encode_ack(message.seq, central_id))
            return
        monitor.waiting += 1
        self._put(MonitorSaid(number, message))  # type: ignore[arg-type]

    def _acknowledge(self, number: int, message: MonitorMessage) -> str | None:
        """Return Central's id for an ACK that needs no turn of the loop."""
        is_alone = not self._connections[number].waiting
        if self.core is None or not is_alone or not isinstance(message, Heartbeat):
            return None
        return quiet_ack(self.core, number, message, self.now(), self.may_speak)

    def _on_closed(self, number: int) -> None:
        if self._connections.pop(number, None) is not None:
            self._put(MonitorLeft(number))

    def _answer(self, effect: Answer) -> None:
        monitor = self._connections.get(effect.connection)
        if monitor is not None:
            monitor.waiting -= 1
            self.risk()
            monitor.connection.send(1, codec.encode_control(effect.message))

    def _hang_up(self, number: int) -> None:
        monitor = self._connections.pop(number, None)
        if monitor is not None:
            monitor.connection.close(1)
            self._put(MonitorLeft(number))

    def ask(self, make: Callable[[int], Asked], answered: Answered) -> None:
        """Take an HTTP call; `answered` is told its status and body."""
        if self.core is None:
            answered(AWAY)
            return
        self._numbers += 1
        self._calls[self._numbers] = answered
        self._put(make(self._numbers))

    def call(self, make: Callable[[int], Asked], answered: Answered = lambda _: None) -> None:
        """Have somebody on the network ask; nobody answers where this process does not run."""
        if self.alive:
            self.later(0.0, self.ask, make, answered)

    def insist(self, make: Callable[[int], Asked], done: Callable[[], None] = lambda: None) -> None:
        """Have somebody ask until the answer is yes, which `done` is told, or a no for good."""
        answers: list[Accepted | Refused] = []

        def again() -> None:
            if not answers:
                self.call(make, note)
                self.world.at(ASK_S, again)

        def note(answer: Accepted | Refused) -> None:
            if answers:
                return
            if isinstance(answer, Accepted):
                answers.append(answer)
                done()
            elif answer.refusal is not Refusal.UNAVAILABLE:
                answers.append(answer)

        again()

    def look(self, request_id: str, answered: Callable[[int, Request | None], None]) -> None:
        """Answer GET /requests/{request_id}."""
        if self.core is None or self.store.health is not Health.WELL:
            answered(503, None)
            return
        row = self.store.data.requests.get(request_id)
        answered(200 if row is not None else 404, row)


def _seq_of(raw: bytes) -> tuple[int | None, bool]:
    """Return the number in an object that is no message, and whether it is an object."""
    try:
        seq = codec.load_object(raw).get("seq")
    except codec.BadMessage:
        return None, False
    return (seq if type(seq) is int and seq >= 0 else None), True
