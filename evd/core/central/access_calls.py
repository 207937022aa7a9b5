"""The calls that change who may do what; see `evd.core.access`."""

from evd.core.access.copy import AccessCopy
from evd.core.access.events import (
    AccessAsked,
    AccessImportAsked,
    CpTokenAsked,
    DriverAddAsked,
    DriverRemoveAsked,
    LoginDone,
    LogoutAsked,
    PasswordAsked,
    RoleAsked,
    TokenAddAsked,
    TokenMade,
    TokenRevokeAsked,
    Told,
    UserAddAsked,
    UserRemoveAsked,
)
from evd.core.access.refusals import NotDone
from evd.core.access.rows import AccessRow
from evd.core.central.events import Accepted, Effect, Refusal, Refused, Reply, Save
from evd.core.central.recovery import Recovery
from evd.core.central.state import State

SWEEP_S = 60.0


class AccessCalls:
    """Carries them out, and writes down what was used."""

    def __init__(self, state: State, recovery: Recovery) -> None:
        self.state = state
        self.recovery = recovery
        self._swept_s = state.now.mono_s

    def on_asked(self, event: AccessAsked) -> list[Effect]:
        """Do what is asked, or refuse it."""
        try:
            rows, told = self._do(event)
        except NotDone as error:
            refusal = Refusal.UNKNOWN if error.is_unknown else Refusal.CONFLICT
            return [Reply(event.call, Refused(refusal, str(error), error.field))]
        effects: list[Effect] = [*map(Save, rows), Reply(event.call, Accepted(told))]
        if isinstance(event, AccessImportAsked) and event.apply:
            effects += self.recovery.on_import(self._let_in(event.copy))
        return effects

    def _let_in(self, copy: AccessCopy) -> set[str]:
        """Return the charging points of a copy that can register here: another one never hands
        over, and would hold up all sessions for nothing."""
        access, now = self.state.access, self.state.now
        named = {token.cp_id for token in copy.tokens if token.cp_id is not None}
        return {cp_id for cp_id in named if access.has_cp_token(cp_id, now)}

    def _do(self, event: AccessAsked) -> tuple[list[AccessRow], Told | None]:
        access, now = self.state.access, self.state.now
        told: Told | None = None
        match event:
            case UserAddAsked():
                rows = access.add_user(event.user, event.password_hash, event.role, now)
            case PasswordAsked():
                rows = access.set_password(event.user, event.password_hash, now)
            case RoleAsked():
                rows = access.set_role(event.user, event.role, now)
            case UserRemoveAsked():
                rows = access.remove_user(event.user, now)
            case TokenAddAsked():
                token, rows = access.add_token(
                    event.name, event.role, event.digest, event.driver_id, event.days, now
                )
                told = TokenMade(token.expires_at)
            case TokenRevokeAsked():
                rows = access.revoke_token(event.name, now)
            case CpTokenAsked():
                at_once = event.at_once
                rows = access.issue_cp_token(event.cp_id, event.digest, now, at_once=at_once)
                told = TokenMade(None)
            case DriverAddAsked():
                at_once, driver_id = event.at_once, event.driver_id
                rows = access.issue_driver_token(driver_id, event.digest, now, at_once=at_once)
                told = TokenMade(None)
            case DriverRemoveAsked():
                rows = access.remove_driver(event.driver_id, now)
            case LoginDone():
                return self._log_in(event)
            case LogoutAsked():
                rows = access.log_out(event.digest)
            case AccessImportAsked():
                told, rows = access.take_copy(event.copy, now, apply=event.apply)
        return rows, told

    def _log_in(self, event: LoginDone) -> tuple[list[AccessRow], Told | None]:
        if not event.ok:
            return [], None
        told, rows = self.state.access.log_in(
            event.user,
            event.token_digest,
            event.checked_hash,
            event.cookie_digest,
            event.address,
            self.state.now,
        )
        return rows, told

    def tick(self) -> list[Effect]:
        """Write down what was used, and drop what is over."""
        state = self.state
        rows = state.access.take_used()
        if state.now.mono_s - self._swept_s >= SWEEP_S:
            self._swept_s = state.now.mono_s
            rows += state.access.sweep(state.now)
        return [*map(Save, rows)]
