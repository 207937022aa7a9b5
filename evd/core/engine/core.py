"""The engine of one charging point, decided.

- It obeys the one Central whose id it keeps on disk: the first that it heard, then the one that its
  monitor's PING names.  Of another Central it hears nothing.
- Every START or STOP meant for this boot ends in a record, and a session of which there is one is
  never begun again.
- What it says is on disk: a list of effects has at most one save, as its last, and goes on when the
  shell hands in `Saved` or `DiskFailed`, before any other event.
- Whoever was stopped itself judges nobody on the silence meanwhile.
"""

from evd.core.effects import Level, Note, Now, Send
from evd.core.engine import transitions
from evd.core.engine.buffer_log import BufferLog
from evd.core.engine.central_contact import CentralContact
from evd.core.engine.events import (
    SAVES,
    BeaconRead,
    CentralNamed,
    CommandRead,
    ConfirmationsRead,
    DiskFailed,
    Effect,
    EngineDisk,
    EngineSettings,
    Event,
    Exit,
    RecordsGone,
    ReserveRoom,
    Run,
    Save,
    SaveConfirmed,
    Saved,
    SaveMeter,
    SaveObeyed,
    SaveRecord,
    SaveRun,
    SendRecords,
    StopAsked,
    Ticked,
)
from evd.core.engine.ledger import Ledger
from evd.core.engine.reports import Reports
from evd.core.engine.session import (
    ENGINE_RESTARTED,
    ENGINE_STOPPED,
    Ending,
    clipped,
    record,
    refusal,
    telemetry,
)
from evd.core.engine.states import States
from evd.core.engine.supply import Supply
from evd.core.stall import StallWatch
from evd.core.wire.control import Ping, Pong
from evd.core.wire.messages import (
    SESSIONS,
    STATUS,
    TELEMETRY,
    Command,
    CpState,
    CpStatus,
    Outcome,
    ResumeCp,
    SessionRecord,
    SessionRecorded,
    Shutdown,
    StartSupply,
    StopCp,
    StopSupply,
)

DISK_RETRY_S = 1.0
# A shell tells a save's outcome sooner; where it took longer it was stopped itself.
DISK_OUTCOME_S = 4.0
# Of them the oldest is forgotten: its START was good for some seconds, and so many can't come then.
REFUSALS_MAX = 1_000


class Engine:
    """One boot of the engine: `start` it, then `handle` one event after the other."""

    def __init__(self, settings: EngineSettings, boot_id: str, disk: EngineDisk, now: Now) -> None:
        self._settings = settings
        self._boot_id = boot_id
        self._central_id = disk.central_id
        self._ledger = Ledger(disk.unconfirmed, disk.confirmed)
        self._machine = States(
            buffer_size=settings.session_buffer_size, unconfirmed=len(disk.unconfirmed)
        )
        self._reports = Reports(settings, boot_id, now)
        self._presence = CentralContact(now.mono_s)
        self._stall = StallWatch()
        self._long_stall = StallWatch(DISK_OUTCOME_S)
        self._buffer_log = BufferLog(settings.session_buffer_size)
        self._refused: dict[str, SessionRecord] = {}
        self._supply: Supply | None = None
        # A session that is over, and not saved yet.
        self._ended: SessionRecord | None = None
        if disk.run is not None:
            self._ended = record(disk.run, settings.cp_id, ENGINE_RESTARTED)
        # The save whose outcome must be told next; the command that it holds up; and until which
        # uptime the session that it begins may begin.
        self._awaited: Save | None = None
        self._held: CommandRead | None = None
        self._until_up_s = 0.0
        self._has_exited = False
        # In monotonic seconds: when the disk, and when all unconfirmed records, are tried again.
        self._disk_at_s = now.mono_s
        self._round_at_s = now.mono_s + settings.retry_interval_s
        self._logs_lost_count = 0

    @property
    def state(self) -> CpState:
        """The state of the machine."""
        return self._machine.state

    @property
    def central_id(self) -> str | None:
        """The Central that is obeyed, None while none was heard."""
        return self._central_id

    @property
    def unconfirmed_count(self) -> int:
        """How many ended sessions Central has not confirmed, one that is not saved included."""
        return self._ledger.unconfirmed_count + (self._ended is not None)

    @property
    def _run(self) -> Run | None:
        return None if self._supply is None else self._supply.run

    @property
    def wake_at_s(self) -> float:
        """When the next `Ticked` is due at the latest, in monotonic seconds."""
        due = [self._reports.due_at_s]
        if self._supply is not None:
            due.append(self._supply.wake_at_s)
        if self._ended is not None or self._machine.disk_reason:
            due.append(self._disk_at_s)
        if self._ledger.unconfirmed_count:
            due.append(self._round_at_s)
        return min(due)

    def pong(self, ping: Ping, now: Now) -> Pong:
        """The answer to a PING; it changes nothing, so it need not wait for a save."""
        return self._reports.pong(ping, now)

    def health(self, now: Now) -> str | None:
        """Why no session could begin here, or None; a stop by the operator is no illness."""
        return self._machine.illness(now.mono_s)

    def start(self, now: Now) -> list[Effect]:
        """The first effects; a session that is found on disk is over, and is never begun again."""
        effects: list[Effect] = [self._say_report(now)]
        if self._ledger.unconfirmed_count:
            text = f"{self._ledger.unconfirmed_count} buffered sessions are not yet confirmed"
            effects.append(Note(Level.INFO, text))
        if self._ended is None:
            return self._await([*effects, ReserveRoom()])
        text = f"Session {self._ended.session_id} was cut off by the end of the engine before"
        return self._await([*effects, Note(Level.WARNING, text), SaveRecord(self._ended)])

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """What follows from `event`.

        Raises RuntimeError where the outcome of a save is due first, or of none.
        """
        self._check_turn(event)
        self._excuse_stall(event, now.mono_s)
        effects = self._react(event, now)
        if not (effects and isinstance(effects[-1], SAVES)):
            effects += self._settle(now)
        return self._await(effects)

    def _excuse_stall(self, event: Event, now_s: float) -> None:
        was_away, was_long_away = self._stall.observe(now_s), self._long_stall.observe(now_s)
        if was_away:
            self._presence.excuse(now_s)
            self._machine.excuse(now_s)
        # A disk that takes its time keeps us from the others, but it is the disk that failed.
        is_disk_slow = isinstance(event, Saved | DiskFailed) and not was_long_away
        if was_away and not is_disk_slow and self._supply is not None:
            self._supply.excuse(now_s)

    def _check_turn(self, event: Event) -> None:
        outcome_of = event.effect if isinstance(event, Saved | DiskFailed) else None
        if isinstance(outcome_of, SendRecords):
            outcome_of = None
        if outcome_of != self._awaited:
            raise RuntimeError(f"outcome of {self._awaited} is due, and not {event}")
        self._awaited = None

    def _await(self, effects: list[Effect]) -> list[Effect]:
        last = effects[-1] if effects else None
        self._awaited = last if isinstance(last, SAVES) else None
        return effects

    def _react(self, event: Event, now: Now) -> list[Effect]:
        match event:
            case Ticked():
                return self._tick(event, now)
            case CommandRead():
                return self._command(event, now)
            case ConfirmationsRead():
                return self._confirmations(event, now)
            case BeaconRead():
                return self._beacon(event, now)
            case CentralNamed():
                return self._obey(event.central_id, None)
            case Saved():
                return self._saved(event.effect, now)
            case DiskFailed():
                return self._disk_failed(event, now)
            case RecordsGone():
                return self._records_gone(event.session_ids)
            case StopAsked():
                return self._stop_engine(now)

    def _settle(self, now: Now) -> list[Effect]:
        """Let the machine follow the facts, and report what has changed."""
        self._machine.unconfirmed = self._ledger.unconfirmed_count
        self._machine.running_session_id = None if self._run is None else self._run.session_id
        effects: list[Effect] = [*self._machine.follow(now.mono_s)]
        if self._reports.is_news(self._next_report(now)):
            effects.append(self._say_report(now))
        # What a failing disk does not take now is closed at the next start.
        is_over = self._ended is None or bool(self._machine.disk_reason)
        if self._machine.stopping and self._supply is None and is_over and not self._has_exited:
            self._has_exited = True
            effects.append(Exit())
        return effects

    def _next_report(self, now: Now) -> CpStatus:
        unconfirmed = self.unconfirmed_count
        return self._reports.next(self._machine, self._run, self._central_id, unconfirmed, now)

    def _say_report(self, now: Now) -> Send:
        report = self._next_report(now)
        self._reports.take(report, now)
        return Send(STATUS, self._settings.cp_id, report)

    def _say_record(self, said: SessionRecord) -> Send:
        return Send(SESSIONS, self._settings.cp_id, said)

    def _tick(self, event: Ticked, now: Now) -> list[Effect]:
        self._machine.set_connected(event.connected, now.mono_s)
        is_away, count = self._presence.silent(now.mono_s), self._ledger.unconfirmed_count
        effects: list[Effect] = [*self._buffer_log.tick(is_away, count, self._supply is not None)]
        is_lost = event.logs_lost_count != self._logs_lost_count
        self._logs_lost_count = event.logs_lost_count
        # With the broker's data our records may be gone, or what confirmed them.
        if is_lost or now.mono_s >= self._round_at_s:
            effects += self._send_round(now)
        if now.mono_s >= self._reports.due_at_s:
            effects.append(self._say_report(now))
        return effects + self._due_save(now)

    def _due_save(self, now: Now) -> list[Effect]:
        """What must be saved now: the end of a session, its reading, or what failed before."""
        if self._supply is not None:
            due = self._supply.due(now.mono_s)
            if isinstance(due, Ending):
                return self._end(self._supply, due, now)
            return [] if due is None else [due]
        if now.mono_s < self._disk_at_s:
            return []
        if self._ended is not None:
            return [SaveRecord(self._ended)]
        return [ReserveRoom()] if self._machine.disk_reason else []

    def _send_round(self, now: Now) -> list[Effect]:
        """Everything that Central has not confirmed is sent again."""
        self._round_at_s = now.mono_s + self._settings.retry_interval_s
        self._ledger.begin_round()
        return self._send_next()

    def _send_next(self) -> list[Effect]:
        session_ids = self._ledger.take()
        return [SendRecords(session_ids)] if session_ids else []

    def _obey(self, central_id: str, held: CommandRead | None) -> list[Effect]:
        if central_id == self._central_id:
            return []
        self._held = held
        return [SaveObeyed(central_id)]

    def _hear(self, now: Now, epoch: int | None = None) -> list[Effect]:
        is_back = self._presence.hear(now.mono_s, epoch)
        return self._send_round(now) if is_back else []

    def _beacon(self, event: BeaconRead, now: Now) -> list[Effect]:
        if self._central_id is None:
            return self._obey(event.beacon.central_id, None)
        if event.beacon.central_id != self._central_id:
            return []
        return self._hear(now, event.beacon.epoch)

    def _confirmations(self, event: ConfirmationsRead, now: Now) -> list[Effect]:
        if (event.cp_id, event.central_id) != (self._settings.cp_id, self._central_id):
            return []
        return self._hear(now) + self._confirm(event.session_ids)

    def _confirm(self, session_ids: tuple[str, ...]) -> list[Effect]:
        waiting = self._ledger.unconfirmed_among(session_ids)
        return [SaveConfirmed(waiting)] if waiting else []

    def _command(self, event: CommandRead, now: Now) -> list[Effect]:
        command = event.command
        if command.cp_id != self._settings.cp_id:
            return []
        if self._central_id is None:
            return self._obey(command.central_id, event)
        if command.central_id != self._central_id:
            return []
        # Whoever reads a command knows its place: it is not refused for want of it.
        self._machine.set_connected(True, now.mono_s)
        effects = self._settle(now) + self._hear(now)
        return effects + self._carry_out(command, now)

    def _carry_out(self, command: Command, now: Now) -> list[Effect]:
        match command.payload:
            case StartSupply() as order:
                return self._start_supply(order, now)
            case StopSupply() as order:
                return self._stop_supply(order, now)
            case StopCp(reason=reason):
                return self._stop_cp(reason, now)
            case ResumeCp():
                self._machine.stopped = None
                return []
            case Shutdown(boot_id=boot_id):
                return self._stop_engine(now) if boot_id == self._boot_id else []
            case SessionRecorded(session_id=session_id):
                return self._confirm((session_id,))

    def _start_supply(self, order: StartSupply, now: Now) -> list[Effect]:
        if self._is_running(order.session_id):
            return [self._say_report(now)]
        known = self._answer_known(order.session_id)
        if known is not None:
            return known
        if order.boot_id != self._boot_id:
            return []
        hindrance = self._machine.hindrance(self._reports.up_s(now), order.until_up_s)
        if hindrance:
            return self._refuse(order, hindrance, now)
        self._until_up_s = order.until_up_s
        run = Run(
            session_id=order.session_id,
            request_id=order.request_id,
            driver_id=order.driver_id,
            boot_id=self._boot_id,
            started_at=now.wall,
            kw_rate=self._settings.kw_rate,
            euro_rate=self._settings.euro_rate,
        )
        return [SaveRun(run)]

    def _stop_supply(self, order: StopSupply, now: Now) -> list[Effect]:
        if self._supply is not None and self._is_running(order.session_id):
            ending = Ending(Outcome.COMPLETED, order.reason, bill=order.bill)
            return self._end(self._supply, ending, now)
        known = self._answer_known(order.session_id)
        if known is not None:
            return known
        if order.boot_id != self._boot_id:
            return []
        why = f"session never began: {order.reason}" if order.reason else "session never began"
        return self._refuse(order, why, now)

    def _is_running(self, session_id: str) -> bool:
        return self._run is not None and self._run.session_id == session_id

    def _answer_known(self, session_id: str) -> list[Effect] | None:
        """The answer about a session that is over, whatever boot was meant; None if it is not."""
        if self._ended is not None and self._ended.session_id == session_id:
            # Its record is said as soon as it is on disk.
            return []
        if session_id in self._ledger:
            return [SendRecords((session_id,))]
        if session_id in self._refused:
            return [self._say_record(self._refused[session_id])]
        return None

    def _refuse(self, order: StartSupply | StopSupply | Run, why: str, now: Now) -> list[Effect]:
        said = refusal(order, self._settings.cp_id, self._boot_id, clipped(why), now.wall)
        if len(self._refused) >= REFUSALS_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[said.session_id] = said
        note = Note(Level.INFO, f"Session {said.session_id} refused: {why}")
        return [note, self._say_record(said)]

    def _stop_cp(self, reason: str, now: Now) -> list[Effect]:
        self._machine.stopped = reason or "stopped by the operator"
        if self._supply is None:
            return []
        ending = Ending(Outcome.COMPLETED, self._machine.stopped)
        return self._end(self._supply, ending, now)

    def _stop_engine(self, now: Now) -> list[Effect]:
        self._machine.stopping = True
        if self._supply is not None:
            return self._end(self._supply, ENGINE_STOPPED, now)
        return [SaveRecord(self._ended)] if self._ended is not None else []

    def _end(self, supply: Supply, ending: Ending, now: Now) -> list[Effect]:
        """The car is switched off now; what it took is saved, and then said."""
        self._ended = record(supply.read(now.mono_s), self._settings.cp_id, ending)
        self._supply = None
        if ending.fault:
            self._machine.disk_reason = ending.reason
        text = f"Session {self._ended.session_id} {ending.outcome}, {self._ended.kwh:.3f} kWh"
        note = Note(Level.INFO, f"{text} ({ending.reason})" if ending.reason else text)
        return [note, SaveRecord(self._ended)]

    def _saved(self, effect: Save, now: Now) -> list[Effect]:
        match effect:
            case SaveRun(run=run):
                return self._begin(run, now)
            case SaveMeter():
                return self._meter_saved(effect)
            case SaveRecord(record=said):
                return self._record_saved(said, now)
            case SaveConfirmed(session_ids=session_ids):
                self._ledger.confirm(session_ids)
                return [*self._buffer_log.confirmed(session_ids), *self._send_next()]
            case SaveObeyed(central_id=central_id):
                return self._obeyed(central_id, now)
            case ReserveRoom():
                self._machine.disk_reason = ""
                return []

    def _begin(self, run: Run, now: Now) -> list[Effect]:
        # The disk may have used up the time that the START was good for.
        late = transitions.expired(self._reports.up_s(now), self._until_up_s)
        if late:
            return [*self._refuse(run, late, now), ReserveRoom()]
        settings = self._settings
        self._supply = Supply(
            run, now.mono_s, settings.telemetry_interval_s, settings.session_seconds
        )
        return [Note(Level.INFO, f"Session {run.session_id} started for {run.driver_id}")]

    def _meter_saved(self, effect: SaveMeter) -> list[Effect]:
        if self._supply is None:
            raise RuntimeError("a meter was saved, but no session runs")
        self._supply.saved(effect)
        cp_id = self._settings.cp_id
        return [Send(TELEMETRY, cp_id, telemetry(self._supply.run, cp_id))]

    def _record_saved(self, said: SessionRecord, now: Now) -> list[Effect]:
        self._ended = None
        self._ledger.add(said.session_id)
        self._buffer_log.ended(said.session_id)
        effects: list[Effect] = [self._say_record(said)]
        if self._machine.disk_reason:
            # One save that worked is no proof yet.
            self._disk_at_s = now.mono_s + DISK_RETRY_S
            return effects
        # Before anybody hears that it is free again, the next one has its room.
        return effects if self._machine.stopping else [*effects, ReserveRoom()]

    def _obeyed(self, central_id: str, now: Now) -> list[Effect]:
        self._central_id = central_id
        self._presence.forget(now.mono_s)
        self._ledger.unconfirm_all()
        effects: list[Effect] = [Note(Level.INFO, f"Obeying Central {central_id} from now on")]
        effects += self._send_round(now)
        held, self._held = self._held, None
        return effects + (self._command(held, now) if held is not None else [])

    def _disk_failed(self, event: DiskFailed, now: Now) -> list[Effect]:
        effect, reason = event.effect, event.reason
        self._held = None
        note = Note(Level.WARNING, f"{type(effect).__name__} failed: {reason}")
        if self._supply is not None:
            # Its meter decides whether the session can go on.
            if isinstance(effect, SaveMeter):
                self._supply.failed(now.mono_s)
            return [note]
        effects: list[Effect] = [] if self._machine.disk_reason else [note]
        self._machine.disk_reason = reason
        self._disk_at_s = now.mono_s + DISK_RETRY_S
        if isinstance(effect, SaveRun):
            effects += self._refuse(effect.run, transitions.disk_failing(reason), now)
        if self._machine.stopping and self._ended is not None:
            text = (
                f"Session {self._ended.session_id} can't be saved: its last saved meter will count"
            )
            effects.append(Note(Level.ERROR, text))
        return effects

    def _records_gone(self, session_ids: tuple[str, ...]) -> list[Effect]:
        self._buffer_log.forget(session_ids)
        return [
            Note(Level.ERROR, f"Session {session_id}: its record can't be read, and is not sent")
            for session_id in self._ledger.forget(session_ids)
        ]
