"""The rows of access: one frozen class a table.

No secret is among it: of a password its hash, of a token and of a login the digest.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import attrs

from evd.core.access.roles import Role


class Outcome(StrEnum):
    """The end of a call: it was done, it was refused, or it could not be done."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@attrs.frozen(slots=True)
class User:
    """A person with a password.

    `changed_at`: when it was added, or got another role or password.  `removed_at`: kept, so that
    no older copy brings back somebody who was removed.
    """

    name: str
    role: Role
    password_hash: str = attrs.field(repr=False)
    changed_at: datetime
    removed_at: datetime | None = None


@attrs.frozen(slots=True)
class AccessToken:
    """A token, known by its digest.

    `driver_id` or `cp_id`: the one that it holds for.  `used_at`: about when it was last shown.
    """

    digest: str = attrs.field(repr=False)
    name: str
    role: Role
    created_at: datetime
    driver_id: str | None = None
    cp_id: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    @property
    def holder(self) -> str | None:
        """The charging point or the driver of which it is the token, and not one of several."""
        if self.cp_id is not None:
            return f"cp {self.cp_id}"
        return f"driver {self.driver_id}" if self.name == self.driver_id else None

    def is_good(self, wall: datetime) -> bool:
        """Return whether it opens anything at this time."""
        return self.revoked_at is None and (self.expires_at is None or wall < self.expires_at)


@attrs.frozen(slots=True)
class TokenEnd:
    """A token that was revoked so long ago that its row may go."""

    digest: str = attrs.field(repr=False)


@attrs.frozen(slots=True)
class Login:
    """Somebody who is logged in, by a password or (`token_digest`) by a token."""

    digest: str = attrs.field(repr=False)
    created_at: datetime
    expires_at: datetime
    used_at: datetime
    address: str
    user_name: str | None = None
    token_digest: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(slots=True)
class LoginEnd:
    """A login that is over; its row goes."""

    digest: str = attrs.field(repr=False)


@attrs.frozen(slots=True)
class KnownAddress:
    """An address from which a user logged in, and when last.  `place` is made of both."""

    place: str
    user_name: str
    address: str
    seen_at: datetime


@attrs.frozen(slots=True)
class AddressEnd:
    """An address that is known no more; its row goes."""

    place: str


@attrs.frozen(slots=True)
class AuditEntry:
    """One call that changed something, or tried to; appended, never changed."""

    ts: datetime
    who: str
    role: str
    address: str
    action: str
    object: str
    outcome: Outcome
    cp_id: str | None = None


AccessRow = (
    User | AccessToken | TokenEnd | Login | LoginEnd | KnownAddress | AddressEnd | AuditEntry
)


@attrs.frozen(slots=True)
class AccessImage:
    """All that the database knows of access, without the audit."""

    users: Sequence[User] = ()
    tokens: Sequence[AccessToken] = ()
    logins: Sequence[Login] = ()
    addresses: Sequence[KnownAddress] = ()
