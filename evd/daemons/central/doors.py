"""The ways into Central's HTTP, its admin socket and its feed: who may pass, and how often."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

import attrs
import trio

from evd.adapters.feed.server import FeedServer
from evd.adapters.http.access.admin_socket import ADMIN_BOUNDS, admin_listeners
from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.gate import HttpGate, LocalGate
from evd.adapters.http.access.logins import Logins
from evd.adapters.http.access.passes import Gate, Pass
from evd.adapters.http.access.rates import rates_of
from evd.adapters.http.access.standby_gate import StandbyGate, leased
from evd.adapters.http.central_app import central_app, central_open_paths
from evd.adapters.http.connection import App
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.serving import Listeners, serve_app
from evd.config import CentralConfig
from evd.core.access.roles import Auth, Right
from evd.daemons.central.service import Service
from evd.daemons.central.standing import Standing
from evd.daemons.clock import now
from evd.protection import auth_of


@attrs.frozen
class Places:
    """The listeners of the HTTP port and the feed's port, and the admin socket's folder."""

    http: Listeners
    feed: Listeners
    state_dir: Path


@attrs.frozen
class Doors:
    """Central's app, and the gate of each way in.

    `is_still` says whether one who passed would pass again.
    """

    app: App
    service: Service
    standing: Standing
    http: Gate
    local: Gate
    feed: Gate
    is_still: Callable[[Pass], bool]

    async def open(
        self,
        nursery: trio.Nursery,
        places: Places,
        followers: FeedServer,
        hosts: Hosts,
        stopping: trio.Event,
    ) -> None:
        """Let callers in from now on, until `stopping`."""
        serve = partial(serve_app, self.app, stopping=stopping, hosts=hosts)
        await nursery.start(partial(serve, places.http, gate=self.http))
        await nursery.start(self._serve_local, places.state_dir, hosts, stopping)
        follow = partial(followers.run, stopping=stopping, hosts=hosts)
        await nursery.start(partial(follow, places.feed, gate=self.feed))

    async def _serve_local(
        self,
        state_dir: Path,
        hosts: Hosts,
        stopping: trio.Event,
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Serve the admin socket while Central can store: its file would keep a disk that has died
        from being mounted anew, and is not on the one that comes in its place."""
        started: Callable[[], None] = task_status.started
        while True:
            is_serving = self.service.is_serving
            # A standby tells who serves, also here.
            is_open = is_serving or self.standing.why_silent()
            async with self._local(state_dir, hosts) if is_open else nullcontext():
                started()
                started = _nothing
                await _first(stopping.wait, partial(self.service.wait_serving, not is_serving))
            if stopping.is_set():
                return

    @asynccontextmanager
    async def _local(self, state_dir: Path, hosts: Hosts) -> AsyncIterator[None]:
        """Serve the admin socket inside the block."""
        async with admin_listeners(state_dir) as listeners, trio.open_nursery() as serving:
            over = trio.Event()
            serve = partial(serve_app, self.app, listeners, stopping=over, hosts=hosts)
            await serving.start(partial(serve, gate=self.local, bounds=ADMIN_BOUNDS))
            yield
            over.set()


def _nothing() -> None:
    """Central has started already."""


async def _first(*waits: Callable[[], Awaitable[None]]) -> None:
    """Wait until the first of them is over."""
    async with trio.open_nursery() as nursery:

        async def wait_for(wait: Callable[[], Awaitable[None]]) -> None:
            await wait()
            nursery.cancel_scope.cancel()

        for wait in waits:
            nursery.start_soon(wait_for, wait)


def make_doors(
    config: CentralConfig,
    service: Service,
    standing: Standing,
    count_would_refuse: Callable[[str], None],
) -> Doors:
    """The doors of the Central behind `service`."""
    auth = Auth(auth_of(config))
    logins = Logins(service, auth, now, count_would_refuse)
    # One count for the port and the feed: an address is one caller.
    rates = rates_of(config.http_rate, config.http_burst, auth, lambda: now().mono_s)
    proxies = Proxies(config.http_proxies, strict=auth is not Auth.REQUIRED)
    callers = logins.callers
    http = HttpGate(
        *(auth, callers.of_http, rates, proxies, logins.on_stranger("http")),
        paths=central_open_paths(),
    )
    feed = HttpGate(
        *(auth, callers.of_feed, rates, proxies, logins.on_stranger("feed")), right=Right.SEE
    )
    return Doors(
        app=leased(central_app(service, logins), standing.may_speak),
        service=service,
        standing=standing,
        http=StandbyGate(http, standing.why_silent),
        local=StandbyGate(LocalGate(), standing.why_silent),
        feed=StandbyGate(feed, standing.why_silent),
        is_still=callers.is_still,
    )
