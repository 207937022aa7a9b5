"""A look, once a second, at what Central shows and how it judges, beside the truth."""

from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from evd.core.central.rows import BreakerState, Session, ShownState
from tests.sim.broker import HOST
from tests.sim.parts_engine import EnginePart
from tests.sim.world import World

if TYPE_CHECKING:
    from tests.sim.network import Network

# Detection as promised, and what looking once a second and a slow link may add.
DISCONNECTED_S = 3.5 + 1.5
BROKEN_S = 5.0 + 1.5
HEALTHY_S = 10.0 + 1.5
# A part that was well for so long has heard every repetition.
CALM_S = 10.0
LOOK_S = 1.0
# Central's own absence counts from 2 s on; looking once a second can't tell that from 3 s.
AWAY_S = 3.0


@attrs.define
class Seen:
    """How a charging point's parts were found, and since when."""

    parts: tuple[object, ...] = ()
    since_s: float = 0.0


class Shown:
    """Compares what Central shows of each charging point with its parts."""

    def __init__(self, world: World, network: "Network") -> None:
        self.world = world
        self.network = network
        self._seen: dict[str, Seen] = defaultdict(Seen)
        # Since when Central, and each engine, have worked and talked with the broker.
        self._central_well_s = 0.0
        self._engine_well_s: dict[str, float] = defaultdict(float)
        # When Central was last dead, or away for so long that its bounds begin anew.
        self._central_back_s = 0.0
        self._unwell_since_s: float | None = None
        self._central = network.central

    def disturbed(self, cp_id: str) -> None:
        """Give what is shown of a charging point its time again to become true."""
        self._seen[cp_id] = Seen()

    def look(self) -> None:
        """Check everything that Central shows now."""
        world, network = self.world, self.network
        central, reachable = network.central, network.broker.reachable
        is_new, self._central = central is not self._central, central
        is_silent = central.core is None or not central.may_speak()
        if is_silent or is_new or central.hung or not reachable(central.host):
            self._central_well_s = world.t_s
            self._unwell_since_s = self._unwell_since_s or world.t_s
            if is_silent or is_new or world.t_s - self._unwell_since_s >= AWAY_S:
                self._central_back_s = world.t_s
        else:
            self._unwell_since_s = None
        for number, engine in enumerate(network.engines):
            is_well = engine.alive and not engine.hung and reachable(engine.host)
            # Until its monitor has seen the engine, a new boot's reports count for nothing.
            if not is_well or self._is_disturbed(engine.cp_id):
                self._engine_well_s[engine.cp_id] = world.t_s
            self._look_at(number, engine)

    def _look_at(self, number: int, engine: EnginePart) -> None:
        world, central, monitor = self.world, self.network.central, self.network.monitors[number]
        core = central.core
        ways = (monitor.host, central.host), (central.host, monitor.host)
        way = tuple(world.passes(*each) for each in ways)
        seconds = [extra for extra in self.network.extras if extra.host == engine.host]
        parts = (
            # The moments show too what woke and hung, or was healed and cut, between two looks.
            *(
                central.name,
                central.may_speak(),
                central.life,
                core is None,
                central.hung,
                central.hung_at_s,
                central.alive,
            ),
            *(monitor.life, monitor.hung, monitor.hung_at_s, monitor.alive),
            *(engine.life, engine.hung, engine.hung_at_s, engine.alive),
            *(monitor.target is engine, way, bool(seconds)),
            *(world.cut_at_s.get(each) for each in ways),
        )
        seen = self._seen[engine.cp_id]
        if world.slow_until_s[monitor.host] > world.t_s - 2.0 or central.is_held_up:
            seen.since_s = world.t_s
        if parts != seen.parts:
            self._seen[engine.cp_id] = Seen(parts, world.t_s)
            return
        if core is None or central.hung or seconds or not core.knows(engine.cp_id):
            return
        if not central.may_speak():
            return
        is_watched = monitor.alive and not monitor.hung and all(way)
        works = engine.alive and not engine.hung and monitor.target is engine
        if not is_watched:
            wanted, after_s = ShownState.DISCONNECTED, DISCONNECTED_S
        elif not works:
            wanted, after_s = ShownState.BROKEN, BROKEN_S
        else:
            wanted, after_s = ShownState.ON, HEALTHY_S
        shown = core.view(engine.cp_id, central.now()).state
        if shown is not wanted and world.t_s - seen.since_s > after_s:
            what = f"{engine.cp_id} is shown {shown}, and has been {wanted} for {after_s} s"
            world.violate(6, what, engine.cp_id)

    def check_soon_after(self) -> None:
        """Check soon after the last fault that each charging point is available or serving."""
        core = self.network.central.core
        for engine in self.network.engines:
            cp_id = engine.cp_id
            if core is None or not core.knows(cp_id):
                self.world.violate(6, f"soon after the last fault {cp_id} is not known", cp_id)
                continue
            view = core.view(cp_id, self.network.central.now())
            breaker_open = view.breaker is BreakerState.OPEN
            if view.available or breaker_open or view.current_session is not None:
                continue
            if engine.is_charging:
                continue
            what = f"soon after the last fault {cp_id} is not available: {view.unavailable_reason}"
            self.world.violate(6, what, cp_id)

    def check_unheard(self, row: Session) -> None:
        """Check that a session closed because nothing was heard of it was really out of reach."""
        world, ids = self.world, (row.session_id, row.request_id)
        if world.t_s - self._central_back_s < world.mix.lost_after_s - LOOK_S:
            world.violate(6, "Central's own absence ended a session", *ids)
        well_since_s = max(self._central_well_s, self._engine_well_s[row.cp_id])
        if world.t_s - well_since_s > CALM_S and not self._is_disturbed(row.cp_id):
            what = f"{row.cp_id} was in reach, and held back until the bound"
            world.violate(6, what, *ids)

    def _is_disturbed(self, cp_id: str) -> bool:
        world, network = self.world, self.network
        engine = next(each for each in network.engines if each.cp_id == cp_id)
        monitor = network.monitors[network.engines.index(engine)]
        hosts = {engine.host, network.central.host, HOST}
        return (
            not monitor.alive
            or monitor.hung
            or monitor.target is not engine
            or any(not hosts.isdisjoint(way) for way in world.cut)
        )
