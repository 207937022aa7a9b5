"""The way into a driver's own page: by that driver's token, also while Central is away.

Logins are in memory alone, and end with the token that opened them.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from evd.adapters.http.access.credentials import COOKIE_S, bearer_of, cookie_of
from evd.adapters.http.access.passes import Pass, unauthorized
from evd.core.access.roles import Auth, Caller, Role
from evd.core.access.tokens import RANDOM_BYTES, digest, new_secret
from evd.core.effects import Now

COOKIE_PREFIX: Final = "evd_driver_"
LOGINS_MAX: Final = 1_000
# A login that nobody uses for so long is over.
UNUSED_S_MAX: Final = 3_600.0
WRONG_TOKEN: Final = "this token is not valid, or not any more"


@attrs.define
class _Login:
    # The digest of the token that opened it.
    token: str
    until_s: float
    used_s: float


class DriverLogins:
    """The logins of one driver's page.

    `is_right` says whether somebody has shown the driver's token; `token` is the present one, None
    where the driver has none, and then nobody gets in.
    """

    def __init__(
        self,
        driver_id: str,
        auth: Auth,
        token: Callable[[], str | None],
        is_right: Callable[[str], bool],
        clock: Callable[[], Now],
    ) -> None:
        self.auth = auth
        self.cookie = COOKIE_PREFIX + driver_id
        self._driver_id = driver_id
        self._token = token
        self._is_right = is_right
        self._clock = clock
        # By the digests of their cookies; the one that was made first is first.
        self._logins: OrderedDict[str, _Login] = OrderedDict()

    def find(self, scope: dict[str, Any], address: str) -> Pass:
        """The Pass of a call, by the driver's token or its cookie."""
        shown = bearer_of(scope["headers"])
        if shown is not None:
            proof = digest(shown) if self._is_right(shown) else None
        else:
            shown = cookie_of(scope["headers"], self.cookie)
            if shown is None:
                return Pass(None, address=address)
            proof = digest(shown) if self._is_in(digest(shown)) else None
        if proof is None:
            return Pass(None, has_shown=True, address=address)
        caller = Caller(self._driver_id, Role.DRIVER, self._driver_id, address, proof)
        return Pass(caller, has_shown=True, address=address)

    def is_still(self, caller: Pass) -> bool:
        """Whether one who passed would pass again."""
        known = caller.caller
        if known is None or not known.proof:
            return True
        token = self._token()
        is_token = token is not None and digest(token) == known.proof
        return is_token or self._is_in(known.proof)

    def enter(self, token: str) -> tuple[str, datetime]:
        """The secret of a new login, and its end.  Raises Refused for a wrong token."""
        if not self._is_right(token):
            raise unauthorized(WRONG_TOKEN)
        now, secret = self._clock(), new_secret(os.urandom(RANDOM_BYTES))
        self._logins[digest(secret)] = _Login(digest(token), now.mono_s + COOKIE_S, now.mono_s)
        if len(self._logins) > LOGINS_MAX:
            self._logins.popitem(last=False)
        return secret, now.wall + timedelta(seconds=COOKIE_S)

    def leave(self, caller: Pass) -> None:
        """End the login of one who passed."""
        if caller.caller is not None:
            self._logins.pop(caller.caller.proof, None)

    def _is_in(self, proof: str) -> bool:
        login = self._logins.get(proof)
        if login is None:
            return False
        now_s, token = self._clock().mono_s, self._token()
        is_over = now_s >= login.until_s or now_s - login.used_s >= UNUSED_S_MAX
        if is_over or token is None or digest(token) != login.token:
            del self._logins[proof]
            return False
        login.used_s = now_s
        return True


DriverLoginsHere = NamedDependency[SkipValidation[DriverLogins]]
