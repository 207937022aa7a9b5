"""Which ended sessions an engine keeps, which Central has confirmed, and which are sent next.

Sent in rounds: each round takes every unconfirmed record once, IN_FLIGHT_MAX at a time, the next as
the ones before are confirmed.  What a round has not come to is the first of the next.
"""

from collections import deque
from collections.abc import Iterable

IN_FLIGHT_MAX = 100
# Fewer are not worth a look at the disk of their own.
REFILL_MIN = 50


class Ledger:
    """The ids of the records on disk, oldest first."""

    def __init__(self, unconfirmed: Iterable[str], confirmed: Iterable[str]) -> None:
        self._unconfirmed = dict.fromkeys(unconfirmed)
        self._confirmed = dict.fromkeys(confirmed)
        self._queue: deque[str] = deque()
        self._in_flight: set[str] = set()

    def __contains__(self, session_id: str) -> bool:
        """Whether a record of the session is kept."""
        return session_id in self._unconfirmed or session_id in self._confirmed

    @property
    def unconfirmed_count(self) -> int:
        """How many records Central has not confirmed."""
        return len(self._unconfirmed)

    def add(self, session_id: str) -> None:
        """A record was saved; who adds it also sends it."""
        self._unconfirmed[session_id] = None

    def unconfirmed_among(self, session_ids: Iterable[str]) -> tuple[str, ...]:
        """Those that still wait for a confirmation, each once."""
        return tuple(dict.fromkeys(each for each in session_ids if each in self._unconfirmed))

    def confirm(self, session_ids: Iterable[str]) -> None:
        """Central has stored these unconfirmed ones."""
        for session_id in session_ids:
            del self._unconfirmed[session_id]
            self._confirmed[session_id] = None
            self._in_flight.discard(session_id)

    def unconfirm_all(self) -> None:
        """Another Central: it has none of them."""
        self._unconfirmed = {**self._confirmed, **self._unconfirmed}
        self._confirmed.clear()

    def forget(self, session_ids: Iterable[str]) -> tuple[str, ...]:
        """These are no longer on disk; returns those that were never confirmed."""
        lost = self.unconfirmed_among(session_ids)
        for session_id in session_ids:
            self._unconfirmed.pop(session_id, None)
            self._confirmed.pop(session_id, None)
            self._in_flight.discard(session_id)
        return lost

    def begin_round(self) -> None:
        """All unconfirmed ones are to be sent again, first those that the last round left over."""
        left = [each for each in self._queue if each in self._unconfirmed]
        self._queue = deque(dict.fromkeys((*left, *self._unconfirmed)))
        self._in_flight.clear()

    def take(self) -> tuple[str, ...]:
        """The next to be sent; empty while enough are on their way, or none is left."""
        room = IN_FLIGHT_MAX - len(self._in_flight)
        if room < min(len(self._queue), REFILL_MIN):
            return ()
        taken: list[str] = []
        while self._queue and len(taken) < room:
            session_id = self._queue.popleft()
            if session_id in self._unconfirmed:
                taken.append(session_id)
        self._in_flight.update(taken)
        return tuple(taken)
