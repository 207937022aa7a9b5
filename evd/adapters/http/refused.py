"""An error as each HTTP server here answers it: `{"error": sentence, "field"?: name}`."""

from collections.abc import Mapping
from typing import Final

import orjson

JSON: Final = "application/json"
NO_PARAMETER: Final = "is no parameter of this call"
# The code of a Central that serves nobody now, as monitors know it.
STANDING_BY: Final = "standing_by"
UNEXPECTED: Final = "something went wrong here; the log of this program says what"


class Refused(Exception):
    """A call that is answered with `status` and a sentence.

    `field` names what is wrong in it, `retry_s` is when it may be made again, `headers` are those
    besides.  `code` is for a program that goes by the kind of refusal.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        field: str | None = None,
        retry_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.field = field
        self.code = code
        self.retry_s = retry_s
        self.headers = dict(headers or {})
        if retry_s is not None:
            self.headers["Retry-After"] = f"{retry_s:.0f}"

    @property
    def body(self) -> bytes:
        """The JSON of the answer."""
        named = {} if self.field is None else {"field": self.field}
        coded = {} if self.code is None else {"code": self.code}
        return orjson.dumps({"error": str(self), **named, **coded})
