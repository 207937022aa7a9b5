"""The door of a Central that may not speak: another one serves, or could by now."""

from collections.abc import Callable
from typing import Any, Final

import attrs
import trio

from evd.adapters.http.access.passes import Gate
from evd.adapters.http.connection import App
from evd.adapters.http.refused import STANDING_BY, Refused

HEALTH: Final = "/health"
RETRY_S: Final = 1.0


@attrs.frozen
class StandbyGate:
    """A gate before another one: all but `/health` is 503 while `why_silent` gives a reason."""

    gate: Gate
    why_silent: Callable[[], str]

    async def admit(self, scope: dict[str, Any], stream: trio.abc.Stream) -> None:
        """Put the caller's Pass into `scope`, or raise Refused."""
        reason = self.why_silent()
        if reason and scope["path"] != HEALTH:
            # Nothing was carried out: a client asks the next Central.
            raise Refused(503, reason, retry_s=RETRY_S, code=STANDING_BY)
        await self.gate.admit(scope, stream)


def leased(app: App, may_speak: Callable[[], bool]) -> App:
    """An app whose answers are cut off where Central may not speak any more when they are ready.

    A client that is cut off asks the next Central.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_if_allowed(message: Any) -> None:
            if not may_speak() and scope["path"] != HEALTH:
                raise trio.BrokenResourceError("another Central may serve by now")
            await send(message)

        await app(scope, receive, send_if_allowed)

    return answer
