"""The askers of the simulation: drivers with the steps of their daemon, and a caller of HTTP."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Set

import attrs

from evd.core.central.events import Accepted, ChargeAsked, Refusal, Refused, RequestEndAsked
from evd.core.central.rows import Request
from evd.core.driver.core import Driver, DriverSettings
from evd.core.driver.disk import DriverDisk
from evd.core.driver.events import (
    AskWanted,
    CancelWanted,
    Effect,
    Event,
    Save,
    StopWanted,
    Tell,
    Ticked,
)
from evd.core.driver.requests_file import RequestLine
from evd.core.effects import Level, Note, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.messages import (
    BEACONS,
    UPDATES,
    Action,
    DriverRequest,
    DriverUpdate,
    Message,
    RequestStatus,
)
from evd.core.wire.partition import Mark, Place
from evd.daemons.driver.steps import (
    MarkRead,
    Rest,
    SaveOutcome,
    Step,
    Take,
    in_order,
    newest_beacon,
    read_updates,
)
from tests.sim.broker import Broker, Messenger, Reader, place_of
from tests.sim.disks import DiskFault, Notebook
from tests.sim.drive import drive
from tests.sim.parts_central import CentralPart
from tests.sim.world import Process, World

# The caller's pace.
TICK_S = 0.5
REQUEST_TIMEOUT_S = 8.0
REQUEST_INTERVAL_S = 1.0
BEACONS_PLACE = place_of(BEACONS, "")

Told = Callable[["Requester", DriverUpdate], None]
Reading = Generator[Take | Rest | MarkRead, bool | None, None]


def _ignore(*_: object) -> None:
    """Bad messages are put aside."""


class Requester(Process):
    """A driver_id that wants charges; `wish` names the charging point, now."""

    def __init__(self, world: World, name: str, host: str) -> None:
        super().__init__(world, name, host)
        self.driver_id = name
        self.on_told: Told = lambda _, __: None
        # None: nothing is wanted now; else the charging point, or "any".
        self.wish: Callable[[], str | None] = lambda: None
        self.on_asked: Callable[[str, str | None], None] = lambda _, __: None
        # Called with each request each time that it is said again.
        self.on_said: Callable[[str], None] = lambda _: None
        self.asked_count = 0
        self.last_end_s = 0.0

    def fresh_id(self) -> str:
        """A request_id that was never used, also not before a disk was lost."""
        self.asked_count += 1
        return f"req-{self.name}-{self.asked_count}"

    def told(self, update: DriverUpdate) -> None:
        """It knows now where its request stands."""
        if update.status.final:
            self.last_end_s = self.world.t_s
            self.note(
                f"is TOLD {update.status} {update.request_id} ({update.reason})",
                update.request_id,
                update.session_id,
            )
        self.on_told(self, update)


class DriverPart(Requester):
    """One driver: its process and its notebook."""

    def __init__(
        self, world: World, broker: Broker, name: str, host: str, lines: tuple[RequestLine, ...]
    ) -> None:
        super().__init__(world, name, host)
        self.broker = broker
        self.notebook = Notebook(world.rng)
        self.settings = DriverSettings(
            driver_id=self.driver_id,
            request_interval_s=REQUEST_INTERVAL_S,
            request_timeout_s=REQUEST_TIMEOUT_S,
            file_digest="digest" if lines else "",
            file_lines=lines,
        )
        self.core: Driver | None = None

    def boot(self) -> None:
        """A process begins with what is in its notebook."""
        self._messenger = Messenger(self, self.broker)
        place = place_of(UPDATES, self.driver_id)
        self._updates = Reader(self, self.broker, self.name, [place], self._read, _ignore)
        self._beacons = Reader(self, self.broker, None, [BEACONS_PLACE], self._hear, _ignore)
        # The batches of updates that are not read to their end.
        self._batches: deque[tuple[Reading, Mapping[Place, Mark]]] = deque()
        # A save that failed may have been done all the same.
        self._note_asked()
        self.core = Driver(self.settings, self.notebook.page)
        self._carry_out_all(self.core, self.core.start(self.now()))
        self._sleep()

    def died(self) -> None:
        """Its memory is gone."""
        self.core = None

    @property
    def has_lines_left(self) -> bool:
        """Whether it goes on asking by itself: its requests file is not at its end."""
        lines = self.settings.file_lines
        return bool(lines) and self.notebook.page.file_line < lines[-1].line_number

    @property
    def is_free(self) -> bool:
        """Whether it has no request on its own notebook that it waits for."""
        return all(request.given_up for request in self.notebook.page.requests)

    def _sleep(self) -> None:
        assert self.core is not None
        delay_s = max(0.0, self.core.wake_at_s - self.now().mono_s)
        self.later(delay_s + 0.0005, self._tick)

    def _tick(self) -> None:
        # Positions follow from it when the broker comes back.
        self._updates.link_up()
        self._beacons.link_up()
        self._handle(Ticked(self.fresh_id()))
        self._sleep()
        if self.is_free and self.world.t_s - self.last_end_s >= REQUEST_INTERVAL_S:
            wish = self.wish()
            if wish is not None:
                self._handle(AskWanted(self.fresh_id(), None if wish == "any" else wish, None))
        elif self.world.chance(0.005):
            self._changes_its_mind()

    def _changes_its_mind(self) -> None:
        if self.core is None:
            return
        current = self.core.current
        if current is not None:
            self._handle(StopWanted(current.session_id))
            return
        for request in self.notebook.page.requests:
            if not request.given_up:
                self._handle(CancelWanted(request.request_id))
                return

    def _hear(self, messages: list[Message], _: Mapping[Place, Mark]) -> None:
        beacon = newest_beacon(messages)
        if beacon is not None:
            self._handle(beacon)

    def _read(self, messages: list[Message], marks: Mapping[Place, Mark]) -> None:
        self._batches.append((read_updates(self.driver_id, messages), marks))
        if len(self._batches) == 1:
            self._read_on()

    def _read_on(self, outcome: bool | None = None) -> None:
        """Carry out the steps of one batch after the other, up to a rest."""
        while self._batches:
            reading, marks = self._batches[0]
            try:
                step = reading.send(outcome)
            except StopIteration:
                self._batches.popleft()
                continue
            finally:
                outcome = None
            match step:
                case Take(update):
                    outcome = self._handle(update)
                case Rest(duration_s):
                    self.later(duration_s, self._read_on)
                    return
                case MarkRead():
                    self.risk()
                    self._updates.commit(marks)

    def _handle(self, event: Event) -> bool:
        """Whether the event was taken in; not, where it could not be saved."""
        core = self.core
        return core is None or self._carry_out_all(core, core.handle(event, self.now()))

    def _carry_out_all(self, core: Driver, effects: Iterable[Effect]) -> bool:
        outcome = drive(in_order(core, effects, self.now), self._carry_out)
        return not isinstance(outcome, SaveFailed)

    def _carry_out(self, step: Step) -> SaveOutcome | None:
        match step:
            case Save(disk):
                self.risk()
                try:
                    self._write(disk)
                except DiskFault as error:
                    return SaveFailed(str(error))
                return Saved()
            case Tell(update):
                self.risk()
                self.told(update)
            case Send(topic, key, message):
                if isinstance(message, DriverRequest) and message.action is Action.START:
                    self.on_said(message.request_id)
                self._messenger.send(topic, key, message)
            case Note():
                if step.level is not Level.DEBUG:
                    self.note(step.text)
        return None

    def _write(self, page: DriverDisk) -> None:
        known = {request.request_id for request in self.notebook.page.requests}
        self.notebook.write(page)
        self._note_asked(known)

    def _note_asked(self, known: Set[str] = frozenset()) -> None:
        for request in self.notebook.page.requests:
            if request.request_id not in known:
                self.on_asked(request.request_id, request.cp_id)


@attrs.define
class OpenRequest:
    """The caller's request: what it asked for, since when, and whether it was ever answered."""

    request_id: str
    driver_id: str
    cp_id: str | None
    since_s: float
    posted: bool = False
    ending: bool = False
    last_s: float = -1e9
    post_s: float = 0.0


class HttpClientPart(Requester):
    """A program that asks by HTTP.

    It repeats its POST with the same request_id until it is answered, then asks how it goes.  It
    gives up by DELETE, and believes that only when it is answered.  Every third request is posted
    once and never looked at again.
    """

    PATIENCE_S = 8.0
    REPEAT_S = 2.0
    # A call that nobody took by then is given up, and arrives nowhere.
    CALL_S_MAX = 5.0

    def __init__(self, world: World, name: str, host: str, central: CentralPart) -> None:
        super().__init__(world, name, host)
        self.central = central
        self.open: OpenRequest | None = None
        self.on_forgotten: Callable[[str], None] = lambda _: None
        self._rests_until_s = 0.0

    def boot(self) -> None:
        """It goes on with the request that it has written down."""
        self._tick()

    def died(self) -> None:
        """Nothing is lost: its request is written down."""

    @property
    def is_free(self) -> bool:
        """Whether it waits for no request."""
        return self.open is None

    def _tick(self) -> None:
        self.later(TICK_S, self._tick)
        t_s = self.world.t_s
        request = self.open
        if request is None:
            rested = t_s >= self._rests_until_s and t_s - self.last_end_s >= 2.0
            wish = self.wish() if rested else None
            if wish is not None:
                self._ask(None if wish == "any" else wish)
            return
        if t_s - request.last_s < self.REPEAT_S:
            return
        request.last_s = t_s
        if request.posted and self.world.chance(0.02):
            request.ending = True
        if request.ending:
            self._call(self._delete, request)
        elif request.posted:
            self._call(self._get, request)
        elif t_s - request.since_s <= self.PATIENCE_S:
            request.post_s = t_s
            self._call(self._post, request)
        elif t_s - request.post_s > self.CALL_S_MAX:
            # No POST of it is on the way any more: what Central does not know now, it never will.
            request.ending = True

    def _ask(self, cp_id: str | None) -> None:
        t_s = self.world.t_s
        request = OpenRequest(self.fresh_id(), self.driver_id, cp_id, t_s, last_s=t_s, post_s=t_s)
        self.open = request
        self.note(f"posts {request.request_id} at {cp_id or 'any'}", request.request_id)
        self.on_asked(request.request_id, cp_id)
        self._call(self._post, request)
        if self.asked_count % 3 == 0:
            self.open = None
            self.on_forgotten(request.request_id)
            self._rests_until_s = self.world.t_s + 12.0

    def _call(
        self, say: Callable[[OpenRequest], None], request: OpenRequest, until_s: float | None = None
    ) -> None:
        """TCP carries a call late, after a cut too, or not at all."""
        world, central = self.world, self.central
        if until_s is None:
            until_s = world.t_s + self.CALL_S_MAX
        if not world.passes(self.host, central.host):
            delay_s = world.rng.uniform(0.3, 4.0)
            if world.t_s + delay_s < until_s:
                world.at(delay_s, self._call, say, request, until_s)
            return
        delay_s = world.soon_s()
        if central.alive and world.t_s + delay_s < until_s:
            central.later(delay_s, say, request)

    def _answer(self, take: Callable[..., None], *args: object) -> None:
        if self.world.passes(self.central.host, self.host):
            self.later(self.world.soon_s(), take, *args)

    def _post(self, request: OpenRequest) -> None:
        asked = request.request_id, request.driver_id, request.cp_id
        self.central.ask(
            lambda call: ChargeAsked(call, *asked),
            lambda answer: self._answer(self._posted, request, answer),
        )

    def _posted(self, request: OpenRequest, answer: Accepted | Refused) -> None:
        if isinstance(answer, Accepted):
            request.posted = True

    def _delete(self, request: OpenRequest) -> None:
        request_id = request.request_id
        self.central.ask(
            lambda call: RequestEndAsked(call, request_id),
            lambda answer: self._answer(self._deleted, request, answer),
        )

    def _deleted(self, request: OpenRequest, answer: Accepted | Refused) -> None:
        refusal = answer.refusal if isinstance(answer, Refused) else None
        if refusal is Refusal.UNKNOWN and self.open is request:
            # Central never heard of it, and nothing of it is on the way any more.
            self._end(request, RequestStatus.FAILED, "never known")
        elif refusal in (None, Refusal.CONFLICT):
            # A conflict: it has ended, perhaps by a DELETE whose answer was lost.
            request.posted = True
            self._call(self._get, request)

    def _get(self, request: OpenRequest) -> None:
        self.central.look(
            request.request_id,
            lambda status, row: self._answer(self._got, request, status, row),
        )

    def _got(self, request: OpenRequest, status: int, row: Request | None) -> None:
        if self.open is not request:
            return
        if row is not None and row.status.final:
            self._end(request, row.status, row.reason, row)
        elif status == 404 and request.posted:
            self._end(request, RequestStatus.FAILED, "a restored database lost it")

    def _end(
        self, request: OpenRequest, status: RequestStatus, reason: str, row: Request | None = None
    ) -> None:
        self.open = None
        update = DriverUpdate(
            request.request_id,
            request.driver_id,
            row.cp_id if row is not None else request.cp_id,
            status,
            reason,
            kwh=row.kwh if row is not None else None,
            euros=row.euros if row is not None else None,
        )
        self.told(update)
