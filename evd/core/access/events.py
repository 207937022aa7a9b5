"""The calls that change who may do what, and what they are answered.

A `call` is the number that the shell gave to it.  Secrets are made and hashed outside: only digests
and hashes come in.
"""

from collections.abc import Sequence
from datetime import datetime

import attrs

from evd.core.access.copy import AccessCopy
from evd.core.access.roles import OPEN, Caller, Role
from evd.core.access.rows import Outcome

TOKEN_DAYS = 90


@attrs.frozen(slots=True)
class UserAddAsked:
    """A person is to get in with this password."""

    call: int
    user: str
    password_hash: str = attrs.field(repr=False)
    role: Role
    by: Caller = OPEN


@attrs.frozen(slots=True)
class PasswordAsked:
    """A user gets another password."""

    call: int
    user: str
    password_hash: str = attrs.field(repr=False)
    by: Caller = OPEN


@attrs.frozen(slots=True)
class RoleAsked:
    """A user gets another role."""

    call: int
    user: str
    role: Role
    by: Caller = OPEN


@attrs.frozen(slots=True)
class UserRemoveAsked:
    """A user is to get in no more."""

    call: int
    user: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class TokenAddAsked:
    """A program is to get in with this token, for `days`; 0: without an end."""

    call: int
    name: str
    role: Role
    digest: str = attrs.field(repr=False)
    driver_id: str | None = None
    days: int = TOKEN_DAYS
    by: Caller = OPEN


@attrs.frozen(slots=True)
class TokenRevokeAsked:
    """The token with this name is to be good for nothing."""

    call: int
    name: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class CpTokenAsked:
    """A charging point's monitor gets this token.

    The one before stays good until this one was used; `at_once`: it does not.
    """

    call: int
    cp_id: str
    digest: str = attrs.field(repr=False)
    at_once: bool = False
    by: Caller = OPEN


@attrs.frozen(slots=True)
class DriverAddAsked:
    """A driver gets this token, as a charging point does."""

    call: int
    driver_id: str
    digest: str = attrs.field(repr=False)
    at_once: bool = False
    by: Caller = OPEN


@attrs.frozen(slots=True)
class DriverRemoveAsked:
    """Every token of a driver is to be good for nothing."""

    call: int
    driver_id: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class LoginDone:
    """Somebody showed a password or a token, and it was right (`ok`) or wrong.

    `user` is what was typed; empty for a token, whose digest is `token_digest`.  `cookie_digest`:
    of the new login's secret.  `checked_hash`: the hash that the password was right for; another
    one by now makes it wrong.
    """

    call: int
    user: str
    ok: bool
    address: str
    cookie_digest: str = attrs.field(default="", repr=False)
    token_digest: str = attrs.field(default="", repr=False)
    checked_hash: str = attrs.field(default="", repr=False)


@attrs.frozen(slots=True)
class LogoutAsked:
    """A login is to be over."""

    call: int
    digest: str = attrs.field(repr=False)
    by: Caller = OPEN


@attrs.frozen(slots=True)
class AccessImportAsked:
    """Users and tokens of a copy are to be good here too; `apply` false: only say which."""

    call: int
    copy: AccessCopy
    apply: bool
    by: Caller = OPEN


@attrs.frozen(slots=True)
class CallNoted:
    """A call for the audit that no other event tells of; nobody waits for an answer."""

    by: Caller
    action: str
    object: str
    outcome: Outcome
    cp_id: str | None = None


@attrs.frozen(slots=True)
class LoggedIn:
    """The one who is logged in now, until `expires_at` at the latest."""

    caller: Caller
    expires_at: datetime


@attrs.frozen(slots=True)
class TokenMade:
    """A token that is good from now on; `expires_at` None: without an end."""

    expires_at: datetime | None


@attrs.frozen(slots=True)
class ImportOutcome:
    """The names that become valid or change by a copy, and those that stay revoked or removed.

    `same_count`: those that are here already.
    """

    users: Sequence[str]
    tokens: Sequence[str]
    revoked: Sequence[str]
    same_count: int


Told = LoggedIn | TokenMade | ImportOutcome
AccessAsked = (
    UserAddAsked
    | PasswordAsked
    | RoleAsked
    | UserRemoveAsked
    | TokenAddAsked
    | TokenRevokeAsked
    | CpTokenAsked
    | DriverAddAsked
    | DriverRemoveAsked
    | LoginDone
    | LogoutAsked
    | AccessImportAsked
)
