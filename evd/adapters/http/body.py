"""A call's body: a JSON object whose fields are checked as those of our messages are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import attrs
import orjson
from litestar.openapi.spec import Operation, Reference
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.media_type import OpenAPIMediaType
from litestar.openapi.spec.request_body import RequestBody
from litestar.openapi.spec.schema import Schema

from evd.adapters.http.errors import AnyRequest
from evd.adapters.http.parameters import CP_ID_PATTERN, ID_PATTERN
from evd.adapters.http.refused import JSON, Refused
from evd.core.access.roles import Role
from evd.core.access.tokens import TOKEN_PATTERN, check_token
from evd.core.driver.requests_file import ANY_CP
from evd.core.wire.fields import FieldError, check_cp_id, check_flag, check_id

Check = Callable[[object, str], Any]

TEXT: Final = OpenAPIType.STRING


@attrs.frozen
class Field:
    """A field's check, and its form for the documentation."""

    check: Check
    form: Mapping[str, Any]


# The fields whose check alone is given.
_FORMS: Final[Mapping[Check, Mapping[str, Any]]] = {
    check_cp_id: {"type": TEXT, "pattern": CP_ID_PATTERN},
    check_id: {"type": TEXT, "pattern": ID_PATTERN},
    check_token: {"type": TEXT, "pattern": TOKEN_PATTERN.format("|".join(Role))},
    check_flag: {"type": OpenAPIType.BOOLEAN},
}


class Body:
    """The fields that a body may have, each with its check; unknown ones are ignored.

    Those that are `required` must be there, and not be null unless `or_null`; the others may be
    null or absent.  Where none is required there need be no body.
    """

    def __init__(
        self, description: str, *required: str, or_null: bool = False, **fields: Check | Field
    ) -> None:
        self._description = description
        self._required = required
        self._never_null = () if or_null else required
        self._fields = {
            name: each if isinstance(each, Field) else Field(each, _FORMS[each])
            for name, each in fields.items()
        }

    async def read(self, request: AnyRequest) -> dict[str, Any]:
        """Each field's value, None where there is none.  Raises Refused and FieldError.

        The word `any` is any charging point, as it is wherever a person asks for one: None.
        """
        raw = await request.body()
        if not raw:
            if not self._required:
                return dict.fromkeys(self._fields)
            raise Refused(400, "a body is missing: a JSON object")
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"the body is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise Refused(400, "the body must be a JSON object")
        for name in self._required:
            if name not in body:
                raise FieldError(name, "is missing")
        found: dict[str, Any] = {
            name: each.check(body.get(name), name)
            for name, each in self._fields.items()
            if body.get(name) is not None or name in self._never_null
        }
        if found.get("cp_id") == ANY_CP:
            del found["cp_id"]
        return dict.fromkeys(self._fields) | found

    @property
    def operation(self) -> type[Operation]:
        """The documentation of an operation with this body."""
        properties: dict[str, Reference | Schema] = {
            name: self._schema(name, each) for name, each in self._fields.items()
        }
        schema = Schema(
            type=OpenAPIType.OBJECT,
            properties=properties,
            required=list(self._required),
            additional_properties=True,
        )
        content = {JSON: OpenAPIMediaType(schema)}
        taken = RequestBody(content, self._description, required=bool(self._required))

        @dataclass
        class Taking(Operation):
            def __post_init__(self) -> None:
                self.request_body = taken

        return Taking

    def _schema(self, name: str, field: Field) -> Schema:
        form = dict(field.form)
        if name not in self._never_null:
            form["type"] = [form["type"], OpenAPIType.NULL]
        return Schema(**form)
