"""evd-central: knows every charging point, decides every request, keeps every session.

Its database survives its crash, and all that matters is repeated to it: drivers ask again,
monitors register again, engines send again.  So a start is also the recovery.  While the database
fails it says nothing, answers 503, and starts anew from the database when it can store again.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import NoReturn

import trio

from evd.adapters.accepting import BurstListener
from evd.adapters.feed.metrics import FeedMetrics
from evd.adapters.feed.server import FeedServer
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.metrics import Metrics
from evd.adapters.kafka import open_consumer, open_producer
from evd.adapters.kafka.messenger import Messenger
from evd.adapters.store import Store, StoreFailed, StoreRefused, open_store
from evd.config import CentralConfig, central_config, monitors_allowed
from evd.core.access.roles import Auth
from evd.core.central.events import CentralSettings
from evd.daemons.central.doors import Places, make_doors
from evd.daemons.central.feed import Feed
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.loop import Loop
from evd.daemons.central.metrics import READ_TOPICS, CentralMetrics
from evd.daemons.central.service import Service
from evd.daemons.credentials import Credentials, Listeners
from evd.daemons.lifecycle import Lifecycle, files_max, listen, run_program
from evd.flags import ConfigError
from evd.protection import auth_of, with_password

GROUP_ID = "evd-central"
# The time that a stop leaves for the last messages to reach the broker.
FLUSH_S = 1.0

logger = logging.getLogger(__name__)


def main() -> NoReturn:
    """The program evd-central."""
    run_program(central_config, run)


async def run(config: CentralConfig, lifecycle: Lifecycle) -> None:
    """Serve until told to stop."""
    credentials = Credentials(config)
    # Ports are bound before all else: one that is in use leaves nothing half started.
    control, web, feeds = await _listen(config, credentials)
    open_database = partial(_open_database, config, credentials)
    await _look_at_database(open_database)
    lifecycle.renew = credentials.renew
    registry = Metrics(config.state_dir)
    credentials.show(registry)
    metrics, feed_metrics = CentralMetrics(registry), FeedMetrics(registry)
    inbox = Inbox()
    async with (
        open_producer(config.kafka_bootstrap, "evd-central") as producer,
        open_consumer(
            config.kafka_bootstrap,
            "evd-central",
            dict.fromkeys(READ_TOPICS, "all"),
            start="committed-else-earliest",
            group_id=GROUP_ID,
            fetch_wait_s=config.kafka_fetch_wait_s,
        ) as consumer,
        trio.open_nursery() as nursery,
    ):
        service = Service(
            inbox,
            lambda: consumer.healthy and producer.broker_up,
            metrics.render,
            config.feed_port,
        )
        messenger = Messenger(producer, metrics.count_dead_letter)
        feed = Feed(service, feed_metrics)
        loop = Loop(_settings(config), consumer, messenger, inbox, service, metrics, feed)
        await nursery.start(loop.run, open_database)
        nursery.start_soon(loop.tick)
        nursery.start_soon(loop.read)
        nursery.start_soon(loop.prune)
        nursery.start_soon(feed.run)
        monitors_max = _monitors_max(config)
        metrics.watch(lambda: loop.connections.count, monitors_max)
        feed.watch_places(loop.connections.why_full)
        metrics.watch_dead_letters(messenger.recent_dead_letters)
        monitors = await nursery.start(_serve_monitors, loop, control, monitors_max)
        # The doors close by themselves once told to stop.
        doors = make_doors(config, service, metrics.count_would_refuse)
        followers = FeedServer(
            feed.publisher, feed_metrics, config.feed_origins, is_still=doors.is_still
        )
        hosts, places = _hosts(config, credentials), Places(web, feeds, config.state_dir)
        await doors.open(nursery, places, followers, hosts, lifecycle.stopping)
        lifecycle.ready(service.doing, loop.is_stuck)
        scheme = "http" if credentials.server is None else "https"
        logger.info("Ready: %s://%s:%d", scheme, config.http_host, config.http_port)
        await lifecycle.stopping.wait()
        monitors.cancel()
        await producer.flush(FLUSH_S)
        await followers.ended.wait()
        nursery.cancel_scope.cancel()


async def _listen(
    config: CentralConfig, credentials: Credentials
) -> tuple[Listeners, Listeners, Listeners]:
    """The ports of monitors, of HTTP and of the feed."""
    host = config.http_host
    control = await listen("--listen-port", config.listen_host, config.listen_port)
    web = await listen("--http-port", host, config.http_port)
    feeds = await listen("--feed-port", host, config.feed_port, host_flag="--http-host")
    protected = credentials.protected
    # After a restart all monitors come at once.
    return protected([BurstListener(each) for each in control]), protected(web), protected(feeds)


def _hosts(config: CentralConfig, credentials: Credentials) -> Hosts:
    names = (config.http_host, *config.http_hosts)
    return Hosts(names, "--http-hosts of evd-central", lambda: credentials.names)


def _open_database(
    config: CentralConfig, credentials: Credentials
) -> AbstractAsyncContextManager[Store]:
    held = credentials.db_password
    db_url = with_password(config.db_url, held.value if held is not None else None)
    return open_store(db_url, config.state_dir)


async def _look_at_database(
    open_database: Callable[[], AbstractAsyncContextManager[Store]],
) -> None:
    """ConfigError, the one line of this start, where an operator must see to it first."""
    try:
        async with open_database():
            pass
    except StoreRefused as error:
        raise ConfigError(str(error)) from None
    except StoreFailed:
        # It may work soon: the loop tells what is wrong, and tries again.
        pass


def _settings(config: CentralConfig) -> CentralSettings:
    return CentralSettings(
        heartbeat_timeout_s=config.heartbeat_timeout_s,
        start_timeout_s=config.start_timeout_s,
        engine_gone_after_s=config.engine_gone_after_s,
        session_lost_after_s=config.session_lost_after_s,
        restart_grace_s=config.restart_grace_s,
        cps_max=config.cps_max,
        auth=Auth(auth_of(config)),
    )


def _monitors_max(config: CentralConfig) -> int:
    files = files_max()
    if config.monitors_max is None:
        return monitors_allowed(files)
    if config.monitors_max >= files:
        text = "--monitors-max: %d connections need more than the %d files that may be open"
        logger.warning(text, config.monitors_max, files)
    return config.monitors_max


async def _serve_monitors(
    loop: Loop,
    listeners: Listeners,
    monitors_max: int,
    *,
    task_status: trio.TaskStatus[trio.CancelScope],
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await loop.serve_monitors(listeners, monitors_max)
