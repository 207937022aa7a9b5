"""Frames on a byte stream: `STX DATA ETX LRC`.

Each STX, ETX or ESC byte of DATA travels as ESC and that byte XOR 0x20, so on the wire the first
two only ever delimit. LRC, the XOR of the unescaped DATA, is read by its position: it may be any
byte.

What a reader of damaged bytes may rely on, and why it holds:

- Two good frames in a row after any bytes at all: the second is found. After one good frame the
  reader is outside frames, or inside one that the second's STX cuts off.
- One good frame is missed only when the bytes before it make up a frame whose right LRC is an STX,
  and that LRC is what was lost: nothing tells its place from the next frame's STX.
- An LRC that does not match is looked at again: where it was lost, that byte is the next frame's
  STX.
"""

import re
from typing import Final, Literal

from attrs import frozen

STX: Final = b"\x02"
ETX: Final = b"\x03"
ESC: Final = b"\x1b"
FRAME_BYTES_MAX: Final = 65_536
BAD_FRAMES_MAX: Final = 10

# ESC comes first when escaping and last when unescaping: it stands in each other's pair.
_PAIRS: Final = tuple((byte, ESC + bytes([byte[0] ^ 0x20])) for byte in (ESC, STX, ETX))
_BAD_ESCAPE: Final = re.compile(rb"%b(?![%b])" % (ESC, b"".join(pair[1:] for _, pair in _PAIRS)))
_ONE_BYTE: Final = tuple(bytes([value]) for value in range(256))

BadFrameReason = Literal[
    "lrc", "empty", "too long", "cut off by STX", "bad escape", "no JSON object"
]


class FrameTooLong(ValueError):
    """DATA of more than FRAME_BYTES_MAX bytes was to be sent."""


@frozen
class BadFrame:
    """A frame that was received and can't be used, and why."""

    reason: BadFrameReason


def encode(data: bytes) -> bytes:
    """Return `data` (1 to FRAME_BYTES_MAX bytes) as one frame.

    Raises FrameTooLong, and ValueError for no data at all: no receiver would take either.
    """
    if not data:
        raise ValueError("a frame needs data")
    if len(data) > FRAME_BYTES_MAX:
        raise FrameTooLong(f"{len(data)} bytes of data, at most {FRAME_BYTES_MAX} fit in a frame")
    escaped = data
    for byte, pair in _PAIRS:
        escaped = escaped.replace(byte, pair)
    return b"".join((STX, escaped, ETX, _ONE_BYTE[_xor(data)]))


def _xor(data: bytes | bytearray) -> int:
    """Return the XOR of all bytes, by folding one big integer in half until a byte is left."""
    bits = 8 << (len(data) - 1).bit_length()
    folded = int.from_bytes(data, "little")
    while bits > 8:
        bits >>= 1
        folded ^= folded >> bits
    return folded & 0xFF


def _whole(chunk: bytes) -> bytes | None:
    """Return the DATA of a chunk that is one good frame without an ESC, as nearly all are."""
    etx = len(chunk) - 2
    if not 1 < etx <= FRAME_BYTES_MAX + 1 or chunk.find(ETX) != etx or ESC in chunk:
        return None
    if chunk.rfind(STX, 0, etx) != 0:
        return None
    data = chunk[1:etx]
    return data if chunk[-1] == _xor(data) else None


# Where in the byte stream the next byte stands. Plain numbers: an Enum's members cost a third of
# the speed.
_OUTSIDE: Final = 0
_DATA: Final = 1
_LRC: Final = 2
# In a frame that has been reported as bad: nothing of it is held.
_SPOILED_DATA: Final = 3
_SPOILED_LRC: Final = 4


class Deframer:
    """Finds the frames in a stream of bytes that arrives in chunks of any size.

    It holds at most FRAME_BYTES_MAX bytes, takes time in proportion to the bytes fed, and gives the
    same result however they are cut into chunks. Bytes outside frames are skipped.
    """

    def __init__(self) -> None:
        self._place = _OUTSIDE
        self._data = bytearray()
        # The last byte of a chunk was an ESC: its other half begins the next one.
        self._escaping = False
        # The STX of this frame may have been the last frame's wrong LRC instead.
        self._doubtful = False

    @property
    def held_bytes(self) -> int:
        """How many bytes of an unfinished frame are held: at most FRAME_BYTES_MAX."""
        return len(self._data)

    def feed(self, chunk: bytes) -> list[bytes | BadFrame]:
        """Return what ended within `chunk`, in order: the DATA of good frames, and bad ones."""
        if self._place == _OUTSIDE and (data := _whole(chunk)) is not None:
            return [data]
        found: list[bytes | BadFrame] = []
        at, size, etx = 0, len(chunk), -1
        while at < size:
            if self._place == _OUTSIDE:
                at = chunk.find(STX, at) + 1
                if not at:
                    break
                self._begin(doubtful=False)
            elif self._place == _LRC or self._place == _SPOILED_LRC:
                self._check_lrc(chunk[at], found)
                at += 1
            else:
                # Not looked for again at each STX: a chunk full of them would take quadratic time.
                if etx < at:
                    etx = chunk.find(ETX, at)
                    etx = size if etx < 0 else etx
                stx = chunk.find(STX, at, etx)
                end = etx if stx < 0 else stx
                if self._place == _DATA:
                    self._take(chunk[at:end], found)
                if stx >= 0:
                    self._cut_off(found)
                elif etx < size:
                    self._end_data(found)
                at = end + 1
        return found

    def _begin(self, *, doubtful: bool) -> None:
        self._place = _DATA
        self._doubtful = doubtful
        self._escaping = False
        self._data.clear()

    def _spoil(self, reason: BadFrameReason, found: list[bytes | BadFrame]) -> None:
        self._place = _SPOILED_DATA
        self._data.clear()
        found.append(BadFrame(reason))

    def _take(self, escaped: bytes, found: list[bytes | BadFrame]) -> None:
        """Unescape and hold a stretch of DATA, which has no STX and no ETX."""
        if self._escaping and escaped:
            escaped = ESC + escaped
            self._escaping = False
        plain = escaped
        if ESC in escaped:
            if escaped.endswith(ESC):
                escaped = escaped[:-1]
                self._escaping = True
            bad = _BAD_ESCAPE.search(escaped)
            plain = escaped[: bad.start()] if bad else escaped
            for byte, pair in reversed(_PAIRS):
                plain = plain.replace(pair, byte)
            # Too long already before the bad escape: that came first, and is the reason.
            if bad and len(self._data) + len(plain) <= FRAME_BYTES_MAX:
                self._spoil("bad escape", found)
                return
        if len(self._data) + len(plain) > FRAME_BYTES_MAX:
            self._spoil("too long", found)
        else:
            self._data += plain

    def _cut_off(self, found: list[bytes | BadFrame]) -> None:
        """An unescaped STX begins a new frame; the one before it never ended."""
        # Two STX in a row after a bad frame: the first was its LRC, and no frame of its own.
        only_an_lrc = self._doubtful and not self._data and not self._escaping
        if self._place == _DATA and not only_an_lrc:
            found.append(BadFrame("cut off by STX"))
        self._begin(doubtful=False)

    def _end_data(self, found: list[bytes | BadFrame]) -> None:
        if self._place == _DATA and self._escaping:
            self._spoil("bad escape", found)
        elif self._place == _DATA and not self._data:
            self._spoil("empty", found)
        self._place = _LRC if self._place == _DATA else _SPOILED_LRC

    def _check_lrc(self, lrc: int, found: list[bytes | BadFrame]) -> None:
        good = self._place == _LRC and lrc == _xor(self._data)
        if good:
            found.append(bytes(self._data))
        elif self._place == _LRC:
            found.append(BadFrame("lrc"))
        self._place = _OUTSIDE
        self._data.clear()
        if not good and lrc == STX[0]:
            self._begin(doubtful=True)


class BadFrameStreak:
    """Counts the bad frames in a row of one connection, which ends at `limit` of them."""

    def __init__(self, limit: int = BAD_FRAMES_MAX) -> None:
        self.limit = limit
        self.length = 0

    def good(self) -> None:
        """A good frame came: the streak begins anew."""
        self.length = 0

    def bad(self) -> bool:
        """A bad frame came: return whether the connection must end."""
        self.length += 1
        return self.length >= self.limit
