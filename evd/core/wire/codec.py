"""JSON to messages and back, strictly.

A wrong type, form or value is a `BadMessage` that names the field.  Unknown fields
are ignored.  A field that may be absent may not be null instead.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

import attrs
import cattrs
import orjson
from cattrs.gen import make_dict_unstructure_fn, override

from evd.core.wire.control import (
    CENTRAL_ANSWERS,
    HEALTH_MESSAGES,
    MONITOR_MESSAGES,
    EngineStatus,
    FromCentral,
    KoCause,
    MonitorMessage,
    Ping,
    Pong,
)
from evd.core.wire.fields import FieldError, format_time, parse_time
from evd.core.wire.messages import (
    COMMAND_NAMES,
    PAYLOADS,
    TOPICS,
    Action,
    Command,
    CpState,
    DriverRequest,
    Message,
    Outcome,
    Payload,
    RequestStatus,
    Seen,
)

T = TypeVar("T")


class BadMessage(ValueError):
    """Bytes that are no message: `field` names the field, or is empty where there is no object."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}".strip())
        self.field = field
        self.why = why


def _choice(kind: type[Enum]) -> Callable[[Any, Any], Enum]:
    names = ", ".join(member.value for member in kind)
    members = {member.value: member for member in kind}

    def structure(value: Any, _: Any) -> Enum:
        if not isinstance(value, str) or value not in members:
            raise BadMessage("", f"must be one of {names}")
        return members[value]

    return structure


def _as_it_is(value: Any, _: Any) -> Any:
    # The validators of the message classes judge it; nothing is converted on the way.
    return value


def _unstructure(converter: cattrs.Converter) -> Callable[[type], Callable[[Any], dict[str, Any]]]:
    def make(cls: type) -> Callable[[Any], dict[str, Any]]:
        absent: dict[str, Any] = {
            attribute.name: override(omit_if_default=True)
            for attribute in attrs.fields(cls)
            if attribute.metadata.get("optional")
        }
        return make_dict_unstructure_fn(cls, converter, **absent)

    return make


def _time(when: datetime) -> datetime | str:
    # The library writes a time faster than we do, but one of a whole second without its digits.
    return when if when.microsecond else format_time(when)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    for primitive in (str, int, float, bool):
        converter.register_structure_hook(primitive, _as_it_is)
    # Objects in objects are in shape already: only so an error can name the path to its field.
    converter.register_structure_hook(Payload, _as_it_is)
    converter.register_structure_hook(Seen | None, _as_it_is)
    converter.register_structure_hook(datetime, lambda value, _: parse_time(value, ""))
    # One by one: they are strings too, and the hook for strings would take them as they are.
    for kind in (Action, RequestStatus, CpState, Outcome, EngineStatus, KoCause):
        converter.register_structure_hook(kind, _choice(kind))
    converter.register_unstructure_hook(datetime, _time)
    converter.register_unstructure_hook_factory(attrs.has, _unstructure(converter))
    return converter


_converter = _make_converter()


@cache
def _optional_of(cls: type) -> frozenset[str]:
    return frozenset(each.name for each in attrs.fields(cls) if each.default is not attrs.NOTHING)


def _without_nulls(fields: Mapping[str, Any], cls: type) -> Mapping[str, Any]:
    """Return the fields without the nulls of those that may be left out."""
    if None not in fields.values():
        return fields
    optional = _optional_of(cls)
    return {
        name: value for name, value in fields.items() if value is not None or name not in optional
    }


def _culprit(cls: type, fields: Mapping[str, Any], prefix: str) -> BadMessage:
    """Find the field that cattrs stumbled over, by taking them one by one."""
    for attribute in attrs.fields(cls):
        name = attribute.name
        if name not in fields:
            if attribute.default is attrs.NOTHING:
                return BadMessage(prefix + name, "is missing")
            continue
        value, kind = fields[name], attribute.type
        if value is None and attribute.default is None:
            continue
        try:
            _converter.structure(value, kind)
        except (BadMessage, FieldError) as error:
            return BadMessage(prefix + name, error.why)
        except (TypeError, ValueError, KeyError, AttributeError):
            return BadMessage(prefix + name, "is not of its form")
    return BadMessage(prefix.rstrip("."), "is not of its form")


def structure(cls: type[T], fields: Mapping[str, Any], prefix: str = "") -> T:
    """A `cls` from the fields of a JSON object; `BadMessage` names the field with `prefix`."""
    fields = _without_nulls(fields, cls)
    if cls is DriverRequest and "seen" in fields:
        fields = {**fields, "seen": _nested(Seen, fields, "seen")}
    try:
        return _converter.structure(fields, cls)
    except FieldError as error:
        if error.field:
            raise BadMessage(prefix + error.field, error.why) from None
        raise _culprit(cls, fields, prefix) from None
    except (BadMessage, TypeError, ValueError, KeyError, AttributeError):
        raise _culprit(cls, fields, prefix) from None


def load_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`, or `BadMessage`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadMessage("", f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadMessage("", "is not a JSON object")
    return value


def decode(topic: str, raw: bytes) -> Message:
    """The message that `topic` carries in `raw`, or `BadMessage`."""
    fields = load_object(raw)
    cls = TOPICS[topic]
    return structure(cls, _with_payload(fields) if cls is Command else fields)


def _with_payload(fields: dict[str, Any]) -> dict[str, Any]:
    """A command's fields with its payload in shape: `cmd` says which class that is."""
    cmd = fields.get("cmd")
    if not isinstance(cmd, str) or cmd not in PAYLOADS:
        raise BadMessage("cmd", f"must be one of {', '.join(PAYLOADS)}")
    return {**fields, "payload": _nested(PAYLOADS[cmd], fields, "payload")}


def _nested(cls: type[T], fields: Mapping[str, Any], name: str) -> T:
    inner = fields.get(name)
    if not isinstance(inner, dict):
        raise BadMessage(name, "must be an object")
    return structure(cls, inner, f"{name}.")


def encode(message: Message, ts: datetime, message_id: str) -> bytes:
    """The JSON of a Kafka message, stamped with when and as what it was sent."""
    fields = _converter.unstructure(message)
    if isinstance(message, Command):
        fields["cmd"] = COMMAND_NAMES[type(message.payload)]
    fields["ts"] = _time(ts)
    fields["message_id"] = message_id
    return _dump(fields)


def close(opened: bytes, ts: datetime, message_id: str) -> bytes:
    """The JSON of a Kafka message whose fields stand in `opened`, which lacks its last brace.

    It is stamped as by `encode`.
    """
    stamp = (opened, format_time(ts).encode(), message_id.encode())
    return b'%b,"ts":"%b","message_id":"%b"}' % stamp


def peek_progress(raw: bytes) -> tuple[str, str, float] | None:
    """The request, session and kWh of an update that is IN_PROGRESS; None of any other bytes.

    For a reader of thousands a second: the other fields are not checked, as `decode` does.
    """
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if type(fields) is not dict or fields.get("status") != "IN_PROGRESS":
        return None
    match fields:
        case {"request_id": str(request_id), "session_id": str(session_id), "kwh": float(kwh)}:
            return request_id, session_id, kwh
    return None


def to_fields(value: object) -> dict[str, Any]:
    """The JSON fields of any message or payload, its times as text."""
    fields = orjson.loads(_dump(_converter.unstructure(value)))
    return cast(dict[str, Any], fields)


def structure_monitor(fields: Mapping[str, Any]) -> MonitorMessage:
    """A monitor's message to Central, from an object that is read already; or `BadMessage`."""
    return _structure_typed(MONITOR_MESSAGES, fields)


def decode_central(raw: bytes) -> FromCentral:
    """Central's answer, or `BadMessage`."""
    return structure_central(load_object(raw))


def structure_central(fields: Mapping[str, Any]) -> FromCentral:
    """Central's answer, from an object that is read already; or `BadMessage`."""
    return _structure_typed(CENTRAL_ANSWERS, fields)


def decode_health(raw: bytes) -> Ping | Pong:
    """A message between monitor and engine, or `BadMessage`."""
    return _structure_typed(HEALTH_MESSAGES, load_object(raw))


def _structure_typed(kinds: Mapping[str, type[T]], fields: Mapping[str, Any]) -> T:
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise BadMessage("type", f"must be one of {', '.join(kinds)}")
    return structure(kinds[kind], fields)


_TYPE_NAMES: dict[type, str] = {
    cls: name
    for kinds in (MONITOR_MESSAGES, CENTRAL_ANSWERS, HEALTH_MESSAGES)
    for name, cls in cast(Mapping[str, type], kinds).items()
}


def encode_control(message: MonitorMessage | FromCentral | Ping | Pong) -> bytes:
    """The JSON of a message for a TCP frame."""
    return _dump({"type": _TYPE_NAMES[type(message)], **_converter.unstructure(message)})


def encode_ack(seq: int, central_id: str) -> bytes:
    """The same of a plain ACK, at a fraction of the cost: each heartbeat has one."""
    # The form of an id leaves nothing in it to escape.
    return b'{"type":"ACK","seq":%d,"central_id":"%b"}' % (seq, central_id.encode())


def _dump(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z)
