"""A monitor's core between an engine and a Central that a test plays."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import attrs

from evd.core.effects import Level, Note, Now
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.core.monitor.events import (
    CentralAnswered,
    Connected,
    Dial,
    Effect,
    EngineAnswered,
    EngineGarbled,
    Event,
    Lost,
    Peer,
    SendPing,
    TellCentral,
    Ticked,
)
from evd.core.wire.control import Ack, MonitorMessage, Nack, Pong, Register
from evd.core.wire.messages import CpState

WALL = datetime(2026, 1, 31, 12, tzinfo=UTC)
SETTINGS = MonitorSettings("CP-001", 1.0, 3, 2.0)
PONG = Pong(
    seq=0,
    cp_id="CP-001",
    state=CpState.ACTIVATED,
    session_id=None,
    kw_rate=22.0,
    euro_rate=0.3,
    location=None,
    boot_id="boot-1",
    up_s=1.0,
    report=5,
)

E = TypeVar("E")


@attrs.define
class World:
    """A monitor with an engine and a Central whose behaviour a test may change at any time."""

    engine: str = "answers"
    central: str = "acks"
    # The behaviour of the Central at an address, where it is not `central`.
    centrals: dict[str, str] = attrs.field(factory=dict)
    last_served: str | None = None
    pong: Pong = PONG
    settings: MonitorSettings = SETTINGS
    mono_s: float = 100.0
    heartbeat_s: float = 1.0
    nack_code: str | None = None
    monitor: Monitor = attrs.field(init=False)
    story: list[tuple[float, Effect]] = attrs.field(factory=list)
    _engine_connection: int = 0
    _central_connection: int = 0

    def __attrs_post_init__(self) -> None:
        self.monitor = Monitor(self.settings, "instance-1", self.last_served)
        self.follow(self.monitor.start(self.now()))

    def now(self) -> Now:
        return Now(self.mono_s, WALL)

    def happen(self, event: Event) -> None:
        """Hand an event in, and let engine and Central react to what comes of it."""
        self.follow(self.monitor.handle(event, self.now()))

    def follow(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.story.append((round(self.mono_s - 100.0, 3), effect))
            answer = self.react(effect)
            if answer is not None:
                self.happen(answer)

    def react(self, effect: Effect) -> Event | None:
        match effect:
            case Dial(Peer.ENGINE, connection):
                self._engine_connection = connection
                if self.engine == "refuses":
                    return Lost(Peer.ENGINE, connection, "nothing listens there", refused=True)
                return Connected(Peer.ENGINE, connection) if self.engine != "vanished" else None
            case SendPing(message) if self.engine == "answers":
                pong = attrs.evolve(self.pong, seq=message.seq)
                return EngineAnswered(self._engine_connection, pong)
            case SendPing() if self.engine == "answers garbled":
                why = "kw_rate must be from 0.001 to 10000 kW"
                return EngineGarbled(self._engine_connection, why)
            case Dial(Peer.CENTRAL, connection, address):
                self._central_connection = connection
                self.central = self.centrals.get(address, self.central)
                if self.central == "refuses":
                    return Lost(Peer.CENTRAL, connection, "nothing listens there")
                return Connected(Peer.CENTRAL, connection) if self.central != "vanished" else None
            case TellCentral(message):
                return self.judge(message)
        return None

    def judge(self, message: MonitorMessage) -> Event | None:
        if self.central == "acks":
            return self.acked(message)
        if self.central.startswith("nacks "):
            reason = self.central.removeprefix("nacks ")
            nack = Nack(message.seq, reason, code=self.nack_code)
            return CentralAnswered(self._central_connection, nack)
        return None

    def acked(self, message: MonitorMessage) -> CentralAnswered:
        first = self.heartbeat_s if isinstance(message, Register) else None
        ack = Ack(message.seq, "central-1", heartbeat_s=first)
        return CentralAnswered(self._central_connection, ack)

    def pass_time(self, seconds: float) -> None:
        """Let time go by as a loop does that is never late."""
        end_s = self.mono_s + seconds
        while self.monitor.wake_at_s <= end_s:
            self.mono_s = max(self.mono_s, self.monitor.wake_at_s)
            self.happen(Ticked())
        self.mono_s = end_s
        self.happen(Ticked())

    def kill_engine(self) -> None:
        self.engine = "refuses"
        self.happen(Lost(Peer.ENGINE, self._engine_connection, "connection closed"))

    def lose_central(self, then: str) -> None:
        self.central = then
        self.happen(Lost(Peer.CENTRAL, self._central_connection, "connection closed"))

    def all(self, kind: type[E]) -> list[E]:
        return [effect for _, effect in self.story if isinstance(effect, kind)]

    def dials(self, peer: Peer) -> list[float]:
        """The times of the dials of `peer`, in seconds from the start."""
        return [
            at_s for at_s, effect in self.story if isinstance(effect, Dial) and effect.peer is peer
        ]

    def ways(self) -> list[str]:
        """The addresses of Central that were dialed."""
        return [each.address for each in self.all(Dial) if each.peer is Peer.CENTRAL]

    def told(self, kind: type[E]) -> list[tuple[float, E]]:
        """The messages of exactly one class to Central, with their times."""
        return [
            (at_s, effect.message)
            for at_s, effect in self.story
            if isinstance(effect, TellCentral) and type(effect.message) is kind
        ]

    def notes(self, level: Level) -> list[str]:
        return [note.text for note in self.all(Note) if note.level is level]


def after(seconds: float, **world: Any) -> World:
    """A new world in which so much time has gone by."""
    made = World(**world)
    made.pass_time(seconds)
    return made
