"""A server that wants a login, in front of an app of the tests: it says what a test has put in."""

import json
import secrets
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import attrs
import trio
from litestar import Response

from evd.adapters.http.pages import PageAccess

Fields = dict[str, Any]
Answer = tuple[int, Fields, Mapping[str, str]]
TO_STRANGERS: Final = ("/", "/web/", "/health", "/auth/", "/service_worker.js")
# The role that a call needs, by how its path ends; each role may also do what those before may.
RANKS: Final = ("viewer", "operator", "admin")
NEEDS: Final = {"/stop": "operator", "/resume": "operator", "/accept": "admin", "/void": "admin"}
COOKIE: Final = "evd_session"
ADMINS: Final = ("/users", "/tokens", "/drivers")


@attrs.define
class Guard:
    """The people who may log in, those who have, and all that was asked for."""

    auth: str = "required"
    # The role of each user, whose password is the name, a blank and "password".
    users: dict[str, str] = attrs.Factory(
        lambda: {"vera": "viewer", "oscar": "operator", "ada": "admin"}
    )
    # The role and the name of each token.
    tokens: dict[str, tuple[str, str]] = attrs.Factory(dict)
    cookies: dict[str, tuple[str, str]] = attrs.Factory(dict)
    tickets: dict[str, str] = attrs.Factory(dict)
    # The answers to calls by method and path, which come before all others.
    answers: dict[tuple[str, str], Answer] = attrs.Factory(dict)
    calls: list[tuple[str, str, Fields]] = attrs.Factory(list)

    def end_all(self) -> None:
        """Nobody is logged in any more."""
        self.cookies.clear()

    def reader_of(self, target: str) -> Callable[[], bool]:
        """Whether the feed at this target has, and still has, a reader who is known."""
        (ticket,) = parse_qs(urlsplit(target).query).get("ticket", [""])
        cookie = self.tickets.pop(ticket, None)
        return lambda: cookie in self.cookies

    def around(self, app: Any, page: Callable[[PageAccess], Response[str]]) -> Any:
        """The app behind this guard; `page` makes its page for a reader."""

        async def guarded(scope: Any, receive: Any, send: Any) -> None:
            cookie = self._cookie_of(scope)
            role, name = self.cookies.get(cookie, ("", ""))
            method, path, body = scope["method"], unquote(scope["path"]), await _body(receive)
            fields = json.loads(body) if body else {}
            if method != "GET":
                self.calls.append((method, path, fields))
            if path == "/":
                made = page(PageAccess(self.auth, role, name))
                await _send(send, 200, str(made.content).encode(), "text/html", made.headers)
            elif not role and not path.startswith(TO_STRANGERS[1:]):
                await _send_json(send, 401, {"error": "log in, or send a token"})
            elif answer := self._answer(method, path, fields, cookie, role):
                await _send_json(send, *answer)
            else:
                await app(scope, _repeat(body), send)

        return guarded

    def _cookie_of(self, scope: Any) -> str:
        header = dict(scope["headers"]).get(b"cookie", b"").decode()
        found = SimpleCookie(header).get(COOKIE)
        return found.value if found else ""

    def _answer(
        self, method: str, path: str, fields: Fields, cookie: str, role: str
    ) -> Answer | None:
        """The guard's own answer, None for the app's."""
        if (method, path) in self.answers:
            return self.answers[method, path]
        if path == "/auth/login":
            return self._log_in(fields)
        if path == "/auth/logout":
            self.cookies.pop(cookie, None)
            return 204, {}, {}
        if path == "/feed/ticket":
            ticket = secrets.token_urlsafe(8)
            self.tickets[ticket] = cookie
            return 201, {"ticket": ticket}, {}
        if role not in RANKS:
            return None
        if (needed := _role_for(method, path)) and RANKS.index(role) < RANKS.index(needed):
            return 403, {"error": f"this needs the role {needed}"}, {}
        return None

    def _log_in(self, fields: Fields) -> Answer:
        name = fields.get("user", "")
        found = None
        if name in self.users and fields.get("password") == f"{name} password":
            found = (self.users[name], name)
        if "token" in fields:
            found = self.tokens.get(fields["token"])
        if found is None:
            return 401, {"error": "wrong"}, {}
        cookie = secrets.token_urlsafe(8)
        self.cookies[cookie] = found
        headers = {"Set-Cookie": f"{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/"}
        return 200, {"role": found[0], "expires_at": "2026-01-31T12:00:00Z"}, headers


def _role_for(method: str, path: str) -> str | None:
    """The role that a call needs beyond that of a viewer."""
    if path.startswith(ADMINS) or (path == "/audit") or method == "DELETE":
        return "admin"
    return next((role for end, role in NEEDS.items() if path.endswith(end)), None)


async def _body(receive: Any) -> bytes:
    whole: bytes = b""
    while True:
        message = await receive()
        whole += message.get("body", b"")
        if not message.get("more_body"):
            return whole


def _repeat(body: bytes) -> Any:
    """Hands an app the body, and then nothing more."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Fields:
        if not parts:
            await trio.sleep_forever()
        return parts.pop()

    return receive


async def _send_json(
    send: Any, status: int, fields: Fields, headers: Mapping[str, str] | None = None
) -> None:
    body = b"" if status == 204 else json.dumps(fields).encode()
    await _send(send, status, body, "application/json", headers or {})


async def _send(
    send: Any, status: int, body: bytes, media_type: str, headers: Mapping[str, str]
) -> None:
    told = {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
