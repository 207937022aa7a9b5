"""Central's HTTP with its gate, over real sockets: people, tokens and what they are answered."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx
import trio

from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.gate import HttpGate
from evd.adapters.http.access.logins import Logins
from evd.adapters.http.access.rates import UNBOUNDED, Rate, Rates
from evd.adapters.http.central_app import central_open_paths
from evd.adapters.http.serving import serve_app
from evd.core.access.roles import Auth, Role
from evd.core.access.tokens import RANDOM_BYTES, digest, new_token
from evd.daemons.clock import now
from tests.adapters.http.fake_central import FakeCentral, serve_for, shared
from tests.adapters.http.site import WAIT_S_MAX

PASSWORD = "correct horse battery"


@attrs.define
class Doorway:
    """A served Central, and the secrets of those who may call it."""

    central: FakeCentral
    logins: Logins
    base: str
    secrets: dict[str, str] = attrs.field(factory=dict)

    def token_of(self, role: Role, driver_id: str | None = None) -> str:
        """A token of this role, made once."""
        name = f"{role}-{driver_id}"
        if name not in self.secrets:
            token = new_token(role, bytes([len(self.secrets)] * RANDOM_BYTES))
            self.central.access.add_token(name, role, digest(token), driver_id, 90, now())
            self.secrets[name] = token
        return self.secrets[name]

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client; `token` goes with each of its calls."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(
            base_url=self.base, headers=headers, timeout=4 * WAIT_S_MAX, verify=False
        )

    async def asked(
        self, method: str, path: str, token: str | None = None, json: Any = None, **headers: str
    ) -> httpx.Response:
        """The answer to one call."""
        async with self.client(token, **headers) as client:
            return await client.request(method, path, json=json)

    async def add_user(self, name: str, role: Role) -> None:
        """Have a user with PASSWORD."""
        kept = await self.logins.passwords.hash(PASSWORD)
        self.central.access.add_user(name, kept, role, now())


def gate_of(logins: Logins, rate: Rate = UNBOUNDED, proxies: tuple[str, ...] = ()) -> HttpGate:
    """The gate of Central's HTTP that these logins open."""
    auth = logins.auth
    return HttpGate(
        auth,
        logins.callers.of_http,
        Rates(rate, trio.current_time),
        Proxies(proxies, strict=auth is not Auth.REQUIRED),
        logins.on_stranger("http"),
        paths=central_open_paths(),
    )


@contextlib.asynccontextmanager
async def doorway(
    auth: Auth = Auth.REQUIRED, rate: Rate = UNBOUNDED, proxies: tuple[str, ...] = ()
) -> AsyncIterator[Doorway]:
    """Serve a FakeCentral behind the gate of a real one."""
    central = FakeCentral()
    serve_for(central)
    app, logins = shared(auth)
    gate = gate_of(logins, rate, proxies)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve_app(app, listeners, stopping=stopping, gate=gate))
        yield Doorway(central, logins, f"http://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()
