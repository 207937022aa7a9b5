"""An engine's shell: it feeds the core one event after the other, and each save before the next."""

from collections import deque
from collections.abc import Callable, Mapping

from evd.core.effects import Level, Note, Send
from evd.core.engine.core import Engine
from evd.core.engine.events import (
    SAVES,
    BeaconRead,
    CentralNamed,
    CommandRead,
    DiskFailed,
    Effect,
    EngineSettings,
    Event,
    Exit,
    Run,
    Save,
    Saved,
    SaveRecord,
    SaveRun,
    SendRecords,
    StopAsked,
    Ticked,
    command_events,
)
from evd.core.wire import codec
from evd.core.wire.control import Ping, Pong
from evd.core.wire.messages import BEACONS, COMMANDS, SESSIONS, Beacon, Command, Message, Shutdown
from tests.sim.broker import Broker, Messenger, Place, Reader, place_of
from tests.sim.disks import BufferDisk, DiskFault
from tests.sim.links import Connection, End
from tests.sim.world import Process, World

# It must hear of the time more often than once in a second, else it takes itself for stopped.
TICK_S = 0.5
SESSION_S = 6.0
LONG_SESSION_S = 44.0
RETRY_INTERVAL_S = 10.0


class EnginePart(Process):
    """One engine: its process, its disk, its car."""

    def __init__(
        self,
        world: World,
        broker: Broker,
        name: str,
        host: str,
        cp_id: str,
        *,
        kw_rate: float,
        euro_rate: float,
        buffer_size: int,
    ) -> None:
        super().__init__(world, name, host)
        self.broker = broker
        self.cp_id = cp_id
        self.kw_rate = kw_rate
        self.euro_rate = euro_rate
        self.buffer_size = buffer_size
        self.disk = BufferDisk(world.rng)
        self.core: Engine | None = None
        self.boot_id = ""
        # What physically happens: called when a car is switched on, and off.
        self.car_on: Callable[[Run], None] = lambda _: None
        self.car_off: Callable[[], None] = lambda: None
        # Called when something is on disk, and when the disk is not as it should be.
        self.on_saved: Callable[[Save], None] = lambda _: None
        self.on_disk_fault: Callable[[], None] = lambda: None

    def boot(self) -> None:
        """A process begins with what is on its disk."""
        world = self.world
        long = world.chance(world.mix.long_share)
        settings = EngineSettings(
            cp_id=self.cp_id,
            kw_rate=self.kw_rate,
            euro_rate=self.euro_rate,
            session_seconds=LONG_SESSION_S if long else SESSION_S,
            session_buffer_size=self.buffer_size,
            retry_interval_s=RETRY_INTERVAL_S,
        )
        self._inbox: deque[Event] = deque()
        self._saving: Save | None = None
        self._charging: str | None = None
        self._may_end = False
        self._mail = Messenger(self, self.broker)
        places = [place_of(COMMANDS, self.cp_id), place_of(BEACONS, "")]
        self._reader = Reader(self, self.broker, None, places, self._read, lambda *_: None)
        self.boot_id = f"boot-{self.name}-{self.life}"
        self.core = Engine(settings, self.boot_id, self.disk.load(), self.now())
        self._carry_out(self.core.start(self.now()))
        self._tick()

    def died(self) -> None:
        """Without its engine a car gets no current."""
        self.core = None
        self.car_off()

    @property
    def is_charging(self) -> bool:
        """Whether a car takes current."""
        return self.alive and self._charging is not None

    def stop(self) -> None:
        """SIGTERM."""
        self.later(0.0, self._put, StopAsked())

    def _tick(self) -> None:
        if self.core is None:
            return
        now_s = self.now().mono_s
        self.later(min(TICK_S, max(0.001, self.core.wake_at_s - now_s)), self._tick)
        if not any(isinstance(event, Ticked) for event in self._inbox):
            connected = self._reader.link_up() and self._reader.knows_its_place
            self._put(Ticked(connected, self._reader.logs_lost_count))

    def _read(self, messages: list[Message], _: Mapping[Place, int]) -> None:
        commands = [message for message in messages if isinstance(message, Command)]
        beacons = [BeaconRead(each) for each in messages if isinstance(each, Beacon)]
        self._put(*command_events(commands), *beacons)

    def _put(self, *events: Event) -> None:
        self._inbox.extend(events)
        while self._inbox and self._saving is None and self.core is not None:
            self._handle(self._inbox.popleft())

    def _handle(self, event: Event) -> None:
        if self.core is None:
            return
        self._may_end |= isinstance(event, StopAsked) or self._is_shutdown(event)
        effects = self.core.handle(event, self.now())
        if isinstance(event, Saved) and isinstance(event.effect, SaveRun):
            self._look_at_car(event.effect)
        self._carry_out(effects)

    def _is_shutdown(self, event: Event) -> bool:
        order = event.command.payload if isinstance(event, CommandRead) else None
        return isinstance(order, Shutdown) and order.boot_id == self.boot_id

    def _look_at_car(self, effect: SaveRun) -> None:
        if self.core is None:
            return
        pong = self.core.pong(Ping(0, None), self.now())
        if pong.session_id == effect.run.session_id:
            self._charging = pong.session_id
            self.car_on(effect.run)

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            # The core has switched it off when it says so, whatever the disk does then.
            if isinstance(effect, SaveRecord) and effect.record.session_id == self._charging:
                self._charging = None
                self.car_off()
        for effect in effects:
            match effect:
                case Send():
                    self._mail.send(effect.topic, effect.key, effect.message)
                case SendRecords():
                    self._send_records(effect)
                case Note():
                    if effect.level is not Level.DEBUG:
                        self.note(effect.text)
                case Exit():
                    if not self._may_end:
                        self.world.violate(8, f"{self.name} ends, and nobody told it to")
                    # Its supervisor leaves it alone after that; the operator starts it again.
                    self.crash("ends as it was told", self.world.rng.uniform(1.0, 5.0))
                    return
                case _:
                    self._save(effect)

    def _send_records(self, effect: SendRecords) -> None:
        self.risk()
        try:
            records = self.disk.read(effect.session_ids)
        except DiskFault as error:
            self._inbox.append(DiskFailed(effect, str(error)))
            return
        for record in records:
            self._mail.send(SESSIONS, self.cp_id, record)

    def _save(self, effect: Save) -> None:
        if not isinstance(effect, SAVES):
            raise TypeError(f"{effect} is no effect of an engine")
        self.risk()
        delay_s = self.disk.delay_s()
        if delay_s:
            self.on_disk_fault()
            self._saving = effect
            self.later(delay_s, self._write, effect)
        else:
            self._write(effect)

    def _write(self, effect: Save) -> None:
        self._saving = None
        outcome: Event
        try:
            self.disk.save(effect)
            self.on_saved(effect)
            # It may die knowing less than its disk.
            self.risk()
            outcome = Saved(effect)
        except DiskFault as error:
            self.on_disk_fault()
            outcome = DiskFailed(effect, str(error))
        # Before anything else that waits.
        self._inbox.appendleft(outcome)
        self._put()

    def accept(self, connect: Callable[[End], Connection]) -> None:
        """A monitor dialed the health port."""
        connection: Connection
        end = End(
            self, self.life, received=lambda raw: self._ping(connection, raw), closed=_nothing
        )
        connection = connect(end)

    def _ping(self, connection: Connection, raw: bytes) -> None:
        ping = codec.decode_health(raw)
        if self.core is None or isinstance(ping, Pong):
            return
        connection.send(1, codec.encode_control(self.core.pong(ping, self.now())))
        if ping.central_id is not None:
            self._put(CentralNamed(ping.central_id))


def _nothing() -> None:
    """A monitor that hangs up costs an engine nothing."""
