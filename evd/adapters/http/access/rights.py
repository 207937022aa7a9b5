"""The right that each route needs, declared where the route is, and asked for before its call.

A route whose right is None is open to strangers: the pages' own files, and the login.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import attrs
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.params import SkipValidation

from evd.adapters.http.access.passes import Pass, pass_of
from evd.adapters.http.refused import Refused
from evd.core.access.roles import Right

AnyConnection = ASGIConnection[Any, Any, Any, Any]
# Told of a call whose caller lacks the right, whether it is refused or not.
OnLacking = Callable[[AnyConnection, Pass, Refused], Awaitable[None]]
# The caller of a request, as a handler asks for it.
PassHere = NamedDependency[SkipValidation[Pass]]

_KEY: Final = "right"
_REST_OF_PATH: Final = ":path}"


def needing(right: Right | None) -> Mapping[str, Any]:
    """The options of a route that needs this right."""
    return {_KEY: right}


def right_of(handler: BaseRouteHandler) -> Right | None:
    """The right of a route; KeyError for one that does not say."""
    found: Right | None = handler.opt[_KEY]
    return found


@attrs.frozen
class RightsGuard:
    """Refuses a caller without the right of the route, before anything of the call is read."""

    on_lacking: OnLacking | None = None

    async def __call__(self, request: AnyConnection, route: BaseRouteHandler) -> None:
        """Raise Refused where the caller may not make this call."""
        right = right_of(route)
        if right is None:
            return
        caller = pass_of(request)
        refused = caller.lacks(right)
        if refused is None:
            return
        if self.on_lacking is not None:
            await self.on_lacking(request, caller, refused)
        if caller.is_bound:
            raise refused


@attrs.frozen
class Paths:
    """The paths of an app that strangers may call, each with its method."""

    exact: frozenset[tuple[str, str]]
    # The beginnings of paths.
    folders: tuple[tuple[str, str], ...]

    def has(self, method: str, path: str) -> bool:
        """Whether it is one of them; a HEAD comes as a GET."""
        return (method, path) in self.exact or any(
            method == each and path.startswith(folder) for each, folder in self.folders
        )


NO_PATHS: Final = Paths(frozenset(), ())


def open_paths(routes: Iterable[HTTPRouteHandler]) -> Paths:
    """The paths of the routes that need no right."""
    exact, folders = set(), []
    for route in routes:
        if right_of(route) is not None:
            continue
        for path in route.paths:
            for method in route.http_methods:
                if path.endswith(_REST_OF_PATH):
                    folders.append((method, path[: path.rindex("{")]))
                else:
                    exact.add((method, path))
    return Paths(frozenset(exact), tuple(folders))
