"""evd-driver: asks for charges, waits for Central however long it must, tells its user.

Its notebook survives its crash: the open requests, the final statuses, its place in the requests
file.  A start is the recovery: the open requests are asked again, and the updates that came
meanwhile are read from Kafka and told.
"""

import contextlib
import functools
import logging
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, NoReturn

import attrs
import trio

from evd.adapters.files.notebook import NOTEBOOK_FORMAT, ForeignNotebook, Notebook, NotSaved
from evd.adapters.files.state_dir import StateDirRefused, held_state_dir
from evd.adapters.http.metrics import Metrics
from evd.adapters.kafka import Consumer, Producer, marks_after, open_consumer, open_producer
from evd.adapters.kafka.consumer import Batch
from evd.adapters.kafka.messenger import Messenger
from evd.config import DriverConfig, RequestsFile, driver_config, read_requests_file
from evd.core.driver.core import Driver, DriverSettings
from evd.core.driver.disk import DriverDisk
from evd.core.driver.events import StopAsked, Ticked
from evd.core.wire.messages import BEACONS, UPDATES
from evd.daemons.credentials import Credentials, Held
from evd.daemons.drive import drive
from evd.daemons.driver.loop import Loop, fresh_request_id
from evd.daemons.driver.metrics import DriverMetrics
from evd.daemons.driver.screen import STDOUT_FD, Screen, hold_stdout, wants_color
from evd.daemons.driver.steps import MarkRead, Rest, Take, newest_beacon, read_updates
from evd.daemons.last_served import LastServed
from evd.daemons.lifecycle import Lifecycle, listen, naming_state_dir, run_program

if TYPE_CHECKING:
    from evd.adapters.http.client import Way
    from evd.adapters.http.metrics_server import MetricsPort

FLUSH_S: Final = 1.0

logger = logging.getLogger(__name__)

Listeners = list[trio.SocketListener]


def main() -> NoReturn:
    """The program evd-driver."""
    hold_stdout()
    run_program(driver_config, run)


async def run(config: DriverConfig, lifecycle: Lifecycle) -> None:
    """Ask and tell until told to stop."""
    # A wrong flag ends the program here, before anything is begun.
    file = read_requests_file(config.requests_file) if config.requests_file else None
    credentials = Credentials(config)
    metrics_at = await _listen("--metrics-port", config.metrics_host, config.metrics_port)
    http_at = await _listen("--http-port", config.http_host, config.http_port)
    held = held_state_dir(config.state_dir, NOTEBOOK_FORMAT)
    with naming_state_dir(StateDirRefused, ForeignNotebook), held:
        notebook = Notebook(config.state_dir, config.driver_id)
        core = Driver(_settings(config, file), notebook.read())
        lifecycle.renew = credentials.renew
        await _live(config, credentials, core, notebook, lifecycle, metrics_at, http_at)


async def _live(
    config: DriverConfig,
    credentials: Credentials,
    core: Driver,
    notebook: Notebook,
    lifecycle: Lifecycle,
    metrics_at: Listeners,
    http_at: Listeners,
) -> None:
    async def save(disk: DriverDisk) -> None:
        await trio.to_thread.run_sync(notebook.write, disk)

    shown = Metrics(config.state_dir)
    credentials.show(shown)
    metrics = DriverMetrics(shown)
    async with _open_kafka(config) as kafka, trio.open_nursery() as nursery:
        messenger = Messenger(kafka.producer, metrics.on_dead_letter)
        loop = Loop(
            config.driver_id,
            core,
            save=save,
            send=messenger.send,
            broker_up=kafka.is_up,
            screen=Screen(STDOUT_FD, wants_color(config.color, STDOUT_FD, os.environ)),
            metrics=metrics,
        )
        metrics.watch(messenger.recent_dead_letters, loop.unhealthy)
        with contextlib.suppress(NotSaved):
            await loop.start()
        if metrics_at:
            hosts = [config.metrics_host, *config.http_hosts]
            port = credentials.metrics_port(metrics_at, hosts)
            nursery.start_soon(_serve_metrics, port, metrics, loop)
        async with trio.open_nursery() as pages:
            if http_at:
                # Returns by itself once told to stop, so that a request at work is answered.
                serve = functools.partial(_serve_dashboard, config, credentials, loop, metrics)
                await pages.start(serve, http_at, lifecycle)
            async with trio.open_nursery() as work:
                work.start_soon(feed_updates, loop, kafka.updates, messenger)
                work.start_soon(feed_beacons, loop, kafka.beacons, messenger)
                work.start_soon(feed_ticks, loop)
                lifecycle.ready(loop.doing, loop.is_stuck)
                logger.info("Ready")
                await lifecycle.stopping.wait()
                work.cancel_scope.cancel()
            with contextlib.suppress(NotSaved):
                await loop.want(StopAsked())
            await kafka.producer.flush(FLUSH_S)
        nursery.cancel_scope.cancel()


async def feed_ticks(loop: Loop) -> None:
    """Tell the core, as often as it wants, that time goes by."""
    while True:
        await trio.sleep_until(loop.wake_at_s)
        # A step that could not be saved is decided again with a later tick.
        with contextlib.suppress(NotSaved):
            await loop.want(Ticked(fresh_request_id()))


async def feed_beacons(loop: Loop, consumer: Consumer, messenger: Messenger) -> None:
    """Hand over the newest beacon of each batch."""
    async for batch in consumer.batches:
        beacon = newest_beacon(messenger.read(batch))
        if beacon is not None:
            with contextlib.suppress(NotSaved):
                await loop.want(beacon)


async def feed_updates(loop: Loop, consumer: Consumer, messenger: Messenger) -> None:
    """Hand over the updates, in the order of `read_updates`."""
    async for batch in consumer.batches:
        steps = read_updates(loop.driver_id, messenger.read(batch))
        await drive(steps, functools.partial(_carry_out, loop, consumer, batch))


async def _carry_out(
    loop: Loop, consumer: Consumer, batch: Batch, step: Take | Rest | MarkRead
) -> bool | None:
    match step:
        case Take(update):
            try:
                await loop.want(update)
            except NotSaved:
                return False
            return True
        case Rest(duration_s):
            await trio.sleep(duration_s)
        case MarkRead():
            consumer.commit(marks_after(batch))
    return None


@attrs.frozen
class _Kafka:
    """The clients of a driver: beacons are read from now on, updates from the last place."""

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


async def _serve_metrics(port: "MetricsPort", metrics: DriverMetrics, loop: Loop) -> None:
    # A server that few drivers need takes long to load.
    from evd.adapters.http.metrics_server import serve_metrics

    await serve_metrics(port, service="evd-driver", render=metrics.render, health=loop.unhealthy)


async def _serve_dashboard(
    config: DriverConfig,
    credentials: Credentials,
    loop: Loop,
    metrics: DriverMetrics,
    listeners: Listeners,
    lifecycle: Lifecycle,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    # Imported here, because a driver without a dashboard need not pay for a web framework.
    from evd.adapters.http.driver_app import driver_app
    from evd.adapters.http.driver_central import DriverCentral
    from evd.adapters.http.driver_points import PointsWatch
    from evd.adapters.http.driver_stream import Streams
    from evd.adapters.http.hosts import Hosts
    from evd.adapters.http.serving import serve_app
    from evd.daemons.driver.door import make_door

    door = make_door(config, credentials, metrics.count_would_refuse)
    last_served = LastServed(config.state_dir)
    ways = [_way_to_central(url, credentials) for url in config.central_url]
    central = DriverCentral(ways, first=last_served.address, keep=last_served.keep)
    watch = PointsWatch(central)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        nursery.start_soon(last_served.run)
        await serve_app(
            driver_app(loop, central, Streams(loop, watch, lifecycle.stopping), door.logins),
            credentials.protected(listeners),
            stopping=lifecycle.stopping,
            hosts=Hosts(
                (config.http_host, *config.http_hosts),
                "--http-hosts of evd-driver",
                lambda: credentials.names,
            ),
            gate=door.gate,
            task_status=task_status,
        )
        nursery.cancel_scope.cancel()


def _way_to_central(url: str, credentials: Credentials) -> "Way":
    from evd.adapters.http.client import Way

    token, client = credentials.token, credentials.client

    def shown(held: Held[str]) -> str:
        # A token that was renewed counts from the next call on.
        held.renew()
        return held.value

    way = Way(url, token=None if token is None else functools.partial(shown, token))
    return way if client is None else attrs.evolve(way, context=lambda: client.value.context)


def _settings(config: DriverConfig, file: RequestsFile | None) -> DriverSettings:
    return DriverSettings(
        driver_id=config.driver_id,
        request_interval_s=config.request_interval_s,
        request_timeout_s=config.request_timeout_s,
        file_digest=file.digest if file else "",
        file_lines=file.lines if file else (),
        file_repeats=config.requests_repeat == "yes",
    )
