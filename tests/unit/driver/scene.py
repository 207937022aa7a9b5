"""A scene with one driver: its disk, its clock, and what Central may tell it."""

from datetime import UTC, datetime, timedelta

from evd.core.driver.core import Driver, DriverSettings
from evd.core.driver.disk import BLANK_DISK, DriverDisk
from evd.core.driver.events import AskWanted, CurrentSession, Effect, Event, Save, Tell, Ticked
from evd.core.driver.requests_file import parse_requests
from evd.core.effects import Now, Send
from evd.core.machine import Saved
from evd.core.wire.messages import Beacon, DriverRequest, DriverUpdate, RequestStatus

ALICE = "driver-alice"
WALL = datetime(2026, 1, 31, 12, tzinfo=UTC)
SESSION = "session-1"


class Scene:
    """A driver, the disk that it saves to, and a clock that a test moves."""

    def __init__(
        self,
        file: str = "",
        disk: DriverDisk = BLANK_DISK,
        digest: str = "a",
        repeats: bool = False,
    ) -> None:
        self.settings = DriverSettings(
            driver_id=ALICE,
            request_interval_s=4.0,
            request_timeout_s=10.0,
            file_digest=digest if file else "",
            file_lines=parse_requests(file),
            file_repeats=repeats,
        )
        self.disk = disk
        self.mono_s = 100.0
        self.made = 0
        self.driver = Driver(self.settings, disk)
        self.follow(self.driver.start(self.now))

    @property
    def now(self) -> Now:
        return Now(self.mono_s, WALL + timedelta(seconds=self.mono_s))

    def restart(self) -> list[Effect]:
        """Start another process with this one's disk; return its first effects."""
        self.mono_s = 7.0
        self.driver = Driver(self.settings, self.disk)
        return self.follow(self.driver.start(self.now))

    def tell(self, event: Event) -> list[Effect]:
        return self.follow(self.driver.handle(event, self.now))

    def follow(self, effects: list[Effect]) -> list[Effect]:
        """Do the saves among the effects."""
        for effect in effects:
            if isinstance(effect, Save):
                self.disk = effect.disk
                assert self.driver.handle(Saved(), self.now) == []
        return effects

    def tick(self, for_s: float = 0.25) -> list[Effect]:
        """Let `for_s` go by in ticks of a quarter of a second; all effects of that time."""
        effects: list[Effect] = []
        for _ in range(round(for_s / 0.25)):
            self.mono_s += 0.25
            self.made += 1
            effects += self.tell(Ticked(f"req-{self.made}"))
        return effects

    def current(self) -> CurrentSession | None:
        return self.driver.current

    def beacon(self, up_s: float = 1.0, epoch: int = 1) -> list[Effect]:
        return self.tell(Beacon("central-1", epoch, up_s))


def asking(cp_id: str | None = "CP-001") -> Scene:
    """A driver that has heard Central and asked it for a charge by req-a."""
    scene = Scene()
    scene.beacon()
    scene.tell(AskWanted("req-a", cp_id, None))
    return scene


def update(
    request_id: str, status: RequestStatus, reason: str = "", **more: object
) -> DriverUpdate:
    """An update of Central's for Alice."""
    fields: dict[str, object] = {"cp_id": "CP-001", "driver_id": ALICE, **more}
    return DriverUpdate(request_id=request_id, status=status, reason=reason, **fields)  # type: ignore[arg-type]


def accepted(request_id: str) -> DriverUpdate:
    """Central has begun a session."""
    return update(request_id, RequestStatus.ACCEPTED, session_id=SESSION)


def progress(request_id: str, kwh: float) -> DriverUpdate:
    """A reading of the running session."""
    return update(
        request_id, RequestStatus.IN_PROGRESS, session_id=SESSION, kw=22.0, kwh=kwh, euros=0.01
    )


def completed(request_id: str) -> DriverUpdate:
    """The session's end with its totals."""
    return update(request_id, RequestStatus.COMPLETED, session_id=SESSION, kwh=0.061, euros=0.02)


def sent(effects: list[Effect]) -> list[DriverRequest]:
    """The requests among the effects."""
    return [
        e.message for e in effects if isinstance(e, Send) and isinstance(e.message, DriverRequest)
    ]


def told(effects: list[Effect]) -> list[tuple[str, str]]:
    """The updates that the driver is told among the effects: request and status."""
    return [(e.update.request_id, e.update.status) for e in effects if isinstance(e, Tell)]


def actions(effects: list[Effect]) -> list[str]:
    """The actions that are asked of Central among the effects."""
    return [message.action for message in sent(effects)]
