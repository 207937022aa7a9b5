"""A call's body: a JSON object whose fields are checked as those of our messages are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from litestar.openapi.spec import Operation, Reference
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.media_type import OpenAPIMediaType
from litestar.openapi.spec.request_body import RequestBody
from litestar.openapi.spec.schema import Schema

from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.parameters import CP_ID_PATTERN, ID_PATTERN
from evd.adapters.http.refused import JSON, Refused
from evd.core.driver.requests_file import ANY_CP
from evd.core.wire.fields import FieldError, check_cp_id, check_id

Check = Callable[[object, str], str]

_PATTERNS: Final[Mapping[Check, str]] = {check_cp_id: CP_ID_PATTERN, check_id: ID_PATTERN}


class Body:
    """The fields that a body may have, each with its check; unknown ones are ignored.

    `required` must be there, and not be null unless `or_null`; the others may be null or absent.
    """

    def __init__(
        self, description: str, required: str, *, or_null: bool = False, **checks: Check
    ) -> None:
        self._description = description
        self._required = required
        self._never_null = "" if or_null else required
        self._checks = checks

    async def read(self, request: AnyRequest) -> dict[str, Any]:
        """Each field's value, None where there is none.  Raises Refused and FieldError.

        The word `any` is any charging point, as it is wherever a person asks for one: None.
        """
        raw = await request.body()
        if not raw:
            raise Refused(400, "a body is missing: a JSON object")
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"the body is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise Refused(400, "the body must be a JSON object")
        if self._required not in body:
            raise FieldError(self._required, "is missing")
        found: dict[str, Any] = {
            name: check(body.get(name), name)
            for name, check in self._checks.items()
            if body.get(name) is not None or name == self._never_null
        }
        if found.get("cp_id") == ANY_CP:
            del found["cp_id"]
        return dict.fromkeys(self._checks) | found

    @property
    def operation(self) -> type[Operation]:
        """The documentation of an operation with this body."""
        kinds = [OpenAPIType.STRING, OpenAPIType.NULL]
        properties: dict[str, Reference | Schema] = {
            name: Schema(
                type=kinds[0] if name == self._never_null else kinds, pattern=_PATTERNS[check]
            )
            for name, check in self._checks.items()
        }
        schema = Schema(
            type=OpenAPIType.OBJECT,
            properties=properties,
            required=[self._required],
            additional_properties=True,
        )
        taken = RequestBody({JSON: OpenAPIMediaType(schema)}, self._description, required=True)

        @dataclass
        class Taking(Operation):
            def __post_init__(self) -> None:
                self.request_body = taken

        return Taking
