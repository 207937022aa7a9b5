"""TCP as the parts may rely on it: ordered, cut without a close, closed late, half open.

Bytes and a close that one end sends wait while the way is cut; a host that vanishes closes nothing.
The kernel takes connections and data also for a process that is stopped.
"""

import functools
from collections import deque
from collections.abc import Callable

import attrs

from tests.sim.world import Process, World

RETRY_S = 0.3
# The other end may give up a connection that takes longer.
SLOW_S = 0.5
CLOSE = None


@attrs.define(eq=False)
class End:
    """One end of a connection, in one life of a process."""

    process: Process
    life: int
    received: Callable[[bytes], None]
    closed: Callable[[], None]
    is_open: bool = True
    inbound: deque[bytes | None] = attrs.Factory(deque)


class Connection:
    """A connection between two processes; each side may send and close."""

    def __init__(self, world: World, dialer: End, listener: End) -> None:
        self._world = world
        self._ends = (dialer, listener)
        for side, end in enumerate(self._ends):
            # The kernel closes the end of a process that dies, unless the host is gone too.
            end.process.on_death.append(functools.partial(self._die, side))

    def send(self, side: int, raw: bytes) -> None:
        """Send from the end `side` (0: the dialer) to the other."""
        if self._ends[side].is_open:
            self._deliver(1 - side, raw)

    def close(self, side: int) -> None:
        """Close the end `side`; the other hears of it after all that was sent."""
        if self._ends[side].is_open:
            self._ends[side].is_open = False
            self._deliver(1 - side, CLOSE)

    def _die(self, side: int, silent: bool) -> None:
        if silent:
            self._ends[side].is_open = False
        else:
            self.close(side)

    def _deliver(self, side: int, item: bytes | None) -> None:
        end = self._ends[side]
        end.inbound.append(item)
        if len(end.inbound) == 1:
            delay_s = self._world.soon_s() / 2
            if delay_s > SLOW_S:
                for each in self._ends:
                    self._world.slow_until_s[each.process.host] = self._world.t_s + delay_s
            self._world.at(delay_s, self._pump, side)

    def _pump(self, side: int) -> None:
        end, other = self._ends[side], self._ends[1 - side]
        if not self._world.passes(other.process.host, end.process.host):
            self._world.at(RETRY_S, self._pump, side)
            return
        item = end.inbound.popleft()
        end.process.act(end.life, self._hand_over, (end, item))
        if not end.process.alive or end.life != end.process.life:
            # A host that is back answers for a process that is gone: with a reset.
            self._reset(1 - side)
        if end.inbound:
            self._world.at(0.0005, self._pump, side)

    def _reset(self, side: int) -> None:
        end = self._ends[side]
        if end.is_open and CLOSE not in end.inbound:
            self._deliver(side, CLOSE)

    @staticmethod
    def _hand_over(end: End, item: bytes | None) -> None:
        if not end.is_open:
            return
        if item is CLOSE:
            end.is_open = False
            end.closed()
        else:
            end.received(item)
