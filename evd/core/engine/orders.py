"""The Central that is obeyed, and its orders.

Every START or STOP meant for this boot ends in a record, and a session of which there is one is
never begun again.  Another Central's words are ignored.
"""

import math
from collections import deque

import attrs

from evd.core.effects import Level, Note, Now, Send
from evd.core.engine import states
from evd.core.engine.central_contact import CentralContact
from evd.core.engine.charging import Charging
from evd.core.engine.events import (
    CentralNamed,
    ConfirmationsRead,
    Effect,
    EngineSettings,
    ReserveRoom,
    Run,
    SaveObeyed,
    SaveRecord,
    SaveRun,
    SendRecords,
)
from evd.core.engine.ledger import Ledger
from evd.core.engine.reports import Reports
from evd.core.engine.session import ENGINE_STOPPED, Ending, refusal
from evd.core.engine.states import States
from evd.core.wire.messages import (
    SESSIONS,
    Beacon,
    Command,
    Outcome,
    ResumeCp,
    SessionRecord,
    SessionRecorded,
    Shutdown,
    StartSupply,
    StopCp,
    StopSupply,
)

# A beacon, which comes each second, speaks for its Central for so long.
BEACON_S = 5.0
BEACONS_MAX = 16
# Confirmed records are sent again to another Central at most once in this time; to Centrals that
# are heard and new, as after restores one upon the other, so many times at once.
UNCONFIRM_S = 30.0
UNCONFIRM_BURST = 10
DOUBT_LOGGED_S = 30.0
# Central makes an order good for 5 s of the uptime that it last heard of; the rest is rounding.
ORDER_S_MAX = 5.1
# Evict the oldest beyond it: its START has expired, so it can't be repeated.
REFUSALS_MAX = 1_000


@attrs.define
class Orders:
    """The orders that came in during this boot.

    `_held` is the command that waits until the newest SaveObeyed is done, `_witness` who told of
    that Central; `_until_up_s` the uptime until which the session of the newest SaveRun may begin.
    `_beacons`: when the other Centrals were heard.  `_named_id`: the one that the monitor named.
    `_left_ids`: those obeyed before.  `_unconfirmed_at_s`: when all was unconfirmed, newest last.
    `undated_count`: how many STOP_CP and RESUME_CP of a Central of the release before were obeyed.
    """

    _settings: EngineSettings
    _states: States
    _charging: Charging
    _ledger: Ledger
    _contact: CentralContact
    _reports: Reports
    _refused: dict[str, SessionRecord] = attrs.field(factory=dict, init=False)
    _held: Command | None = attrs.field(default=None, init=False)
    _witness: str = attrs.field(default="", init=False)
    _until_up_s: float = attrs.field(default=0.0, init=False)
    undated_count: int = attrs.field(default=0, init=False)
    _beacons: dict[str, float] = attrs.field(factory=dict, init=False)
    _named_id: str | None = attrs.field(default=None, init=False)
    _left_ids: deque[str | None] = attrs.field(
        factory=lambda: deque(maxlen=BEACONS_MAX), init=False
    )
    _unconfirmed_at_s: deque[float] = attrs.field(
        factory=lambda: deque(maxlen=UNCONFIRM_BURST), init=False
    )
    _doubted_at_s: float = attrs.field(default=-math.inf, init=False)

    def on_beacon(self, beacon: Beacon, now: Now) -> list[Effect]:
        """Hear the Central that is obeyed; obey the first that is heard."""
        if self._contact.central_id is None:
            return self._obey(beacon.central_id, "by its beacon")
        if beacon.central_id != self._contact.central_id:
            self._beacons.pop(beacon.central_id, None)
            if len(self._beacons) >= BEACONS_MAX:
                del self._beacons[next(iter(self._beacons))]
            self._beacons[beacon.central_id] = now.mono_s
            return []
        return [*self._hear(now, beacon.epoch)]

    def on_confirmations(self, event: ConfirmationsRead, now: Now) -> list[Effect]:
        """Save that Central has stored these records."""
        if event.central_id != self._contact.central_id:
            return []
        return [*self._hear(now), *self._ledger.confirm(event.session_ids)]

    def on_command(self, command: Command, now: Now) -> list[Effect]:
        """Carry the command out, unless it is another Central's."""
        if self._contact.central_id is None:
            return self._obey(command.central_id, "by its command", command)
        if command.central_id != self._contact.central_id:
            return []
        # A reader of commands knows its place: nothing is refused for want of it.
        self._states.set_connected(True, now.mono_s)
        return [*self._reports.settle(now), *self._hear(now), *self._carry_out(command, now)]

    def on_named(self, event: CentralNamed, now: Now) -> list[Effect]:
        """Obey the Central that a PING names, if that is no single connection's word alone.

        Its beacon was heard as well, or the monitor's own connection names it again: with the
        broker away there are no beacons.
        """
        central_id, obeyed_id = event.central_id, self._contact.central_id
        if central_id == obeyed_id:
            return []
        is_heard = now.mono_s - self._beacons.get(central_id, -math.inf) <= BEACON_S
        is_named_twice = event.is_settled and central_id == self._named_id
        is_believed = obeyed_id is None or is_heard or is_named_twice
        if event.is_settled:
            self._named_id = central_id
        is_new = is_heard and central_id not in self._left_ids
        if is_believed and not self._is_too_soon(is_new, now.mono_s):
            return self._obey(central_id, f"by a PING of {event.peer}")
        if now.mono_s - self._doubted_at_s < DOUBT_LOGGED_S:
            return []
        self._doubted_at_s = now.mono_s
        why = f"not within {UNCONFIRM_S:g} s of the last" if is_believed else "it was not heard"
        text = f"A PING of {event.peer} names Central {central_id}, which is not obeyed yet: {why}"
        return [Note(Level.WARNING, text)]

    def _is_too_soon(self, is_new: bool, now_s: float) -> bool:
        """Whether all that is confirmed was unconfirmed so lately that it can't be again."""
        before = self._unconfirmed_at_s
        if not before or not self._ledger.confirmed_count:
            return False
        if is_new:
            return len(before) == UNCONFIRM_BURST and now_s - before[0] < len(before) * UNCONFIRM_S
        return now_s - before[-1] < UNCONFIRM_S

    def _obey(self, central_id: str, witness: str, held: Command | None = None) -> list[Effect]:
        """Save that `central_id` is obeyed; `held` is carried out when that is done."""
        self._held, self._witness = held, witness
        return [SaveObeyed(central_id)]

    def on_obeyed(self, central_id: str, now: Now) -> list[Effect]:
        """Send to a new Central all that is kept, and carry out the command that waited."""
        self._left_ids.append(self._contact.central_id)
        self._contact.obey(central_id, now.mono_s)
        self._named_id = None
        if self._ledger.confirmed_count:
            self._unconfirmed_at_s.append(now.mono_s)
        self._ledger.unconfirm_all()
        effects: list[Effect] = [
            Note(Level.INFO, f"Obeying Central {central_id} from now on, named {self._witness}"),
            *self._ledger.send_round(now.mono_s),
        ]
        held, self._held = self._held, None
        return effects if held is None else [*effects, *self.on_command(held, now)]

    def on_run_saved(self, run: Run, now: Now) -> list[Effect]:
        """Begin the session, unless the disk has used up the time that its START was good for."""
        late = states.expired(self._reports.up_s(now), self._until_up_s)
        if late:
            return [*self.refuse(run, late, now), ReserveRoom()]
        return [self._charging.begin(run, now)]

    def on_stop(self, now: Now) -> list[Effect]:
        """Stop this engine: SIGTERM, SIGINT or SHUTDOWN."""
        self._states.leaving = True
        if self._charging.ended is not None:
            return [SaveRecord(self._charging.ended)]
        return self._charging.end(ENGINE_STOPPED, now)

    def refuse(self, order: StartSupply | StopSupply | Run, why: str, now: Now) -> list[Effect]:
        """Say the record of a session that never begins, and remember it."""
        said = refusal(order, self._settings.cp_id, self._reports.boot_id, why, now.wall)
        if len(self._refused) >= REFUSALS_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[said.session_id] = said
        text = f"Session {said.session_id} refused: {why}"
        note = Note(Level.INFO, text, about="Refused sessions")
        return [note, Send(SESSIONS, said.cp_id, said)]

    def _hear(self, now: Now, epoch: int | None = None) -> list[SendRecords]:
        is_back = self._contact.hear(now.mono_s, epoch)
        return self._ledger.send_round(now.mono_s) if is_back else []

    def _carry_out(self, command: Command, now: Now) -> list[Effect]:
        match command.payload:
            case StartSupply() as order:
                return self._on_start(order, now)
            case StopSupply() as order:
                return self._on_stop_supply(order, now)
            case StopCp() | ResumeCp() as order:
                return self._on_cp_order(order, now) if self._is_fresh(order, now) else []
            case Shutdown(boot_id):
                return self.on_stop(now) if boot_id == self._reports.boot_id else []
            case SessionRecorded(session_id):
                return [*self._ledger.confirm((session_id,))]

    def _is_fresh(self, order: StopCp | ResumeCp, now: Now) -> bool:
        """Return whether it is for this boot and now; what says neither is counted and obeyed."""
        if order.boot_id is None or order.until_up_s is None:
            self.undated_count += 1
            return True
        good_for_s = order.until_up_s - self._reports.up_s(now)
        return order.boot_id == self._reports.boot_id and 0 <= good_for_s <= ORDER_S_MAX

    def _on_cp_order(self, order: StopCp | ResumeCp, now: Now) -> list[Effect]:
        if isinstance(order, ResumeCp):
            self._states.stopped = None
            return []
        self._states.stopped = order.reason or "stopped by the operator"
        return self._charging.end(Ending(Outcome.COMPLETED, self._states.stopped), now)

    def _on_start(self, order: StartSupply, now: Now) -> list[Effect]:
        if self._is_running(order.session_id):
            return [self._reports.say(now)]
        known = self._answer_known(order.session_id)
        if known is not None:
            return known
        if order.boot_id != self._reports.boot_id:
            return []
        hindrance = self._states.hindrance(self._reports.up_s(now), order.until_up_s)
        if hindrance:
            return self.refuse(order, hindrance, now)
        self._until_up_s = order.until_up_s
        run = Run(
            session_id=order.session_id,
            request_id=order.request_id,
            driver_id=order.driver_id,
            boot_id=order.boot_id,
            started_at=now.wall,
            kw_rate=self._settings.kw_rate,
            euro_rate=self._settings.euro_rate,
        )
        return [SaveRun(run)]

    def _on_stop_supply(self, order: StopSupply, now: Now) -> list[Effect]:
        if self._is_running(order.session_id):
            ending = Ending(Outcome.COMPLETED, order.reason, bill=order.bill)
            return self._charging.end(ending, now)
        known = self._answer_known(order.session_id)
        if known is not None:
            return known
        if order.boot_id != self._reports.boot_id:
            return []
        why = f"session never began: {order.reason}" if order.reason else "session never began"
        return self.refuse(order, why, now)

    def _is_running(self, session_id: str) -> bool:
        run = self._charging.run
        return run is not None and run.session_id == session_id

    def _answer_known(self, session_id: str) -> list[Effect] | None:
        """The answer about a session that is over, whatever boot was meant; None if it is not."""
        ended = self._charging.ended
        if ended is not None and ended.session_id == session_id:
            # Its record is said as soon as it is on disk.
            return []
        if self._ledger.is_unreadable(session_id):
            # It was no session of 0 kWh: Central closes it as an estimate.
            return []
        if session_id in self._ledger:
            return [SendRecords((session_id,))]
        if session_id in self._refused:
            said = self._refused[session_id]
            return [Send(SESSIONS, said.cp_id, said)]
        return None
