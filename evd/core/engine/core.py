"""The core of an engine: one charging point, from its start to the end of its process.

- A list of effects has at most one save, as its last.  It goes on when the shell hands in `Saved`
  or `SaveFailed`, before any other event: nothing is said that is not on disk.
- A process that was stopped itself judges nobody on the silence meanwhile.

Its parts: `states` is the machine, `charging` the session at hand, `ledger` the records that
Central must get, `orders` the Central that is obeyed and its commands, `reports` what it tells.
"""

from typing import assert_never

from evd.core.effects import Level, Note, Now, Send
from evd.core.engine import states
from evd.core.engine.central_contact import CentralContact
from evd.core.engine.charging import Charging
from evd.core.engine.events import (
    BeaconRead,
    CentralNamed,
    CommandRead,
    ConfirmationsRead,
    Effect,
    EngineDisk,
    EngineSettings,
    Event,
    Exit,
    ReadFailed,
    RecordsGone,
    ReserveRoom,
    Save,
    SaveConfirmed,
    SaveMeter,
    SaveObeyed,
    SaveRecord,
    SaveRun,
    StopAsked,
    Ticked,
)
from evd.core.engine.ledger import Ledger
from evd.core.engine.orders import Orders
from evd.core.engine.reports import Reports
from evd.core.engine.session import Ending
from evd.core.engine.states import States
from evd.core.machine import Saved, SaveFailed
from evd.core.stall import StallWatch
from evd.core.wire.control import Ping, Pong
from evd.core.wire.messages import SESSIONS, CpState, SessionRecord

DISK_RETRY_S = 1.0
# A shell tells a save's outcome sooner; where it took longer it was stopped itself.
DISK_OUTCOME_S = 4.0


class Engine:
    """One boot of the engine."""

    def __init__(self, settings: EngineSettings, boot_id: str, disk: EngineDisk, now: Now) -> None:
        self._cp_id = settings.cp_id
        self._states = States(
            buffer_size=settings.session_buffer_size, unconfirmed=len(disk.unconfirmed)
        )
        self._charging = Charging(settings, disk.run)
        self._ledger = Ledger(disk, settings, now.mono_s)
        self._contact = CentralContact(disk.central_id, now.mono_s)
        parts = (self._states, self._charging, self._ledger, self._contact)
        self._reports = Reports(settings, boot_id, *parts, now.mono_s)
        self._orders = Orders(settings, *parts, self._reports)
        self._stall = StallWatch()
        self._long_stall = StallWatch(DISK_OUTCOME_S)
        # The save whose outcome must be told next.
        self._awaited: Save | None = None
        # When the disk is tried again, in monotonic seconds.
        self._disk_at_s = now.mono_s
        self._logs_lost_count = 0
        self._has_exited = False

    @property
    def state(self) -> CpState:
        """The state of the machine."""
        return self._states.state

    @property
    def session_id(self) -> str | None:
        """The session that runs, if one does."""
        return self._states.running_session_id

    @property
    def central_id(self) -> str | None:
        """The Central that is obeyed, None while none was heard."""
        return self._contact.central_id

    @property
    def unconfirmed_count(self) -> int:
        """How many ended sessions Central has not confirmed, one that is not saved included."""
        return self._reports.unconfirmed_count

    @property
    def unreadable_count(self) -> int:
        """How many unconfirmed records were found that can't be read."""
        return self._ledger.lost_count

    @property
    def cp_id(self) -> str:
        """The charging point that it runs."""
        return self._cp_id

    @property
    def undated_count(self) -> int:
        """How many STOP_CP and RESUME_CP were obeyed that say neither boot nor time."""
        return self._orders.undated_count

    @property
    def wake_at_s(self) -> float:
        """When the next `Ticked` is due at the latest, in monotonic seconds."""
        due = [self._reports.due_at_s]
        if self._charging.meter is not None:
            due.append(self._charging.meter.wake_at_s)
        if self._charging.ended is not None or self._states.disk_reason:
            due.append(self._disk_at_s)
        if self._ledger.unconfirmed_count:
            due.append(self._ledger.round_at_s)
        return min(due)

    def pong(self, ping: Ping, now: Now) -> Pong:
        """The answer to a PING; it changes nothing, so it need not wait for a save."""
        return self._reports.pong(ping, now)

    def health(self, now: Now) -> str | None:
        """Why no session could begin here, or None; a stop by the operator is no illness."""
        return self._states.illness(now.mono_s)

    def start(self, now: Now) -> list[Effect]:
        """The first effects; a session that is found on disk is over, and is never begun again."""
        effects: list[Effect] = [self._reports.say(now)]
        if self._ledger.unconfirmed_count:
            text = f"{self._ledger.unconfirmed_count} buffered sessions are not yet confirmed"
            effects.append(Note(Level.INFO, text))
        ended = self._charging.ended
        if ended is None:
            return self._await([*effects, ReserveRoom()])
        text = f"Session {ended.session_id} was cut off by the end of the engine before"
        return self._await([*effects, Note(Level.WARNING, text), SaveRecord(ended)])

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """The effects that follow from `event`.

        Raises RuntimeError where the outcome of a save is due first, or of none.
        """
        if self._awaited is not None and not isinstance(event, Saved | SaveFailed):
            raise RuntimeError(f"outcome of {self._awaited} is due, and not {event}")
        self._excuse_stall(event, now.mono_s)
        effects = self._on_event(event, now)
        if not (effects and isinstance(effects[-1], Save)):
            effects += self._settle(now)
        return self._await(effects)

    def _await(self, effects: list[Effect]) -> list[Effect]:
        last = effects[-1] if effects else None
        self._awaited = last if isinstance(last, Save) else None
        return effects

    def _take_awaited(self) -> Save:
        if self._awaited is None:
            raise RuntimeError("no save is awaited")
        save, self._awaited = self._awaited, None
        return save

    def _excuse_stall(self, event: Event, now_s: float) -> None:
        was_away, was_long_away = self._stall.observe(now_s), self._long_stall.observe(now_s)
        if was_away:
            self._contact.excuse(now_s)
            self._states.excuse(now_s)
        # A disk that takes its time keeps us from the others, but it is the disk that failed.
        is_of_disk = isinstance(event, Saved | SaveFailed | ReadFailed)
        is_disk_slow = is_of_disk and not was_long_away
        if was_away and not is_disk_slow and self._charging.meter is not None:
            self._charging.meter.excuse(now_s)

    def _settle(self, now: Now) -> list[Effect]:
        effects = self._reports.settle(now)
        # A record that a failing disk does not take now is saved at the next start.
        is_saved = self._charging.ended is None or bool(self._states.disk_reason)
        is_over = self._states.leaving and self._charging.meter is None and is_saved
        if is_over and not self._has_exited:
            self._has_exited = True
            effects.append(Exit())
        return effects

    def _on_event(self, event: Event, now: Now) -> list[Effect]:
        match event:
            case Ticked():
                return self._on_tick(event, now)
            case CommandRead(command):
                return self._orders.on_command(command, now)
            case ConfirmationsRead():
                return self._orders.on_confirmations(event, now)
            case BeaconRead(beacon):
                return self._orders.on_beacon(beacon, now)
            case CentralNamed():
                return self._orders.on_named(event, now)
            case StopAsked():
                return self._orders.on_stop(now)
            case Saved():
                return self._on_saved(self._take_awaited(), now)
            case SaveFailed(reason):
                return self._on_save_failed(self._take_awaited(), reason, now)
            case ReadFailed(_, reason):
                return self._on_disk_failed("SendRecords", reason, now)
            case RecordsGone():
                return [*self._ledger.on_gone(event)]
            case _:
                assert_never(event)

    def _on_tick(self, event: Ticked, now: Now) -> list[Effect]:
        self._states.set_connected(event.connected, now.mono_s)
        is_supplying = self._charging.meter is not None
        effects: list[Effect] = [
            *self._ledger.log_waiting(self._contact.is_silent(now.mono_s), is_supplying)
        ]
        is_lost = event.logs_lost_count != self._logs_lost_count
        self._logs_lost_count = event.logs_lost_count
        # With the broker's data our records may be gone, or what confirmed them.
        if is_lost or now.mono_s >= self._ledger.round_at_s:
            effects += self._ledger.send_round(now.mono_s)
        if now.mono_s >= self._reports.due_at_s:
            effects.append(self._reports.say(now))
        return effects + self._due_save(now)

    def _due_save(self, now: Now) -> list[Effect]:
        """The end of a session, its reading, or a save that failed before, where it is due."""
        if self._charging.meter is not None:
            due = self._charging.meter.due(now.mono_s)
            if not isinstance(due, Ending):
                return [] if due is None else [due]
            if due.fault:
                self._states.disk_reason = due.reason
            return self._charging.end(due, now)
        if now.mono_s < self._disk_at_s:
            return []
        if self._charging.ended is not None:
            return [SaveRecord(self._charging.ended)]
        return [ReserveRoom()] if self._states.disk_reason else []

    def _on_saved(self, save: Save, now: Now) -> list[Effect]:
        match save:
            case SaveRun(run):
                return self._orders.on_run_saved(run, now)
            case SaveMeter():
                return [self._charging.on_meter_saved(save, self._reports.newest_seq)]
            case SaveRecord(record):
                return self._on_record_saved(record, now)
            case SaveConfirmed(session_ids):
                return [*self._ledger.on_confirmed(session_ids)]
            case SaveObeyed(central_id):
                return self._orders.on_obeyed(central_id, now)
            case ReserveRoom():
                self._states.disk_reason = ""
                return []
            case _:
                assert_never(save)

    def _on_record_saved(self, record: SessionRecord, now: Now) -> list[Effect]:
        self._charging.ended = None
        self._ledger.add(record.session_id)
        effects: list[Effect] = [Send(SESSIONS, record.cp_id, record)]
        if self._states.disk_reason:
            # One save that worked is no proof yet.
            self._disk_at_s = now.mono_s + DISK_RETRY_S
            return effects
        # Before anybody hears that it is free again, the next one has its room.
        return effects if self._states.leaving else [*effects, ReserveRoom()]

    def _on_save_failed(self, save: Save, reason: str, now: Now) -> list[Effect]:
        if isinstance(save, SaveMeter) and self._charging.meter is not None:
            self._charging.meter.on_save_failed(now.mono_s)
        effects = self._on_disk_failed(type(save).__name__, reason, now)
        if isinstance(save, SaveRun):
            effects += self._orders.refuse(save.run, states.disk_failing(reason), now)
        return effects

    def _on_disk_failed(self, what: str, reason: str, now: Now) -> list[Effect]:
        note = Note(Level.WARNING, f"{what} failed: {reason}")
        if self._charging.meter is not None:
            # Its meter decides whether the session can go on.
            return [note]
        effects: list[Effect] = [] if self._states.disk_reason else [note]
        self._states.disk_reason = reason
        self._disk_at_s = now.mono_s + DISK_RETRY_S
        ended = self._charging.ended
        if self._states.leaving and ended is not None:
            text = f"Session {ended.session_id} can't be saved: its last saved meter will count"
            effects.append(Note(Level.ERROR, text))
        return effects
