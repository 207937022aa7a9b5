"""A monitor in the simulation: the steps of its daemon, on simulated connections and the heap."""

from collections.abc import Callable, Iterable, Sequence

import attrs

from evd.core.effects import Level, Note
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.core.monitor.events import (
    Close,
    Connected,
    CountCheck,
    Dial,
    Effect,
    Event,
    Finish,
    KeepAddress,
    Lost,
    Peer,
    StopAsked,
    Ticked,
)
from evd.core.wire import codec
from evd.core.wire.codec import BadMessage
from evd.core.wire.control import Register
from evd.daemons.monitor.steps import SendFrame, Step, in_order, received
from tests.sim.links import Connection, End
from tests.sim.parts_central import CentralPart
from tests.sim.parts_engine import EnginePart
from tests.sim.world import Process, World

HEALTH_INTERVAL_S = 1.0
FAILURE_THRESHOLD = 3
RECONNECT_DELAY_S_MAX = 2.0


class MonitorPart(Process):
    """One monitor; `target` is the engine at the port that it was told, None for nobody.

    It knows each of `centrals` by its name, as if that were an address.
    """

    def __init__(
        self,
        world: World,
        name: str,
        engine: EnginePart,
        centrals: Sequence[CentralPart],
        instance_id: str,
    ) -> None:
        super().__init__(world, name, engine.host)
        self.engine = engine
        self.target: EnginePart | None = engine
        self.centrals = {central.name: central for central in centrals}
        self.instance_id = instance_id
        # On its disk, as the id is.
        self.last_served: str | None = None
        # The content of its token file, read anew for each REGISTER.
        self.token: str | None = None

    def boot(self) -> None:
        """A process begins: nothing is in its memory."""
        settings = MonitorSettings(
            *(self.engine.cp_id, HEALTH_INTERVAL_S, FAILURE_THRESHOLD, RECONNECT_DELAY_S_MAX),
            centrals=tuple(self.centrals),
        )
        self._connections: dict[Peer, Connection] = {}
        self._dialed: dict[Peer, int] = {}
        self._core = Monitor(settings, self.instance_id, self.last_served)
        self._tick_number = 0
        self._may_end = False
        self._carry_out_all(self._core.start(self.now()))

    def stop(self) -> None:
        """SIGTERM."""
        self.later(0.0, self._handle, StopAsked("monitor stops"))

    def _handle(self, event: Event) -> None:
        self._may_end |= isinstance(event, StopAsked)
        self._carry_out_all(self._core.handle(event, self.now()))

    def _carry_out_all(self, effects: Iterable[Effect]) -> None:
        for step in in_order(effects):
            self._carry_out(step)
            if not self.alive:
                return
        self._tick_number += 1
        delay_s = max(0.0, self._core.wake_at_s - self.now().mono_s)
        self.later(delay_s + 0.0005, self._tick, self._tick_number)

    def _tick(self, number: int) -> None:
        # Only the newest tick counts: each event sets another one.
        if number == self._tick_number:
            self._handle(Ticked())

    def _carry_out(self, step: Step) -> None:
        match step:
            case Close(peer):
                connection = self._connections.pop(peer, None)
                self._dialed.pop(peer, None)
                if connection is not None:
                    connection.close(0)
            case Dial(peer, number, address):
                self._dialed[peer] = number
                delay_s = 0.001 if peer is Peer.ENGINE else self.world.soon_s()
                self.later(delay_s, self._dial, peer, number, address)
            case SendFrame(peer, data):
                if peer is Peer.CENTRAL:
                    self.risk()
                    data = self._with_token(data)
                self._send(peer, data)
            case KeepAddress(address):
                self.last_served = address
            case CountCheck():
                pass
            case Note():
                if step.level not in (Level.DEBUG, Level.INFO):
                    self.note(step.text)
            case Finish():
                if not self._may_end:
                    self.world.violate(8, f"{self.name} ends, and nobody told it to")
                self.crash("ends as it was told", self.world.rng.uniform(0.5, 4.0))

    def _with_token(self, raw: bytes) -> bytes:
        message = codec.structure_monitor(codec.load_object(raw))
        if self.token is None or not isinstance(message, Register):
            return raw
        return codec.encode_control(attrs.evolve(message, token=self.token))

    def _send(self, peer: Peer, raw: bytes) -> None:
        connection = self._connections.get(peer)
        if connection is not None:
            connection.send(0, raw)

    def _dial(self, peer: Peer, number: int, address: str) -> None:
        if self._dialed.get(peer) != number:
            # This dial was given up.
            return
        if peer is Peer.ENGINE:
            self._dial_engine(number)
        else:
            self._dial_central(number, self.centrals[address])

    def _dial_engine(self, number: int) -> None:
        target = self.target
        if target is None or not target.alive:
            reason = "nothing listens on the engine's port"
            self._handle(Lost(Peer.ENGINE, number, reason, refused=True))
        else:
            self._connect(Peer.ENGINE, number, target, target.accept)

    def _dial_central(self, number: int, central: CentralPart) -> None:
        passes = self.world.passes
        if not (passes(self.host, central.host) and passes(central.host, self.host)):
            # Nobody answers; the core has its own bound for that.
            return
        if not central.alive:
            self._handle(Lost(Peer.CENTRAL, number, "connection refused"))
        else:
            self._connect(Peer.CENTRAL, number, central, central.accept)

    def _connect(
        self,
        peer: Peer,
        number: int,
        other: Process,
        accept: Callable[[Callable[[End], Connection]], None],
    ) -> None:
        mine = End(
            self,
            self.life,
            received=lambda raw: self._receive(peer, number, raw),
            closed=lambda: self._handle(Lost(peer, number, f"closed by {peer}")),
        )
        # The kernel takes it at once; the process takes it when it is not stopped.
        theirs = End(other, other.life, received=_unheard, closed=_unseen)
        connection = Connection(self.world, mine, theirs)

        def connect(end: End) -> Connection:
            theirs.received, theirs.closed = end.received, end.closed
            return connection

        other.act(other.life, accept, (connect,))
        self._connections[peer] = connection
        self._handle(Connected(peer, number))

    def _receive(self, peer: Peer, number: int, raw: bytes) -> None:
        try:
            event = received(peer, number, raw)
        except BadMessage as error:
            self.note(f"can't use what {peer} says: {error}")
            return
        self._handle(event)

    def say_garbage(self, raw: bytes) -> None:
        """Bytes that are no message of ours, on the connection to Central."""
        self._send(Peer.CENTRAL, raw)


def _unheard(_: bytes) -> None:
    """Before the process took the connection."""


def _unseen() -> None:
    """Before the process took the connection."""
