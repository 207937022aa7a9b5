"""A watch over takeovers: a Central that could serve does so, within a time that is promised."""

from collections import defaultdict
from typing import TYPE_CHECKING

from evd.core.central.rows import ShownState
from tests.sim.broker import HOST as BROKER
from tests.sim.world import Process, World

if TYPE_CHECKING:
    from tests.sim.several import SeveralNetwork

LOOK_S = 0.25
# The longest that a healthy charging point is served by nobody, although some Central could.
SERVED_S = 20.0
# Several faults in a row may make several takeovers in a row; not for ever.
TAKEOVERS_MAX = 4


class Served:
    """Looks four times a second whether each healthy charging point is shown ON by somebody."""

    def __init__(self, world: World, network: "SeveralNetwork") -> None:
        self.world = world
        self.network = network
        self.takeovers = 0
        # The time at which each process, or what all need, was last disturbed.
        self._upset_s: dict[object, float] = defaultdict(lambda: -99.0)
        self._on_s: dict[str, float] = defaultdict(float)
        self._vain: dict[str, int] = defaultdict(int)
        world.at(LOOK_S, self._look)

    def begins(self) -> None:
        """Give the charging points their time anew: another Central has begun to serve."""
        self.takeovers += 1
        for engine in self.network.engines:
            self._vain[engine.cp_id] += 1
            if self._vain[engine.cp_id] <= TAKEOVERS_MAX:
                self._on_s[engine.cp_id] = self.world.t_s

    def _look(self) -> None:
        world, network = self.world, self.network
        world.at(LOOK_S, self._look)
        cut_off = self._cut_off()
        for process in network.processes:
            if not process.alive or process.hung or process.host in cut_off:
                self._upset_s[process] = world.t_s
        server = network.server
        if not (network.broker.up and server.up and world.t_s >= server.slow_until_s):
            self._upset_s[None] = world.t_s
        for engine, monitor in zip(network.engines, network.monitors, strict=True):
            if self._is_on(engine.cp_id):
                self._on_s[engine.cp_id], self._vain[engine.cp_id] = world.t_s, 0
                continue
            is_able = self._is_able(engine) and self._is_able(monitor)
            is_late = world.t_s - self._on_s[engine.cp_id] > SERVED_S
            if is_late and is_able and any(map(self._is_able, network.members)):
                what = f"a Central could serve for {SERVED_S:.0f} s, and none serves {engine.cp_id}"
                world.violate(6, what, engine.cp_id)
                self._on_s[engine.cp_id] = world.t_s

    def _cut_off(self) -> set[str]:
        """Return the hosts that can't reach, or be reached by, all that they need.

        A Central that no monitor reaches is cut off itself; the monitors have the other ones.
        """
        cut, network = self.world.cut, self.network
        monitors = {monitor.host for monitor in network.monitors}
        alone = {
            member.host
            for member in network.members
            if all((host, member.host) in cut or (member.host, host) in cut for host in monitors)
        }
        others = {host for way in cut if alone.isdisjoint(way) for host in way}
        return alone | others

    def _is_able(self, process: Process) -> bool:
        upset_s = max(self._upset_s[process], self._upset_s[None], 0.0)
        return self.world.t_s - upset_s > SERVED_S

    def _is_on(self, cp_id: str) -> bool:
        central, passes = self.network.central, self.world.passes
        core = central.core
        if core is None or central.hung or not central.may_speak() or not core.knows(cp_id):
            return False
        ways = (central.host, BROKER), (BROKER, central.host)
        if not all(passes(*way) for way in ways):
            return False
        return core.view(cp_id, central.now()).state is ShownState.ON
