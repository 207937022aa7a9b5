"""Tickets for the feed: a browser can't send a header with a WebSocket, so a page asks for one.

They live in memory alone, for seconds, and each lets one client in.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

from evd.adapters.http.access.passes import Pass
from evd.core.access.tokens import RANDOM_BYTES, digest, new_secret

# The parameter of the feed's address that carries one.
TICKET: Final = "ticket"
TICKET_S: Final = 30.0
TICKETS_MAX: Final = 10_000


@attrs.frozen
class _Given:
    caller: Pass
    until_s: float


class Tickets:
    """The tickets that were given and not used; the oldest is forgotten where there are too many.

    Only their digests are kept.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._given: OrderedDict[str, _Given] = OrderedDict()

    def give(self, caller: Pass) -> str:
        """A new ticket of this caller."""
        self._forget_old()
        ticket = new_secret(os.urandom(RANDOM_BYTES))
        self._given[digest(ticket)] = _Given(caller, self._clock() + TICKET_S)
        if len(self._given) > TICKETS_MAX:
            self._given.popitem(last=False)
        return ticket

    def use(self, ticket: str) -> Pass | None:
        """The caller that this ticket was given to; None where it is not good, or was used."""
        self._forget_old()
        given = self._given.pop(digest(ticket), None)
        return None if given is None else given.caller

    def _forget_old(self) -> None:
        now_s = self._clock()
        while self._given:
            first = next(iter(self._given))
            if self._given[first].until_s > now_s:
                break
            del self._given[first]
