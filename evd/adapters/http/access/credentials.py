"""The secrets that a request shows, as its headers carry them."""

from collections.abc import Iterable
from typing import Final

SESSION_COOKIE: Final = "evd_session"
# How long a login lasts that is used.
COOKIE_S: Final = 43_200
# More is no token and no JWT of ours, and need not be hashed.
SECRET_CHARS_MAX: Final = 4096

Headers = Iterable[tuple[bytes, bytes]]


def bearer_of(headers: Headers) -> str | None:
    """The bearer token of a request; None where it has none, or several."""
    found = [value for name, value in headers if name == b"authorization"]
    if len(found) != 1:
        return None
    scheme, _, secret = found[0].decode("latin-1").partition(" ")
    return _bounded(secret) if scheme.lower() == "bearer" else None


def cookie_of(headers: Headers, cookie: str) -> str | None:
    """The value of a cookie; None where it is not there, or there twice with two values."""
    found = set()
    for name, value in headers:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, secret = part.partition("=")
                if key.strip() == cookie:
                    found.add(secret)
    return _bounded(found.pop()) if len(found) == 1 else None


def _bounded(secret: str) -> str | None:
    secret = secret.strip()
    return secret if secret and len(secret) <= SECRET_CHARS_MAX else None


def set_cookie(cookie: str, secret: str, age_s: int, *, is_secure: bool) -> str:
    """The header that gives a cookie to a page, out of its scripts' reach; `age_s` 0 takes it."""
    ending = "; Secure" if is_secure else ""
    return f"{cookie}={secret}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{ending}"
