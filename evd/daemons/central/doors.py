"""The ways into Central's HTTP, its admin socket and its feed: who may pass, and how often."""

from collections.abc import Callable
from functools import partial

import attrs
import trio

from evd.adapters.feed.server import FeedServer
from evd.adapters.http.access.admin_socket import ADMIN_BOUNDS
from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.gate import HttpGate, LocalGate
from evd.adapters.http.access.logins import Logins
from evd.adapters.http.access.passes import Gate, Pass
from evd.adapters.http.access.rates import rates_of
from evd.adapters.http.central_app import central_app, central_open_paths
from evd.adapters.http.connection import App
from evd.adapters.http.hosts import Hosts
from evd.adapters.http.serving import Listeners, serve_app
from evd.config import CentralConfig
from evd.core.access.roles import Auth, Right
from evd.daemons.central.service import Service
from evd.daemons.clock import now
from evd.protection import auth_of


@attrs.frozen
class Places:
    """The listeners of the HTTP port, the admin socket and the feed's port."""

    http: Listeners
    local: Listeners
    feed: Listeners


@attrs.frozen
class Doors:
    """Central's app, and the gate of each way in.

    `is_still` says whether one who passed would pass again.
    """

    app: App
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
        await nursery.start(partial(serve, places.local, gate=self.local, bounds=ADMIN_BOUNDS))
        follow = partial(followers.run, stopping=stopping, hosts=hosts)
        await nursery.start(partial(follow, places.feed, gate=self.feed))


def make_doors(
    config: CentralConfig, service: Service, count_would_refuse: Callable[[str], None]
) -> Doors:
    """The doors of the Central behind `service`."""
    auth = Auth(auth_of(config))
    logins = Logins(service, auth, now, count_would_refuse)
    # One count for the port and the feed: an address is one caller.
    rates = rates_of(config.http_rate, config.http_burst, auth, lambda: now().mono_s)
    proxies = Proxies(config.http_proxies, strict=auth is not Auth.REQUIRED)
    callers = logins.callers
    return Doors(
        app=central_app(service, logins),
        http=HttpGate(
            *(auth, callers.of_http, rates, proxies, logins.on_stranger("http")),
            paths=central_open_paths(),
        ),
        local=LocalGate(),
        feed=HttpGate(
            *(auth, callers.of_feed, rates, proxies, logins.on_stranger("feed")), right=Right.SEE
        ),
        is_still=callers.is_still,
    )
