"""The loop of a monitor: each event goes to the core, and its steps are done in their order."""

import logging
from collections.abc import Callable, Iterable, Mapping

import trio

from evd.core.effects import Note
from evd.core.monitor.core import Monitor
from evd.core.monitor.events import (
    Close,
    CountCheck,
    Dial,
    Effect,
    Event,
    Finish,
    KeepAddress,
    Peer,
    Ticked,
)
from evd.daemons.clock import now
from evd.daemons.monitor.connection import Connection
from evd.daemons.monitor.metrics import MonitorMetrics
from evd.daemons.monitor.steps import SendFrame, Step, Tokens, in_order
from evd.logs import NoteLog

logger = logging.getLogger(__name__)


class Loop:
    """Hand the events of `events` to `core` until it has finished.

    `keep` is told the address at which Central serves, and does not wait.
    """

    def __init__(
        self,
        core: Monitor,
        events: trio.MemoryReceiveChannel[Event],
        connections: Mapping[Peer, Connection],
        metrics: MonitorMetrics,
        tokens: Callable[[], Tokens] = Tokens,
        keep: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._core = core
        self._keep = keep
        self._tokens = tokens
        self._events = events
        self._connections = connections
        self._metrics = metrics
        self._notes = NoteLog(logger, trio.current_time)
        self._finished = False

    async def run(self) -> None:
        """Return once the core has nothing left to do."""
        self._carry_out_all(self._core.start(now()))
        while not self._finished:
            event: Event = Ticked()
            with trio.move_on_at(self._core.wake_at_s):
                event = await self._events.receive()
            self._carry_out_all(self._core.handle(event, now()))

    def _carry_out_all(self, effects: Iterable[Effect]) -> None:
        for step in in_order(effects, self._tokens()):
            self._carry_out(step)
        self._metrics.refresh()
        self._notes.log_rest()

    def _carry_out(self, step: Step) -> None:
        match step:
            case Close(peer):
                self._connections[peer].close()
            case Dial(peer, connection, address):
                if peer is Peer.CENTRAL:
                    self._metrics.on_dial_central(connection)
                self._connections[peer].dial(connection, address)
            case SendFrame(peer, data):
                self._connections[peer].send(data)
            case KeepAddress(address):
                self._keep(address)
            case CountCheck(result):
                self._metrics.on_check(result)
            case Note():
                self._notes.log(step)
            case Finish():
                self._finished = True
