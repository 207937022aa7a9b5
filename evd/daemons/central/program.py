"""evd-central: knows every charging point, decides every request, keeps every session.

Its database survives its crash, and all that matters is repeated to it: drivers ask again,
monitors register again, engines send again.  So a start is also the recovery.  While the database
fails it says nothing, answers 503, and starts anew from the database when it can store again.
Of several on one PostgreSQL database one serves: the others stand by, answer 503 too, and one of
them serves when it ends, hangs or is cut off.
"""

import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import NoReturn

import trio

from evd.adapters.accepting import BurstListener
from evd.adapters.feed.metrics import FeedMetrics
from evd.adapters.feed.server import FeedServer
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.metrics import Metrics
from evd.adapters.kafka import Consumer, Producer, open_consumer, open_producer
from evd.adapters.kafka.messenger import Messenger
from evd.adapters.store import StoreFailed, StoreRefused, is_shared, open_store
from evd.adapters.store.shared import open_shared
from evd.config import CentralConfig, central_config, monitors_allowed
from evd.core.access.roles import Auth
from evd.core.central.events import CentralSettings
from evd.daemons.central.doors import Places, make_doors
from evd.daemons.central.feed import Feed
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.loop import Loop
from evd.daemons.central.metrics import READ_TOPICS, CentralMetrics
from evd.daemons.central.service import Service
from evd.daemons.central.standing import Alone, Member, Standing
from evd.daemons.credentials import Credentials, Listeners
from evd.daemons.garbage import collect_garbage
from evd.daemons.lifecycle import Lifecycle, files_max, listen, run_program
from evd.flags import ConfigError
from evd.protection import auth_of, with_password

GROUP_ID = "evd-central"
# Each batch is a commit: a busy Central waits so long for the next one to grow.
GATHER_S = 0.008
# Its own messages wait so long for the others of the same batch.
LINGER_S = 0.001
# The time that a stop leaves for the last messages to reach the broker.
FLUSH_S = 1.0
# The time for the same before the lock is given back: the next Central waits for it.
RELEASE_FLUSH_S = 0.5

# A thread that writes to the database holds up monitors for so long at the most; Python's own 5 ms
# come again with each frame.
SWITCH_S = 0.001

logger = logging.getLogger(__name__)


def main() -> NoReturn:
    """The program evd-central."""
    sys.setswitchinterval(SWITCH_S)
    run_program(central_config, run)


async def run(config: CentralConfig, lifecycle: Lifecycle) -> None:
    """Serve until told to stop."""
    credentials = Credentials(config)
    # Ports are bound before all else: one that is in use leaves nothing half started.
    control, web, feeds = await _listen(config, credentials)
    await _look_at_database(config, credentials)
    lifecycle.renew = credentials.renew
    registry = Metrics(config.state_dir)
    credentials.show(registry)
    metrics, feed_metrics = CentralMetrics(registry), FeedMetrics(registry)
    inbox = Inbox()
    async with (
        open_producer(config.kafka_bootstrap, "evd-central", linger_s=LINGER_S) as producer,
        _open_standing(config, credentials, producer, lifecycle) as standing,
        trio.open_nursery() as nursery,
    ):
        service = Service(
            inbox,
            lambda: loop.reads and producer.broker_up,
            metrics.render,
            config.feed_port,
            standing,
        )
        messenger = Messenger(producer, metrics.count_dead_letter)
        feed = Feed(service, feed_metrics)
        reader = partial(_open_consumer, config)
        loop = Loop(
            *(_settings(config), standing, reader, messenger, inbox, service, metrics, feed)
        )
        standing.watch(lambda: loop.connections.count)
        # Made before the database is open: this takes a second, in which nothing else goes on.
        doors = make_doors(config, service, standing, metrics.count_would_refuse)
        await nursery.start(loop.run)
        nursery.start_soon(loop.tick)
        nursery.start_soon(loop.read)
        nursery.start_soon(loop.prune)
        nursery.start_soon(collect_garbage)
        nursery.start_soon(feed.run)
        monitors_max = _monitors_max(config)
        metrics.watch(lambda: loop.connections.count, monitors_max)
        feed.watch_places(loop.connections.why_full)
        metrics.watch_dead_letters(messenger.recent_dead_letters)
        monitors = await nursery.start(_serve_monitors, loop, control, monitors_max)
        # The doors close by themselves once told to stop.
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
        if not await standing.leave():
            lifecycle.end_stopped("the database does not answer")
        nursery.cancel_scope.cancel()


def _open_consumer(config: CentralConfig) -> AbstractAsyncContextManager[Consumer]:
    return open_consumer(
        config.kafka_bootstrap,
        "evd-central",
        dict.fromkeys(READ_TOPICS, "all"),
        start="committed-else-earliest",
        group_id=GROUP_ID,
        fetch_wait_s=config.kafka_fetch_wait_s,
        gather_s=GATHER_S,
    )


@asynccontextmanager
async def _open_standing(
    config: CentralConfig, credentials: Credentials, producer: Producer, lifecycle: Lifecycle
) -> AsyncIterator[Standing]:
    db_url = _db_url(config, credentials)
    if not is_shared(db_url):
        yield Alone(partial(open_store, db_url, config.state_dir))
        return
    host = socket.gethostname()
    # A wildcard is no address to go to.
    shown = host if config.http_host in ("0.0.0.0", "::", "") else config.http_host
    names = f"{host}:{config.http_port}", f"{shown}:{config.http_port}"
    sent = partial(producer.flush, RELEASE_FLUSH_S)
    async with open_shared(db_url, config.state_dir, *names) as shared:
        member = Member(shared, lambda: producer.broker_up, sent)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stand, member, producer, lifecycle)
            yield member
            nursery.cancel_scope.cancel()


async def _stand(member: Member, producer: Producer, lifecycle: Lifecycle) -> None:
    end = await member.run()
    if not lifecycle.stopping.is_set():
        producer.purge()
        lifecycle.end_at_once(end.reason, end.level)


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


def _db_url(config: CentralConfig, credentials: Credentials) -> str:
    held = credentials.db_password
    return with_password(config.db_url, held.value if held is not None else None)


async def _look_at_database(config: CentralConfig, credentials: Credentials) -> None:
    """ConfigError, the one line of this start, where an operator must see to it first."""
    db_url = _db_url(config, credentials)
    try:
        # Nobody takes the lock that several Centrals share only to look.
        if not is_shared(db_url):
            async with open_store(db_url, config.state_dir):
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
