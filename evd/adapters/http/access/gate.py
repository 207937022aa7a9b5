"""The gates of a program's HTTP: who calls, and who may pass.

The order of what is refused: a name that is not ours (421, before), too many requests (429), a
stranger (401), a role without the right (403), and only then what is wrong in the call.
"""

import pwd
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

import attrs
import trio

from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.passes import KEY, OPEN_PASS, Pass
from evd.adapters.http.access.rates import Rates
from evd.adapters.http.access.rights import NO_PATHS, Paths
from evd.adapters.http.refused import Refused
from evd.core.access.roles import Auth, Caller, Right, Role

Find = Callable[[dict[str, Any], str], Pass]

_CREDENTIALS: Final = struct.Struct("3i")


class HttpGate:
    """The gate of a port.

    `find` gives the Pass of a request by its scope and address, as far as a secret came with it,
    and raises Refused while nobody can be known.  `on_stranger` is told of each request that `warn`
    lets pass and `required` would refuse.  `paths` are open to strangers.  `right` is that which
    every call here needs, where no route declares it.
    """

    def __init__(
        self,
        auth: Auth,
        find: Find,
        rates: Rates,
        proxies: Proxies,
        on_stranger: Callable[[Pass], None],
        *,
        paths: Paths = NO_PATHS,
        right: Right | None = None,
    ) -> None:
        self._auth = auth
        self._find = find
        self._rates = rates
        self._proxies = proxies
        self._on_stranger = on_stranger
        self._paths = paths
        self._right = right

    async def admit(self, scope: dict[str, Any], stream: trio.abc.Stream) -> None:
        """Put the caller's Pass into `scope`; raise Refused."""
        address, path = self._proxies.look(scope), scope["path"]
        self._rates.take_of_address(address, path)
        is_secure = scope["scheme"] == "https"
        if self._auth is Auth.OFF:
            scope[KEY] = attrs.evolve(OPEN_PASS, address=address, is_secure=is_secure)
            return
        is_open = self._paths.has(scope["method"], path)
        known = self._known(scope, address, is_open=is_open)
        scope[KEY] = found = attrs.evolve(known, is_secure=is_secure)
        if found.caller is not None:
            self._rates.take_of_holder(found.caller.proof, path)
        elif not is_open:
            # Before it is known where the call goes: a stranger learns no path.
            if found.is_bound:
                raise found.unknown()
            self._on_stranger(found)
        refused = found.lacks(self._right)
        if refused is not None and found.is_bound:
            raise refused

    def _known(self, scope: dict[str, Any], address: str, *, is_open: bool) -> Pass:
        is_bound = self._auth is Auth.REQUIRED
        try:
            found = self._find(scope, address)
        except Refused:
            # Nobody is known yet; a stranger's paths go on.
            if is_bound and not is_open:
                raise
            found = Pass(None, address=address)
        return attrs.evolve(found, is_bound=is_bound)


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
