"""The JSON and the frames of the feed, in parts that many clients share."""

from collections.abc import Iterable

# RFC 6455, 5.2: a whole text message; a server's has no mask, so its bytes serve all clients.
_TEXT = 0x81
_LENGTH_2, _LENGTH_8 = 126, 127


def array(parts: Iterable[bytes]) -> bytes:
    """Return the JSON array of values that are JSON already."""
    return b"[" + b",".join(parts) + b"]"


def frame(head: bytes, body: bytes) -> bytes:
    """Return the begin of a text frame, up to and with `head`; `body` is the rest of it."""
    length = len(head) + len(body)
    if length < _LENGTH_2:
        return bytes((_TEXT, length)) + head
    if length < 65_536:
        return bytes((_TEXT, _LENGTH_2)) + length.to_bytes(2, "big") + head
    return bytes((_TEXT, _LENGTH_8)) + length.to_bytes(8, "big") + head
