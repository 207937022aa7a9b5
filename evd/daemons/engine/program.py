"""evd-engine: runs one charging point, its machine, its meter and its sessions on disk.

All that survives its crash is on its disk: the session that runs, with its last reading, the
records of those that are over, and which Central it obeys.  A start is the recovery: a session that
is found there is closed and sent.  It reads commands from their end; Central repeats what still
matters.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final, NoReturn
from uuid import uuid4

import attrs
import trio

from evd.adapters.buffer import SESSIONS_FORMAT, BufferUnusable, SessionBuffer, open_buffer
from evd.adapters.files.state_dir import StateDirRefused, held_state_dir
from evd.adapters.kafka import Consumer, Producer, open_consumer, open_producer
from evd.adapters.kafka.consumer import Batch
from evd.adapters.kafka.messenger import Messenger
from evd.adapters.tcp import serve_framed
from evd.addresses import is_loopback
from evd.config import EngineConfig, engine_config
from evd.core.engine.core import Engine
from evd.core.engine.events import EngineSettings, StopAsked, Ticked
from evd.core.wire.messages import BEACONS, COMMANDS
from evd.daemons.clock import now
from evd.daemons.credentials import Credentials
from evd.daemons.engine.health_port import HealthPort
from evd.daemons.engine.loop import Loop
from evd.daemons.engine.metrics import Counts, EngineMetrics
from evd.daemons.engine.steps import events_of
from evd.daemons.lifecycle import Lifecycle, listen, naming_state_dir, run_program

FLUSH_S: Final = 1.5

logger = logging.getLogger(__name__)

Listeners = list[trio.SocketListener]


def main() -> NoReturn:
    """The program evd-engine."""
    run_program(engine_config, run)


async def run(config: EngineConfig, lifecycle: Lifecycle) -> None:
    """Run the charging point until told to stop."""
    credentials = Credentials(config)
    health_at = await listen("--health-port", config.health_host, config.health_port)
    metrics_at: Listeners = []
    if config.metrics_port:
        metrics_at = await listen("--metrics-port", config.metrics_host, config.metrics_port)
    held = held_state_dir(config.state_dir, SESSIONS_FORMAT)
    with naming_state_dir(StateDirRefused, BufferUnusable), held:
        async with open_buffer(config.state_dir, config.cp_id) as buffer:
            await _work(config, credentials, buffer, lifecycle, health_at, metrics_at)


async def _work(
    config: EngineConfig,
    credentials: Credentials,
    buffer: SessionBuffer,
    lifecycle: Lifecycle,
    health_at: Listeners,
    metrics_at: Listeners,
) -> None:
    lifecycle.renew = credentials.renew
    counts = Counts()
    core = Engine(_settings(config), f"boot-{uuid4().hex}", buffer.disk, now())
    async with _open_kafka(config) as (producer, consumer), trio.open_nursery() as nursery:
        messenger = Messenger(producer, counts.on_dead_letter)
        loop = Loop(
            core,
            buffer,
            send=messenger.send,
            look=lambda: Ticked(consumer.healthy, consumer.logs_lost_count),
            counts=counts,
        )
        nursery.start_soon(read_kafka, consumer.batches, messenger, config.cp_id, loop)
        nursery.start_soon(_pass_on_stop, lifecycle, loop)
        if metrics_at:
            recent = messenger.recent_dead_letters
            nursery.start_soon(
                _serve_metrics, config, credentials, metrics_at, counts, loop, recent
            )
        await loop.start()
        is_here = is_loopback(config.health_host)
        port = HealthPort(loop, counts, None if is_here else credentials.wanted_token())
        listeners = health_at if is_here else credentials.protected(health_at)
        await nursery.start(serve_framed, listeners, port.serve)
        lifecycle.ready(loop.doing, loop.is_stuck)
        logger.info("Ready, %g kW at %g euro/kWh", config.kw_rate, config.euro_rate)
        await loop.run()
        lifecycle.stop("nothing is left to do")
        await producer.flush(FLUSH_S)
        nursery.cancel_scope.cancel()


async def read_kafka(
    batches: trio.MemoryReceiveChannel[Batch], messenger: Messenger, cp_id: str, loop: Loop
) -> None:
    """Hand over what is read, batch by batch."""
    async for batch in batches:
        for event in events_of(messenger.read(batch), cp_id):
            await loop.put(event)


async def _pass_on_stop(lifecycle: Lifecycle, loop: Loop) -> None:
    await lifecycle.stopping.wait()
    await loop.put(StopAsked())


async def _serve_metrics(
    config: EngineConfig,
    credentials: Credentials,
    listeners: Listeners,
    counts: Counts,
    loop: Loop,
    recent: Callable[[], int],
) -> None:
    # Three megabytes that an engine pays only where somebody wants them.
    from evd.adapters.http.metrics import Metrics
    from evd.adapters.http.metrics_server import serve_metrics

    shown = Metrics(config.state_dir)
    credentials.show(shown)
    metrics = EngineMetrics(shown, counts, loop.core, recent, loop.illness)
    await serve_metrics(
        credentials.metrics_port(listeners, [config.metrics_host]),
        service="evd-engine",
        render=metrics.render,
        health=loop.illness,
    )


@contextlib.asynccontextmanager
async def _open_kafka(config: EngineConfig) -> AsyncIterator[tuple[Producer, Consumer]]:
    name, bootstrap = f"evd-engine-{config.cp_id}", config.kafka_bootstrap
    async with (
        open_producer(bootstrap, name) as producer,
        open_consumer(
            bootstrap,
            name,
            {COMMANDS: config.cp_id, BEACONS: "all"},
            start="end",
            fetch_wait_s=config.kafka_fetch_wait_s,
        ) as consumer,
    ):
        yield producer, consumer


def _settings(config: EngineConfig) -> EngineSettings:
    names = [attribute.name for attribute in attrs.fields(EngineSettings)]
    return EngineSettings(**{name: getattr(config, name) for name in names})
