"""The fast deframer against a slow one that reads a byte at a time, over arbitrary bytes."""

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import pairwise
from operator import xor

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from evd.core.wire.framing import FRAME_BYTES_MAX, BadFrame, BadFrameReason, Deframer, encode

STX, ETX, ESC = 0x02, 0x03, 0x1B
UNESCAPED = {byte ^ 0x20: byte for byte in (STX, ETX, ESC)}


class ByteByByte:
    """The format's rules, one byte and one state at a time. Slow, and plain to check by eye."""

    def __init__(self) -> None:
        self.state = "outside"
        self.found: list[bytes | BadFrame] = []
        self.begin()
        self.state = "outside"

    def begin(self, *, doubtful: bool = False) -> None:
        self.state = "data"
        self.data = bytearray()
        self.doubtful = doubtful

    def bad(self, reason: BadFrameReason, state: str) -> None:
        self.found.append(BadFrame(reason))
        self.state = state

    def feed(self, byte: int) -> None:
        match self.state:
            case "outside":
                if byte == STX:
                    self.begin()
            case "data":
                self.feed_data(byte)
            case "escape":
                if byte == STX:
                    self.bad("cut off by STX", "data")
                    self.begin()
                elif byte == ETX:
                    self.bad("bad escape", "spoiled lrc")
                elif byte in UNESCAPED:
                    self.state = "data"
                    self.append(UNESCAPED[byte])
                else:
                    self.bad("bad escape", "spoiled data")
            case "spoiled data":
                if byte == STX:
                    self.begin()
                elif byte == ETX:
                    self.state = "spoiled lrc"
            case "lrc" if byte == reduce(xor, self.data):
                self.found.append(bytes(self.data))
                self.state = "outside"
            case "lrc" | "spoiled lrc":
                if self.state == "lrc":
                    self.bad("lrc", "outside")
                self.state = "outside"
                if byte == STX:
                    self.begin(doubtful=True)

    def feed_data(self, byte: int) -> None:
        if byte == STX:
            if self.data or not self.doubtful:
                self.bad("cut off by STX", "data")
            self.begin()
        elif byte == ETX and self.data:
            self.state = "lrc"
        elif byte == ETX:
            self.bad("empty", "spoiled lrc")
        elif byte == ESC:
            self.state = "escape"
        else:
            self.append(byte)

    def append(self, byte: int) -> None:
        self.data.append(byte)
        if len(self.data) > FRAME_BYTES_MAX:
            self.bad("too long", "spoiled data")


def by_rule(stream: bytes) -> list[bytes | BadFrame]:
    """Return what the slow reader finds."""
    reader = ByteByByte()
    for byte in stream:
        reader.feed(byte)
    return reader.found


def deframed(chunks: Iterable[bytes]) -> list[bytes | BadFrame]:
    """Return what the fast reader finds."""
    reader = Deframer()
    return [item for chunk in chunks for item in reader.feed(chunk)]


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """Return `stream` cut into chunks at `places`, each taken modulo its length."""
    ends = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(ends)]


# Arbitrary bytes seldom make a frame: most of these are the bytes that mean something.
TELLING = st.sampled_from([*b"\x02\x02\x03\x03\x1b\x22\x23\x3b", 0x00, 0x01, 0x20, *b"ab"])
DATA = st.one_of(st.binary(min_size=1, max_size=300), st.lists(TELLING, min_size=1).map(bytes))
NOISE = st.one_of(st.binary(max_size=60), st.lists(TELLING, max_size=60).map(bytes))
LONG = st.sampled_from([FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1]).flatmap(
    lambda size: st.sampled_from([b"a", b"\x1b\x23", b"\x1b\x1b"]).map(
        lambda unit: b"\x02" + unit * size
    )
)


@st.composite
def damaged_frames(draw: st.DrawFn) -> bytes:
    """A frame of which one byte was changed, lost or doubled."""
    frame = encode(draw(DATA))
    at = draw(st.integers(0, len(frame) - 1))
    middle = draw(st.one_of(TELLING.map(lambda byte: bytes([byte])), st.just(b""), NOISE))
    return frame[:at] + middle + frame[at + 1 :]


STREAM = st.lists(st.one_of(NOISE, DATA.map(encode), damaged_frames()), max_size=8).map(b"".join)
PLACES = st.lists(st.integers(0, 2**20), max_size=12)


@given(st.lists(DATA, max_size=5), PLACES)
def test_what_was_encoded_is_decoded(sent: list[bytes], places: list[int]) -> None:
    """Proves: any DATA comes through unchanged and in order, however the network cuts it up."""
    assert deframed(cut(b"".join(map(encode, sent)), places)) == sent


@given(DATA)
def test_data_on_the_wire_has_no_delimiter(data: bytes) -> None:
    """Proves: STX and ETX stand only where they delimit, the LRC's place apart."""
    frame = encode(data)
    assert frame[0] == STX
    assert frame[-2] == ETX
    assert not {STX, ETX} & set(frame[1:-2])
    assert frame[-1] == reduce(xor, data)


@given(STREAM, PLACES)
@example(b"\x02a\x03\x02\x02b\x03b", [3])
@example(b"\x02\x1b\x03\x02\x02b\x03b", [2])
@example(b"\x02\x02\x03\x02\x1b\x02b\x03b", [1])
def test_the_fast_reader_keeps_the_rules(stream: bytes, places: list[int]) -> None:
    """Proves: whatever arrives, in whatever chunks, also of one byte each, the result is what the
    rules say."""
    by_bytes = deframed(bytes([byte]) for byte in stream)
    assert deframed(cut(stream, places)) == by_bytes == by_rule(stream)


# The slow reader takes 20 ms for each of these.
@settings(max_examples=25)
@given(LONG, STREAM, PLACES)
def test_the_fast_reader_keeps_the_rules_at_the_bound(
    long: bytes, stream: bytes, places: list[int]
) -> None:
    """Proves: a frame at or over the bound is judged by the rules too, and only once."""
    assert deframed(cut(long + stream, places)) == by_rule(long + stream)


@given(STREAM, DATA, PLACES)
def test_of_two_good_frames_after_anything_the_second_is_found(
    noise: bytes, data: bytes, places: list[int]
) -> None:
    """Proves: no damage outlasts one good frame."""
    assert deframed(cut(noise + encode(data) * 2, places))[-1] == data


@given(STREAM, DATA)
def test_the_first_good_frame_after_anything_is_found(noise: bytes, data: bytes) -> None:
    """Proves: it is lost only where its STX is the right LRC of bytes that look like a frame."""
    read_as_lrc = by_rule(noise + b"\x02")[len(by_rule(noise)) :]
    assume(not any(isinstance(item, bytes) for item in read_as_lrc))
    assert deframed([noise, encode(data)])[-1] == data


@given(st.lists(st.one_of(STREAM, LONG), max_size=4), PLACES)
def test_no_bytes_make_it_fail_or_hold_more_than_one_frame(
    streams: list[bytes], places: list[int]
) -> None:
    """Proves: a hostile peer can neither crash a reader nor fill its memory."""
    reader = Deframer()
    for chunk in cut(b"".join(streams), places):
        for item in reader.feed(chunk):
            assert isinstance(item, BadFrame) or 0 < len(item) <= FRAME_BYTES_MAX
        assert reader.held_bytes <= FRAME_BYTES_MAX
