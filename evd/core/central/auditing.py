"""The audit: who asked for what, and what became of it.  Each row is in one commit with its doing.

A stranger can't fill it: failed logins of a minute and address are one row, and a name is written
down only if a user has it.
"""

from collections.abc import Sequence

from evd.core.access.events import (
    AccessImportAsked,
    CallNoted,
    CpTokenAsked,
    DriverAddAsked,
    DriverRemoveAsked,
    LoggedIn,
    LoginDone,
    LogoutAsked,
    PasswordAsked,
    RoleAsked,
    TokenAddAsked,
    TokenRevokeAsked,
    UserAddAsked,
    UserRemoveAsked,
)
from evd.core.access.roles import Caller
from evd.core.access.rows import AuditEntry, Outcome
from evd.core.central.events import (
    Accepted,
    Asked,
    ChargeAsked,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    Effect,
    JudgementAsked,
    RecoveryAccepted,
    Refusal,
    Reply,
    RequestEndAsked,
    Save,
    SessionStopAsked,
)
from evd.core.central.state import State

MINUTE_S = 60.0
# The bound for one caller and address: beyond it a minute's refusals say nothing new.
REFUSED_PER_MINUTE_MAX = 20
# The bound for all: beyond it nothing new is written until a minute is over.
PLACES_MAX = 1_000

# The name of each call in the audit, and the field that says of what.
_CALLS: dict[type, tuple[str, str]] = {
    ChargeAsked: ("request charge", "request_id"),
    RequestEndAsked: ("request end", "request_id"),
    SessionStopAsked: ("session stop", "session_id"),
    CpStopAsked: ("cp stop", "cp_id"),
    CpResumeAsked: ("cp resume", "cp_id"),
    CpShutdownAsked: ("cp shutdown", "cp_id"),
    CpRemovalAsked: ("cp remove", "cp_id"),
    RecoveryAccepted: ("central accept", ""),
    UserAddAsked: ("user add", "user"),
    PasswordAsked: ("user passwd", "user"),
    RoleAsked: ("user role", "user"),
    UserRemoveAsked: ("user remove", "user"),
    TokenAddAsked: ("token new", "name"),
    TokenRevokeAsked: ("token revoke", "name"),
    CpTokenAsked: ("cp token", "cp_id"),
    DriverAddAsked: ("driver add", "driver_id"),
    DriverRemoveAsked: ("driver remove", "driver_id"),
    LogoutAsked: ("logout", ""),
    AccessImportAsked: ("access import", ""),
}


class _Window:
    """How many rows each place has got in the present minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[tuple[str, str], int] = {}
        self._began_s: dict[tuple[str, str], float] = {}

    def takes(self, place: tuple[str, str], now_s: float) -> bool:
        """Return whether one more row of this place is to be written."""
        if now_s - self._began_s.get(place, now_s) >= MINUTE_S:
            self._drop(place)
        if place not in self._began_s:
            for old in [each for each, at_s in self._began_s.items() if now_s - at_s >= MINUTE_S]:
                self._drop(old)
            if len(self._began_s) >= PLACES_MAX:
                return False
            self._began_s[place] = now_s
        self._counts[place] = self._counts.get(place, 0) + 1
        return self._counts[place] <= self._most

    def _drop(self, place: tuple[str, str]) -> None:
        self._began_s.pop(place, None)
        self._counts.pop(place, None)


class Auditing:
    """Makes the rows of the audit."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._failed_logins = _Window(1)
        self._refused = _Window(REFUSED_PER_MINUTE_MAX)

    def on_noted(self, event: CallNoted) -> list[Effect]:
        """Write down a call that was refused or done before it came to the core."""
        place = (event.by.name, event.by.address)
        is_refused = event.outcome is Outcome.REFUSED
        if is_refused and not self._refused.takes(place, self.state.now.mono_s):
            return []
        return [self._row(event.by, event.action, event.object, event.outcome, event.cp_id)]

    def of_call(self, event: Asked, effects: Sequence[Effect]) -> list[Effect]:
        """Write down a call, by its reply among its effects."""
        reply = next(
            each for each in effects if isinstance(each, Reply) and each.call == event.call
        )
        if isinstance(event, LoginDone):
            return self._of_login(event, reply)
        if isinstance(event, AccessImportAsked) and not event.apply:
            return []
        if isinstance(event, JudgementAsked):
            action, field = f"session {'accept' if event.accept else 'void'}", "session_id"
        else:
            action, field = _CALLS[type(event)]
        about = str(getattr(event, field)) if field else ""
        return [self._row(event.by, action, about, _outcome(reply), self._cp_id_of(event))]

    def _of_login(self, event: LoginDone, reply: Reply) -> list[Effect]:
        told = reply.answer.told if isinstance(reply.answer, Accepted) else None
        if isinstance(told, LoggedIn):
            return [self._row(told.caller, "login", "", Outcome.DONE, None)]
        if not self._failed_logins.takes(("", event.address), self.state.now.mono_s):
            return []
        user = self.state.access.user(event.user)
        return [
            Save(
                AuditEntry(
                    self.state.now.wall,
                    user.name if user is not None else "",
                    user.role.value if user is not None else "",
                    event.address,
                    "login",
                    "",
                    Outcome.FAILED,
                )
            )
        ]

    def _cp_id_of(self, event: Asked) -> str | None:
        ledger = self.state.ledger
        match event:
            case SessionStopAsked() | JudgementAsked():
                session = ledger.sessions.get(event.session_id)
                return session.cp_id if session is not None else None
            case RequestEndAsked():
                request = ledger.requests.get(event.request_id)
                return request.cp_id if request is not None else None
        return getattr(event, "cp_id", None)

    def _row(
        self, by: Caller, action: str, about: str, outcome: Outcome, cp_id: str | None
    ) -> Effect:
        role = by.role.value if by.name else ""
        wall = self.state.now.wall
        return Save(AuditEntry(wall, by.name, role, by.address, action, about, outcome, cp_id))


def _outcome(reply: Reply) -> Outcome:
    if isinstance(reply.answer, Accepted):
        return Outcome.DONE
    is_away = reply.answer.refusal is Refusal.UNAVAILABLE
    return Outcome.FAILED if is_away else Outcome.REFUSED
