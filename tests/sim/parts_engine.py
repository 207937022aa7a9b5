"""An engine's process: it drives the shipped `steps` on the world's heap and a simulated disk."""

from collections import deque
from collections.abc import Callable, Mapping

from evd.core.effects import Level, Note, Send
from evd.core.engine.core import Engine
from evd.core.engine.events import (
    CentralNamed,
    CommandRead,
    EngineSettings,
    Event,
    Exit,
    Run,
    Save,
    SaveRecord,
    SaveRun,
    StopAsked,
    Ticked,
)
from evd.core.engine.pingers import Pingers
from evd.core.wire import codec
from evd.core.wire.control import Ping, Pong
from evd.core.wire.messages import (
    BEACONS,
    COMMANDS,
    CpState,
    Message,
    ResumeCp,
    Shutdown,
    StopCp,
)
from evd.core.wire.partition import Mark, Place
from evd.daemons.engine import steps
from evd.daemons.engine.steps import DiskFailed, Found, Kept, Outcome, Read, Step, Steps
from tests.sim.broker import Broker, Messenger, Reader, place_of
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
        self.session_s = SESSION_S
        # Called when a car is switched on, and off.
        self.car_on: Callable[[Run], None] = lambda _: None
        self.car_off: Callable[[], None] = lambda: None
        # Called when something is on disk, and when the disk is not as it should be.
        self.on_saved: Callable[[Save], None] = lambda _: None
        self.on_disk_fault: Callable[[], None] = lambda: None
        # Called when it has carried out an order of the operator.
        self.on_cp_order: Callable[[StopCp | ResumeCp], None] = lambda _: None

    def boot(self) -> None:
        """A process begins with what is on its disk."""
        world = self.world
        long = world.chance(world.mix.long_share)
        self.session_s = LONG_SESSION_S if long else SESSION_S
        settings = EngineSettings(
            cp_id=self.cp_id,
            kw_rate=self.kw_rate,
            euro_rate=self.euro_rate,
            session_seconds=self.session_s,
            session_buffer_size=self.buffer_size,
            retry_interval_s=RETRY_INTERVAL_S,
        )
        self._inbox: deque[Event] = deque()
        self._steps: Steps | None = None
        # The session whose start is on disk, and is not handed to the core yet.
        self._saved_run: Run | None = None
        self._charging: str | None = None
        self._may_end = False
        self._pingers = Pingers()
        self._messenger = Messenger(self, self.broker)
        places = [place_of(COMMANDS, self.cp_id), place_of(BEACONS, "")]
        self._reader = Reader(self, self.broker, None, places, self._read, lambda *_: None)
        self.boot_id = f"boot-{self.name}-{self.life}"
        self.core = Engine(settings, self.boot_id, self.disk.load(), self.now())
        self._steps = steps.start(self.core, self.now)
        self._proceed()
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

    def _read(self, messages: list[Message], _: Mapping[Place, Mark]) -> None:
        self._put(*steps.events_of(messages, self.cp_id))

    def _put(self, *events: Event) -> None:
        self._inbox.extend(events)
        while self._inbox and self._steps is None and self.core is not None:
            event = self._inbox.popleft()
            self._may_end |= isinstance(event, StopAsked) or self._is_shutdown(event)
            before = self.core.state
            self._steps = steps.handle(self.core, event, self.now)
            self._proceed()
            self._look_at_order(event, before)

    def _look_at_order(self, event: Event, before: CpState) -> None:
        """Tell of an order of the operator that has changed the state at once."""
        order = event.command.payload if isinstance(event, CommandRead) else None
        if self.core is None or not isinstance(order, StopCp | ResumeCp):
            return
        told = CpState.STOPPED if isinstance(order, StopCp) else CpState.ACTIVATED
        if self.core.state is told and before not in (told, CpState.DISCONNECTED):
            self.on_cp_order(order)

    def _is_shutdown(self, event: Event) -> bool:
        order = event.command.payload if isinstance(event, CommandRead) else None
        return isinstance(order, Shutdown) and order.boot_id == self.boot_id

    def _proceed(self, outcome: Outcome | None = None) -> None:
        """Carry out the steps of one event until they are over, or until the disk is slow."""
        while self._steps is not None:
            try:
                step = self._steps.send(outcome)
            except StopIteration:
                self._steps = None
                return
            finally:
                self._look_at_car()
            if isinstance(step, Save) and (delay_s := self._begin_save(step)):
                self.later(delay_s, self._end_save, step)
                return
            outcome = self._carry_out(step)

    def _look_at_car(self) -> None:
        run, self._saved_run = self._saved_run, None
        if run is None or self.core is None:
            return
        if self.core.pong(Ping(0, None), self.now()).session_id == run.session_id:
            self._charging = run.session_id
            self.car_on(run)

    def _carry_out(self, step: Step) -> Outcome | None:
        match step:
            case Send(topic, key, message):
                self._messenger.send(topic, key, message)
            case Note():
                if step.level is not Level.DEBUG:
                    self.note(step.text)
            case Exit():
                if not self._may_end:
                    self.world.violate(8, f"{self.name} ends, and nobody told it to")
                self._steps = None
                # Its supervisor leaves it alone after that; the operator starts it again.
                self.crash("ends as it was told", self.world.rng.uniform(1.0, 5.0))
            case Read(session_ids):
                self.risk()
                try:
                    return Found(tuple(self.disk.read(session_ids)))
                except DiskFault as error:
                    return DiskFailed(str(error))
            case _:
                return self._save(step)
        return None

    def _begin_save(self, save: Save) -> float:
        """Switch the car off where its session is over; how long the disk takes."""
        # The core has switched it off when it says so, whatever the disk does then.
        if isinstance(save, SaveRecord) and save.record.session_id == self._charging:
            self._charging = None
            self.car_off()
        self.risk()
        delay_s = self.disk.delay_s()
        if delay_s:
            self.on_disk_fault()
        return delay_s

    def _end_save(self, save: Save) -> None:
        self._proceed(self._save(save))
        self._put()

    def _save(self, save: Save) -> Outcome:
        try:
            self.disk.save(save)
        except DiskFault as error:
            self.on_disk_fault()
            return DiskFailed(str(error))
        self.on_saved(save)
        if isinstance(save, SaveRun):
            self._saved_run = save.run
        # It may die knowing less than its disk.
        self.risk()
        return Kept()

    def accept(self, connect: Callable[[End], Connection]) -> None:
        """A monitor dialed the health port."""
        connection: Connection
        end = End(
            self,
            self.life,
            received=lambda raw: self._ping(connection, raw),
            closed=lambda: self._pingers.forget(connection),
        )
        connection = connect(end)

    def _ping(self, connection: Connection, raw: bytes) -> None:
        ping = codec.decode_health(raw)
        if self.core is None or isinstance(ping, Pong):
            return
        connection.send(1, codec.encode_control(self.core.pong(ping, self.now())))
        is_settled = self._pingers.on_ping(connection, self.now().mono_s)
        if ping.central_id is not None:
            self._put(CentralNamed(ping.central_id, "a monitor", is_settled))
