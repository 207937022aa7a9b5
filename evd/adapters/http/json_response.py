"""An answer whose JSON is that of the feed."""

from typing import Any, TypeVar

import attrs
from litestar import Response
from litestar.serialization import default_serializer
from litestar.types import Serializer

from evd.adapters.http.refused import JSON
from evd.adapters.json_text import encode

T = TypeVar("T")


class JsonResponse(Response[T]):
    """Writes values of attrs classes, and lists and objects of them, in our own form."""

    def render(
        self, content: Any, media_type: str, enc_hook: Serializer = default_serializer
    ) -> bytes:
        """Return the body."""
        is_ours = isinstance(content, dict | list) or attrs.has(type(content))
        if is_ours and media_type.startswith(JSON):
            return encode(content)
        return super().render(content, media_type, enc_hook)
