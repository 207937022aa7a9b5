"""Faults, one method a kind, and the mixes of kinds in which runs are made."""

import functools
import random
from collections.abc import Callable, Sequence

from evd.core.central.events import (
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    SessionStopAsked,
)
from evd.core.central.rows import Session, SessionStatus
from evd.core.wire import codec
from evd.core.wire.fields import COUNT_MAX
from evd.core.wire.messages import (
    BEACONS,
    COMMANDS,
    REQUESTS,
    SESSIONS,
    STATUS,
    TELEMETRY,
    UPDATES,
    CpState,
    CpStatus,
    Message,
)
from evd.core.wire.partition import Place
from tests.sim.broker import HOST, place_of, places_of
from tests.sim.disks import CentralStore, Health
from tests.sim.forged import broken_reading, forged_record
from tests.sim.network import STORM_S, Network
from tests.sim.parts_central import CentralPart
from tests.sim.parts_engine import EnginePart
from tests.sim.parts_monitor import MonitorPart
from tests.sim.world import Process

GARBAGE = (
    b"",
    b"\xff\xfe\x00",
    b"[]",
    b"null",
    b'{"',
    b"{}",
    b'{"cp_id": "CP-1", "seq": -1}',
    b'{"request_id": "req-x", "driver_id": "driver-1", "cp_id": "../etc", "seen": 5}',
    b'{"session_id": null, "kwh": 1e999, "type": "REGISTER"}',
    b'{"cp_id": "CP-1", "cmd": "STOP_SUPPLY", "payload": {}, "central_id": "central-1"}',
    b'{"central_id": "central-1", "epoch": 1.5, "up_s": "now"}',
    b'{"type": "HEARTBEAT", "cp_id": "CP-1", "seq": 1, "engine_status": "OK", "ko_cause": 1}',
)
TOPICS = (BEACONS, COMMANDS, REQUESTS, SESSIONS, STATUS, TELEMETRY, UPDATES)
CLOCK_STEPS_S = (3600.0, -3600.0)
TOKEN_AFTER_REMOVAL_S = 2.5


class Storm:
    """A fault every few seconds, as long as the storm lasts."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.world = network.world
        self.rng: random.Random = network.world.rng
        self.kinds: dict[str, Callable[[], bool]] = {
            name: getattr(self, f"_{name}")
            for name in self.world.mix.kinds
            if hasattr(self, f"_{name}")
        }

    def begin(self) -> None:
        """Let faults happen from now on, until the storm is over."""
        if "clock" in self.world.mix.kinds:
            for process in self.network.processes:
                self.world.skew_s[process.host] = self.rng.uniform(-60, 60)
        self.world.at(1.0, self._blow)
        self.world.at(STORM_S, self._calm)

    def _blow(self) -> None:
        if not self.world.stormy or self.network.is_storm_over:
            return
        self.world.at(self.rng.expovariate(1 / self.world.mix.every_s), self._blow)
        kind = self.rng.choice(sorted(self.kinds))
        if self.kinds[kind]():
            self.world.faults[kind] += 1

    def _calm(self) -> None:
        """Repair the damage of the faults, and start every process that is down."""
        network = self.network
        for process in network.processes:
            process.held_until_s = 0.0
            if not process.alive:
                process.start()
        for monitor in network.monitors:
            if monitor.target is not monitor.engine:
                self._right_port(monitor)
        for extra in network.extras:
            extra.retire()
        network.extras.clear()
        self._mend_disks()
        for engine in network.engines:
            self.network.central.insist(functools.partial(CpResumeAsked, cp_id=engine.cp_id))

    def _mend_disks(self) -> None:
        network = self.network
        network.store.health = Health.WELL
        for engine in network.engines:
            engine.disk.health = Health.WELL
        for driver in network.drivers:
            driver.notebook.health = Health.WELL

    def _tell(self, what: str) -> None:
        self.world.tell("fault", what)

    def _left_s(self) -> float:
        return max(0.1, STORM_S - self.world.t_s)

    def _span_s(self, least_s: float, most_s: float) -> float:
        """Return a duration that does not outlast the storm."""
        return min(self._left_s(), self.rng.uniform(least_s, most_s))

    def _any_process(self) -> Process:
        return self.rng.choice(self.network.processes)

    def _any_engine(self) -> EnginePart:
        return self.rng.choice(self.network.engines)

    def _crash(self) -> bool:
        process = self._any_process()
        if not process.alive:
            return False
        process.crash("killed")
        return True

    def _down(self) -> bool:
        engine = self._any_engine()
        if not engine.alive:
            return False
        engine.held_until_s = self.world.t_s + self._span_s(5.0, 40.0)
        engine.crash(f"killed, and held down until {engine.held_until_s:.1f}")
        return True

    def _stop(self) -> bool:
        parts: list[EnginePart | MonitorPart] = [*self.network.engines, *self.network.monitors]
        part = self.rng.choice(parts)
        if not part.alive:
            return False
        self._tell(f"{part.name} is told to stop")
        part.stop()
        return True

    def _power(self) -> bool:
        process = self._any_process()
        if not process.alive:
            return False
        process.crash("its host loses power", self._span_s(1.0, 8.0), silent=True)
        if isinstance(process, CentralPart):
            process.store.lose_power()
        return True

    def _hang(self) -> bool:
        process = self._any_process()
        if not process.alive or process.hung:
            return False
        process.hang(self._span_s(0.5, 14.0))
        return True

    def _cut(self, ways: list[tuple[str, str]], span_s: float) -> bool:
        self._tell("cut: " + ", ".join(f"{a} > {b}" for a, b in ways) + f" for {span_s:.1f} s")
        self.world.cut.update(ways)
        self.world.cut_at_s.update(dict.fromkeys(ways, self.world.t_s))
        self.world.at(span_s, self.world.cut.difference_update, ways)
        return True

    def _net(self) -> bool:
        host = self.rng.choice(sorted({process.host for process in self.network.processes}))
        central = self.network.central.host
        span_s = self._span_s(0.5, 40.0 if self.rng.random() < 0.2 else 10.0)
        broker_ways = [(host, HOST), (HOST, host)]
        central_ways = [(host, central), (central, host)]
        ways = self.rng.choice(
            [broker_ways[:1], broker_ways[1:], broker_ways, central_ways[:1], central_ways]
        )
        return self._cut(ways, span_s)

    def _part(self) -> bool:
        if self.rng.random() < 0.5:
            return False
        host, central = self._any_engine().host, self.network.central.host
        ways = [(host, HOST), (HOST, host), (host, central), (central, host)]
        return self._cut(ways, self._span_s(5.0, 55.0))

    def _broker(self) -> bool:
        if not self.network.broker.up:
            return False
        self.network.broker.go_down()
        return True

    def _offsets(self) -> bool:
        """Lose the committed offsets: a reader that starts again reads the log from its start."""
        self._tell("the committed offsets are lost")
        self.network.broker.committed.clear()
        if "crash" in self.kinds and self.rng.random() < 0.5:
            self.network.central.crash("killed")
        return True

    def _clock(self) -> bool:
        host = self._any_process().host
        step_s = self.rng.choice([*CLOCK_STEPS_S, self.rng.uniform(-60, 60)])
        self.world.skew_s[host] += step_s
        self._tell(f"the clock of {host} is stepped by {step_s:.0f} s")
        return True

    def _port(self) -> bool:
        monitor = self.rng.choice(self.network.monitors)
        if monitor.target is not monitor.engine or self.rng.random() < 0.5:
            return False
        others = [engine for engine in self.network.engines if engine is not monitor.engine]
        monitor.target = self.rng.choice([None, None, *others])
        monitor.crash(f"gets a wrong port ({monitor.target and monitor.target.name})")
        self.world.at(self._span_s(8.0, 40.0), self._right_port, monitor)
        return True

    def _right_port(self, monitor: MonitorPart) -> None:
        monitor.target = monitor.engine
        monitor.crash("gets the right port")

    def _bad(self) -> bool:
        raw = self.rng.choice(GARBAGE)
        monitor = self.rng.choice(self.network.monitors)
        if monitor.alive and self.rng.random() < 0.3:
            self._tell(f"{monitor.name} says {raw!r}")
            monitor.later(0.0, monitor.say_garbage, raw)
            self.network.shown.disturbed(monitor.engine.cp_id)
            return True
        place = self.rng.choice(places_of(self.rng.choice(TOPICS)))
        self._tell(f"{place} gets {raw!r}")
        self.network.broker.append(place, raw)
        return True

    def _liar(self) -> bool:
        """Say in an engine's name what it never said, with a number that it will never reach."""
        engine = self._any_engine()
        if not engine.boot_id:
            return False
        state = self.rng.choice([CpState.ACTIVATED, CpState.STOPPED, CpState.FAULT])
        lie = CpStatus(engine.cp_id, engine.boot_id, COUNT_MAX, 1e9, state, 1, "a lie")
        self._tell(f"{engine.name} is said to be {state}")
        self.network.checker.lied_of.add(engine.boot_id)
        raw = codec.encode(lie, self.world.now(HOST).wall, "lie")
        self.network.broker.append(place_of(STATUS, engine.cp_id), raw)
        return True

    def _replay(self) -> bool:
        past: Sequence[tuple[Place, bytes]] = self.network.broker.past
        orders = [each for each in past if b"STOP_CP" in each[1] or b"RESUME_CP" in each[1]]
        if orders and self.rng.random() < 0.3:
            past = orders
        for _ in range(min(len(past), 3)):
            place, raw = past[self.rng.randrange(len(past))]
            self._tell(f"said again on {place[0]}: {raw[:200]!r}")
            self.network.broker.append(place, raw)
        return bool(past)

    def _disk(self) -> bool:
        engine = self._any_engine()
        engine.disk.health = self.rng.choice([Health.SLOW, Health.FULL, Health.FAILING])
        self._tell(f"the disk of {engine.name} is {engine.disk.health.name}")
        self.world.at(self._span_s(1.0, 12.0), setattr, engine.disk, "health", Health.WELL)
        return True

    def _store(self) -> bool:
        store = self.network.store
        store.health = self.rng.choice([Health.FULL, Health.FAILING])
        self._tell(f"Central's disk is {store.health.name}")
        self.world.at(self._span_s(0.5, 8.0), setattr, store, "health", Health.WELL)
        return True

    def _page(self) -> bool:
        driver = self.rng.choice(self.network.drivers)
        driver.notebook.health = self.rng.choice([Health.FULL, Health.FAILING])
        self._tell(f"the notebook of {driver.name} is {driver.notebook.health.name}")
        self.world.at(self._span_s(1.0, 12.0), setattr, driver.notebook, "health", Health.WELL)
        return True

    def _wipe(self) -> bool:
        if self.rng.random() < 0.6:
            return False
        engine = self._any_engine()
        engine.crash("its disk is lost")
        self.network.checker.on_wiped(engine, engine.disk.kept())
        engine.disk.wipe()
        return True

    def _dwipe(self) -> bool:
        if self.rng.random() < 0.6:
            return False
        driver = self.rng.choice(self.network.drivers)
        driver.crash("its disk is lost")
        checker = self.network.checker
        for request_id, asker in checker.askers.items():
            if asker is driver:
                checker.forgotten.add(request_id)
        driver.notebook.wipe()
        return True

    def _restore(self) -> bool:
        network = self.network
        if not network.snapshots or self.rng.random() < 0.6:
            return False
        network.central.crash("its database is put back from a copy")
        age = min(len(network.snapshots), self.rng.randint(1, 3))
        network.store.restore(network.snapshots[-age], self._new_central_id())
        self._restored()
        return True

    def _lose(self) -> bool:
        if self.rng.random() < 0.8:
            return False
        network = self.network
        network.central.crash("its database is lost")
        network.store.lose(self._new_central_id())
        network.snapshots.clear()
        network.checker.lost_s.append(self.world.t_s)
        self._restored()
        return True

    def _restored(self) -> None:
        self.network.checker.restored_s.append(self.world.t_s)
        self.network.checker.reset()
        if self.network.guard is not None:
            self.network.guard.give_back()

    def _new_central_id(self) -> str:
        return f"central-{len(self.network.checker.restored_s) + 2}"

    def _twin(self) -> bool:
        if self.network.extras:
            return False
        engine = self.network.engines[0]
        twin = EnginePart(
            self.world,
            self.network.broker,
            "Twin1",
            "host-t",
            engine.cp_id,
            kw_rate=engine.kw_rate,
            euro_rate=engine.euro_rate,
            buffer_size=100,
        )
        if self.rng.random() < 0.7:
            twin.disk.central_id = engine.disk.central_id
        self.network.checker.watch_car(twin)
        return self._add(twin, self._span_s(8.0, 40.0))

    def _second(self) -> bool:
        if self.network.extras:
            return False
        engine = self._any_engine()
        monitor = MonitorPart(
            self.world, "Second", engine, [self.network.central], "instance-second"
        )
        monitor.token = self.network.monitors[self.network.engines.index(engine)].token
        return self._add(monitor, self._span_s(4.0, 20.0))

    def _rival(self) -> bool:
        return self._other_central(None)

    def _copy(self) -> bool:
        return self._other_central(self.network.store)

    def _other_central(self, original: CentralStore | None) -> bool:
        if self.network.extras:
            return False
        store = CentralStore("central-rival", self.rng)
        if original is not None:
            snapshots = self.network.snapshots or [original.data]
            store.data = self.rng.choice(snapshots).copy()
        rival = CentralPart(self.world, self.network.broker, "Rival", "host-r", store)
        return self._add(rival, self._span_s(8.0, 40.0))

    def _add(self, extra: Process, stays_s: float) -> bool:
        self._tell(f"{extra.name} is there too, for {stays_s:.1f} s")
        self.network.extras.append(extra)
        extra.start()
        self.world.at(stays_s, self._take_away, extra)
        return True

    def _take_away(self, extra: Process) -> None:
        if extra in self.network.extras:
            self.network.extras.remove(extra)
            extra.retire()

    def _admin(self) -> bool:
        cp_id = self._any_engine().cp_id
        self._tell(f"the operator stops {cp_id}")
        self.network.central.call(lambda call: CpStopAsked(call, cp_id))
        resume = lambda call: CpResumeAsked(call, cp_id)  # noqa: E731
        self.world.at(self._span_s(1.0, 12.0), self.network.central.call, resume)
        return True

    def _shutdown(self) -> bool:
        cp_id = self._any_engine().cp_id
        self._tell(f"the operator shuts down {cp_id}")
        self.network.central.call(lambda call: CpShutdownAsked(call, cp_id))
        return True

    def _any_active(self) -> Session | None:
        rows = self.network.store.data.sessions.values()
        active = [row for row in rows if row.status is SessionStatus.ACTIVE]
        return self.rng.choice(sorted(active, key=lambda row: row.session_id)) if active else None

    def _lie(self) -> bool:
        """Forge the record of a running session, in the name of another request."""
        row = self._any_active()
        if row is None:
            return False
        record = forged_record(row, self.world.now(HOST).wall, self.rng)
        return self._forge(SESSIONS, row, record)

    def _meter(self) -> bool:
        """Let a meter break for one reading of a running session."""
        row = self._any_active()
        if row is None or row.boot_id is None:
            return False
        return self._forge(TELEMETRY, row, broken_reading(row, row.boot_id))

    def _forge(self, topic: str, row: Session, message: Message) -> bool:
        raw = codec.encode(message, self.world.now(HOST).wall, "forged")
        self._tell(f"{topic} gets {raw!r}")
        self.network.broker.append(place_of(topic, row.cp_id), raw)
        return True

    def _end(self) -> bool:
        row = self._any_active()
        if row is None:
            return False
        session_id = row.session_id
        self._tell(f"the operator stops {session_id}")
        self.network.central.call(lambda call: SessionStopAsked(call, session_id))
        return True

    def _remove(self) -> bool:
        """Stop a monitor, and have the operator take its charging point off the list."""
        monitor = self.rng.choice(self.network.monitors)
        if not monitor.alive:
            return False
        monitor.held_until_s = self.world.t_s + self._span_s(2.0, 10.0)
        monitor.crash("stopped by the operator")
        cp_id = monitor.engine.cp_id
        self._tell(f"the operator wants {cp_id} removed")
        for delay_s in (0.5, 1.5):
            remove = functools.partial(CpRemovalAsked, cp_id=cp_id)
            self.world.at(delay_s, self.network.central.call, remove)
        if self.network.guard is not None:
            # Whatever was answered: one whose answer was lost may be removed as well.
            self.world.at(TOKEN_AFTER_REMOVAL_S, self.network.guard.replace, monitor)
        return True

    def _token(self) -> bool:
        guard = self.network.guard
        return guard is not None and guard.renew_one(self.rng)

    def _stranger(self) -> bool:
        guard = self.network.guard
        return guard is not None and guard.send_stranger(self.rng, self._span_s(2.0, 10.0))
