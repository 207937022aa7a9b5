"""A monitor's messages, read by comparing them with the heartbeat before."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.wire import codec
from evd.core.wire.codec import BadMessage
from evd.core.wire.restated import MonitorReader

QUIET = {
    "type": "HEARTBEAT",
    "cp_id": "CP-001",
    "seq": 7,
    "engine_status": "OK",
    "ko_cause": None,
    "boot_id": "boot-1",
    "report": 3,
    "up_s": 12.5,
    "engine_state": "ACTIVATED",
    "session_id": None,
}
# Good and bad values of each field.
VALUES: dict[str, list[Any]] = {
    "type": ["HEARTBEAT", "FAULT", "BYE", "HELLO", None],
    "cp_id": ["CP-001", "CP-002", "", 1],
    "seq": [0, 8, 2**53, 2**53 + 1, -1, 7.0, True, "8", None],
    "engine_status": ["OK", "KO", "ok", None],
    "ko_cause": [None, "timeout", "no", 0],
    "boot_id": ["boot-1", "boot-2", None, 1],
    "report": [0, 4, -1, 4.0, True, None],
    "up_s": [0, 13, 13.25, -1.0, 1e400, True, "13", None],
    "engine_state": ["ACTIVATED", "SUPPLYING", "OFF", None],
    "session_id": [None, "session-1", ""],
    "reason": ["its door is open", 1],
    "unknown": [1, True, 1.0],
}
ABSENT = object()
changes = st.dictionaries(
    st.sampled_from(sorted(VALUES)), st.integers(0, 8) | st.just(-1), max_size=3
)


def changed(change: dict[str, int]) -> dict[str, Any]:
    """The quiet heartbeat with other values in some fields; -1 leaves a field out."""
    fields = dict(QUIET)
    for name, number in change.items():
        fields[name] = ABSENT if number < 0 else VALUES[name][number % len(VALUES[name])]
    return {name: value for name, value in fields.items() if value is not ABSENT}


def outcome(read: Any, fields: dict[str, Any]) -> object:
    """The message that `read` returns, or the error that it raises."""
    try:
        return read(fields)
    except BadMessage as error:
        return str(error)


@given(st.lists(changes, min_size=1, max_size=6))
def test_reads_what_the_codec_reads(many: list[dict[str, int]]) -> None:
    """Proves: whatever came before, each message is read, or refused, as the codec does alone."""
    reader = MonitorReader()
    for change in many:
        fields = changed(change)
        expected = outcome(codec.structure_monitor, copy.deepcopy(fields))
        found = outcome(reader.read, fields)
        assert found == expected
        assert type(found) is type(expected)


def test_a_heartbeat_that_was_read_stays_as_it_was() -> None:
    """Proves: the next heartbeat changes nothing in one that still waits for its turn."""
    reader = MonitorReader()
    first = [reader.read({**QUIET, "seq": seq, "up_s": float(seq)}) for seq in range(3)]
    assert [each.seq for each in first] == [0, 1, 2]
    assert repr(first[1]) == repr(codec.structure_monitor({**QUIET, "seq": 1, "up_s": 1.0}))


@pytest.mark.parametrize("seq", [0, 9_007_199_254_740_992])
def test_a_plain_ack_is_written_alike(seq: int) -> None:
    """Proves: an ACK that is written the short way is read as any other."""
    central_id = "central-a.B_9"
    answer = codec.decode_central(codec.encode_ack(seq, central_id))
    assert codec.encode_control(answer) == codec.encode_ack(seq, central_id)
