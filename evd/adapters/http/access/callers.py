"""The callers of Central's HTTP and feed, found by the secret that a request shows."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from evd.adapters.http.access.credentials import SESSION_COOKIE, bearer_of, cookie_of
from evd.adapters.http.access.passes import Pass
from evd.adapters.http.access.tickets import TICKET, Tickets
from evd.adapters.http.access.web_tokens import WebTokens
from evd.adapters.http.refused import Refused
from evd.adapters.store.failures import StoreFailed
from evd.core.access.access import Access
from evd.core.access.roles import Caller
from evd.core.access.tokens import TOKEN_FORM, digest
from evd.core.effects import Now

RETRY_S: Final = 1


class Callers:
    """Finds the caller of a request; `web_tokens` are those of this start.

    `known` gives everybody who is known, and raises StoreFailed before that was first read.
    """

    def __init__(
        self,
        known: Callable[[], Access],
        clock: Callable[[], Now],
        web_tokens: WebTokens,
        tickets: Tickets,
    ) -> None:
        self._known = known
        self._clock = clock
        self._web_tokens = web_tokens
        self._tickets = tickets

    def of_http(self, scope: dict[str, Any], address: str) -> Pass:
        """The Pass of a call, by a bearer token or a page's cookie.  Raises Refused, as below."""
        found = self._by_bearer(scope, address)
        if found is not None:
            return found
        shown = cookie_of(scope["headers"], SESSION_COOKIE)
        return self._pass(digest(shown), address) if shown else Pass(None, address=address)

    def of_feed(self, scope: dict[str, Any], address: str) -> Pass:
        """The Pass of one who wants to follow, by a ticket or a bearer token.

        No cookie counts, since a browser sends it with the WebSockets of other sites' pages as
        well.  Raises Refused while nobody can be known.
        """
        for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
            if name == TICKET:
                # It may be used once, and only while its caller is one still.
                given = self._tickets.use(value)
                is_good = given is not None and self.is_still(given)
                return given if given and is_good else Pass(None, has_shown=True, address=address)
        return self._by_bearer(scope, address) or Pass(None, address=address)

    def _by_bearer(self, scope: dict[str, Any], address: str) -> Pass | None:
        secret = bearer_of(scope["headers"])
        if secret is None:
            return None
        is_token = TOKEN_FORM.fullmatch(secret) is not None
        return self._pass(
            digest(secret) if is_token else self._web_tokens.login_of(secret), address
        )

    def _pass(self, proof: str | None, address: str) -> Pass:
        try:
            caller = None if proof is None else self._of(proof, address)
        except StoreFailed as error:
            raise Refused(503, f"nobody is known yet: {error}", retry_s=RETRY_S) from None
        return Pass(caller, has_shown=True, address=address)

    def is_still(self, caller: Pass) -> bool:
        """Whether one who passed would pass again, by the same token or login."""
        known = caller.caller
        return known is None or not known.proof or self._of(known.proof, known.address) == known

    def _of(self, proof: str, address: str) -> Caller | None:
        return self._known().caller_of_digest(proof, address, self._clock())
