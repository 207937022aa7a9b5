"""evd-monitor: watches the engine of one charging point and tells Central.

What survives its crash is its `instance_id`, by which Central knows that it is the same monitor
again.  All else it learns anew within one health check.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import trio

from evd.adapters.files.instance import read_instance_id
from evd.adapters.files.state_dir import StateDirInUse, held_state_dir
from evd.adapters.http.metrics import Metrics
from evd.adapters.http.metrics_server import serve_metrics
from evd.adapters.tcp import FramedStream, dial_framed
from evd.config import MonitorConfig, monitor_config
from evd.core.effects import Note
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.core.monitor.events import (
    CentralAnswered,
    CentralConnected,
    CentralLost,
    CheckResult,
    CloseCentral,
    CountCheck,
    DialCentral,
    DialEngine,
    Effect,
    EngineAnswered,
    EngineConnected,
    EngineLost,
    Event,
    Finish,
    SendPing,
    StopAsked,
    TellCentral,
    Ticked,
)
from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, Pong
from evd.daemons.clock import now
from evd.daemons.lifecycle import Lifecycle, listen, run_program
from evd.daemons.monitor.connection import Connection
from evd.flags import ConfigError
from evd.logs import log_note

EVENTS_WAITING_MAX: Final = 100
# The core gives up earlier; this ends an attempt that it has forgotten.
DIAL_S_MAX: Final = 10.0

logger = logging.getLogger(__name__)

Dial = Callable[[], Awaitable[FramedStream]]


def main() -> NoReturn:
    """The program evd-monitor."""
    run_program(monitor_config, run)


async def run(config: MonitorConfig, lifecycle: Lifecycle) -> None:
    """Watch until told to stop."""
    listeners: list[trio.SocketListener] = []
    if config.metrics_port:
        listeners = await listen("--metrics-port", config.metrics_host, config.metrics_port)
    try:
        with held_state_dir(config.state_dir):
            instance_id = read_instance_id(config.state_dir)
            await watch(
                MonitorSettings(
                    config.cp_id,
                    config.health_interval_s,
                    config.failure_threshold,
                    config.reconnect_delay_max_s,
                ),
                instance_id,
                lambda: dial_framed(config.cp_e_host, config.cp_e_port, DIAL_S_MAX),
                lambda: dial_framed(config.central_host, config.central_port, DIAL_S_MAX),
                lifecycle,
                listeners,
            )
    except StateDirInUse as error:
        raise ConfigError(f"--state-dir: {error}") from None
    except OSError as error:
        if error.filename is None:
            raise
        why = f"{error.filename!r}: {error.strerror}"
        raise ConfigError(f"--state-dir: can't keep the monitor's identity: {why}") from None


async def watch(
    settings: MonitorSettings,
    instance_id: str,
    dial_engine: Dial,
    dial_central: Dial,
    lifecycle: Lifecycle,
    metrics_listeners: list[trio.SocketListener],
) -> None:
    """Feed the core with what happens, and do what it says, until it has finished."""
    core = Monitor(settings, instance_id, now())
    metrics = MonitorMetrics(Metrics(), core)
    send, events = trio.open_memory_channel[Event](EVENTS_WAITING_MAX)
    async with trio.open_nursery() as nursery:
        shell = _Shell(
            engine=Connection(nursery, dial_engine, EngineSide(send)),
            central=Connection(nursery, dial_central, CentralSide(send)),
            metrics=metrics,
        )
        if metrics_listeners:
            nursery.start_soon(metrics.serve, metrics_listeners)
        nursery.start_soon(_pass_on_stop, lifecycle, send)
        lifecycle.ready()
        logger.info("Watching the engine of %s", settings.cp_id)
        await _live(core, events, shell)
        nursery.cancel_scope.cancel()


async def _live(core: Monitor, events: trio.MemoryReceiveChannel[Event], shell: "_Shell") -> None:
    while not shell.finished:
        event: Event = Ticked()
        with trio.move_on_at(core.wake_at_s):
            event = await events.receive()
        for effect in core.handle(event, now()):
            shell.carry_out(effect)
        shell.metrics.look()


async def _pass_on_stop(lifecycle: Lifecycle, events: trio.MemorySendChannel[Event]) -> None:
    await lifecycle.stopping.wait()
    await events.send(StopAsked("the monitor was stopped"))


class _Shell:
    """What is done with each effect."""

    def __init__(self, engine: Connection, central: Connection, metrics: "MonitorMetrics") -> None:
        self.finished = False
        self.metrics = metrics
        self._engine = engine
        self._central = central

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case Note():
                log_note(logger, effect)
            case CountCheck(result):
                self.metrics.checked(result)
            case DialEngine(connection):
                self._engine.dial(connection)
            case SendPing(message):
                self._engine.send(codec.encode_control(message))
            case DialCentral(connection):
                self.metrics.dialed_central(connection)
                self._central.dial(connection)
            case TellCentral(message):
                self._central.send(codec.encode_control(message))
            case CloseCentral():
                self._central.close()
            case Finish():
                self.finished = True


class EngineSide:
    """What happens on the connection to the engine, as events."""

    name = "the engine"

    def __init__(self, events: trio.MemorySendChannel[Event]) -> None:
        self._events = events

    async def connected(self, connection: int) -> None:
        """The dial succeeded."""
        await self._events.send(EngineConnected(connection))

    async def lost(self, connection: int, reason: str, refused: bool) -> None:
        """The dial failed, or the connection is over."""
        await self._events.send(EngineLost(connection, reason, refused))

    async def received(self, connection: int, data: bytes) -> None:
        """A good frame came; BadMessage where it is no PONG."""
        message = codec.decode_health(data)
        if not isinstance(message, Pong):
            raise codec.BadMessage("type", "must be PONG")
        await self._events.send(EngineAnswered(connection, message))


class CentralSide:
    """What happens on the connection to Central, as events."""

    name = "Central"

    def __init__(self, events: trio.MemorySendChannel[Event]) -> None:
        self._events = events

    async def connected(self, connection: int) -> None:
        """The dial succeeded."""
        await self._events.send(CentralConnected(connection))

    async def lost(self, connection: int, reason: str, refused: bool) -> None:
        """The dial failed, or the connection is over."""
        await self._events.send(CentralLost(connection, reason))

    async def received(self, connection: int, data: bytes) -> None:
        """A good frame came; BadMessage where it is neither ACK nor NACK."""
        await self._events.send(CentralAnswered(connection, codec.decode_central(data)))


class MonitorMetrics:
    """The metrics of a monitor."""

    def __init__(self, metrics: Metrics, core: Monitor) -> None:
        self._core = core
        self._render = metrics.render
        self._checks = metrics.counter(
            "evd_monitor_checks_total",
            "Health checks of the engine by how they ended",
            {"result": [result.value for result in CheckResult]},
        )
        self._engine_up = metrics.gauge(
            "evd_monitor_engine_up", "1 while the verdict on the engine is OK"
        )
        self._connected = metrics.gauge("evd_monitor_connected", "1 while registered with Central")
        self._reconnects = metrics.counter(
            "evd_monitor_reconnects_total", "Attempts to reach Central after the first"
        )

    async def serve(self, listeners: list[trio.SocketListener]) -> None:
        """Serve /metrics and /health."""
        await serve_metrics(
            listeners, service="evd-monitor", render=self._render, health=self._unhealthy
        )

    def checked(self, result: CheckResult) -> None:
        """A health check ended."""
        self._checks.labels(result.value).inc()

    def dialed_central(self, connection: int) -> None:
        """An attempt to reach Central began; the first has the number 1."""
        if connection > 1:
            self._reconnects.inc()

    def look(self) -> None:
        """Take over the core's state."""
        self._engine_up.set(self._core.checks.verdict.status is EngineStatus.OK)
        self._connected.set(self._core.report.registered)

    def _unhealthy(self) -> str | None:
        return None if self._core.report.registered else "not registered with Central"
