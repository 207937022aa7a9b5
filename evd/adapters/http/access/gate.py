"""Central's gates: who calls, by a token, a login or the admin socket, and who may pass.

The order of what is refused: a name that is not ours (421, before), too many requests (429), a
stranger (401), a role without the right (403), and only then what is wrong in the call.
"""

import pwd
import socket
import struct
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs
import trio

from evd.adapters.http.access.credentials import SESSION_COOKIE, bearer_of, cookie_of
from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.passes import KEY, OPEN_PASS, Pass
from evd.adapters.http.access.rates import Rates
from evd.adapters.http.access.rights import NO_PATHS, Paths
from evd.adapters.http.access.tickets import TICKET, Tickets
from evd.adapters.http.access.web_tokens import WebTokens
from evd.adapters.http.refused import Refused
from evd.adapters.store.failures import StoreFailed
from evd.core.access.access import Access
from evd.core.access.roles import Auth, Caller, Right, Role
from evd.core.access.tokens import TOKEN_FORM, digest
from evd.core.effects import Now

RETRY_S: Final = 1
_CREDENTIALS: Final = struct.Struct("3i")


class Callers:
    """Finds the caller of a request; `web_tokens` are those of this start.

    `known` gives everybody who is known, and raises StoreFailed before that was first read.
    """

    def __init__(
        self, known: Callable[[], Access], clock: Callable[[], Now], web_tokens: WebTokens
    ) -> None:
        self._known = known
        self._clock = clock
        self._web_tokens = web_tokens

    def find(self, scope: dict[str, Any], address: str, cookie: str | None) -> Pass:
        """The Pass of a request; `cookie` is the one to read, None: none counts here."""
        headers, is_secure = scope["headers"], scope["scheme"] == "https"
        secret = bearer_of(headers)
        if secret is not None:
            is_token = TOKEN_FORM.fullmatch(secret) is not None
            proof = digest(secret) if is_token else self._web_tokens.login_of(secret)
        elif cookie is not None and (shown := cookie_of(headers, cookie)) is not None:
            proof = digest(shown)
        else:
            return Pass(None, address=address, is_secure=is_secure)
        caller = None if proof is None else self._of(proof, address)
        return Pass(caller, has_shown=True, address=address, is_secure=is_secure)

    def is_still(self, caller: Pass) -> bool:
        """Whether one who passed would pass again, by the same token or login."""
        known = caller.caller
        return known is None or not known.proof or self._of(known.proof, known.address) == known

    def _of(self, proof: str, address: str) -> Caller | None:
        return self._known().caller_of_digest(proof, address, self._clock())


class CentralGate:
    """The gate of Central's HTTP port.

    `on_stranger` is told of each request that `warn` lets pass and `required` would refuse.
    `paths` are open to strangers.
    """

    def __init__(
        self,
        auth: Auth,
        callers: Callers,
        rates: Rates,
        proxies: Proxies,
        on_stranger: Callable[[Pass], None],
        paths: Paths = NO_PATHS,
    ) -> None:
        self._auth = auth
        self._callers = callers
        self._rates = rates
        self._proxies = proxies
        self._on_stranger = on_stranger
        self._paths = paths

    async def admit(self, scope: dict[str, Any], stream: trio.abc.Stream) -> None:
        """Put the caller's Pass into `scope`; raise Refused."""
        address, path = self._proxies.look(scope), scope["path"]
        if self._auth is Auth.OFF:
            scope[KEY] = attrs.evolve(OPEN_PASS, address=address)
            return
        self._rates.take_of_address(address, path)
        is_open = self._paths.has(scope["method"], path)
        scope[KEY] = found = self._known(scope, address, is_open=is_open)
        if found.caller is not None:
            self._rates.take_of_holder(found.caller.proof, path)
        elif not is_open:
            # Before it is known where the call goes: a stranger learns no path.
            if found.is_bound:
                raise found.unknown()
            self._on_stranger(found)

    def _known(self, scope: dict[str, Any], address: str, *, is_open: bool) -> Pass:
        is_bound = self._auth is Auth.REQUIRED
        try:
            found = self._find(scope, address)
        except StoreFailed as error:
            # Nobody is known yet; a stranger's paths go on.
            if is_bound and not is_open:
                raise Refused(503, f"nobody is known yet: {error}", retry_s=RETRY_S) from None
            return Pass(None, is_bound, address=address)
        return attrs.evolve(found, is_bound=is_bound)

    def _find(self, scope: dict[str, Any], address: str) -> Pass:
        return self._callers.find(scope, address, SESSION_COOKIE)


class FeedGate(CentralGate):
    """The gate of the feed: by a ticket or a bearer token.

    No cookie counts, since a browser sends it with the WebSockets of other sites' pages as well.
    """

    def __init__(self, tickets: Tickets, *parts: Any) -> None:
        super().__init__(*parts)
        self._tickets = tickets

    async def admit(self, scope: dict[str, Any], stream: trio.abc.Stream) -> None:
        """Put the caller's Pass into `scope`; raise Refused."""
        await super().admit(scope, stream)
        found: Pass = scope[KEY]
        refused = found.lacks(Right.SEE)
        if refused is not None and found.is_bound:
            raise refused

    def _find(self, scope: dict[str, Any], address: str) -> Pass:
        for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
            if name == TICKET:
                # It may be used once, and only while its caller is one still.
                given = self._tickets.use(value)
                if given is None or not self._callers.is_still(given):
                    return Pass(None, has_shown=True, address=address)
                return given
        return self._callers.find(scope, address, None)


class LocalGate:
    """The gate of the admin socket: who can open its file is an admin, by the name of its user."""

    async def admit(self, scope: dict[str, Any], stream: trio.abc.Stream) -> None:
        """Put the Pass of the local user into `scope`."""
        scope[KEY] = Pass(Caller(f"local:{_user_of(stream)}", Role.ADMIN), is_local=True)


def _user_of(stream: trio.abc.Stream) -> str:
    """The name of the user whose process is at the other end, or its number."""
    if not isinstance(stream, trio.SocketStream):
        raise TypeError("the admin socket is a socket")
    # An int where no size is given: so bytes.
    told: Any = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, number, _ = _CREDENTIALS.unpack(told)
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
