"""All parts of a run, and its two phases.

In the storm faults happen, and each event is checked against the promises.  After it nothing fails,
and everything must come to rest, be shown as it is, and serve again.
"""

from collections.abc import Callable, Sequence

from evd.core.central.rows import BreakerState, SessionStatus
from evd.core.driver.requests_file import RequestLine
from tests.sim.broker import Broker
from tests.sim.disks import CentralStore, Database
from tests.sim.guarded import Guard
from tests.sim.parts_central import CentralPart
from tests.sim.parts_driver import DriverPart, HttpClientPart, Requester
from tests.sim.parts_engine import LONG_SESSION_S, EnginePart
from tests.sim.parts_monitor import MonitorPart
from tests.sim.shown import Shown
from tests.sim.verdict import Verdict
from tests.sim.world import Process, World

STORM_S = 60.0
# Drivers still begin requests for so long after the last fault.
CALM_AFTER_S = 3.0
# A free, healthy, reachable charging point is available within 10 s; a process takes 1 s to start.
SHOWN_AFTER_S = 11.0
# Added to the longest bound or session; a request or session left after that stays for ever.
REST_AFTER_S = 25.0
# Two of the longest sessions, one after the other, and every repetition.
PROBES_S = 130.0
BREAKER_S = 65.0
SNAPSHOT_S = 7.0


class Network:
    """Every part of one run."""

    # The time from the last fault until all is shown as it is.
    shown_after_s = SHOWN_AFTER_S

    def __init__(self, world: World) -> None:
        self.world = world
        self.broker = Broker(world)
        self.store = CentralStore("central-1", world.rng)
        self.centrals: Sequence[CentralPart] = self._centrals()
        self.engines = [self._engine(number) for number in range(1, world.mix.points + 1)]
        self.monitors = [
            self._monitor(engine, number) for number, engine in enumerate(self.engines, 1)
        ]
        self.drivers = [self._driver(number) for number in (1, 2)]
        self.caller = self._caller()
        self.askers: list[Requester] = [*self.drivers, self.caller]
        # Processes that faults add: a twin of an engine, a second monitor, a second Central.
        self.extras: list[Process] = []
        self.snapshots: list[Database] = []
        self.is_storm_over = False
        self.healed_s = 0.0
        self.probes: dict[str, str] = {}
        self._probing = False
        self.checker = Verdict(world, self.store)
        self.shown = Shown(world, self)
        self.guard = Guard(self) if world.mix.guarded else None
        self._watch()

    def _centrals(self) -> Sequence[CentralPart]:
        return [CentralPart(self.world, self.broker, "Central", "host-c", self.store)]

    def _monitor(self, engine: EnginePart, number: int) -> MonitorPart:
        name, instance_id = f"Monitor{number}", f"instance-{number}"
        return MonitorPart(self.world, name, engine, self.centrals, instance_id)

    def _caller(self) -> HttpClientPart:
        return HttpClientPart(self.world, "driver-3", "host-d3", self.central)

    @property
    def central(self) -> CentralPart:
        """The Central that serves, or the one that did last."""
        return self.centrals[0]

    def _engine(self, number: int) -> EnginePart:
        return EnginePart(
            self.world,
            self.broker,
            f"Engine{number}",
            f"host-e{number}",
            f"CP-{number}",
            kw_rate=(22.0, 11.0, 50.0)[number - 1],
            euro_rate=(0.30, 0.45, 0.39)[number - 1],
            buffer_size=3 if number == 2 else 100,
        )

    def _driver(self, number: int) -> DriverPart:
        lines: tuple[RequestLine, ...] = ()
        if number == 2 and self.world.rng.random() < 0.3:
            count = self.world.rng.randint(1, 4)
            lines = tuple(RequestLine(n, self._any_cp()) for n in range(1, count + 1))
        return DriverPart(self.world, self.broker, f"driver-{number}", f"host-d{number}", lines)

    def _any_cp(self) -> str | None:
        return self.world.rng.choice([*(engine.cp_id for engine in self.engines), None])

    def _watch(self) -> None:
        checker = self.checker
        self.store.watch = checker.on_stored
        for central in self.centrals:
            central.on_contact = checker.on_contact
            central.on_read = checker.on_read
        checker.on_unheard = self.shown.check_unheard
        for engine in self.engines:
            checker.watch_car(engine)
        for asker in self.askers:
            asker.on_told = checker.on_told
            asker.on_asked = self._asked_by(asker)
            asker.on_said = checker.on_said
            asker.wish = self._wish_of(asker)
        self.caller.on_forgotten = checker.forgotten.add

    def _asked_by(self, asker: Requester) -> Callable[[str, str | None], None]:
        def asked(request_id: str, cp_id: str | None) -> None:
            self.checker.askers[request_id] = asker
            if self._probing and cp_id is not None and cp_id == self._next_probe(asker):
                self.probes[request_id] = cp_id

        return asked

    def _wish_of(self, asker: Requester) -> Callable[[], str | None]:
        def wish() -> str | None:
            if self._probing:
                return self._next_probe(asker)
            if self.is_storm_over and self.world.t_s > self.healed_s + CALM_AFTER_S:
                return None
            return self._any_cp() or "any"

        return wish

    def _next_probe(self, asker: Requester) -> str | None:
        """Return the charging point that this asker has to try after the storm, if any is left."""
        turns = [self.drivers[n % len(self.drivers)] for n in range(len(self.engines))]
        for engine, turn in zip(self.engines, turns, strict=True):
            if turn is asker and engine.cp_id not in self.probes.values():
                return engine.cp_id
        return None

    @property
    def processes(self) -> list[Process]:
        """All that may die or hang, without those that were stopped for good."""
        mine: list[Process] = [
            *self.centrals,
            *self.engines,
            *self.monitors,
            *self.askers,
            *self.extras,
        ]
        return [process for process in mine if not process.retired]

    def run(self, begin_storm: Callable[[], None]) -> None:
        """Do the whole run; `begin_storm` lets the faults begin."""
        world = self.world
        for process in self.processes:
            process.start()
        if self.guard is not None:
            self.guard.begin()
        begin_storm()
        world.at(SNAPSHOT_S, self._snapshot)
        world.at(1.0, self._look)
        world.run_until(STORM_S)
        self._heal()
        world.run_until(self.healed_s + self.shown_after_s)
        self.shown.check_soon_after()
        self._rest()
        self._probe()
        self.checker.finish(self)

    def _look(self) -> None:
        self.world.at(1.0, self._look)
        self.store.sync()
        self.shown.look()

    def _snapshot(self) -> None:
        self.snapshots.append(self.store.data.copy())
        if self.world.stormy:
            self.world.at(SNAPSHOT_S, self._snapshot)

    def _heal(self) -> None:
        """End the last fault: everything is repaired and started."""
        world = self.world
        world.stormy = False
        world.cut.clear()
        self.is_storm_over, self.healed_s = True, world.t_s
        world.tell("world", "IS HEALED")
        self.broker.come_back()

    def _rest(self) -> None:
        world = self.world
        longest_s = max(world.mix.lost_after_s, LONG_SESSION_S)
        # A driver whose notebook was lost begins its file anew.
        lines = max(len(driver.settings.file_lines) for driver in self.drivers)
        end_s = self.healed_s + (1 + lines) * longest_s + REST_AFTER_S
        while (unrest := self.unrest()) and world.t_s < end_s:
            world.run_until(world.t_s + 1.0)
        for invariant, what, ids in unrest:
            world.violate(invariant, f"long after the last fault {what}", *ids)

    def unrest(self) -> list[tuple[int, str, tuple[str | None, ...]]]:
        """List everything that is not at rest: the invariant it would break, a sentence, ids."""
        found: list[tuple[int, str, tuple[str | None, ...]]] = []
        for driver in self.drivers:
            if driver.has_lines_left:
                found.append((6, f"{driver.name}'s file is not at its end", ()))
            for request in driver.notebook.page.requests:
                why = "is still not final" if not request.given_up else "was never heard CANCELLED"
                found.append((4, f"{request.request_id} {why}", (request.request_id,)))
        if self.caller.open is not None:
            request_id = self.caller.open.request_id
            found.append((4, f"{request_id} is still not final", (request_id,)))
        data = self.store.data
        for row in data.requests.values():
            if not row.status.final:
                found.append((4, f"{row.request_id} is held open", (row.request_id,)))
        for session in data.sessions.values():
            if session.status is SessionStatus.ACTIVE:
                ids = (session.session_id, session.request_id)
                found.append((6, f"the row {session.session_id} is ACTIVE", ids))
        for engine in self.engines:
            for session_id in engine.disk.unconfirmed:
                found.append((1, f"{session_id} is not confirmed at {engine.name}", (session_id,)))
        if data.meta.recovering:
            found.append((6, f"{sorted(data.meta.recovering)} are awaited", ()))
        return found + self._unshown()

    def _unshown(self) -> list[tuple[int, str, tuple[str | None, ...]]]:
        core = self.central.core
        if core is None:
            return [(6, "Central does not serve", ())]
        found: list[tuple[int, str, tuple[str | None, ...]]] = []
        for engine in self.engines:
            cp_id = engine.cp_id
            if not core.knows(cp_id):
                found.append((6, f"{cp_id} is not known", (cp_id,)))
                continue
            view = core.view(cp_id, self.central.now())
            if not view.available and view.breaker is not BreakerState.OPEN:
                found.append((6, f"{cp_id}: {view.unavailable_reason}", (cp_id,)))
        return found

    def _breakers_open(self) -> bool:
        core = self.central.core
        return core is None or any(
            view.breaker is BreakerState.OPEN for view in core.views(self.central.now())
        )

    def _probe(self) -> None:
        world = self.world
        end_s = world.t_s + BREAKER_S
        while self._breakers_open() and world.t_s < end_s:
            world.run_until(world.t_s + 1.0)
        self._probing = True
        end_s = world.t_s + PROBES_S
        while world.t_s < end_s and not self._probes_done():
            world.run_until(world.t_s + 1.0)

    def _probes_done(self) -> bool:
        told = self.checker.told_finals
        if len(self.probes) < len(self.engines) or any(rid not in told for rid in self.probes):
            return False
        return not self.unrest()
