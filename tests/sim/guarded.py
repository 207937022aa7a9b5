"""The operator's part of access: tokens on the monitors' hosts, and a copy of access in a vault.

With a lost or restored database the copy is put in again; until then no monitor is taken.
"""

import random
from typing import TYPE_CHECKING

from evd.core.access.copy import AccessCopy
from evd.core.access.events import AccessImportAsked, CpTokenAsked
from evd.core.access.roles import Role
from evd.core.access.tokens import digest, new_token
from evd.core.monitor.events import Peer
from evd.core.wire import codec
from evd.core.wire.control import Ack
from tests.sim.parts_monitor import MonitorPart

if TYPE_CHECKING:
    from tests.sim.network import Network

# A file is on its host so long after its token was made.
CARRIED_S = (0.1, 3.0)


class Guard:
    """Makes tokens, carries them to the hosts, and keeps the copy."""

    def __init__(self, network: "Network") -> None:
        self.network = network
        self.world = network.world
        self._copy = AccessCopy((), ())
        self._made_count = 0
        # The number of the newest token that came to a charging point's host.
        self._arrived: dict[str, int] = {}

    def begin(self) -> None:
        """Give each monitor its first token."""
        for monitor in self.network.monitors:
            self.issue(monitor, at_once=False)

    def issue(self, monitor: MonitorPart, *, at_once: bool) -> None:
        """Have Central take a new token, and then carry it to the monitor's host."""
        self._made_count += 1
        number = self._made_count
        token = new_token(Role.MONITOR, number.to_bytes(32, "big"))
        cp_id, key = monitor.engine.cp_id, digest(token)

        def arrive() -> None:
            # Nobody writes an older token over a newer one.
            if number > self._arrived.get(cp_id, 0):
                self._arrived[cp_id] = number
                monitor.token = token
            self.network.shown.disturbed(cp_id)

        def made() -> None:
            self.keep()
            # Until the file is there its monitor may be turned away.
            self.network.shown.disturbed(cp_id)
            self.world.at(self.world.rng.uniform(*CARRIED_S), arrive)

        self.network.central.insist(lambda call: CpTokenAsked(call, cp_id, key, at_once), made)

    def replace(self, monitor: MonitorPart) -> None:
        """Put a charging point up again that may be removed: its token is then good no more."""
        self.keep()
        self.issue(monitor, at_once=False)

    def renew_one(self, rng: random.Random) -> bool:
        """Have a monitor's host get another token, or have the one before end at once."""
        monitor = rng.choice(self.network.monitors)
        at_once = rng.random() < 0.3
        self.world.tell("fault", f"{monitor.name} gets a token{', at once' if at_once else ''}")
        self.issue(monitor, at_once=at_once)
        return True

    def send_stranger(self, rng: random.Random, stays_s: float) -> bool:
        """Let somebody without a right token register for a charging point."""
        engine, central = rng.choice(self.network.engines), self.network.central
        stranger = Stranger(self.world, "Stranger", engine, [central], "instance-stranger")
        stranger.host = "host-x"
        stranger.token = rng.choice([None, new_token(Role.MONITOR, bytes([255] * 32))])
        self.world.tell("fault", f"a stranger registers for {engine.cp_id}")
        stranger.start()
        self.world.at(stays_s, stranger.retire)
        return True

    def keep(self) -> None:
        """Make the copy anew, as a vault has it: whatever Central has taken is in it."""
        core = self.network.central.core
        if core is not None:
            self._copy = core.access.export()

    def give_back(self) -> None:
        """Put the copy into a database that was lost, or put back from an older one."""
        copy = self._copy

        def done() -> None:
            for engine in self.network.engines:
                self.network.shown.disturbed(engine.cp_id)

        self.network.central.insist(lambda call: AccessImportAsked(call, copy, True), done)


class Stranger(MonitorPart):
    """Somebody on the network who knows a charging point's name, and none of its tokens."""

    def _receive(self, peer: Peer, number: int, raw: bytes) -> None:
        if peer is Peer.CENTRAL and isinstance(codec.decode_central(raw), Ack):
            self.world.violate(6, f"a stranger is taken for {self.engine.cp_id}")
        super()._receive(peer, number, raw)
