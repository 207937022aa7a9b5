"""The codec against anything: a message, or one error."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from evd.core.wire import codec
from evd.core.wire.messages import TOPICS
from tests.unit.wire.test_codec import GOOD

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(TOPICS)), st.binary(max_size=300))
def test_any_bytes_are_a_message_or_one_error(topic: str, raw: bytes) -> None:
    """Proves: no bytes on a topic raise anything but BadMessage."""
    try:
        codec.decode(topic, raw)
    except codec.BadMessage as error:
        assert str(error)


@given(st.sampled_from(sorted(GOOD)), st.data())
def test_any_change_of_a_good_message_is_a_message_or_one_error(topic: str, data: Any) -> None:
    """Proves: whatever stands in a field, it is taken as it is or refused by its name."""
    field = data.draw(st.sampled_from(sorted(GOOD[topic])))
    fields = {**GOOD[topic], field: data.draw(JSON)}
    try:
        codec.decode(topic, orjson.dumps(fields))
    except codec.BadMessage as error:
        assert error.field.split(".")[0] in {field, "seen", "cmd", "payload"} | set(GOOD[topic])
