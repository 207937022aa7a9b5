"""evd-monitor: watches the engine of one charging point and tells Central.

Its `instance_id` survives its crash: by it Central knows the same monitor again.  The rest it
learns anew within one health check.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn

import trio

from evd.adapters.files.instance import ID_FORMAT, read_instance_id
from evd.adapters.files.state_dir import StateDirRefused, held_state_dir
from evd.adapters.http.metrics import Metrics
from evd.adapters.tcp import FramedStream, dial_framed
from evd.config import MonitorConfig, monitor_config
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.core.monitor.events import Event, Peer, StopAsked
from evd.daemons.lifecycle import Lifecycle, listen, naming_state_dir, run_program
from evd.daemons.monitor.connection import Connection
from evd.daemons.monitor.loop import Loop
from evd.daemons.monitor.metrics import MonitorMetrics

EVENTS_WAITING_MAX: Final = 100
# The core gives up earlier; this ends an attempt that the core has forgotten.
DIAL_S_MAX: Final = 10.0

logger = logging.getLogger(__name__)

Dialer = Callable[[], Awaitable[FramedStream]]


def main() -> NoReturn:
    """The program evd-monitor."""
    run_program(monitor_config, run)


async def run(config: MonitorConfig, lifecycle: Lifecycle) -> None:
    """Watch until told to stop."""
    listeners: list[trio.SocketListener] = []
    if config.metrics_port:
        listeners = await listen("--metrics-port", config.metrics_host, config.metrics_port)
    settings = MonitorSettings(
        config.cp_id,
        config.health_interval_s,
        config.failure_threshold,
        config.reconnect_delay_max_s,
    )
    dialers: dict[Peer, Dialer] = {
        Peer.ENGINE: lambda: dial_framed(config.cp_e_host, config.cp_e_port, DIAL_S_MAX),
        Peer.CENTRAL: lambda: dial_framed(config.central_host, config.central_port, DIAL_S_MAX),
    }
    with naming_state_dir(StateDirRefused), held_state_dir(config.state_dir, ID_FORMAT):
        core = Monitor(settings, read_instance_id(config.state_dir))
        metrics = MonitorMetrics(Metrics(config.state_dir), core)
        await watch(core, dialers, lifecycle, metrics, listeners, config.metrics_host)


async def watch(
    core: Monitor,
    dialers: Mapping[Peer, Dialer],
    lifecycle: Lifecycle,
    metrics: MonitorMetrics,
    metrics_listeners: list[trio.SocketListener],
    metrics_host: str,
) -> None:
    """Feed `core` with events and carry out its effects until it has finished."""
    send, events = trio.open_memory_channel[Event](EVENTS_WAITING_MAX)
    async with trio.open_nursery() as nursery:
        connections = {
            peer: Connection(nursery, dial, peer, send.send) for peer, dial in dialers.items()
        }
        if metrics_listeners:
            nursery.start_soon(metrics.serve, metrics_listeners, metrics_host)
        nursery.start_soon(_pass_on_stop, lifecycle, send)
        lifecycle.ready(metrics.doing)
        logger.info("Watching the engine of %s", core.cp_id)
        await Loop(core, events, connections, metrics).run()
        nursery.cancel_scope.cancel()


async def _pass_on_stop(lifecycle: Lifecycle, events: trio.MemorySendChannel[Event]) -> None:
    await lifecycle.stopping.wait()
    await events.send(StopAsked("the monitor was stopped"))
