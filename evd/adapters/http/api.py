"""The frame of every JSON API here: its errors, its bounds, and `/openapi.json` and `/docs`."""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from litestar import HttpMethod, Litestar, Response, route
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.plugins.attrs import AttrsSchemaPlugin
from litestar.types import AnyCallable, ExceptionHandlersMap

from evd.adapters.http.access.passes import Pass, pass_of
from evd.adapters.http.access.rights import OnLacking, Paths, RightsGuard, needing, open_paths
from evd.adapters.http.connection import BODY_BYTES_MAX
from evd.adapters.http.docs import docs_page
from evd.adapters.http.errors import (
    EXCEPTION_HANDLERS,
    AnyRequest,
    ErrorBody,
    allow,
    refuse_bad_call,
)
from evd.adapters.http.json_response import JsonResponse
from evd.adapters.http.pages import html_response
from evd.adapters.http.web_files import web_file
from evd.core.access.roles import Right

API_VERSION: Final = "1"
HTML: Final = "text/html"

_ERRORS: Final = {
    400: "something in the call is wrong: `field` names it",
    401: "nobody is logged in, and no valid token came with the call",
    403: "the caller's role may not do this, or a page of another host asks for a change",
    404: "there is no such thing",
    409: "it is not possible as things stand",
    415: "the body is not application/json",
    421: "the call is by a name that is not this machine's",
    429: "too many calls: Retry-After says when to come again",
    503: "not now: `error` says why",
}
# The status of a good answer, and the errors that any such call may have.
_ALWAYS: Final[Mapping[HttpMethod, tuple[int, tuple[int, ...]]]] = {
    HttpMethod.GET: (200, (400, 421, 429)),
    HttpMethod.POST: (202, (400, 403, 415, 421, 429, 503)),
    HttpMethod.DELETE: (204, (400, 403, 415, 421, 429, 503)),
}
# The further ones of a call that is not open to strangers.
_BOUND: Final = (401, 403)

Decorator = Callable[[AnyCallable], HTTPRouteHandler]


class Routes:
    """Collects the routes of an API, each with its documentation, after those of `parts`."""

    def __init__(self, *parts: "Routes") -> None:
        self.handlers: list[HTTPRouteHandler] = [
            handler for part in parts for handler in part.handlers
        ]

    def _add(
        self,
        method: HttpMethod,
        path: str,
        summary: str,
        answer: str,
        *errors: int,
        right: Right | None,
        unless: type = ErrorBody,
        **options: Any,
    ) -> Decorator:
        """A route to the handler that is decorated; its return type is the form of its answer.

        `answer` says what a good answer is, `errors` which statuses this call may have besides
        those of all its kind; `unless` is the form of a 503.  `right` is that which its caller
        needs; None: strangers may call it as well.
        """
        good, always = _ALWAYS[method]
        if right is not None:
            always = (*always, *_BOUND)
        responses = {
            status: ResponseSpec(
                unless if status == 503 else ErrorBody,
                generate_examples=False,
                description=_ERRORS[status],
            )
            for status in sorted({*errors, *always})
        }
        texts = {"summary": summary, "response_description": answer, "responses": responses}
        given = {"status_code": good, **texts, **options, **needing(right)}
        made = route(path, http_method=method, **given)

        def add(handler: AnyCallable) -> HTTPRouteHandler:
            self.handlers.append(made(handler))
            return self.handlers[-1]

        return add

    get: functools.partialmethod[Decorator] = functools.partialmethod(_add, HttpMethod.GET)
    post: functools.partialmethod[Decorator] = functools.partialmethod(_add, HttpMethod.POST)
    delete: functools.partialmethod[Decorator] = functools.partialmethod(_add, HttpMethod.DELETE)


def json_api(
    *,
    title: str,
    description: str,
    routes: Routes,
    dependencies: Mapping[str, Any],
    exception_handlers: ExceptionHandlersMap,
    on_lacking: OnLacking | None = None,
) -> Litestar:
    """An app of `routes` and their documentation, which speaks of errors as `errors` says.

    `dependencies` are handed to the parameters of handlers that have their names, beside `caller`;
    `exception_handlers` come before those that every API has.  `on_lacking` is told of calls beyond
    their caller's rights.
    """
    provided = {name: _provide(value) for name, value in dependencies.items()}
    provided["caller"] = Provide(_caller_of, sync_to_thread=False)
    all_routes = [*routes.handlers, *_OWN_ROUTES.handlers, web_file]

    @functools.cache
    def described() -> dict[str, Any]:
        return _describe(title, description, all_routes, provided)

    return Litestar(
        # Before the others, or Litestar makes its own, which know only some of a path's methods.
        [*_options(all_routes), *all_routes],
        before_request=refuse_bad_call,
        guards=[RightsGuard(on_lacking)],
        dependencies=provided,
        exception_handlers={**EXCEPTION_HANDLERS, **exception_handlers},
        # Its default starts a thread and takes the log lines of others.
        logging_config=None,
        openapi_config=None,
        request_max_body_size=BODY_BYTES_MAX,
        response_class=JsonResponse,
        state=State({"described": described}),
    )


def _options(routes: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """For each path the handler that says what is possible there."""
    methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    open_to_all = open_paths(routes)
    for each in routes:
        for path in each.paths:
            methods[path] |= each.http_methods
    return [
        _options_at(path, allow(possible), _right_to_look(path, possible, open_to_all))
        for path, possible in methods.items()
    ]


def _right_to_look(path: str, methods: Iterable[str], open_to_all: Paths) -> Right | None:
    """The right to hear what is possible at a path: none where a stranger may call it at all."""
    is_open = any(open_to_all.has(method, path) for method in methods)
    return None if is_open else Right.SEE


def _options_at(path: str, allowed: str, right: Right | None) -> HTTPRouteHandler:
    @route(path, http_method=HttpMethod.OPTIONS, status_code=204, **needing(right))
    async def show_methods() -> Response[None]:
        return Response(None, headers={"Allow": allowed})

    return show_methods


def _provide(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _caller_of(request: AnyRequest) -> Pass:
    return pass_of(request)


def _describe(
    title: str,
    description: str,
    routes: Sequence[HTTPRouteHandler],
    provided: Mapping[str, Provide],
) -> dict[str, Any]:
    """The OpenAPI 3.1 document, by a second app that serves nobody.

    Litestar would otherwise serve it with pages that load scripts from other hosts.
    """
    config = OpenAPIConfig(title, API_VERSION, description=description, use_handler_docstrings=True)
    app = Litestar(
        routes,
        dependencies=provided,
        logging_config=None,
        openapi_config=config,
        plugins=[AttrsSchemaPlugin()],
    )
    document = app.openapi_schema.to_schema()
    for operations in document["paths"].values():
        for operation in operations.values():
            # Litestar gives an answer that has headers a body, where it can have none, too.
            operation["responses"].get("204", {}).pop("content", None)
    return document


_OWN_ROUTES: Final = Routes()


@_OWN_ROUTES.get(
    "/openapi.json", "This API, for programs", "An OpenAPI 3.1 document", right=Right.SEE
)
async def _openapi_json(state: State) -> dict[str, Any]:
    """Every path, parameter, body and answer, as OpenAPI 3.1."""
    document: dict[str, Any] = state.described()
    return document


@_OWN_ROUTES.get("/docs", "This API, for people", "A page", right=Right.SEE, media_type=HTML)
async def _docs(state: State) -> Response[str]:
    """The same as a page that needs nothing from elsewhere."""
    return html_response(docs_page(state.described()))


def open_paths_of(*parts: Routes) -> Paths:
    """The paths of an API with these routes that strangers may call."""
    return open_paths([*Routes(*parts, _OWN_ROUTES).handlers, web_file])
