"""The roles, the rights that a route needs, and the one who calls."""

from enum import StrEnum
from typing import Final

import attrs


class Role(StrEnum):
    """The part that a user or a token plays; a driver's and a monitor's holds for one id alone."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    DRIVER = "driver"
    MONITOR = "monitor"


class Auth(StrEnum):
    """The flag --auth: take everybody, take everybody and count whom REQUIRED would refuse, or
    take only those with a right token or password."""

    OFF = "off"
    WARN = "warn"
    REQUIRED = "required"


class Right(StrEnum):
    """A kind of call.  A driver that may SEE or CHARGE may do so for its own `driver_id` alone."""

    SEE = "see"
    SEE_HEALTH = "see_health"
    CHARGE = "charge"
    OPERATE = "operate"
    ADMINISTER = "administer"


_RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.VIEWER: frozenset({Right.SEE, Right.SEE_HEALTH}),
    Role.OPERATOR: frozenset({Right.SEE, Right.SEE_HEALTH, Right.CHARGE, Right.OPERATE}),
    Role.ADMIN: frozenset(Right),
    Role.DRIVER: frozenset({Right.SEE, Right.CHARGE}),
    # A monitor speaks on its own port; it has no HTTP.
    Role.MONITOR: frozenset(),
}


def may(role: Role, right: Right) -> bool:
    """Return whether the role has the right."""
    return right in _RIGHTS[role]


@attrs.frozen(slots=True)
class Caller:
    """Somebody who asks: `name` is a user's, a token's, or `local:<user>` over the admin socket.

    `driver_id`: a driver's own.  `address`: where the call came from; empty on the admin socket.
    `proof`: the digest of the token or login that it showed; empty where it showed none.
    """

    name: str
    role: Role
    driver_id: str | None = None
    address: str = ""
    proof: str = attrs.field(default="", repr=False, eq=False)


# With --auth off everybody is this one.
OPEN: Final = Caller("", Role.ADMIN)
