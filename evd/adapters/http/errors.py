"""The checks that each call must pass, and the one JSON error for all that fails.

`EXCEPTION_HANDLERS` and `refuse_bad_call` belong on every Litestar app here (`api.json_api`).
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, get_args
from urllib.parse import urlsplit

import attrs
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import KwargDefinition, QueryParameter
from litestar.types import ExceptionHandlersMap
from litestar.typing import FieldDefinition

from evd.adapters.http.refused import JSON, NO_PARAMETER, UNEXPECTED, Refused
from evd.core.wire.fields import FieldError

CHANGING_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_SHOWN_PATH_CHARS: Final = 80

AnyRequest = Request[Any, Any, Any]
E = TypeVar("E", bound=Exception)

logger = logging.getLogger(__name__)


@attrs.frozen
class ErrorBody:
    """Every error's body: a sentence for a person, and the field that is wrong, if it is one.

    `code` is for programs: `standing_by` of a Central that does not serve now.
    """

    error: str
    field: str | None = None
    code: str | None = None


def answer(refused: Refused) -> Response[bytes]:
    """The answer to a call that is refused."""
    return Response(
        refused.body, status_code=refused.status, media_type=JSON, headers=refused.headers
    )


def answering(refuse: Callable[[E], Refused]) -> Callable[[AnyRequest, E], Response[bytes]]:
    """An exception handler that answers as `refuse` says."""
    return lambda _, error: answer(refuse(error))


async def refuse_bad_call(request: AnyRequest) -> None:
    """Refuse a change that another site's page asks for, a body that is not JSON, and a parameter
    that the call does not have, that stands there twice or that is missing."""
    if request.method in CHANGING_METHODS:
        await _refuse_bad_change(request)
    parameters = _parameters(request)
    for name, value in request.query_params.multi_items():
        parameter = parameters.get(name)
        # A path's parameter and a service have no default, and do not say that they are needed.
        if parameter is None or not (parameter.has_default or _is_needed(parameter)):
            raise FieldError(name, NO_PARAMETER)
        is_list = parameter.is_non_string_sequence
        if not is_list and len(request.query_params.getall(name)) > 1:
            raise FieldError(name, "stands there twice")
        # Litestar would take 1.0 and 1e2 for whole numbers, and the word null for nothing.
        is_whole = int in (parameter.annotation, *get_args(parameter.annotation))
        if (is_whole and not value.isdecimal()) or value == "null":
            raise _bad_parameter(request, name)

    for name, parameter in parameters.items():
        if _is_needed(parameter) and name not in request.query_params:
            raise FieldError(name, "is missing")


def _is_needed(parameter: FieldDefinition) -> bool:
    """Whether a query must have it: it says that it is of the query, and has no default."""
    return isinstance(parameter.kwarg_definition, QueryParameter) and not parameter.has_default


async def _refuse_bad_change(request: AnyRequest) -> None:
    origin = request.headers.get("origin")
    if origin is not None and not is_same_host(origin, request.headers.get("host", "")):
        raise Refused(403, "a page of another host may not change anything here")
    if await request.body() and not _is_json(request.headers.get("content-type", "")):
        raise Refused(415, f"a body must have the content type {JSON}")


def is_same_host(origin: str, host: str) -> bool:
    """Whether the Origin `origin` is a page of `host`, the Host header; ports count."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not parts.netloc:
        return False
    return parts.netloc.lower().removesuffix(default) == host.lower().removesuffix(default)


def allow(methods: Iterable[str]) -> str:
    """The header that says which methods a path has; whatever has a GET has a HEAD."""
    possible = set(methods)
    # A HEAD comes in as a GET.
    return ", ".join(sorted(possible | {"HEAD"} if "GET" in possible else possible))


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == JSON


def _parameters(request: AnyRequest) -> Mapping[str, FieldDefinition]:
    return request.route_handler.parsed_fn_signature.parameters


def _bad_parameter(request: AnyRequest, name: str) -> FieldError:
    definition = _parameters(request)[name].kwarg_definition
    form = definition.title if isinstance(definition, KwargDefinition) else None
    return FieldError(name, f"must be {form or 'of another form'}")


def _answer_invalid(request: AnyRequest, error: ValidationException) -> Response[bytes]:
    # Bodies are read here and not by Litestar: it is a parameter.
    name = error.extra[0]["key"] if isinstance(error.extra, list) else ""
    return answer(_refuse_field(_bad_parameter(request, name)))


def _refuse_field(error: FieldError) -> Refused:
    return Refused(400, str(error), error.field)


def _answer_litestar(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    if error.status_code >= 500:
        return _answer_unexpected(request, error)
    path = request.url.path[:_SHOWN_PATH_CHARS]
    headers = dict(error.headers or {})
    sentence = error.detail
    if error.status_code == 404:
        sentence = f"there is nothing at {path}"
    elif error.status_code == 405:
        headers["Allow"] = allow(headers.pop("allow", "").split(", "))
        sentence = f"{request.method[:_SHOWN_PATH_CHARS]} is not possible at {path}"
    return answer(Refused(error.status_code, sentence, headers=headers))


def _answer_unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.error("%s %s failed: %r", request.method, request.url.path, error, exc_info=error)
    return answer(Refused(500, UNEXPECTED))


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    Refused: answering(lambda refused: refused),
    FieldError: answering(_refuse_field),
    ValidationException: _answer_invalid,
    HTTPException: _answer_litestar,
    Exception: _answer_unexpected,
}
