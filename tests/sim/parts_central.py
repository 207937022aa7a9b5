"""Central's shell: what `evd.daemons.central.loop` does with the core, over the sim's links."""

from collections.abc import Callable, Mapping, Sequence

import attrs

from evd.core.central.core import Central
from evd.core.central.events import (
    Accepted,
    Answer,
    Asked,
    CentralSettings,
    Effect,
    Event,
    FrameRefused,
    HangUp,
    MonitorLeft,
    MonitorSaid,
    Polled,
    Refusal,
    Refused,
    Reply,
    RequestEndAsked,
    Save,
    Ticked,
)
from evd.core.central.rows import Request, Row
from evd.core.effects import Level, Note, Send
from evd.core.wire import codec
from evd.core.wire.control import MonitorMessage, NackCode
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
from tests.sim.broker import Broker, Messenger, Place, Reader, places_of
from tests.sim.disks import CentralStore, DiskFault, Health
from tests.sim.links import Connection, End
from tests.sim.world import Process, World

TICK_S = 0.25
RETRY_S = 1.0
# As after so many bad frames in a row the real one closes.
BAD_FRAMES_MAX = 10
GROUP = "evd-central"
READS = [place for topic in (REQUESTS, STATUS, TELEMETRY, SESSIONS) for place in places_of(topic)]

Answered = Callable[[Accepted | Refused], None]
AWAY = Refused(Refusal.UNAVAILABLE, "no core")


def settings_for(lost_after_s: float) -> CentralSettings:
    """Central's bounds: the two long ones are scaled so that runs meet them."""
    return CentralSettings(engine_gone_after_s=6.0, session_lost_after_s=lost_after_s)


@attrs.define
class _Line:
    """A monitor's connection, and how many bad frames it sent in a row."""

    connection: Connection
    bad: int = 0


class CentralPart(Process):
    """One Central: its process, its store, its connections."""

    def __init__(
        self, world: World, broker: Broker, name: str, host: str, store: CentralStore
    ) -> None:
        super().__init__(world, name, host)
        self.broker = broker
        self.store = store
        self.core: Central | None = None
        self.settings = settings_for(world.mix.lost_after_s)
        self.dead_letters = 0
        # Called with each charging point that is heard of.
        self.on_contact: Callable[[str], None] = lambda _: None
        # Called with what is asked of a request, once it is dealt with.
        self.on_read: Callable[[DriverRequest | RequestEndAsked], None] = lambda _: None

    def boot(self) -> None:
        """A process begins: nothing is in its memory."""
        self.core = None
        self._numbers = 0
        self._lines: dict[int, _Line] = {}
        self._calls: dict[int, Answered] = {}
        self._inbox: list[Event] = []
        self._offsets: dict[Place, int] = {}
        self._is_turning = False
        self._mail = Messenger(self, self.broker)
        self._reader = Reader(self, self.broker, GROUP, READS, self._read, self._put_aside)
        self._live()
        self._tick()

    def died(self) -> None:
        """Nobody is answered any more."""
        self.core = None

    def _live(self) -> None:
        """One life of the core, from what is stored."""
        try:
            self.risk()
            self.store.begin_epoch()
            core = Central(self.settings, self.store.load(), self.now())
            self._carry_out(core.start(self.now()))
        except DiskFault:
            self.later(RETRY_S, self._live)
            return
        self.core = core

    def _fail(self) -> None:
        self.note("its database fails: nothing is said until it can be stored")
        self.core = None
        calls, self._calls = self._calls, {}
        for answered in calls.values():
            answered(AWAY)
        for number in list(self._lines):
            self._hang_up(number)
        self.later(RETRY_S, self._live)

    def _tick(self) -> None:
        self.later(TICK_S, self._tick)
        self._put(Ticked(self._reader.link_up()))

    def _put(self, *events: Event) -> None:
        self._inbox.extend(events)
        if not self._is_turning:
            self._is_turning = True
            self.later(self.world.rng.uniform(0.0005, 0.004), self._turn)

    def _read(self, messages: list[Message], offsets: Mapping[Place, int]) -> None:
        self._offsets.update(offsets)
        for message in messages:
            if isinstance(message, CpStatus | Telemetry):
                self.on_contact(message.cp_id)
        self._put(*messages)  # type: ignore[arg-type]

    def _put_aside(self, *_: object) -> None:
        self.dead_letters += 1

    def _turn(self) -> None:
        self._is_turning = False
        core = self.core
        if core is None:
            if self._inbox:
                # They wait for the next life, as in the real inbox.
                self._is_turning = True
                self.later(TICK_S, self._turn)
            return
        events, self._inbox = self._inbox, []
        offsets, self._offsets = self._offsets, {}
        request_ids, session_ids = core.missing(events)
        if request_ids or session_ids:
            core.remember(*self.store.lookup(request_ids, session_ids))
        moment = self.now()
        effects: list[Effect] = []
        for event in events:
            effects += core.handle(event, moment)
        effects += core.handle(Polled(), moment)
        try:
            self._carry_out(effects)
            for event in events:
                if isinstance(event, DriverRequest | RequestEndAsked):
                    self.on_read(event)
            self.risk()
        except DiskFault:
            self._fail()
            return
        self._reader.commit(offsets)

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for step in (self._store, self._say):
            step(effects)

    def _store(self, effects: Sequence[Effect]) -> None:
        rows: list[Row] = [effect.row for effect in effects if isinstance(effect, Save)]
        if rows:
            self.store.commit(rows, self.risk)

    def _say(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._mail.send(effect.topic, effect.key, effect.message)
                case Answer():
                    self._answer(effect)
                case HangUp():
                    self._hang_up(effect.connection)
                case Reply():
                    self.risk()
                    answered = self._calls.pop(effect.call, None)
                    if answered is not None:
                        answered(effect.answer)
                case Note():
                    if effect.level is not Level.DEBUG:
                        self.note(effect.text)
                case Save():
                    pass

    # Monitors

    def accept(self, connect: Callable[[End], Connection]) -> None:
        """A monitor dialed; `connect` takes our end."""
        self._numbers += 1
        number = self._numbers
        end = End(
            self,
            self.life,
            received=lambda raw: self._frame(number, raw),
            closed=lambda: self._closed(number),
        )
        connection = connect(end)
        if self.core is None:
            connection.close(1)
            return
        self._lines[number] = _Line(connection)

    def _frame(self, number: int, raw: bytes) -> None:
        line = self._lines.get(number)
        if line is None:
            return
        try:
            message: MonitorMessage = codec.decode_monitor(raw)
        except codec.BadMessage as error:
            # What is an object came in a good frame; anything else is a bad one.
            seq, is_object = _seq_of(raw)
            line.bad = 0 if is_object else line.bad + 1
            last = line.bad >= BAD_FRAMES_MAX
            code = NackCode.BAD_FIELD if is_object else NackCode.BAD_FRAME
            self._put(FrameRefused(number, code, seq, str(error), last))
            return
        line.bad = 0
        self.on_contact(message.cp_id)
        self._put(MonitorSaid(number, message))  # type: ignore[arg-type]

    def _closed(self, number: int) -> None:
        if self._lines.pop(number, None) is not None:
            self._put(MonitorLeft(number))

    def _answer(self, effect: Answer) -> None:
        line = self._lines.get(effect.connection)
        if line is not None:
            self.risk()
            line.connection.send(1, codec.encode_control(effect.message))

    def _hang_up(self, number: int) -> None:
        line = self._lines.pop(number, None)
        if line is not None:
            line.connection.close(1)
            self._put(MonitorLeft(number))

    # HTTP

    def ask(self, make: Callable[[int], Asked], answered: Answered) -> None:
        """A call that came in; `answered` is told how it was answered."""
        if self.core is None:
            answered(AWAY)
            return
        self._numbers += 1
        self._calls[self._numbers] = answered
        self._put(make(self._numbers))

    def look(self, request_id: str, answered: Callable[[int, Request | None], None]) -> None:
        """GET /requests/{request_id}."""
        if self.core is None or self.store.health is not Health.WELL:
            answered(503, None)
            return
        row = self.store.data.requests.get(request_id)
        answered(200 if row is not None else 404, row)


def _seq_of(raw: bytes) -> tuple[int | None, bool]:
    """The number in an object that is no message, and whether it is an object."""
    try:
        seq = codec.load_object(raw).get("seq")
    except codec.BadMessage:
        return None, False
    return (seq if type(seq) is int and seq >= 0 else None), True
