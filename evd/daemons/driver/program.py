"""evd-driver: asks for charges, waits for Central however long it must, tells its user.

What survives its crash is its notebook: the requests that are open, the final statuses, its place
in the requests file.  A start is the recovery: what is open is asked again, and the updates that
came meanwhile are read from Kafka and told.
"""

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from typing import Final, NoReturn

import attrs
import trio

from evd.adapters.files.notebook import ForeignNotebook, Notebook, NotSaved
from evd.adapters.files.state_dir import StateDirInUse, held_state_dir
from evd.adapters.http.metrics import Metrics
from evd.adapters.http.metrics_server import serve_metrics
from evd.adapters.kafka import Consumer, Producer, open_consumer, open_producer
from evd.adapters.kafka.messenger import Messenger
from evd.config import DriverConfig, RequestsFile, driver_config, read_requests_file
from evd.core.driver.core import Driver, DriverSettings
from evd.core.driver.events import DriverDisk, StopAsked, Ticked
from evd.core.wire.messages import BEACONS, UPDATES, Beacon, DriverUpdate
from evd.daemons.clock import now
from evd.daemons.driver.loop import DriverMetrics, Loop, fresh_request_id
from evd.daemons.driver.screen import STDOUT_FD, Screen, hold_stdout, wants_color
from evd.daemons.lifecycle import Lifecycle, listen, naming_state_dir, run_program

TICK_S: Final = 0.25
SAVE_RETRY_S: Final = 1.0
FLUSH_S: Final = 1.0

logger = logging.getLogger(__name__)

Listeners = list[trio.SocketListener]


def main() -> NoReturn:
    """The program evd-driver."""
    hold_stdout()
    run_program(driver_config, run)


async def run(config: DriverConfig, lifecycle: Lifecycle) -> None:
    """Ask and tell until told to stop."""
    # Whatever is wrong with the flags ends it here, before anything is begun.
    file = read_requests_file(config.requests_file) if config.requests_file else None
    metrics_at = await _listen("--metrics-port", config.metrics_host, config.metrics_port)
    http_at = await _listen("--http-port", config.http_host, config.http_port)
    with naming_state_dir(StateDirInUse, ForeignNotebook), held_state_dir(config.state_dir):
        notebook = Notebook(config.state_dir, config.driver_id)
        core = Driver(_settings(config, file), notebook.read(), now())
        await _live(config, core, notebook, lifecycle, metrics_at, http_at)


async def _live(
    config: DriverConfig,
    core: Driver,
    notebook: Notebook,
    lifecycle: Lifecycle,
    metrics_at: Listeners,
    http_at: Listeners,
) -> None:
    async def save(disk: DriverDisk) -> None:
        await trio.to_thread.run_sync(notebook.write, disk)

    metrics = DriverMetrics(Metrics())
    async with _open_kafka(config) as kafka, trio.open_nursery() as nursery:
        mail = Messenger(kafka.producer, metrics.dead_letter)
        desk = Loop(
            config.driver_id,
            core,
            save=save,
            send=mail.send,
            broker_up=kafka.is_up,
            screen=Screen(STDOUT_FD, wants_color(config.color, STDOUT_FD, os.environ)),
            metrics=metrics,
        )
        if metrics_at:
            nursery.start_soon(_serve_metrics, metrics_at, metrics, desk)
        if http_at:
            # Returns by itself once told to stop.
            await nursery.start(_serve_dashboard, config, desk, http_at, lifecycle)
        async with trio.open_nursery() as work:
            work.start_soon(read_updates, desk, kafka.updates, mail)
            work.start_soon(read_beacons, desk, kafka.beacons, mail)
            work.start_soon(tick, desk)
            lifecycle.ready()
            logger.info("Ready")
            await lifecycle.stopping.wait()
            work.cancel_scope.cancel()
        with contextlib.suppress(NotSaved):
            await desk.want(StopAsked())
        await kafka.producer.flush(FLUSH_S)
        nursery.cancel_scope.cancel()


async def tick(desk: Loop) -> None:
    """Tell the core, a few times a second, that time goes by."""
    while True:
        await trio.sleep(TICK_S)
        # What could not be saved is decided again with a later tick.
        with contextlib.suppress(NotSaved):
            await desk.want(Ticked(fresh_request_id()))


async def read_beacons(desk: Loop, consumer: Consumer, mail: Messenger) -> None:
    """Hand over the beacons, of which only the newest counts."""
    async for batch in consumer.batches:
        for beacon in mail.read(batch)[-1:]:
            if isinstance(beacon, Beacon):
                with contextlib.suppress(NotSaved):
                    await desk.want(beacon)


async def read_updates(desk: Loop, consumer: Consumer, mail: Messenger) -> None:
    """Hand over the updates; Kafka is told of them once what they changed is saved."""
    async for batch in consumer.batches:
        for update in mail.read(batch):
            # Its partition has the updates of others too.
            if isinstance(update, DriverUpdate) and update.driver_id == desk.driver_id:
                await _until_saved(desk, update)
        consumer.commit({(raw.topic, raw.partition): raw.offset + 1 for raw in batch})


async def _until_saved(desk: Loop, update: DriverUpdate) -> None:
    while True:
        try:
            await desk.want(update)
            return
        except NotSaved:
            # Nobody repeats every update; this one waits here, and the next ones in Kafka.
            await trio.sleep(SAVE_RETRY_S)


@attrs.frozen
class _Kafka:
    """A driver's clients.  Beacons are read from now on, updates from where it was."""

    producer: Producer
    updates: Consumer
    beacons: Consumer

    def is_up(self) -> bool:
        return self.updates.healthy and self.beacons.healthy and self.producer.broker_up


@contextlib.asynccontextmanager
async def _open_kafka(config: DriverConfig) -> AsyncIterator[_Kafka]:
    name, bootstrap = f"evd-driver-{config.driver_id}", config.kafka_bootstrap
    fetch_wait_s = config.kafka_fetch_wait_s
    async with (
        open_producer(bootstrap, name) as producer,
        open_consumer(
            bootstrap,
            name,
            {UPDATES: config.driver_id},
            start="committed-else-earliest",
            group_id=name,
            fetch_wait_s=fetch_wait_s,
        ) as updates,
        open_consumer(
            bootstrap, name, {BEACONS: "all"}, start="end", fetch_wait_s=fetch_wait_s
        ) as beacons,
    ):
        yield _Kafka(producer, updates, beacons)


async def _listen(flag: str, host: str, port: int) -> Listeners:
    return await listen(flag, host, port) if port else []


async def _serve_metrics(listeners: Listeners, metrics: DriverMetrics, desk: Loop) -> None:
    await serve_metrics(
        listeners, service="evd-driver", render=metrics.render, health=desk.unhealthy
    )


async def _serve_dashboard(
    config: DriverConfig,
    desk: Loop,
    listeners: Listeners,
    lifecycle: Lifecycle,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    # Here, because a driver without a dashboard need not pay for a web framework.
    from evd.adapters.http.driver_app import driver_app
    from evd.adapters.http.driver_central import DriverCentral
    from evd.adapters.http.serving import serve_app

    await serve_app(
        driver_app(desk, DriverCentral(config.central_url)),
        listeners,
        stopping=lifecycle.stopping,
        task_status=task_status,
    )


def _settings(config: DriverConfig, file: RequestsFile | None) -> DriverSettings:
    return DriverSettings(
        driver_id=config.driver_id,
        request_interval_s=config.request_interval_s,
        request_timeout_s=config.request_timeout_s,
        file_digest=file.digest if file else "",
        file_lines=file.lines if file else (),
        file_repeats=config.requests_repeat == "yes",
    )
