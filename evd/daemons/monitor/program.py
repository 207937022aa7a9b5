"""evd-monitor: watches the engine of one charging point and tells Central.

Its `instance_id` survives its crash: by it Central knows the same monitor again.  So does the
address at which Central served last, if there are several.  The rest it learns anew within one
health check.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from evd.adapters.files.instance import ID_FORMAT, read_instance_id
from evd.adapters.files.state_dir import StateDirRefused, held_state_dir
from evd.adapters.http.metrics import Metrics
from evd.adapters.tcp import FramedStream, dial_framed
from evd.adapters.tls import ClientSide
from evd.addresses import host_and_port, is_loopback
from evd.config import MonitorConfig, monitor_config
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.core.monitor.events import Event, Peer, StopAsked
from evd.core.monitor.rounds import ANSWER_S
from evd.daemons.credentials import Credentials
from evd.daemons.last_served import LastServed
from evd.daemons.lifecycle import Lifecycle, listen, naming_state_dir, run_program
from evd.daemons.monitor.connection import Connection
from evd.daemons.monitor.loop import Loop
from evd.daemons.monitor.metrics import MonitorMetrics
from evd.daemons.monitor.steps import Tokens

if TYPE_CHECKING:
    from evd.adapters.http.metrics_server import MetricsPort

EVENTS_WAITING_MAX: Final = 100
# The core gives up earlier; this ends an attempt that the core has forgotten.
DIAL_S_MAX: Final = 10.0

logger = logging.getLogger(__name__)

# It is given the address of a Central; an engine has one place alone.
Dialer = Callable[[str], Awaitable[FramedStream]]


def main() -> NoReturn:
    """The program evd-monitor."""
    run_program(monitor_config, run)


async def run(config: MonitorConfig, lifecycle: Lifecycle) -> None:
    """Watch until told to stop."""
    credentials = Credentials(config)
    listeners: list[trio.SocketListener] = []
    if config.metrics_port:
        listeners = await listen("--metrics-port", config.metrics_host, config.metrics_port)
    settings = MonitorSettings(
        config.cp_id,
        config.health_interval_s,
        config.failure_threshold,
        config.reconnect_delay_max_s,
        credentials.client is not None,
        config.centrals,
    )
    lifecycle.renew = credentials.renew
    with naming_state_dir(StateDirRefused), held_state_dir(config.state_dir, ID_FORMAT):
        last_served = LastServed(config.state_dir)
        core = Monitor(settings, read_instance_id(config.state_dir), last_served.address)
        shown = Metrics(config.state_dir)
        credentials.show(shown)
        metrics = MonitorMetrics(shown, core)
        port = credentials.metrics_port(listeners, [config.metrics_host]) if listeners else None
        peers = Peers(config, credentials)
        keep = last_served.keep
        async with trio.open_nursery() as nursery:
            nursery.start_soon(last_served.run)
            await watch(core, peers.dialers(), lifecycle, metrics, port, peers.tokens, keep)
            nursery.cancel_scope.cancel()


class Peers:
    """The ways to the engine and to Central, and the tokens that are shown there.

    An engine on loopback has a plain port; every other is dialed by TLS, as Central is, where
    --tls-ca says who vouches for them.
    """

    def __init__(self, config: MonitorConfig, credentials: Credentials) -> None:
        self._config = config
        self._credentials = credentials
        self._is_engine_here = is_loopback(config.cp_e_host)

    def dialers(self) -> dict[Peer, Dialer]:
        """A dial of each."""
        return {Peer.ENGINE: self._dial_engine, Peer.CENTRAL: self._dial_central}

    def tokens(self) -> Tokens:
        """The token as it is now; a port of this host may be another program's."""
        held = self._credentials.token
        token = held.value if held is not None else None
        return Tokens(token, None if self._is_engine_here else token)

    async def _dial_engine(self, _: str) -> FramedStream:
        config = self._config
        side = None if self._is_engine_here else self._side()
        return await dial_framed(config.cp_e_host, config.cp_e_port, DIAL_S_MAX, side)

    async def _dial_central(self, address: str) -> FramedStream:
        held = self._credentials.token
        if held is not None:
            # Central may have refused the one before.
            held.renew()
        host, port = host_and_port(address)
        # Behind a host that answers TLS has its own time.
        answer_s = ANSWER_S if len(self._config.centrals) > 1 else DIAL_S_MAX
        return await dial_framed(host, port or 0, answer_s, self._side())

    def _side(self) -> ClientSide | None:
        held = self._credentials.client
        return held.value if held is not None else None


async def watch(
    core: Monitor,
    dialers: Mapping[Peer, Dialer],
    lifecycle: Lifecycle,
    metrics: MonitorMetrics,
    metrics_port: "MetricsPort | None" = None,
    tokens: Callable[[], Tokens] = Tokens,
    keep: Callable[[str], None] = lambda _: None,
) -> None:
    """Feed `core` with events and carry out its effects until it has finished."""
    send, events = trio.open_memory_channel[Event](EVENTS_WAITING_MAX)
    async with trio.open_nursery() as nursery:
        connections = {
            peer: Connection(nursery, dial, peer, send.send) for peer, dial in dialers.items()
        }
        if metrics_port is not None:
            nursery.start_soon(metrics.serve, metrics_port)
        nursery.start_soon(_pass_on_stop, lifecycle, send)
        lifecycle.ready(metrics.doing)
        logger.info("Watching the engine of %s", core.cp_id)
        await Loop(core, events, connections, metrics, tokens, keep).run()
        nursery.cancel_scope.cancel()


async def _pass_on_stop(lifecycle: Lifecycle, events: trio.MemorySendChannel[Event]) -> None:
    await lifecycle.stopping.wait()
    await events.send(StopAsked("the monitor was stopped"))
