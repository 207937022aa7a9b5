"""The frame of every JSON API here: its errors, its bounds, and `/openapi.json` and `/docs`."""

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from litestar import HttpMethod, Litestar, Response, route
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.plugins.attrs import AttrsSchemaPlugin
from litestar.types import AnyCallable, ExceptionHandlersMap

from evd.adapters.http.connection import BODY_BYTES_MAX
from evd.adapters.http.docs import docs_page
from evd.adapters.http.errors import EXCEPTION_HANDLERS, ErrorBody, allow, refuse_bad_call
from evd.adapters.http.json_response import JsonResponse
from evd.adapters.http.pages import html_response
from evd.adapters.http.web_files import web_file

API_VERSION: Final = "1"
HTML: Final = "text/html"

_ERRORS: Final = {
    400: "something in the call is wrong: `field` names it",
    403: "a page of another host asks for a change",
    404: "there is no such thing",
    409: "it is not possible as things stand",
    415: "the body is not application/json",
    421: "the call is by a name that is not this machine's",
    503: "not now: `error` says why",
}
# The status of a good answer, and the errors that any such call may have.
_ALWAYS: Final[Mapping[HttpMethod, tuple[int, tuple[int, ...]]]] = {
    HttpMethod.GET: (200, (400, 421)),
    HttpMethod.POST: (202, (400, 403, 415, 421, 503)),
    HttpMethod.DELETE: (204, (400, 403, 415, 421, 503)),
}

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
        unless: type = ErrorBody,
        **options: Any,
    ) -> Decorator:
        """A route to the handler that is decorated; its return type is the form of its answer.

        `answer` says what a good answer is, `errors` which statuses this call may have besides
        those of all its kind; `unless` is the form of a 503.
        """
        good, always = _ALWAYS[method]
        responses = {
            status: ResponseSpec(
                unless if status == 503 else ErrorBody,
                generate_examples=False,
                description=_ERRORS[status],
            )
            for status in sorted({*errors, *always})
        }
        texts = {"summary": summary, "response_description": answer, "responses": responses}
        made = route(path, http_method=method, **{"status_code": good, **texts, **options})

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
) -> Litestar:
    """An app of `routes` and their documentation, which speaks of errors as `errors` says.

    `dependencies` are handed to the parameters of handlers that have their names;
    `exception_handlers` come before those that every API has.
    """
    provided = {name: _provide(value) for name, value in dependencies.items()}
    all_routes = [*routes.handlers, *_OWN_ROUTES.handlers, web_file]

    @functools.cache
    def described() -> dict[str, Any]:
        return _describe(title, description, all_routes, provided)

    return Litestar(
        # Before the others, or Litestar makes its own, which know only some of a path's methods.
        [*_options(all_routes), *all_routes],
        before_request=refuse_bad_call,
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
    for each in routes:
        for path in each.paths:
            methods[path] |= each.http_methods
    return [_options_at(path, allow(possible)) for path, possible in methods.items()]


def _options_at(path: str, allowed: str) -> HTTPRouteHandler:
    @route(path, http_method=HttpMethod.OPTIONS, status_code=204)
    async def show_methods() -> Response[None]:
        return Response(None, headers={"Allow": allowed})

    return show_methods


def _provide(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


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
    return app.openapi_schema.to_schema()


_OWN_ROUTES: Final = Routes()


@_OWN_ROUTES.get("/openapi.json", "This API, for programs", "An OpenAPI 3.1 document")
async def _openapi_json(state: State) -> dict[str, Any]:
    """Every path, parameter, body and answer, as OpenAPI 3.1."""
    document: dict[str, Any] = state.described()
    return document


@_OWN_ROUTES.get("/docs", "This API, for people", "A page", media_type=HTML)
async def _docs(state: State) -> Response[str]:
    """The same as a page that needs nothing from elsewhere."""
    return html_response(docs_page(state.described()))
