"""The checker of the promises: it sees every car, every stored row and every word to a driver.

The numbers of the promises:

    1  no session is lost          5  nothing stale is carried out
    2  nothing is billed twice     6  what is shown is true, and heals by itself
    3  one session at a time       7  a fault stays where it is
    4  one final status            8  no process ends by itself
    9  of several Centrals one alone speaks

No protocol closes three races, so they are counted as allowed: a START that is on its way when its
driver gives up; a charging point out of reach for longer than the bound; the loss of both disks
that knew a session.
"""

from collections import defaultdict
from collections.abc import Callable

import attrs

from evd.core.central.engine_heard import HEARD_LATELY_S
from evd.core.central.events import RequestEndAsked
from evd.core.central.ledger import session_id_for
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    Meta,
    Request,
    Row,
    Session,
    SessionStatus,
)
from evd.core.engine.events import Run, Save, SaveConfirmed, SaveMeter, SaveRecord
from evd.core.wire.messages import (
    Action,
    DriverRequest,
    DriverUpdate,
    RequestStatus,
    ResumeCp,
    StopCp,
    Telemetry,
)
from evd.core.wire.units import kwh_from_mwh, mwh_from_kwh
from tests.sim.charges import Charge, is_cut_short
from tests.sim.disks import CentralStore, Health
from tests.sim.parts_driver import Requester
from tests.sim.parts_engine import EnginePart
from tests.sim.world import World

# An echo is good for 5 s, and the START that it led to for 5 s more.
STALE_S = 10.0
# An engine that a word of Central reached late takes a START for as much younger.
LATE_START_S = STALE_S + 6.0
# Rounding: float seconds against whole mWh.
ENERGY_SLACK_MWH = 200
# An order of the operator is good for 5 s.
ORDER_S = 5.0 + 0.1
# Reasons that an asker writes down itself, because Central gave it none.
NO_COORDINATOR = "no coordinator"
NEVER_KNOWN = "never known"
# Faults that can harm no charging point.
HARMLESS = frozenset({"broker", "clock", "bad", "dup", "replay", "rival", "copy", "lie", "meter"})


class Checker:
    """Keeps what it has seen of cars, rows and drivers, and reports each broken promise."""

    def __init__(self, world: World, store: CentralStore) -> None:
        # The boots of engines in whose name somebody else has reported.
        self.lied_of: set[str] = set()
        # Each session's time at which Central last read its meter, and those that it missed.
        self._read_s: dict[str, float] = {}
        self._quiet: set[str] = set()
        self.world = world
        self.store = store
        self.charges: dict[str, list[Charge]] = defaultdict(list)
        # The asker of each request.
        self.askers: dict[str, Requester] = {}
        self.told_finals: dict[str, tuple[float, DriverUpdate]] = {}
        # Each driver's request: the time at which it was last said.
        self._said_s: dict[str, float] = {}
        # Requests that nobody waits for any more.
        self.forgotten: set[str] = set()
        self.restored_s: list[float] = []
        self.lost_s: list[float] = []
        self._estimated: set[str] = set()
        # Sessions that were carried out twice, because no disk in reach knew of the first time.
        self._again: set[str] = set()
        self._contact_s: dict[str, float] = {}
        self._active: dict[str, tuple[str, str]] = {}
        # Each request's time at which Central first read a CANCEL of it.
        self.cancel_read_s: dict[str, float] = {}
        # Requests that Central was asked by HTTP to end.
        self.end_asked: set[str] = set()
        # Each request's time at which its final status was first stored.
        self._final_s: dict[str, float] = {}
        # Requests that ended while the car was out of everybody's reach past the bound.
        self._ended_unheard: set[str] = set()
        # When a charging point was last wanted to be stopped (True), or in service.
        self._wanted_s: dict[tuple[str, bool], float] = {}
        # Called with a session that is closed because nothing was heard of it.
        self.on_unheard: Callable[[Session], None] = lambda _: None

    def watch_car(self, engine: EnginePart) -> None:
        """See the cars and the disk of this engine."""
        engine.car_on = lambda run: self._on_car_on(engine, run)
        engine.car_off = lambda: self._on_car_off(engine)
        engine.on_saved = lambda effect: self._on_saved(engine, effect)
        engine.on_disk_fault = lambda: self._excuse(engine)
        engine.on_cp_order = lambda order: self._on_cp_order(engine, order)

    def _on_cp_order(self, engine: EnginePart, order: StopCp | ResumeCp) -> None:
        """Check that the operator wanted lately what an engine was told."""
        world, stopped = self.world, isinstance(order, StopCp)
        row = self.store.data.points.get(engine.cp_id)
        is_wanted = row is None or row.stopped is stopped
        wanted_s = max([self._wanted_s.get((engine.cp_id, stopped), -1e9), *self.restored_s])
        if not is_wanted and world.t_s - wanted_s > ORDER_S:
            what = f"{engine.cp_id} obeys an old order of the operator: {order}"
            world.violate(5, what, engine.cp_id)

    def on_said(self, request_id: str) -> None:
        """Note that a driver says a request, for the first time or again."""
        self._said_s[request_id] = self.world.t_s

    def on_contact(self, cp_id: str) -> None:
        """Note that Central hears of a charging point."""
        self._contact_s[cp_id] = self.world.t_s

    def on_read(self, message: DriverRequest | RequestEndAsked | Telemetry) -> None:
        """Note that Central has read a demand about a request, or a meter's reading."""
        if isinstance(message, Telemetry):
            self._on_reading(message.session_id)
        elif isinstance(message, RequestEndAsked):
            self.end_asked.add(message.request_id)
        elif message.action is Action.CANCEL:
            self.cancel_read_s.setdefault(message.request_id, self.world.t_s)

    def _on_reading(self, session_id: str) -> None:
        if self._was_quiet(session_id):
            self._quiet.add(session_id)
        self._read_s[session_id] = self.world.t_s

    def _was_quiet(self, session_id: str) -> bool:
        """Whether Central has missed this session's meter for so long that a report counts."""
        began_s = [charge.began_s for charge in self.charges.get(session_id, ())]
        read_s = self._read_s.get(session_id, max(began_s, default=0.0))
        return session_id in self._quiet or self.world.t_s - read_s >= HEARD_LATELY_S

    def _charging(self) -> list[Charge]:
        return [
            charge
            for charges in self.charges.values()
            for charge in charges
            if charge.ended_s is None
        ]

    def _was_out_of_reach(self, charge: Charge) -> bool:
        """Whether nobody could have known of this charge for longer than the bound."""
        silent_s = self.world.t_s - self._contact_s.get(charge.cp_id, 0.0)
        return charge.run.session_id in self._estimated or silent_s >= self.world.mix.lost_after_s

    def _was_lost_since(self, charge: Charge) -> bool:
        """Whether Central's whole database was lost after it began: nobody there knows of it."""
        return any(at_s >= charge.began_s for at_s in self.lost_s)

    def _on_car_on(self, engine: EnginePart, run: Run) -> None:
        world = self.world
        world.tell(engine.name, f"CAR CHARGES {run.session_id}", run.session_id, run.request_id)
        if run.session_id != session_id_for(run.request_id):
            world.violate(5, "a session's id is not its request's", run.session_id, run.request_id)
        for other in self._charging():
            self._check_one_at_a_time(engine, run, other)
        self._check_once_only(run)
        self._check_wanted_lately(run)
        late = self._is_late(run)
        charge = Charge(run, engine, world.t_s, late, metered_s=world.t_s)
        charge.is_excused = engine.disk.health is not Health.WELL
        self.charges[run.session_id].append(charge)

    def _check_one_at_a_time(self, engine: EnginePart, run: Run, other: Charge) -> None:
        ids = run.session_id, other.run.session_id
        if other.cp_id == engine.cp_id:
            self.world.violate(3, f"two cars at {engine.cp_id}", *ids)
        elif other.run.driver_id != run.driver_id:
            return
        elif self._was_out_of_reach(other):
            self.world.allow("a driver's other car was out of reach past the bound")
        elif self._was_lost_since(other):
            self.world.allow("a driver's other car was lost with the database")
        else:
            self.world.violate(3, f"{run.driver_id} charges twice at once", *ids)

    def _check_once_only(self, run: Run) -> None:
        before = [
            charge
            for charges in self.charges.values()
            for charge in charges
            if charge.run.request_id == run.request_id
        ]
        if not before:
            return
        if self.restored_s and all(
            charge.wiped or self._was_out_of_reach(charge) or self._was_lost_since(charge)
            for charge in before
        ):
            self.world.allow("carried out again: no disk in reach knew of it")
            self._again.add(run.session_id)
            return
        ids = run.request_id, run.session_id
        self.world.violate(5, "a request is carried out a second time", *ids)

    def _check_wanted_lately(self, run: Run) -> None:
        ago_s = self.world.t_s - self._said_s.get(run.request_id, self.world.t_s)
        if ago_s > LATE_START_S:
            what = f"a car starts {ago_s:.1f} s after its driver last asked for it"
            self.world.violate(5, what, run.request_id, run.session_id)

    def _is_late(self, run: Run) -> bool:
        """Return whether its driver had been told a failure; too long ago is a violation."""
        told = self.told_finals.get(run.request_id)
        if told is None or told[1].status is RequestStatus.COMPLETED:
            return False
        ago_s = self.world.t_s - told[0]
        if ago_s > STALE_S + 0.01:
            what = f"a car starts {ago_s:.1f} s after its driver was told {told[1].status}"
            self.world.violate(5, what, run.request_id, run.session_id)
        else:
            self.world.allow("a car starts within 10 s of its driver's giving up")
        return True

    def _on_car_off(self, engine: EnginePart) -> None:
        for charge in self._charging():
            if charge.engine is engine:
                charge.ended_s = self.world.t_s
                charge.awake_s = engine.awake_s
                kwh = kwh_from_mwh(charge.most_mwh())
                said = f"CAR STOPS {charge.run.session_id}, {kwh} kWh"
                self.world.tell(engine.name, said, charge.run.session_id)

    def _on_saved(self, engine: EnginePart, effect: Save) -> None:
        if isinstance(effect, SaveConfirmed):
            self._check_confirmed(effect)
        elif isinstance(effect, SaveMeter | SaveRecord):
            self._on_metered(engine, effect)

    def _check_confirmed(self, effect: SaveConfirmed) -> None:
        """Check that Central has the records that an engine takes for confirmed."""
        if self.restored_s:
            return
        for session_id in effect.session_ids:
            row = self.store.data.sessions.get(session_id)
            if row is None or not row.settled:
                self.world.violate(1, "confirmed to its engine, and not stored", session_id)

    def _on_metered(self, engine: EnginePart, effect: SaveMeter | SaveRecord) -> None:
        if isinstance(effect, SaveRecord) and is_cut_short(effect.record, engine.session_s):
            if engine.boot_id in self.lied_of and self._was_quiet(effect.record.session_id):
                self.world.allow("a report in its engine's name said that it was over")
            else:
                self.world.violate(7, "it was stopped, and nobody asked", effect.record.session_id)
        record = effect.record if isinstance(effect, SaveRecord) else effect
        for charge in self.charges.get(record.session_id, ()):
            if charge.engine is not engine:
                continue
            if isinstance(effect, SaveMeter):
                charge.metered_s = charge.began_s + effect.metered_s
            elif charge.run.boot_id == engine.boot_id:
                # A record made after a crash has the last saved reading, not that of the end.
                charge.is_recorded = True

    def _excuse(self, engine: EnginePart) -> None:
        for charge in self._charging():
            charge.is_excused |= charge.engine is engine

    def on_wiped(self, engine: EnginePart, sessions: set[str]) -> None:
        """Note that an engine's disk is lost, with all that it knew of `sessions`."""
        for session_id in sessions:
            for charge in self.charges.get(session_id, ()):
                if charge.engine is engine:
                    charge.wiped = True

    def reset(self) -> None:
        """Take over the rows of another database: they are no change of the rows before."""
        self._active = {
            row.session_id: (row.cp_id, row.driver_id)
            for row in self.store.data.sessions.values()
            if row.status is SessionStatus.ACTIVE
        }

    def on_stored(self, before: Row | None, row: Row) -> None:
        """Check a row that is written in place of `before`."""
        match row:
            case Session():
                self._check_stored_session(before if isinstance(before, Session) else None, row)
            case Request():
                self._check_stored_request(before if isinstance(before, Request) else None, row)
            case ChargingPoint():
                self._check_stored_point(before if isinstance(before, ChargingPoint) else None, row)
            case Meta():
                if isinstance(before, Meta) and before.central_id != row.central_id:
                    self.world.violate(2, "Central changed its own id")

    def _check_stored_session(self, before: Session | None, row: Session) -> None:
        world, ids = self.world, (row.session_id, row.request_id)
        said = f"stores {row.session_id} {row.status}, want {row.want}, {row.energy_mwh} mWh"
        world.tell("store", f"{said}, cost {row.cost_cents} ({row.reason})", *ids)
        if before is not None and before.settled and row != before:
            world.violate(2, "a settled session is changed", *ids)
        if before is not None and before.cost_cents not in (None, row.cost_cents):
            world.violate(2, "a bill is changed", *ids)
        stray_that_never_began = not row.billable and row.cost_cents == 0
        if (row.cost_cents is not None) != row.settled and not stray_that_never_began:
            world.violate(2, "a bill without a record, or a record without", *ids)
        if row.status is not SessionStatus.ACTIVE:
            self._active.pop(row.session_id, None)
            if row.estimated:
                self._check_shown_energy(row.session_id, row.energy_mwh, "an estimate")
            if row.estimated and "heard" in row.reason:
                self._estimated.add(row.session_id)
                self.on_unheard(row)
            elif row.estimated and "gone" in row.reason:
                self._must_be_dead(row)
            return
        for other, (cp_id, driver_id) in self._active.items():
            if other != row.session_id and cp_id == row.cp_id:
                world.violate(3, f"Central has two sessions at {cp_id}", row.session_id, other)
            if other != row.session_id and driver_id == row.driver_id:
                world.violate(3, f"Central has two sessions of {driver_id}", row.session_id, other)
        self._active[row.session_id] = (row.cp_id, row.driver_id)

    def _check_shown_energy(self, session_id: str, energy_mwh: int, what: str) -> None:
        """Check that no more energy is shown than its cars took by now."""
        most = sum(each.most_mwh(self.world.t_s) for each in self.charges.get(session_id, ()))
        if energy_mwh > most + ENERGY_SLACK_MWH:
            self.world.violate(6, f"{energy_mwh} mWh are {what}, {most} delivered", session_id)

    def _must_be_dead(self, row: Session) -> None:
        if any(charge.ended_s is None for charge in self.charges.get(row.session_id, ())):
            what = "'refused' closed the session of a car that charges"
            self.world.violate(6, what, row.session_id, row.request_id)

    def _check_stored_request(self, before: Request | None, row: Request) -> None:
        ids = row.request_id, row.session_id
        self.world.tell("store", f"stores {row.request_id} {row.status} ({row.reason})", *ids)
        if before is not None and before.driver_id != row.driver_id:
            self.world.violate(4, "a request changed its driver", *ids)
        if row.status.final:
            self._final_s.setdefault(row.request_id, self.world.t_s)
            running = self.charges.get(session_id_for(row.request_id), ())
            if any(each.ended_s is None and self._was_out_of_reach(each) for each in running):
                self._ended_unheard.add(row.request_id)
        if before is None or not before.status.final:
            return
        kept = attrs.evolve(row, updated_at=before.updated_at)
        if kept != before:
            self.world.violate(4, f"a final status is changed: {before.status}", *ids)

    def _check_stored_point(self, before: ChargingPoint | None, row: ChargingPoint) -> None:
        for each in (before or row, row):
            self._wanted_s[row.cp_id, each.stopped] = self.world.t_s
        if before is None or not HARMLESS.issuperset(self.world.mix.kinds):
            return
        failed = row.breaker_failures > before.breaker_failures
        if failed or (row.breaker is BreakerState.OPEN and before.breaker is not row.breaker):
            self.world.violate(7, f"a failure is counted at {row.cp_id}, which had none", row.cp_id)

    def on_told(self, asker: Requester, update: DriverUpdate) -> None:
        """Check an update that reaches its driver."""
        session_id = session_id_for(update.request_id)
        self._check_shown_energy(session_id, mwh_from_kwh(update.kwh or 0.0), "told")
        if not update.status.final or update.request_id in self.forgotten:
            return
        known = self.told_finals.setdefault(update.request_id, (self.world.t_s, update))[1]
        if known.status is not update.status:
            what = f"{asker.name} is told {known.status}, and then {update.status}"
            self.world.violate(4, what, update.request_id)
        row = self.store.data.requests.get(update.request_id)
        by_central = update.reason not in (NO_COORDINATOR, NEVER_KNOWN)
        if by_central and not self.restored_s and (row is None or row.status is not update.status):
            what = f"{update.status} is told, Central has stored {row and row.status}"
            self.world.violate(4, what, update.request_id)
