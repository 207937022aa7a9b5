"""Reads the messages of one monitor.  Nearly all are heartbeats that say what the one before said,
numbers apart: they are compared as they came, and need not be checked field by field again.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from evd.core.wire import codec
from evd.core.wire.control import Heartbeat, MonitorMessage
from evd.core.wire.fields import FieldError, check_count, check_number

_NUMBERS: Final = ("seq", "report", "up_s")
# Values that are known to be good go straight into their slots: the class would check each again.
_SLOTS: Final = {each.name: getattr(Heartbeat, each.name) for each in attrs.fields(Heartbeat)}
_STEADY: Final = tuple(
    (slot.__get__, slot.__set__) for name, slot in _SLOTS.items() if name not in _NUMBERS
)
_PUT_SEQ, _PUT_REPORT, _PUT_UP_S = (_SLOTS[name].__set__ for name in _NUMBERS)


class MonitorReader:
    """The messages of one connection, from objects that are read already."""

    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._heartbeat: Heartbeat | None = None

    def read(self, fields: dict[str, Any]) -> MonitorMessage:
        """Return the message, or raise BadMessage; `fields` is not to be changed any more."""
        before = self._heartbeat
        if before is not None and self._says_the_same(fields):
            return _restated(before, fields)
        message = codec.structure_monitor(fields)
        # One without a PONG has no numbers to compare by.
        if type(message) is Heartbeat and message.boot_id is not None:
            self._said, self._heartbeat = fields, message
        return message

    def _says_the_same(self, fields: Mapping[str, Any]) -> bool:
        said = self._said
        try:
            said["seq"] = check_count(fields.get("seq"), "seq")
            said["report"] = check_count(fields.get("report"), "report")
            said["up_s"] = check_number(fields.get("up_s"), "up_s")
        except FieldError:
            return False
        return said == fields


def _restated(before: Heartbeat, fields: Mapping[str, Any]) -> Heartbeat:
    """Return `before` with the numbers of `fields`."""
    again = object.__new__(Heartbeat)
    for get, put in _STEADY:
        put(again, get(before))
    _PUT_SEQ(again, fields["seq"])
    _PUT_REPORT(again, fields["report"])
    _PUT_UP_S(again, fields["up_s"])
    return again
