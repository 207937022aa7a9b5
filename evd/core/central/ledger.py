"""The requests and sessions that Central holds in memory: all open ones, and the ended ones that
the event at hand may touch.

Before an event is handed in, what `Central.missing` names is looked up in the database, so that an
answer that was once given is given again, however old.
"""

from collections.abc import Callable, Container, Iterable
from uuid import NAMESPACE_URL, uuid5

import attrs

from evd.core.central.events import Effect, Save
from evd.core.central.lives import (
    REQUEST_LIFE,
    SESSION_LIFE,
    RequestStep,
    SessionStep,
    check_step,
    session_state,
)
from evd.core.central.rows import Reading, Request, Session, SessionStatus
from evd.core.wire.messages import RequestStatus

# Ended rows kept at hand, so that a repeated message does not ask the database each time.
ENDED_MAX = 5_000


def session_id_for(request_id: str) -> str:
    """Return the one session that a request can ever have."""
    return f"session-{uuid5(NAMESPACE_URL, request_id).hex}"


class Ledger:
    """Rows by id, with the indexes that decisions need."""

    def __init__(
        self,
        requests: Iterable[Request],
        sessions: Iterable[Session],
        on_session: Callable[[Session], None] = lambda _: None,
    ) -> None:
        """Begin with these; `on_session` is told of each session that is or was ACTIVE."""
        self._on_session = on_session
        self.requests: dict[str, Request] = {}
        self.sessions: dict[str, Session] = {}
        self._active_by_cp: dict[str, str] = {}
        self._active_by_driver: dict[str, str] = {}
        self._open_by_driver: dict[str, set[str]] = {}
        self._open_count = 0
        self._active: set[str] = set()
        # The requests of ACTIVE sessions that only the database has.
        self._unread: dict[str, None] = {}
        # The newest meter of each ACTIVE session, and those that have moved since the last commit.
        self._meters_mwh: dict[str, int] = {}
        self._moved: dict[str, None] = {}
        for session in sessions:
            self.put_session(session)
            self._meters_mwh[session.session_id] = session.energy_mwh
        for request in requests:
            self.put_request(request)

    def save_request(self, row: Request, step: RequestStep) -> Save:
        """Write a request that took `step`; NoSuchStep where its life has none such."""
        before = self.requests.get(row.request_id)
        check_step(REQUEST_LIFE, before.status if before is not None else None, step, row.status)
        self.put_request(row)
        return Save(row)

    def save_session(self, row: Session, step: SessionStep) -> Save:
        """Write a session that took `step`; an open one with the newest meter that was heard."""
        before = session_state(self.sessions.get(row.session_id))
        check_step(SESSION_LIFE, before, step, session_state(row))
        if row.status is SessionStatus.ACTIVE:
            row = attrs.evolve(row, energy_mwh=self.metered_mwh(row))
        else:
            self._meters_mwh.pop(row.session_id, None)
        self._moved.pop(row.session_id, None)
        self.put_session(row)
        return Save(row)

    def meter(self, session_id: str, energy_mwh: int) -> None:
        """Take the newest meter of an ACTIVE session, also where it has fallen."""
        if energy_mwh != self._meters_mwh.get(session_id, 0):
            self._meters_mwh[session_id] = energy_mwh
            self._moved[session_id] = None

    def save_meters(self) -> list[Effect]:
        """Write each meter that has moved: one row, however often it has."""
        moved, self._moved = self._moved, {}
        return [Save(Reading(key, self._meters_mwh[key])) for key in moved]

    def metered_mwh(self, session: Session) -> int:
        """Return the newest energy that is known of a session."""
        return self._meters_mwh.get(session.session_id, session.energy_mwh)

    def contradiction(
        self, session_id: str | None, request_id: str | None, driver_id: str | None
    ) -> str:
        """Return why these ids can't belong together, empty where they can; None: not named.

        No message is trusted by one id where it carries several.
        """
        if session_id and request_id and session_id != session_id_for(request_id):
            return f"session_id is not that of {request_id}"
        session, request = self.sessions.get(session_id or ""), self.requests.get(request_id or "")
        if session is not None and request_id not in (None, session.request_id):
            return f"request_id is not that of {session.session_id}"
        for row in (session, request):
            if row is not None and driver_id not in (None, row.driver_id):
                return f"driver_id is not that of {request_id or session_id}"
        return ""

    def put_request(self, row: Request) -> None:
        """Take a request's newest row."""
        # Put it at the end: `trim` lets go of those in front.
        before = self.requests.pop(row.request_id, None)
        self.requests[row.request_id] = row
        self._unread.pop(row.request_id, None)
        was_open = before is not None and not before.status.final
        self._open_count += (not row.status.final) - was_open
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
        was_active = before is not None and before.status is SessionStatus.ACTIVE
        if before is not None and was_active:
            self._unread.pop(before.request_id, None)
            self._active.discard(before.session_id)
            self._drop(self._active_by_cp, before.cp_id, before.session_id)
            self._drop(self._active_by_driver, before.driver_id, before.session_id)
        self.sessions[row.session_id] = row
        if row.status is SessionStatus.ACTIVE:
            self._active.add(row.session_id)
            self._active_by_cp[row.cp_id] = row.session_id
            self._active_by_driver[row.driver_id] = row.session_id
            if row.request_id not in self.requests:
                self._unread[row.request_id] = None
        if was_active or row.status is SessionStatus.ACTIVE:
            self._on_session(row)

    @staticmethod
    def _drop(index: dict[str, str], key: str, session_id: str) -> None:
        if index.get(key) == session_id:
            del index[key]

    def active(self) -> list[Session]:
        """Return the ACTIVE sessions."""
        return [self.sessions[session_id] for session_id in sorted(self._active)]

    def active_at(self, cp_id: str) -> Session | None:
        """Return the ACTIVE session of a charging point."""
        session_id = self._active_by_cp.get(cp_id)
        return self.sessions[session_id] if session_id is not None else None

    def active_of(self, driver_id: str) -> Session | None:
        """Return the ACTIVE session of a driver."""
        session_id = self._active_by_driver.get(driver_id)
        return self.sessions[session_id] if session_id is not None else None

    def accepted_of(self, driver_id: str) -> Request | None:
        """Return a driver's request that was accepted and has not ended."""
        for request_id in sorted(self._open_by_driver.get(driver_id, ())):
            row = self.requests[request_id]
            if row.status is not RequestStatus.PENDING:
                return row
        return None

    @property
    def open_count(self) -> int:
        """How many requests have no final status yet."""
        return self._open_count

    @property
    def active_count(self) -> int:
        """How many sessions are ACTIVE."""
        return len(self._active)

    @property
    def unread(self) -> Iterable[str]:
        """The requests of ACTIVE sessions that only the database has."""
        return self._unread

    def trim(self, keep: Container[str]) -> None:
        """Let go of the rows that ended first, but for the requests in `keep` and those whose
        sessions are ACTIVE; the database has them."""
        if len(self.requests) - self._open_count > 2 * ENDED_MAX:
            ended = [key for key, row in self.requests.items() if row.status.final]
            for key in ended[:-ENDED_MAX]:
                if key not in keep and self.requests[key].session_id not in self._active:
                    del self.requests[key]
        if len(self.sessions) - len(self._active) > 2 * ENDED_MAX:
            gone = [key for key in self.sessions if key not in self._active]
            for key in gone[:-ENDED_MAX]:
                del self.sessions[key]
