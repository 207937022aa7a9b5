"""JSON web tokens for programs that log in with a password: each stands for one login.

The key is random and in memory alone, so none outlives this start of Central.  Their age is counted
by Central's uptime: no wall clock decides.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, Final

from evd.core.access.roles import Caller

AGE_S_MAX: Final = 900.0
_KEY_BYTES: Final = 32
_ALGORITHM: Final = "HS256"
_DIGEST_CHARS: Final = 64


class WebTokens:
    """Makes and reads the tokens of this start; `uptime_s` counts since then."""

    def __init__(self, uptime_s: Callable[[], float]) -> None:
        self._uptime_s = uptime_s
        self._key = os.urandom(_KEY_BYTES)

    def make(self, caller: Caller, login: str, wall: datetime) -> str:
        """A token of the caller whose login has this digest; `wall` is only written down."""
        claims: dict[str, Any] = {
            "sub": caller.name,
            "role": caller.role,
            "jti": login,
            "iat": wall,
            "exp": wall + timedelta(seconds=AGE_S_MAX),
            "up_s": round(self._uptime_s(), 3),
        }
        if caller.driver_id is not None:
            claims["driver_id"] = caller.driver_id
        made: str = _library().encode(claims, self._key, algorithm=_ALGORITHM)
        return made

    def login_of(self, token: str) -> str | None:
        """The digest of the login that a token stands for; None where it is not good now."""
        library = _library()
        checks = {"verify_exp": False, "verify_iat": False, "require": ["jti", "up_s"]}
        try:
            claims = library.decode(token, self._key, algorithms=[_ALGORITHM], options=checks)
        except library.InvalidTokenError:
            return None
        login, made_s = claims["jti"], claims["up_s"]
        if not isinstance(login, str) or len(login) != _DIGEST_CHARS:
            return None
        if not isinstance(made_s, int | float) or self._uptime_s() - made_s > AGE_S_MAX:
            return None
        return login


def _library() -> ModuleType:
    # Imported here, because a Central whose callers never log in need not pay for it.
    import jwt

    return jwt
