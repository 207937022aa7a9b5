"""An answer whose JSON is that of the feed."""

from typing import Any, TypeVar, cast

import attrs
from litestar import Response
from litestar.serialization import default_serializer
from litestar.types import Serializer

from evd.adapters.http.refused import JSON
from evd.adapters.json_text import encode
from evd.adapters.pieces import POINTS_AT_ONCE, by_pieces

T = TypeVar("T")


class JsonResponse(Response[T]):
    """Writes values of attrs classes, and lists and objects of them, in our own form."""

    def render(
        self, content: Any, media_type: str, enc_hook: Serializer = default_serializer
    ) -> bytes:
        """Return the body."""
        if isinstance(content, _Written):
            return content.json
        is_ours = isinstance(content, dict | list) or attrs.has(type(content))
        if is_ours and media_type.startswith(JSON):
            return encode(content)
        return super().render(content, media_type, enc_hook)


@attrs.frozen
class _Written:
    """A body whose JSON there is already."""

    json: bytes


async def in_pieces(content: T) -> JsonResponse[T]:
    """Return an answer with a long list, whose JSON is made while others have their turn as well.

    `content` is of an attrs class, with the list as its first field.
    """
    first, *others = (each.name for each in attrs.fields(type(content)))  # type: ignore[arg-type]
    values, pieces = getattr(content, first), list[bytes]()
    async for piece in by_pieces(values, POINTS_AT_ONCE):
        pieces.append(encode(piece)[1:-1])
    rest = encode({name: getattr(content, name) for name in others})
    written = b'{"%b":[%b],%b' % (first.encode(), b",".join(pieces), rest[1:])
    return JsonResponse(cast(T, _Written(written)))
