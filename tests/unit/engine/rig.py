"""An engine's core with a disk and a clock of values: events go in, effects are kept."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar

import attrs

from evd.core.effects import Note, Now, Send
from evd.core.engine.core import Engine
from evd.core.engine.events import (
    BeaconRead,
    CentralNamed,
    CommandRead,
    Effect,
    EngineDisk,
    EngineSettings,
    Event,
    Exit,
    ReserveRoom,
    Run,
    Save,
    SaveConfirmed,
    SaveMeter,
    SaveObeyed,
    SaveRecord,
    SaveRun,
    SendRecords,
    Ticked,
)
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.messages import (
    SESSIONS,
    Beacon,
    Command,
    CpState,
    CpStatus,
    Message,
    Outcome,
    Payload,
    SessionRecord,
    SessionRecorded,
    StartSupply,
    StopSupply,
)

CP_ID = "CP-001"
CENTRAL = "central-1"
WALL = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TICK_S = 0.25

M = TypeVar("M", bound=Message)


def clock() -> Now:
    """Both readings of a clock that stands."""
    return Now(1000.0, WALL)


def record_of(session_id: str, reason: str = "") -> SessionRecord:
    """A session that is over."""
    return SessionRecord(
        session_id=session_id,
        request_id="r1",
        cp_id=CP_ID,
        driver_id="driver-alice",
        boot_id="boot-0",
        started_at=WALL,
        ended_at=WALL + timedelta(microseconds=123_456),
        kwh=0.061111,
        euros=0.02,
        outcome=Outcome.COMPLETED,
        reason=reason,
        fault=False,
        bill=True,
    )


@attrs.define
class Disk:
    """The durable rows; `failing` says why the disk does not work."""

    central_id: str | None = None
    run: Run | None = None
    records: dict[str, SessionRecord] = attrs.field(factory=dict)
    confirmed: set[str] = attrs.field(factory=set)
    failing: str = ""
    saves: list[Save] = attrs.field(factory=list)

    def save(self, effect: Save) -> None:
        self.saves.append(effect)
        match effect:
            case ReserveRoom():
                self.run = None
            case SaveRun(run=run):
                self.run = run
            case SaveMeter():
                assert self.run is not None
                assert self.run.session_id == effect.session_id
                self.run = attrs.evolve(
                    self.run, energy_mwh=effect.energy_mwh, metered_s=effect.metered_s
                )
            case SaveRecord(record=record):
                self.run = None
                self.records[record.session_id] = record
                self.confirmed.discard(record.session_id)
            case SaveConfirmed(session_ids=session_ids):
                self.confirmed.update(session_ids)
            case SaveObeyed(central_id=central_id):
                self.central_id = central_id
                self.confirmed.clear()

    def load(self) -> EngineDisk:
        return EngineDisk(
            self.central_id,
            self.run,
            tuple(each for each in self.records if each not in self.confirmed),
            tuple(each for each in self.records if each in self.confirmed),
        )


class Crashed(Exception):
    """The engine was killed between two effects."""


class Rig:
    """One engine after the other over one disk; `effects` are those since they were last taken."""

    def __init__(self, disk: Disk | None = None, **settings: object) -> None:
        self.settings = EngineSettings(
            **{"cp_id": CP_ID, "kw_rate": 36.0, "euro_rate": 0.5, **settings}  # type: ignore[arg-type]
        )
        self.disk = disk or Disk()
        self.now_s = 1000.0
        self.wall_shift_s = 0.0
        self.connected = True
        self.logs_lost_count = 0
        # Whether its beacons come while time passes.
        self.central_up = True
        self.beacon_at_s = 1001.0
        self.boots = 0
        # How many effects are still carried out before the engine is killed; None: all.
        self.fuse: int | None = None
        # How long the disk takes for each save.
        self.save_s = 0.0
        self.effects: list[Effect] = []
        self.exited = False
        self.boot()

    @property
    def now(self) -> Now:
        wall = WALL + timedelta(seconds=self.now_s - 1000.0 + self.wall_shift_s)
        return Now(self.now_s, wall)

    def boot(self) -> None:
        self.boots += 1
        self.started_s = self.now_s
        self.exited = False
        self.engine = Engine(self.settings, self.boot_id, self.disk.load(), self.now)
        self._carry_out(self.engine.start(self.now))

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    @property
    def up_s(self) -> float:
        return self.now_s - self.started_s

    def do(self, event: Event) -> list[Effect]:
        """Hand in `event` and carry out all that follows; returns it, in its order."""
        before = len(self.effects)
        self._carry_out(self.engine.handle(event, self.now))
        return self.effects[before:]

    def _carry_out(self, effects: list[Effect]) -> None:
        assert not any(isinstance(effect, Save) for effect in effects[:-1])
        for effect in effects:
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse < 0:
                    raise Crashed
            self.effects.append(effect)
            if isinstance(effect, Exit):
                self.exited = True
            if not isinstance(effect, Save):
                continue
            self.now_s += self.save_s
            if self.disk.failing:
                outcome: Event = SaveFailed(self.disk.failing)
            else:
                self.disk.save(effect)
                outcome = Saved()
            self._carry_out(self.engine.handle(outcome, self.now))

    def tick(self) -> list[Effect]:
        return self.do(Ticked(self.connected, self.logs_lost_count))

    def repaired(self, seconds: float = 1.0) -> list[Effect]:
        """The disk works again; what follows in that time."""
        self.disk.failing = ""
        return self.wait(seconds)

    def wait(self, seconds: float) -> list[Effect]:
        """Let time pass, with all its ticks; returns what follows from them."""
        before, until_s = len(self.effects), self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(max(self.now_s, self.engine.wake_at_s), self.now_s + TICK_S, until_s)
            if self.central_up and self.now_s >= self.beacon_at_s:
                self.beacon(self.engine_central)
                self.beacon_at_s = self.now_s + 1.0
            self.tick()
        return self.effects[before:]

    @property
    def engine_central(self) -> str:
        """The Central that is obeyed."""
        return self.disk.central_id or CENTRAL

    def ready(self) -> "Rig":
        """Connected, and Central heard."""
        self.tick()
        self.beacon()
        return self

    def charging(self, for_s: float = 0.0) -> "Rig":
        """Ready, and `for_s` after the start of the session s1."""
        self.ready().start()
        self.wait(for_s)
        return self

    def charged(self, *session_ids: str) -> "Rig":
        """After these sessions have run, one after the other."""
        for session_id in session_ids:
            self.start(session_id)
            assert self.report.session_id == session_id
            self.wait(10)
        return self

    def beacon(self, central_id: str = CENTRAL, epoch: int = 1) -> list[Effect]:
        return self.do(BeaconRead(Beacon(central_id=central_id, epoch=epoch, up_s=1.0)))

    def ping(self, central_id: str, *, is_settled: bool = False) -> list[Effect]:
        return self.do(CentralNamed(central_id, "127.0.0.1:5", is_settled))

    def renamed(self, central_id: str) -> list[Effect]:
        """The monitor's PING names another Central, whose beacon was heard."""
        self.beacon(central_id)
        return self.ping(central_id)

    def command(self, payload: Payload, central_id: str = CENTRAL) -> list[Effect]:
        return self.do(CommandRead(Command(cp_id=CP_ID, central_id=central_id, payload=payload)))

    def start(
        self, session_id: str = "s1", boot_id: str = "", until_up_s: float = -1
    ) -> list[Effect]:
        """A START, good for 5 s if nothing else is said."""
        good_until_s = self.up_s + 5 if until_up_s < 0 else until_up_s
        boot_id = boot_id or self.boot_id
        return self.command(StartSupply(session_id, "r1", "driver-alice", boot_id, good_until_s))

    def stop(self, session_id: str = "s1", boot_id: str = "", bill: bool = True) -> list[Effect]:
        """A STOP of this session, for this boot unless another is named."""
        boot_id = boot_id or self.boot_id
        return self.command(StopSupply(session_id, "r1", "driver-alice", boot_id, "enough", bill))

    def recorded(self, session_id: str = "s1") -> list[Effect]:
        return self.command(SessionRecorded(session_id))

    @property
    def state(self) -> CpState:
        return self.report.state

    def shows(self, state: CpState) -> bool:
        return self.state is state

    @property
    def report(self) -> CpStatus:
        return messages(self.effects, CpStatus)[-1]


def messages(effects: list[Effect], kind: type[M]) -> list[M]:
    """The messages of that kind."""
    said = [effect.message for effect in effects if isinstance(effect, Send)]
    return [message for message in said if isinstance(message, kind)]


def records(effects: list[Effect]) -> list[SessionRecord]:
    """The records that were said, without those read from disk."""
    assert all(e.key == CP_ID for e in effects if isinstance(e, Send))
    return [m for e in effects if isinstance(e, Send) and e.topic == SESSIONS for m in [e.message]]  # type: ignore[misc]


def sent_again(effects: list[Effect]) -> list[str]:
    """The records that were read from disk to be said."""
    return [each for e in effects if isinstance(e, SendRecords) for each in e.session_ids]


def notes(effects: list[Effect]) -> list[str]:
    """The lines of the log."""
    return [f"{effect.level} {effect.text}" for effect in effects if isinstance(effect, Note)]
