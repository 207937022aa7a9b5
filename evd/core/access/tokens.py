"""The form of a token, and the digest of a secret: all that is ever kept of one.

A token is 256 random bits, so one SHA-256 is enough: nobody can try them all.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Final

from evd.core.access.roles import Role
from evd.core.wire.fields import FieldError

RANDOM_BYTES: Final = 32
# For the documentation, which says of a field which roles it takes.
TOKEN_PATTERN: Final = "^evd_({})_[A-Za-z0-9_-]{{43}}$"
TOKEN_FORM = re.compile(rf"evd_({'|'.join(Role)})_[A-Za-z0-9_-]{{43}}")


def new_token(role: Role, random_bytes: bytes) -> str:
    """Return the token of `role` made of RANDOM_BYTES random bytes."""
    if len(random_bytes) != RANDOM_BYTES:
        raise ValueError(f"a token is made of {RANDOM_BYTES} random bytes")
    return f"evd_{role}_{new_secret(random_bytes)}"


def new_secret(random_bytes: bytes) -> str:
    """Return random bytes as url-safe characters: a cookie or a ticket."""
    return urlsafe_b64encode(random_bytes).rstrip(b"=").decode("ascii")


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret, as 64 hex digits."""
    # A lone surrogate from outside must not raise: it has no UTF-8.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def check_token(value: object, field: str = "token") -> str:
    """The token, or `FieldError`, which never shows the value."""
    if not isinstance(value, str) or TOKEN_FORM.fullmatch(value) is None:
        raise FieldError(field, "must be a token: evd_, a role, _ and 43 characters")
    return value


def role_of(token: str) -> Role:
    """Return the role that a token of the right form names."""
    return Role(token.split("_", 2)[1])
