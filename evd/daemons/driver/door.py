"""The way into a driver's page: who may pass, and how often."""

from collections.abc import Callable

import attrs

from evd.adapters.http.access.driver_logins import DriverLogins
from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.gate import HttpGate
from evd.adapters.http.access.passes import Gate
from evd.adapters.http.access.rates import rates_of
from evd.adapters.http.driver_app import driver_open_paths
from evd.config import DriverConfig
from evd.core.access.roles import Auth
from evd.daemons.clock import now
from evd.daemons.credentials import Credentials, WantedToken
from evd.protection import auth_of


@attrs.frozen
class Door:
    """The page's gate, and the logins that open it."""

    gate: Gate
    logins: DriverLogins


def make_door(
    config: DriverConfig, credentials: Credentials, count_would_refuse: Callable[[str], None]
) -> Door:
    """The door of the page of the driver who has these credentials."""
    auth, held = Auth(auth_of(config)), credentials.token
    logins = DriverLogins(
        config.driver_id,
        auth,
        lambda: None if held is None else held.value,
        (lambda _: False) if held is None else WantedToken(held).is_right,
        now,
    )
    gate = HttpGate(
        auth,
        logins.find,
        rates_of(config.http_rate, config.http_burst, auth, lambda: now().mono_s),
        Proxies(config.http_proxies, strict=auth is not Auth.REQUIRED),
        lambda _: count_would_refuse("http"),
        paths=driver_open_paths(),
    )
    return Door(gate, logins)
