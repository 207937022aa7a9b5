"""Central's HTTP: logging in and out, and a ticket for the feed."""

from typing import Final, cast

import attrs
from litestar import Response

from evd.adapters.http.access.credentials import COOKIE_S, SESSION_COOKIE, cookie_of, set_cookie
from evd.adapters.http.access.logins import LoginsHere
from evd.adapters.http.access.passwords import CHARS_MAX, check_shown_password
from evd.adapters.http.access.rights import PassHere
from evd.adapters.http.api import Routes
from evd.adapters.http.body import TEXT, Body, Field
from evd.adapters.http.central_service import ServiceHere
from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.json_response import JsonResponse
from evd.adapters.http.replies import check_accepted
from evd.adapters.http.schemas import LoginShown, TicketShown
from evd.core.access.events import LogoutAsked
from evd.core.access.roles import Right
from evd.core.access.tokens import check_token, digest
from evd.core.wire.fields import FieldError, check_id

routes: Final = Routes()

_LOGIN: Final = Body(
    "A user and the password, or a token alone.",
    user=check_id,
    password=Field(
        check_shown_password, {"type": TEXT, "format": "password", "max_length": CHARS_MAX}
    ),
    token=check_token,
)


@routes.post(
    "/auth/login",
    "Log in",
    "The cookie of the login, and for a program a token of 15 minutes",
    401,
    right=None,
    status_code=200,
    operation_class=_LOGIN.operation,
)
async def log_in(request: AnyRequest, logins: LoginsHere, caller: PassHere) -> Response[LoginShown]:
    """The login lasts 12 hours, or one that nobody uses.  A page, which has an Origin, gets no
    `token`: it has the cookie, which its scripts can't read."""
    body = await _LOGIN.read(request)
    if body["token"] is not None:
        entered = await logins.enter_by_token(body["token"], caller.address)
    else:
        for name in ("user", "password"):
            if body[name] is None:
                raise FieldError(name, "is missing")
        entered = await logins.enter_by_password(body["user"], body["password"], caller.address)
    is_page = "origin" in request.headers
    token = None if is_page else logins.web_token(entered)
    shown = LoginShown(entered.told.caller.role, entered.told.expires_at, token)
    cookie = set_cookie(SESSION_COOKIE, entered.secret, COOKIE_S, is_secure=caller.is_secure)
    content = attrs.asdict(shown, filter=lambda _, value: value is not None)
    return JsonResponse(cast(LoginShown, content), headers={"Set-Cookie": cookie})


@routes.post(
    "/auth/logout", "Log out", "Nobody is logged in any more", right=Right.SEE, status_code=204
)
async def log_out(request: AnyRequest, service: ServiceHere, caller: PassHere) -> Response[None]:
    """The login's cookie and its tokens are good for nothing from then on."""
    shown = cookie_of(request.scope["headers"], SESSION_COOKIE)
    login = digest(shown) if shown is not None else caller.by.proof
    if login:
        check_accepted(await service.ask(lambda call: LogoutAsked(call, login, caller.by)))
    gone = set_cookie(SESSION_COOKIE, "", 0, is_secure=caller.is_secure)
    return Response(None, headers={"Set-Cookie": gone})


@routes.post(
    "/feed/ticket",
    "A ticket for the feed",
    "Good once, within 30 s, as `ticket` in the feed's address",
    right=Right.SEE,
    status_code=201,
)
async def make_ticket(service: ServiceHere, logins: LoginsHere, caller: PassHere) -> TicketShown:
    """For browsers, which can send no Authorization with a WebSocket."""
    return TicketShown(*logins.ticket(caller), service.feed_port)
