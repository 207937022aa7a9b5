"""Frames by example: each rule of the format, and what a reader says of each kind of damage."""

import pytest

from evd.core.wire.framing import (
    FRAME_BYTES_MAX,
    BadFrame,
    BadFrameStreak,
    Deframer,
    FrameTooLong,
    encode,
)

GOOD = encode(b'{"seq":7}')


def decode(*chunks: bytes) -> list[bytes | BadFrame]:
    """Return what a new reader finds in the chunks."""
    reader = Deframer()
    return [item for chunk in chunks for item in reader.feed(chunk)]


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (b"a", b"\x02a\x03a"),
        (b"ab", b"\x02ab\x03\x03"),
        (b"\x02", b"\x02\x1b\x22\x03\x02"),
        (b"\x03", b"\x02\x1b\x23\x03\x03"),
        (b"\x1b", b"\x02\x1b\x3b\x03\x1b"),
        (b'"#;', b'\x02"#;\x03:'),
        (b"\x1b\x3b", b"\x02\x1b\x3b\x3b\x03\x20"),
    ],
)
def test_a_frame_is_these_bytes(data: bytes, frame: bytes) -> None:
    """Proves: STX, ETX and ESC are stuffed, nothing else is, and the LRC is one raw byte."""
    assert encode(data) == frame
    assert decode(frame) == [data]


def test_the_bound_is_on_unescaped_data() -> None:
    """Proves: 65,536 bytes pass even if each is stuffed, one more does not, on either side."""
    longest = b"\x03" * FRAME_BYTES_MAX
    assert decode(encode(longest)) == [longest]
    with pytest.raises(FrameTooLong, match="65537"):
        encode(longest + b"a")
    with pytest.raises(ValueError, match="needs data"):
        encode(b"")


BAD = [
    pytest.param(b"\x02ab\x03\x00", "lrc", id="wrong LRC"),
    pytest.param(b"\x02ab\x03\x02", "lrc", id="wrong LRC that is an STX"),
    pytest.param(b"\x02ac\x03\x03", "lrc", id="wrong LRC that is an ETX"),
    pytest.param(b"\x02ab\x03", "lrc", id="lost LRC"),
    pytest.param(b"\x02\x03\x00", "empty", id="empty"),
    pytest.param(b"\x02\x03\x02", "empty", id="empty with an STX for its LRC"),
    pytest.param(b"\x02ab", "cut off by STX", id="no end"),
    pytest.param(b"\x02", "cut off by STX", id="nothing but a beginning"),
    pytest.param(b"\x02ab\x1b", "cut off by STX", id="no end, in the middle of an escape"),
    pytest.param(b"\x02a\x1bb\x03\x03", "bad escape", id="ESC before a plain byte"),
    pytest.param(b"\x02a\x1b\x1b\x3b\x03a", "bad escape", id="ESC before ESC"),
    pytest.param(b"\x02a\x1b\x03a", "bad escape", id="ESC before ETX"),
    pytest.param(b"\x02" + b"a" * (FRAME_BYTES_MAX + 1) + b"\x03a", "too long", id="too long"),
    pytest.param(b"\x02" + b"a" * (FRAME_BYTES_MAX * 3), "too long", id="far too long, no end"),
    pytest.param(
        b"\x02" + b"a" * (FRAME_BYTES_MAX + 1) + b"\x1b\x1b\x03a",
        "too long",
        id="too long before it is bad in another way",
    ),
]


@pytest.mark.parametrize(("damaged", "reason"), BAD)
def test_damage_is_named_once_and_the_next_frame_is_found(damaged: bytes, reason: str) -> None:
    """Proves: a bad frame costs itself alone, and is reported as one."""
    (bad, good) = decode(damaged + GOOD)
    assert isinstance(bad, BadFrame)
    assert bad.reason == reason
    assert good == b'{"seq":7}'


def test_a_frame_over_the_bound_is_reported_before_it_ends() -> None:
    """Proves: a sender that never ends its frame is found out at the bound, and nothing is held."""
    reader = Deframer()
    assert reader.feed(b"\x02" + b"a" * FRAME_BYTES_MAX) == []
    assert reader.held_bytes == FRAME_BYTES_MAX
    assert reader.feed(b"a") == [BadFrame("too long")]
    assert reader.feed(b"a" * 10) == []
    assert reader.held_bytes == 0


def test_a_connection_ends_at_ten_bad_frames_in_a_row() -> None:
    """Proves: one good frame among them begins the count anew."""
    streak = BadFrameStreak()
    assert not any(streak.bad() for _ in range(9))
    streak.good()
    assert [streak.bad() for _ in range(10)] == [False] * 9 + [True]
