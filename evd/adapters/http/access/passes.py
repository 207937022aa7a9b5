"""The caller of a request, as the server's gate hands it to the app and as a handler reads it."""

from typing import Any, Final, Protocol

import attrs
import trio

from evd.adapters.http.refused import Refused
from evd.core.access.roles import OPEN, Caller, Right, Role, may

# The key of an ASGI scope under which a Pass stands; Litestar calls the same `user`.
KEY: Final = "user"
NO_CALLER: Final = "this call needs a login, or a token in the header Authorization"
NOT_VALID: Final = "this login or token is not valid, or not any more"
NO_RIGHT: Final = "the role {role} may not do this"


@attrs.frozen
class Pass:
    """The one who calls, None for a stranger.

    `is_bound`: what the caller's role does not have is refused; else it is taken from everybody.
    `has_shown`: a token or a cookie came with the call, though maybe no valid one.  `address`: the
    client's.  `is_secure`: the call came over TLS.  `is_local`: it came over the admin socket.
    """

    caller: Caller | None
    is_bound: bool = True
    has_shown: bool = False
    address: str = ""
    is_secure: bool = False
    is_local: bool = False

    @property
    def by(self) -> Caller:
        """The caller as an event names it: with `--auth off`, and a stranger, the open one."""
        return self.caller or OPEN

    @property
    def driver_id(self) -> str | None:
        """The one driver whose affairs may be seen; None: everybody's."""
        if not self.is_bound or self.caller is None or self.caller.role is not Role.DRIVER:
            return None
        return self.caller.driver_id

    def may(self, right: Right) -> bool:
        """Whether the caller has the right, or it is taken from everybody."""
        return not self.is_bound or self.lacks(right) is None

    def unknown(self) -> Refused:
        """The refusal of a stranger."""
        return unauthorized(NOT_VALID if self.has_shown else NO_CALLER)

    def lacks(self, right: Right | None) -> Refused | None:
        """The refusal that a call deserves by its caller's role alone; None for a right one."""
        if right is None:
            return None
        if self.caller is None:
            return self.unknown()
        if not may(self.caller.role, right):
            return Refused(403, NO_RIGHT.format(role=self.caller.role))
        return None


OPEN_PASS: Final = Pass(OPEN, is_bound=False)


class Gate(Protocol):
    """The part of a server that decides who may pass."""

    async def admit(self, scope: dict[str, Any], stream: trio.abc.Stream) -> None:
        """Put the caller's Pass into `scope`, or raise Refused; called before a body is read."""


class OpenGate:
    """Lets everybody pass."""

    async def admit(self, scope: dict[str, Any], stream: trio.abc.Stream) -> None:
        """Everybody is the same one."""
        scope[KEY] = OPEN_PASS


def unauthorized(sentence: str) -> Refused:
    """The refusal of one who is not known."""
    return Refused(401, sentence, headers={"WWW-Authenticate": 'Bearer realm="evd"'})


class WithScope(Protocol):
    """A request of Litestar's, which programs without a web framework need not load."""

    @property
    def scope(self) -> Any:
        """Its ASGI scope."""


def pass_of(request: WithScope) -> Pass:
    """The Pass of a request.  Without a gate there is none, and KeyError: nobody gets through."""
    found: Pass = request.scope[KEY]
    return found
