"""Central's HTTP: users and tokens.  A secret is made here and told once; its digest is kept."""

import os
from collections.abc import Callable
from typing import Any, Final

from litestar.openapi.spec.enums import OpenAPIType

from evd.adapters.http.access.logins import LoginsHere
from evd.adapters.http.access.passwords import CHARS_MAX, CHARS_MIN, check_password
from evd.adapters.http.access.rights import PassHere
from evd.adapters.http.api import Routes
from evd.adapters.http.body import TEXT, Body, Field
from evd.adapters.http.central_service import CentralService, ServiceHere
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.parameters import (
    DAYS_MAX,
    AnyDriverInPath,
    CpIdInPath,
    TokenInPath,
    UserInPath,
)
from evd.adapters.http.replies import check_accepted
from evd.adapters.http.schemas import TokenGiven, Tokens, TokenShown, Users, UserShown
from evd.core.access.copy import USER_ROLES, check_user_role
from evd.core.access.events import (
    TOKEN_DAYS,
    CpTokenAsked,
    DriverAddAsked,
    DriverRemoveAsked,
    PasswordAsked,
    RoleAsked,
    TokenAddAsked,
    TokenMade,
    TokenRevokeAsked,
    UserAddAsked,
    UserRemoveAsked,
)
from evd.core.access.roles import Right, Role
from evd.core.access.tokens import (
    RANDOM_BYTES,
    TOKEN_PATTERN,
    check_token,
    digest,
    new_token,
    role_of,
)
from evd.core.central.events import Asked
from evd.core.wire.fields import FieldError, check_flag, check_id

# A monitor's token is made for its charging point.
_TOKEN_ROLES: Final = (*USER_ROLES, Role.DRIVER)

routes: Final = Routes()


def _check_token_role(value: object, name: str) -> Role:
    if not isinstance(value, str) or value not in _TOKEN_ROLES:
        raise FieldError(name, f"must be one of {', '.join(_TOKEN_ROLES)}")
    return Role(value)


def _check_days(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= DAYS_MAX:
        raise FieldError(name, f"must be a whole number from 0 to {DAYS_MAX}; 0: without an end")
    return value


_PASSWORD: Final = Field(
    check_password,
    {
        "type": TEXT,
        "format": "password",
        "min_length": CHARS_MIN,
        "max_length": CHARS_MAX,
    },
)
_ROLE: Final = Field(check_user_role, {"type": TEXT, "enum": [*USER_ROLES]})

_NEW_USER: Final = Body(
    "The name, the password and the role of a person.",
    "user",
    "password",
    "role",
    user=check_id,
    password=_PASSWORD,
    role=_ROLE,
)
_NEW_PASSWORD: Final = Body("The new password.", "password", password=_PASSWORD)
_NEW_ROLE: Final = Body("The new role.", "role", role=_ROLE)
_NEW_TOKEN: Final = Body(
    "A name, the role, a driver's `driver_id`, and how many days it is good for; 0: no end.",
    "name",
    "role",
    name=check_id,
    role=Field(_check_token_role, {"type": TEXT, "enum": [*_TOKEN_ROLES]}),
    driver_id=check_id,
    days=Field(_check_days, {"type": OpenAPIType.INTEGER, "minimum": 0, "maximum": DAYS_MAX}),
)


def _token_of_role(role: Role) -> Field:
    return Field(check_token, {"type": TEXT, "pattern": TOKEN_PATTERN.format(role)})


_CP_TOKEN: Final = Body(
    "`token`: the one to take, else Central makes one. `now`: the one before ends at once, and not"
    " only when this one is used.",
    token=_token_of_role(Role.MONITOR),
    now=check_flag,
)
_DRIVER: Final = Body(
    "The driver, and as for a charging point's token.",
    "driver_id",
    driver_id=check_id,
    token=_token_of_role(Role.DRIVER),
    now=check_flag,
)


async def _change(service: CentralService, make: Callable[[int], Asked]) -> None:
    check_accepted(await service.ask(make))


@routes.get("/users", "Everybody with a password", "By name", right=Right.ADMINISTER)
async def list_users(service: ServiceHere) -> Users:
    """Without their passwords, which nobody knows but they."""
    users = sorted(service.access.users(), key=lambda user: user.name)
    return Users([UserShown(user.name, user.role) for user in users])


@routes.post(
    "/users",
    "Add a user",
    "The user can log in",
    409,
    right=Right.ADMINISTER,
    status_code=201,
    operation_class=_NEW_USER.operation,
)
async def add_user(
    request: AnyRequest, service: ServiceHere, logins: LoginsHere, caller: PassHere
) -> UserShown:
    """409 for a name that is a user's already."""
    body = await _NEW_USER.read(request)
    user, role = body["user"], body["role"]
    kept = await logins.passwords.hash(body["password"])
    await _change(service, lambda call: UserAddAsked(call, user, kept, role, caller.by))
    return UserShown(user, role)


@routes.delete(
    "/users/{name:str}", "Remove a user", "The user is gone", 404, 409, right=Right.ADMINISTER
)
async def remove_user(service: ServiceHere, caller: PassHere, name: UserInPath) -> None:
    """Logged out everywhere within 2 s; 409 for the last admin."""
    await _change(service, lambda call: UserRemoveAsked(call, name, caller.by))


@routes.post(
    "/users/{name:str}/password",
    "Give a user another password",
    "It counts from now on",
    404,
    right=Right.ADMINISTER,
    status_code=204,
    operation_class=_NEW_PASSWORD.operation,
)
async def change_password(
    request: AnyRequest,
    service: ServiceHere,
    logins: LoginsHere,
    caller: PassHere,
    name: UserInPath,
) -> None:
    """The user is logged out everywhere within 2 s."""
    body = await _NEW_PASSWORD.read(request)
    kept = await logins.passwords.hash(body["password"])
    await _change(service, lambda call: PasswordAsked(call, name, kept, caller.by))


@routes.post(
    "/users/{name:str}/role",
    "Give a user another role",
    "It counts from now on",
    404,
    409,
    right=Right.ADMINISTER,
    status_code=204,
    operation_class=_NEW_ROLE.operation,
)
async def change_role(
    request: AnyRequest, service: ServiceHere, caller: PassHere, name: UserInPath
) -> None:
    """The user is logged out everywhere within 2 s; 409 for the last admin."""
    role = (await _NEW_ROLE.read(request))["role"]
    await _change(service, lambda call: RoleAsked(call, name, role, caller.by))


@routes.get("/tokens", "Tokens", "Each without its secret", right=Right.ADMINISTER)
async def list_tokens(service: ServiceHere) -> Tokens:
    """Programs', drivers' and charging points' own, those that are revoked among them."""
    return Tokens([TokenShown.of(row) for row in service.access.tokens()])


@routes.post(
    "/tokens",
    "Make a token for a program",
    "The token, told this once",
    409,
    right=Right.ADMINISTER,
    status_code=201,
    operation_class=_NEW_TOKEN.operation,
)
async def make_token(request: AnyRequest, service: ServiceHere, caller: PassHere) -> TokenGiven:
    """Sent as `Authorization: Bearer`; good for 90 days where `days` is not given."""
    body = await _NEW_TOKEN.read(request)
    name, role, driver_id = body["name"], body["role"], body["driver_id"]
    if (role is Role.DRIVER) != (driver_id is not None):
        raise FieldError("driver_id", "is given for the role driver, and for no other one")
    days = TOKEN_DAYS if body["days"] is None else body["days"]
    token = new_token(role, os.urandom(RANDOM_BYTES))
    return await _give(
        service,
        token,
        name,
        lambda call: TokenAddAsked(call, name, role, digest(token), driver_id, days, caller.by),
    )


@routes.delete(
    "/tokens/{name:str}",
    "Revoke a token",
    "It is good for nothing",
    404,
    409,
    right=Right.ADMINISTER,
)
async def revoke_token(service: ServiceHere, caller: PassHere, name: TokenInPath) -> None:
    """Its user is cut off within 2 s; 409 where several tokens have this name."""
    await _change(service, lambda call: TokenRevokeAsked(call, name, caller.by))


@routes.post(
    "/cp/{cp_id:str}/token",
    "Make a charging point's token",
    "The token, told this once",
    409,
    right=Right.ADMINISTER,
    status_code=201,
    operation_class=_CP_TOKEN.operation,
)
async def make_cp_token(
    request: AnyRequest, service: ServiceHere, caller: PassHere, cp_id: CpIdInPath
) -> TokenGiven:
    """For its monitor; the charging point need not be known yet."""
    body = await _CP_TOKEN.read(request)
    token, at_once = _token_of(Role.MONITOR, body), body["now"] is True
    return await _give(
        service,
        token,
        cp_id,
        lambda call: CpTokenAsked(call, cp_id, digest(token), at_once, caller.by),
    )


@routes.post(
    "/drivers",
    "Make a driver's token",
    "The token, told this once",
    409,
    right=Right.ADMINISTER,
    status_code=201,
    operation_class=_DRIVER.operation,
)
async def add_driver(request: AnyRequest, service: ServiceHere, caller: PassHere) -> TokenGiven:
    """For its program and its page."""
    body = await _DRIVER.read(request)
    driver_id, token, at_once = body["driver_id"], _token_of(Role.DRIVER, body), body["now"] is True
    return await _give(
        service,
        token,
        driver_id,
        lambda call: DriverAddAsked(call, driver_id, digest(token), at_once, caller.by),
    )


@routes.delete(
    "/drivers/{driver_id:str}",
    "Remove a driver's tokens",
    "They are good for nothing",
    404,
    right=Right.ADMINISTER,
)
async def remove_driver(service: ServiceHere, caller: PassHere, driver_id: AnyDriverInPath) -> None:
    """The sessions of the driver stay."""
    await _change(service, lambda call: DriverRemoveAsked(call, driver_id, caller.by))


def _token_of(role: Role, body: dict[str, Any]) -> str:
    """The token that a body brings, or a new one."""
    token: str | None = body["token"]
    if token is None:
        return new_token(role, os.urandom(RANDOM_BYTES))
    if role_of(token) is not role:
        raise FieldError("token", f"must be a token of the role {role}")
    return token


async def _give(
    service: CentralService, token: str, name: str, make: Callable[[int], Asked]
) -> TokenGiven:
    told = check_accepted(await service.ask(make)).told
    return TokenGiven(token, name, told.expires_at if isinstance(told, TokenMade) else None)
