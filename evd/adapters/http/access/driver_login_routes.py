"""A driver's page: logging in by the driver's token, and out."""

from typing import Final

from litestar import Response

from evd.adapters.http.access.credentials import COOKIE_S, set_cookie
from evd.adapters.http.access.driver_logins import DriverLoginsHere
from evd.adapters.http.access.rights import PassHere
from evd.adapters.http.api import Routes
from evd.adapters.http.body import Body
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.json_response import JsonResponse
from evd.adapters.http.schemas import DriverLoginShown
from evd.core.access.roles import Right, Role
from evd.core.access.tokens import check_token

routes: Final = Routes()

_LOGIN: Final = Body("The driver's token.", "token", token=check_token)


@routes.post(
    "/auth/login",
    "Log in",
    "The cookie of the login",
    401,
    right=None,
    status_code=200,
    operation_class=_LOGIN.operation,
)
async def log_in(
    request: AnyRequest, logins: DriverLoginsHere, caller: PassHere
) -> Response[DriverLoginShown]:
    """By this driver's own token, also while Central is away."""
    body = await _LOGIN.read(request)
    secret, expires_at = logins.enter(body["token"])
    cookie = set_cookie(logins.cookie, secret, COOKIE_S, is_secure=caller.is_secure)
    shown = DriverLoginShown(Role.DRIVER, expires_at)
    return JsonResponse(shown, headers={"Set-Cookie": cookie})


@routes.post(
    "/auth/logout", "Log out", "Nobody is logged in any more", right=Right.SEE, status_code=204
)
async def log_out(logins: DriverLoginsHere, caller: PassHere) -> Response[None]:
    """The cookie is good for nothing from then on."""
    logins.leave(caller)
    gone = set_cookie(logins.cookie, "", 0, is_secure=caller.is_secure)
    return Response(None, headers={"Set-Cookie": gone})
