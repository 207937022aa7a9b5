"""The way in: a password or a token becomes a login, and a login a ticket for the feed."""

import contextlib
import math
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from evd.adapters.http.access.callers import Callers
from evd.adapters.http.access.passes import Pass, unauthorized
from evd.adapters.http.access.passwords import Passwords
from evd.adapters.http.access.rights import AnyConnection
from evd.adapters.http.access.tickets import TICKET_S, Tickets
from evd.adapters.http.access.web_tokens import WebTokens
from evd.adapters.http.central_service import CentralService
from evd.adapters.http.errors import CHANGING_METHODS
from evd.adapters.http.refused import Refused
from evd.adapters.http.replies import check_accepted
from evd.adapters.store.failures import StoreFailed
from evd.core.access.events import CallNoted, LoggedIn, LoginDone
from evd.core.access.roles import Auth
from evd.core.access.rows import Outcome
from evd.core.access.tokens import RANDOM_BYTES, digest, new_secret
from evd.core.effects import Now

WRONG: Final = "wrong name or password"
WRONG_TOKEN: Final = "this token is not valid, or not any more"
TOO_MANY: Final = "too many wrong logins; see Retry-After"


@attrs.frozen
class Entered:
    """A login that was begun: its secret, for a cookie, and who is in."""

    secret: str = attrs.field(repr=False)
    told: LoggedIn


class Logins:
    """The logins, tokens and tickets of this start of Central; `auth` says what they are for."""

    def __init__(
        self,
        service: CentralService,
        auth: Auth,
        clock: Callable[[], Now],
        count_would_refuse: Callable[[str], None],
    ) -> None:
        self.auth = auth
        self._count_would_refuse = count_would_refuse
        self._service = service
        self._clock = clock
        self._web_tokens = WebTokens(lambda: service.uptime_s)
        self.passwords = Passwords()
        self.tickets = Tickets(lambda: clock().mono_s)
        self.callers = Callers(lambda: service.access, clock, self._web_tokens, self.tickets)

    async def enter_by_password(self, user: str, password: str, address: str) -> Entered:
        """A new login.  Raises Refused: 401 for a wrong one, 429, 503."""
        now, access = self._clock(), self._service.access
        self._check_tries(access.begin_login(user, address, now))
        is_known = access.is_known_address(user, address, now)
        kept = access.password_hash_of(user)
        try:
            ok = await self.passwords.is_right(kept, password, is_known=is_known)
        except Refused:
            # No password was looked at.
            access.cancel_login(user, address, now)
            raise
        return await self._enter(user, address, ok=ok, checked_hash=kept or "")

    async def enter_by_token(self, token: str, address: str) -> Entered:
        """A new login, as above; it ends with its token."""
        now, access, shown = self._clock(), self._service.access, digest(token)
        self._check_tries(access.begin_login("", address, now))
        ok = access.caller_of_digest(shown, address, now) is not None
        return await self._enter("", address, ok=ok, token_digest=shown)

    def _check_tries(self, wait_s: float | None) -> None:
        if wait_s is not None:
            raise Refused(429, TOO_MANY, retry_s=math.ceil(wait_s))

    async def _enter(
        self, user: str, address: str, *, ok: bool, token_digest: str = "", checked_hash: str = ""
    ) -> Entered:
        secret = new_secret(os.urandom(RANDOM_BYTES))
        made = digest(secret)
        reply = await self._service.ask(
            lambda call: LoginDone(call, user, ok, address, made, token_digest, checked_hash)
        )
        told = check_accepted(reply).told
        if isinstance(told, LoggedIn):
            return Entered(secret, told)
        raise unauthorized(WRONG_TOKEN if token_digest else WRONG)

    def now(self) -> Now:
        """This moment."""
        return self._clock()

    def web_token(self, entered: Entered) -> str:
        """A JWT for this login."""
        return self._web_tokens.make(
            entered.told.caller, digest(entered.secret), self._clock().wall
        )

    def ticket(self, caller: Pass) -> tuple[str, datetime]:
        """A ticket for the feed, and until when it is good."""
        until = self._clock().wall + timedelta(seconds=TICKET_S)
        return self.tickets.give(caller), until

    async def on_lacking(self, request: AnyConnection, caller: Pass, refused: Refused) -> None:
        """A call is beyond its caller's rights: it is refused, or taken for now."""
        scope: Any = request.scope
        if not caller.is_bound:
            if caller.caller is not None:
                self._note_would_refuse("http", caller)
        elif scope["method"] in CHANGING_METHODS:
            names = request.path_params
            about, cp_id = next(iter(names.values()), ""), names.get("cp_id")
            action = f"{scope['method']} {scope['path_template']}"
            event = CallNoted(caller.by, action, about, Outcome.REFUSED, cp_id)
            await self._service.tell(event)

    def on_stranger(self, what: str) -> Callable[[Pass], None]:
        """Returns what notes a stranger at a port that `warn` lets pass; `what` names the port."""
        return lambda caller: self._note_would_refuse(what, caller)

    def _note_would_refuse(self, what: str, caller: Pass) -> None:
        self._count_would_refuse(what)
        name, why = "", "it showed no token"
        if caller.caller is not None:
            name, why = caller.caller.name, f"the role {caller.caller.role} may not do it"
        elif caller.has_shown:
            why = "its token or login is not valid"
        with contextlib.suppress(StoreFailed):
            access = self._service.access
            access.would_refuse("caller", name, caller.address, f"{what}: {why}", self._clock())


LoginsHere = NamedDependency[SkipValidation[Logins]]
