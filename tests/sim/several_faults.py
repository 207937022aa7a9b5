"""The faults of several Centrals and their database server, one method a kind."""

from evd.core.central.rows import SessionStatus, ShownState
from tests.sim.broker import HOST as BROKER
from tests.sim.faults import Storm
from tests.sim.parts_central import CentralPart
from tests.sim.parts_member import MemberPart
from tests.sim.server import HOST as SERVER
from tests.sim.several import SeveralNetwork

# The Central that serves is hit more often than one that stands by.
ACTIVE_SHARE = 0.6
# Where faults are rarer than that, most of them last long: they meet a network at rest.
RARE_S = 5.0
# Between two looks at whether what a fault waits for has happened.
LOOK_S = 0.02


class SeveralStorm(Storm):
    """A fault every few seconds, most of them about one of the Centrals."""

    def __init__(self, network: SeveralNetwork) -> None:
        super().__init__(network)
        self.several = network
        # The sessions that have begun, as far as anybody waits for one to begin.
        self._seen: set[str] = set()
        self._is_trap_set = False

    def _member(self) -> MemberPart:
        active = self.several.central
        if (
            isinstance(active, MemberPart)
            and active.is_serving
            and self.rng.random() < ACTIVE_SHARE
        ):
            return active
        return self.rng.choice(self.several.members)

    def _long_s(self) -> float:
        long_share = 0.8 if self.world.mix.every_s > RARE_S else 0.4
        return self._span_s(0.5, 40.0 if self.rng.random() < long_share else 10.0)

    def _mend_disks(self) -> None:
        super()._mend_disks()
        self.several.server.slow_until_s = 0.0

    def _ckill(self) -> bool:
        member = self._member()
        if not member.alive:
            return False
        member.crash("killed", min(self._left_s(), self.rng.choice([1.0, 5.0, 30.0])))
        return True

    def _cpower(self) -> bool:
        member = self._member()
        if not member.alive:
            return False
        member.crash("its host loses power", min(self._left_s(), 30.0), silent=True)
        return True

    def _chang(self) -> bool:
        member = self._member()
        if not member.alive or member.hung:
            return False
        member.hang(self._long_s())
        return True

    def _cpause(self) -> bool:
        """Let a virtual machine stand still, and its clock with it."""
        member, seconds = self._member(), self._long_s()
        if not member.alive or member.hung:
            return False
        member.hang(seconds)
        # On a machine that stands still nothing is started either.
        member.held_until_s = max(member.held_until_s, self.world.t_s + seconds)
        self.world.at(seconds, self._set_back, member.host, seconds)
        return True

    def _set_back(self, host: str, seconds: float) -> None:
        self.world.uptime_s[host] -= seconds

    def _ways(self, member: MemberPart, *hosts: str) -> list[tuple[str, str]]:
        return [way for host in hosts for way in ((member.host, host), (host, member.host))]

    def _cut_some(self, ways: list[tuple[str, str]]) -> bool:
        if self.rng.random() < 0.4:
            ways = [self.rng.choice(ways)]
        return self._cut(ways, self._long_s())

    def _cdb(self) -> bool:
        return self._cut_some(self._ways(self._member(), SERVER))

    def _ckafka(self) -> bool:
        return self._cut_some(self._ways(self._member(), BROKER))

    def _monitors_and_callers(self) -> list[str]:
        hosts = {monitor.host for monitor in self.network.monitors}
        return sorted({*hosts, self.network.caller.host})

    def _ctcp(self) -> bool:
        return self._cut(self._ways(self._member(), *self._monitors_and_callers()), self._long_s())

    def _chost(self) -> bool:
        hosts = self._monitors_and_callers()
        return self._cut(self._ways(self._member(), SERVER, BROKER, *hosts), self._long_s())

    def _cswitch(self) -> bool:
        active = self.several.central
        return isinstance(active, MemberPart) and active.hand_over()

    @staticmethod
    def _switch(member: MemberPart) -> None:
        member.hand_over()

    def _cdeaf(self) -> bool:
        """Switch by hand, and let no answer of the database come back about it."""
        active = self.several.central
        if not isinstance(active, MemberPart) or not active.is_serving:
            return False
        self._cut([(SERVER, active.host)], self._span_s(3.0, 10.0))
        self.world.at(self._span_s(0.0, 2.0), self._switch, active)
        return True

    def _dbdown(self) -> bool:
        if not self.several.server.up:
            return False
        self.several.server.restart(self._span_s(0.3, 6.0))
        return True

    def _dbsplit(self) -> bool:
        """Restart the server on the far side of a cut: the Central on this side hears nothing."""
        server, member = self.several.server, self._member()
        if not server.up:
            return False
        self._cut(self._ways(member, SERVER), self._span_s(3.0, 10.0))
        self.world.at(self._span_s(0.0, 1.0), server.restart, self._span_s(0.1, 0.6))
        return True

    def _early(self) -> bool:
        """Switch just when a session has begun, and cut its point off once it is registered.

        Its monitor may have asked the engine last before that session, and says so to the next
        Central, which hears nothing else of it.
        """
        if self._is_trap_set:
            return False
        self._is_trap_set = True
        self._await_session(self.world.t_s + self._span_s(5.0, 10.0))
        return True

    def _await_session(self, until_s: float) -> None:
        world, active = self.world, self.several.central
        rows = self.network.store.data.sessions.values()
        begun = [row for row in rows if row.confirmed and row.status is SessionStatus.ACTIVE]
        new = [row for row in begun if row.session_id not in self._seen]
        self._seen.update(row.session_id for row in begun)
        if world.t_s >= until_s:
            self._is_trap_set = False
        elif new and isinstance(active, MemberPart) and active.hand_over():
            self._await_takeover(new[0].cp_id, active, until_s)
        else:
            world.at(LOOK_S, self._await_session, until_s)

    def _await_takeover(self, cp_id: str, before: MemberPart, until_s: float) -> None:
        world, central = self.world, self.several.central
        if world.t_s >= until_s:
            self._is_trap_set = False
        elif central is before or not _is_on(central, cp_id):
            world.at(LOOK_S, self._await_takeover, cp_id, before, until_s)
        else:
            self._is_trap_set = False
            engine = next(each for each in self.network.engines if each.cp_id == cp_id)
            others = (BROKER, *(member.host for member in self.several.members))
            ways = [way for host in others for way in ((engine.host, host), (host, engine.host))]
            self._cut(ways, self._span_s(6.0, 15.0))

    def _dbslow(self) -> bool:
        self.several.server.slow_until_s = self.world.t_s + self._span_s(1.0, 12.0)
        self._tell("the database is slow")
        return True

    def _restored(self) -> None:
        super()._restored()
        self.several.server.restart(self._span_s(0.3, 6.0))


def _is_on(central: CentralPart, cp_id: str) -> bool:
    core = central.core
    return (
        core is not None
        and core.knows(cp_id)
        and core.view(cp_id, central.now()).state is ShownState.ON
    )
