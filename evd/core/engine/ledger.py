"""The ended sessions that an engine keeps: which Central has confirmed, which are sent next.

They are sent in rounds: each round takes every unconfirmed record once, IN_FLIGHT_MAX at a time,
the next as the ones before are confirmed.  A record that a round did not come to is among the
first of the next.
"""

from collections import deque

from evd.core.effects import Level, Note
from evd.core.engine.buffer_log import BufferLog
from evd.core.engine.events import (
    EngineDisk,
    EngineSettings,
    RecordsGone,
    SaveConfirmed,
    SendRecords,
)

IN_FLIGHT_MAX = 100
# Fewer are not worth a read of their own.
REFILL_MIN = 50


class Ledger:
    """The ids of the records on disk, oldest first; `round_at_s` is monotonic."""

    def __init__(self, disk: EngineDisk, settings: EngineSettings, now_s: float) -> None:
        self._unconfirmed = dict.fromkeys(disk.unconfirmed)
        self._confirmed = dict.fromkeys(disk.confirmed)
        self._unreadable: set[str] = set()
        # How many unconfirmed records were found that can't be read.
        self.lost_count = 0
        self._queue: deque[str] = deque()
        self._in_flight: set[str] = set()
        self._log = BufferLog(settings.session_buffer_size)
        self._retry_interval_s = settings.retry_interval_s
        self.round_at_s = now_s + settings.retry_interval_s

    def __contains__(self, session_id: str) -> bool:
        """Whether a record of the session is kept."""
        return session_id in self._unconfirmed or session_id in self._confirmed

    @property
    def unconfirmed_count(self) -> int:
        """How many records Central has not confirmed."""
        return len(self._unconfirmed)

    def is_unreadable(self, session_id: str) -> bool:
        """Whether the session has a record that can't be read: nothing can be said of it."""
        return session_id in self._unreadable

    @property
    def confirmed_count(self) -> int:
        """How many records that Central has confirmed are still kept."""
        return len(self._confirmed)

    def add(self, session_id: str) -> None:
        """Take in a record that was saved; the caller sends it."""
        self._unconfirmed[session_id] = None
        self._log.on_ended(session_id)

    def log_waiting(self, is_central_away: bool, supplying: bool) -> list[Note]:
        """The lines of the log about sessions that wait because Central is away."""
        return self._log.tick(is_central_away, len(self._unconfirmed), supplying)

    def confirm(self, session_ids: tuple[str, ...]) -> list[SaveConfirmed]:
        """The save that confirms those of them that still wait."""
        waiting = self._waiting(session_ids)
        return [SaveConfirmed(waiting)] if waiting else []

    def on_confirmed(self, session_ids: tuple[str, ...]) -> list[Note | SendRecords]:
        """Take in that these are confirmed on disk, and send the next of the round."""
        for session_id in session_ids:
            del self._unconfirmed[session_id]
            self._confirmed[session_id] = None
            self._in_flight.discard(session_id)
        return [*self._log.on_confirmed(session_ids), *self._send_next()]

    def unconfirm_all(self) -> None:
        """Begin anew with another Central: it has none of them."""
        self._unconfirmed = {**self._confirmed, **self._unconfirmed}
        self._confirmed.clear()

    def on_gone(self, event: RecordsGone) -> list[Note]:
        """Forget records that are no longer on disk; a line for each that was never confirmed."""
        lost = self._waiting(event.session_ids)
        self._log.forget(event.session_ids)
        for session_id in event.session_ids:
            self._unconfirmed.pop(session_id, None)
            self._confirmed.pop(session_id, None)
            self._in_flight.discard(session_id)
        if event.unreadable:
            self._unreadable.update(event.session_ids)
        self.lost_count += len(lost)
        return [
            Note(Level.ERROR, f"Session {session_id}: its record can't be read, and is not sent")
            for session_id in lost
        ]

    def send_round(self, now_s: float) -> list[SendRecords]:
        """Send all unconfirmed ones again, first those that the last round left over."""
        self.round_at_s = now_s + self._retry_interval_s
        left = [each for each in self._queue if each in self._unconfirmed]
        self._queue = deque(dict.fromkeys((*left, *self._unconfirmed)))
        self._in_flight.clear()
        return self._send_next()

    def _send_next(self) -> list[SendRecords]:
        room = IN_FLIGHT_MAX - len(self._in_flight)
        if room < min(len(self._queue), REFILL_MIN):
            return []
        taken: list[str] = []
        while self._queue and len(taken) < room:
            session_id = self._queue.popleft()
            if session_id in self._unconfirmed:
                taken.append(session_id)
        self._in_flight.update(taken)
        return [SendRecords(tuple(taken))] if taken else []

    def _waiting(self, session_ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each for each in session_ids if each in self._unconfirmed))
