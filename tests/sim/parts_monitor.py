"""A monitor's shell: it dials its engine and Central, and carries what is said to and fro."""

from collections.abc import Callable

from evd.core.effects import Level, Note
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.core.monitor.events import (
    CentralAnswered,
    CentralConnected,
    CentralLost,
    CloseCentral,
    CountCheck,
    DialCentral,
    DialEngine,
    Effect,
    EngineAnswered,
    EngineConnected,
    EngineLost,
    Event,
    Finish,
    SendPing,
    StopAsked,
    TellCentral,
    Ticked,
)
from evd.core.wire import codec
from evd.core.wire.control import Pong
from tests.sim.links import Connection, End
from tests.sim.parts_central import CentralPart
from tests.sim.parts_engine import EnginePart
from tests.sim.world import Process, World

HEALTH_INTERVAL_S = 1.0
FAILURE_THRESHOLD = 3
RECONNECT_DELAY_S_MAX = 2.0


class MonitorPart(Process):
    """One monitor; `target` is who answers at the port that it was told, None for nobody."""

    def __init__(
        self, world: World, name: str, engine: EnginePart, central: CentralPart, instance_id: str
    ) -> None:
        super().__init__(world, name, engine.host)
        self.engine = engine
        self.target: EnginePart | None = engine
        self.central = central
        self.instance_id = instance_id

    def boot(self) -> None:
        """A process begins: nothing is in its memory."""
        settings = MonitorSettings(
            self.engine.cp_id, HEALTH_INTERVAL_S, FAILURE_THRESHOLD, RECONNECT_DELAY_S_MAX
        )
        self._to_engine: Connection | None = None
        self._to_central: Connection | None = None
        self._core = Monitor(settings, self.instance_id, self.now())
        self._tick_number = 0
        self._may_end = False
        self._handle(Ticked())

    def stop(self) -> None:
        """SIGTERM."""
        self.later(0.0, self._handle, StopAsked("monitor stops"))

    def _handle(self, event: Event) -> None:
        self._may_end |= isinstance(event, StopAsked)
        for effect in self._core.handle(event, self.now()):
            self._carry_out(effect)
            if not self.alive:
                return
        self._tick_number += 1
        delay_s = max(0.0, self._core.wake_at_s - self.now().mono_s)
        self.later(delay_s + 0.0005, self._tick, self._tick_number)

    def _tick(self, number: int) -> None:
        # Only the newest of them counts: each event sets another one.
        if number == self._tick_number:
            self._handle(Ticked())

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case DialEngine(connection=number):
                self._close(self._to_engine)
                self._to_engine = None
                self.later(0.001, self._dial_engine, number)
            case SendPing(message=message):
                self._say(self._to_engine, codec.encode_control(message))
            case DialCentral(connection=number):
                self._close(self._to_central)
                self._to_central = None
                self.later(self.world.soon_s(), self._dial_central, number)
            case CloseCentral():
                self._close(self._to_central)
                self._to_central = None
            case TellCentral(message=message):
                self.risk()
                self._say(self._to_central, codec.encode_control(message))
            case CountCheck():
                pass
            case Note():
                if effect.level not in (Level.DEBUG, Level.INFO):
                    self.note(effect.text)
            case Finish():
                if not self._may_end:
                    self.world.violate(8, f"{self.name} ends, and nobody told it to")
                self.crash("ends as it was told", self.world.rng.uniform(0.5, 4.0))

    @staticmethod
    def _say(connection: Connection | None, raw: bytes) -> None:
        if connection is not None:
            connection.send(0, raw)

    @staticmethod
    def _close(connection: Connection | None) -> None:
        if connection is not None:
            connection.close(0)

    def _dial_engine(self, number: int) -> None:
        target = self.target
        if target is None or not target.alive:
            self._handle(EngineLost(number, "nothing listens on the engine's port", refused=True))
            return
        end = End(
            self,
            self.life,
            received=lambda raw: self._pong(number, raw),
            closed=lambda: self._handle(EngineLost(number, "the engine closed the connection")),
        )
        self._to_engine = self._connect(end, target, target.accept)
        self._handle(EngineConnected(number))

    def _dial_central(self, number: int) -> None:
        central, passes = self.central, self.world.passes
        if not (passes(self.host, central.host) and passes(central.host, self.host)):
            # Nobody answers; the core has its own bound for that.
            return
        if not central.alive:
            self._handle(CentralLost(number, "connection refused"))
            return
        end = End(
            self,
            self.life,
            received=lambda raw: self._handle(CentralAnswered(number, codec.decode_central(raw))),
            closed=lambda: self._handle(CentralLost(number, "closed by Central")),
        )
        self._to_central = self._connect(end, central, central.accept)
        self._handle(CentralConnected(number))

    def _connect(
        self,
        mine: End,
        other: Process,
        accept: Callable[[Callable[[End], Connection]], None],
    ) -> Connection:
        # The kernel takes it at once; the process takes it when it is not stopped.
        theirs = End(other, other.life, received=_unheard, closed=_unseen)
        connection = Connection(self.world, mine, theirs)

        def connect(end: End) -> Connection:
            theirs.received, theirs.closed = end.received, end.closed
            return connection

        other.act(other.life, accept, (connect,))
        return connection

    def _pong(self, number: int, raw: bytes) -> None:
        pong = codec.decode_health(raw)
        if isinstance(pong, Pong):
            self._handle(EngineAnswered(number, pong))

    def say_garbage(self, raw: bytes) -> None:
        """Bytes that are no message of ours, on the connection to Central."""
        self._say(self._to_central, raw)


def _unheard(_: bytes) -> None:
    """Before the process took the connection."""


def _unseen() -> None:
    """Before the process took the connection."""
