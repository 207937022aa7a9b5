"""A driver in a world that loses, repeats and crashes: what must hold whatever happens."""

from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from evd.core.driver.core import Driver, DriverSettings
from evd.core.driver.disk import BLANK_DISK, REQUESTS_MAX, DriverDisk
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
from evd.core.driver.requests_file import parse_requests
from evd.core.effects import Now, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.messages import FINAL, Action, Beacon, DriverRequest, DriverUpdate, RequestStatus

ALICE = "driver-alice"
WALL = datetime(2026, 1, 31, 12, tzinfo=UTC)
TIMEOUT_S = 3.0
FILE = parse_requests("CP-001\nany\nCP-404\n")


def session_of(request_id: str) -> str:
    """The session that Central makes of a request."""
    return f"session-{uuid5(NAMESPACE_URL, request_id).hex}"


@attrs.define
class Coordinator:
    """Central as its drivers see it: it answers from what it stored, and never changes a final."""

    stored: dict[str, RequestStatus] = attrs.field(factory=dict)

    def read(self, request: DriverRequest) -> DriverUpdate | None:
        """Its answer to one request; None where it leaves a START for its driver to repeat."""
        status = self.stored.get(request.request_id)
        if status is None and request.action is Action.STOP:
            return None
        if status is None:
            running = RequestStatus.ACCEPTED in self.stored.values()
            status = RequestStatus.DENIED if running else RequestStatus.ACCEPTED
            if request.action is Action.CANCEL:
                status = RequestStatus.FAILED
        elif status not in FINAL and request.action is not Action.START:
            stopped = request.action is Action.STOP
            status = RequestStatus.COMPLETED if stopped else RequestStatus.FAILED
        self.stored[request.request_id] = status
        return self.answer(request.request_id)

    def answer(self, request_id: str) -> DriverUpdate:
        return DriverUpdate(
            request_id,
            ALICE,
            "CP-001",
            self.stored[request_id],
            "",
            session_id=session_of(request_id),
        )


class World:
    """One driver with its disk, its Central and the messages between them."""

    def __init__(self) -> None:
        self.disk = BLANK_DISK
        self.mono_s = 0.0
        self.made = 0
        self.epoch = 1
        self.central = Coordinator()
        self.to_central: list[DriverRequest] = []
        self.to_driver: list[DriverUpdate] = []
        self.asked: set[str] = set()
        self.told: dict[str, list[RequestStatus]] = {}
        self.start()

    def start(self) -> None:
        self.heard = False
        self.driver = Driver(
            DriverSettings(
                driver_id=ALICE,
                request_interval_s=0.5,
                request_timeout_s=TIMEOUT_S,
                file_digest="digest",
                file_lines=FILE,
            ),
            self.disk,
        )
        self.follow(self.driver.start(Now(self.mono_s, WALL)))

    def fresh_id(self) -> str:
        self.made += 1
        return f"req-{self.made}"

    def feed(self, event: Event, crash_after: int | None = None, disk_full: bool = False) -> None:
        """Hand an event in; a crash comes before the effect `crash_after`, or at the end."""
        self.follow(self.driver.handle(event, Now(self.mono_s, WALL)), crash_after, disk_full)
        if crash_after is not None:
            self.start()

    def follow(
        self, effects: list[Effect], crash_after: int | None = None, disk_full: bool = False
    ) -> None:
        for number, effect in enumerate(effects):
            if number == crash_after:
                break
            if isinstance(effect, Save):
                if disk_full:
                    self.driver.handle(SaveFailed("disk full"), Now(self.mono_s, WALL))
                    return
                self.save(effect.disk)
                self.driver.handle(Saved(), Now(self.mono_s, WALL))
            elif isinstance(effect, Tell):
                self.hear(effect.update)
            elif isinstance(effect, Send):
                self.send(effect)

    def save(self, disk: DriverDisk) -> None:
        ids = [request.request_id for request in disk.requests]
        assert len(ids) == len(set(ids)) <= REQUESTS_MAX
        self.asked.update(ids)
        self.disk = disk

    def hear(self, update: DriverUpdate) -> None:
        """The driver's own eyes: at most one kind of final status, and nothing after it."""
        statuses = self.told.setdefault(update.request_id, [])
        final = [status for status in statuses if status in FINAL]
        assert not final or update.status is final[0], (update, statuses)
        statuses.append(update.status)

    def send(self, effect: Send) -> None:
        """A message leaves: only of what is on disk, and only after a beacon."""
        message = effect.message
        assert isinstance(message, DriverRequest)
        assert self.heard, "it spoke before it had heard a beacon"
        [request] = [r for r in self.disk.requests if r.request_id == message.request_id]
        assert request.action is message.action
        assert effect.key == (message.cp_id or ALICE)
        self.to_central.append(message)

    def step(self, choice: int, where: int) -> None:
        """One thing happens; `choice` says what, `where` to which message or request."""
        crash_after = where % 5 if choice % 7 == 0 else None
        disk_full = choice % 11 == 0
        match choice % 9:
            case 0 | 1 | 2:
                self.mono_s += 0.25 + (where % 3) * 0.3
                self.feed(Ticked(self.fresh_id()), crash_after, disk_full)
            case 3:
                if where % 5 == 0:
                    self.epoch += 1
                self.heard = True
                beacon = Beacon("central-1", self.epoch, self.mono_s)
                self.feed(beacon, crash_after, disk_full)
            case 4:
                self.deliver_to_central(where, lost=choice % 2 == 0)
            case 5:
                if self.to_driver:
                    update = self.to_driver[where % len(self.to_driver)]
                    self.feed(update, crash_after, disk_full)
            case 6:
                self.feed(AskWanted(self.fresh_id(), None, None), crash_after, disk_full)
            case 7:
                if self.asked:
                    request_id = sorted(self.asked)[where % len(self.asked)]
                    wish = CancelWanted(request_id), StopWanted(session_of(request_id))
                    self.feed(wish[where % 2], crash_after, disk_full)
            case 8:
                self.end_a_session(where)

    def deliver_to_central(self, where: int, lost: bool) -> None:
        """Any message that is under way arrives, or is lost; it may arrive again later."""
        if not self.to_central:
            return
        answer = self.central.read(self.to_central[where % len(self.to_central)])
        if answer and not lost:
            self.to_driver.append(answer)

    def end_a_session(self, where: int) -> None:
        """A session ends by itself; the news of it is lost more often than not."""
        running = [r for r, status in self.central.stored.items() if status not in FINAL]
        if running:
            request_id = running[where % len(running)]
            self.central.stored[request_id] = RequestStatus.COMPLETED
            if where % 3 == 0:
                self.to_driver.append(self.central.answer(request_id))

    def heal(self) -> None:
        for _ in range(400):
            self.mono_s += 0.25
            self.heard = True
            self.feed(Beacon("central-1", self.epoch, self.mono_s))
            self.feed(Ticked(self.fresh_id()))
            pending, self.to_central = self.to_central, []
            for message in pending:
                answer = self.central.read(message)
                if answer:
                    self.feed(answer)
            self.end_a_session(1)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 692), st.integers(0, 29)), max_size=120))
def test_each_request_has_one_final_status(steps: list[tuple[int, int]]) -> None:
    """Proves: whatever is lost, repeated, crashed or not saved, each request that was begun ends
    with exactly one final status at its driver, and Central stores the same, but for the one that
    the driver gave up."""
    world = World()
    for choice, where in steps:
        world.step(choice, where)
    world.heal()
    assert world.disk.requests == ()
    assert world.disk.file_line == FILE[-1].line_number
    for request_id in world.asked:
        finals = {status for status in world.told.get(request_id, []) if status in FINAL}
        assert len(finals) == 1, (request_id, world.told.get(request_id))
        stored = world.central.stored[request_id]
        assert finals == {stored} or finals == {RequestStatus.FAILED}
