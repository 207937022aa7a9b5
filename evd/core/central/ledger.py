"""The requests and sessions that Central holds in memory: all open ones, and the ended ones that
the event at hand may touch.

Whoever hands in an event first looks up in the database what `Central.missing` names, so that an
answer that was once given is given again, however old.
"""

from collections.abc import Container
from uuid import NAMESPACE_URL, uuid5

from evd.core.central.rows import Request, Session, SessionStatus
from evd.core.wire.messages import RequestStatus

# Ended rows kept at hand, so that a repeated message does not ask the database each time.
ENDED_MAX = 5_000


def session_id_for(request_id: str) -> str:
    """The one session that a request can ever have."""
    return f"session-{uuid5(NAMESPACE_URL, request_id).hex}"


class Ledger:
    """Rows by id, with the indexes that decisions need."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.sessions: dict[str, Session] = {}
        self._active_by_cp: dict[str, str] = {}
        self._active_by_driver: dict[str, str] = {}
        self._open_by_driver: dict[str, set[str]] = {}
        self._active: set[str] = set()

    def put_request(self, row: Request) -> None:
        """Take a request's newest row."""
        # Put at the end: the first of the ended ones are let go.
        self.requests.pop(row.request_id, None)
        self.requests[row.request_id] = row
        mine = self._open_by_driver.setdefault(row.driver_id, set())
        if row.status.final:
            mine.discard(row.request_id)
            if not mine:
                del self._open_by_driver[row.driver_id]
        else:
            mine.add(row.request_id)

    def put_session(self, row: Session) -> None:
        """Take a session's newest row."""
        before = self.sessions.pop(row.session_id, None)
        if before is not None and before.status is SessionStatus.ACTIVE:
            self._active.discard(before.session_id)
            self._drop(self._active_by_cp, before.cp_id, before.session_id)
            self._drop(self._active_by_driver, before.driver_id, before.session_id)
        self.sessions[row.session_id] = row
        if row.status is SessionStatus.ACTIVE:
            self._active.add(row.session_id)
            self._active_by_cp[row.cp_id] = row.session_id
            self._active_by_driver[row.driver_id] = row.session_id

    @staticmethod
    def _drop(index: dict[str, str], key: str, session_id: str) -> None:
        if index.get(key) == session_id:
            del index[key]

    def active(self) -> list[Session]:
        """The ACTIVE sessions."""
        return [self.sessions[session_id] for session_id in sorted(self._active)]

    def active_at(self, cp_id: str) -> Session | None:
        """The ACTIVE session of a charging point."""
        session_id = self._active_by_cp.get(cp_id)
        return self.sessions[session_id] if session_id is not None else None

    def active_of(self, driver_id: str) -> Session | None:
        """The ACTIVE session of a driver."""
        session_id = self._active_by_driver.get(driver_id)
        return self.sessions[session_id] if session_id is not None else None

    def accepted_of(self, driver_id: str) -> Request | None:
        """A driver's request that was accepted and has not ended."""
        for request_id in sorted(self._open_by_driver.get(driver_id, ())):
            row = self.requests[request_id]
            if row.status is not RequestStatus.PENDING:
                return row
        return None

    @property
    def open_count(self) -> int:
        """How many requests have no final status yet."""
        return sum(len(mine) for mine in self._open_by_driver.values())

    def trim(self, keep: Container[str]) -> None:
        """Let go of the rows that ended first, but for the requests in `keep`; the database has
        them."""
        if len(self.requests) > 2 * ENDED_MAX:
            ended = [key for key, row in self.requests.items() if row.status.final]
            for key in ended[:-ENDED_MAX]:
                if key not in keep:
                    del self.requests[key]
        if len(self.sessions) > 2 * ENDED_MAX:
            gone = [key for key in self.sessions if key not in self._active]
            for key in gone[:-ENDED_MAX]:
                del self.sessions[key]
