"""The faults of several Centrals and their database server, one method a kind."""

from tests.sim.broker import HOST as BROKER
from tests.sim.faults import Storm
from tests.sim.parts_member import MemberPart
from tests.sim.server import HOST as SERVER
from tests.sim.several import SeveralNetwork

# The Central that serves is hit more often than one that stands by.
ACTIVE_SHARE = 0.6


class SeveralStorm(Storm):
    """A fault every few seconds, most of them about one of the Centrals."""

    def __init__(self, network: SeveralNetwork) -> None:
        super().__init__(network)
        self.several = network

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
        return self._span_s(0.5, 40.0 if self.rng.random() < 0.4 else 10.0)

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

    def _dbdown(self) -> bool:
        if not self.several.server.up:
            return False
        self.several.server.restart(self._span_s(0.3, 6.0))
        return True

    def _dbslow(self) -> bool:
        self.several.server.slow_until_s = self.world.t_s + self._span_s(1.0, 12.0)
        self._tell("the database is slow")
        return True

    def _restored(self) -> None:
        super()._restored()
        self.several.server.restart(self._span_s(0.3, 6.0))
