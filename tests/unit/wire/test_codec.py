"""Messages from outside: each wrong field is refused by its name, and unknown ones are ignored."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from evd.core.wire import codec
from evd.core.wire.control import Heartbeat, Register
from evd.core.wire.messages import (
    BEACONS,
    COMMANDS,
    REQUESTS,
    SESSIONS,
    STATUS,
    TELEMETRY,
    UPDATES,
    Beacon,
    Command,
    CpState,
    SessionRecord,
    StartSupply,
    Telemetry,
)

GOOD: dict[str, dict[str, Any]] = {
    BEACONS: {"central_id": "c-1", "epoch": 1, "up_s": 2.5},
    REQUESTS: {
        "request_id": "req-1",
        "driver_id": "driver-alice",
        "cp_id": None,
        "action": "START",
        "seen": {"central_id": "c-1", "epoch": 1, "up_s": 2.5},
    },
    UPDATES: {
        "request_id": "req-1",
        "driver_id": "driver-alice",
        "cp_id": None,
        "status": "DENIED",
        "reason": "",
    },
    COMMANDS: {
        "cp_id": "CP-001",
        "cmd": "START_SUPPLY",
        "central_id": "c-1",
        "payload": {
            "session_id": "session-1",
            "request_id": "req-1",
            "driver_id": "driver-alice",
            "boot_id": "boot-1",
            "until_up_s": 12.5,
        },
    },
    STATUS: {
        "cp_id": "CP-001",
        "boot_id": "boot-1",
        "seq": 1,
        "up_s": 1.5,
        "state": "ACTIVATED",
        "unconfirmed": 0,
        "reason": "",
    },
    TELEMETRY: {
        "cp_id": "CP-001",
        "boot_id": "boot-1",
        "session_id": "session-1",
        "driver_id": "driver-alice",
        "kw": 22.0,
        "kwh": 0.061111,
        "euros": 0.0183,
    },
    SESSIONS: {
        "session_id": "session-1",
        "request_id": "req-1",
        "cp_id": "CP-001",
        "driver_id": "driver-alice",
        "boot_id": "boot-1",
        "started_at": None,
        "ended_at": "2026-01-31T12:00:00.5+02:00",
        "kwh": 0,
        "euros": 0.02,
        "outcome": "FAILED",
        "reason": "late",
        "fault": False,
        "bill": True,
    },
}


def refused(topic: str, fields: dict[str, Any]) -> str:
    """The field that the codec refuses."""
    with pytest.raises(codec.BadMessage) as caught:
        codec.decode(topic, orjson.dumps(fields))
    return caught.value.field


@pytest.mark.parametrize("topic", GOOD)
def test_a_good_message_is_read(topic: str) -> None:
    """Proves: the documented fields are all that a reader needs; `ts` and more are optional."""
    codec.decode(topic, orjson.dumps(GOOD[topic]))
    more = {**GOOD[topic], "ts": "2026-01-31T12:00:00Z", "message_id": "m-1", "colour": "red"}
    codec.decode(topic, orjson.dumps(more))


@pytest.mark.parametrize(
    ("topic", "field"),
    [(STATUS, "session_id"), (REQUESTS, "vehicle_id"), (REQUESTS, "action"), (TELEMETRY, "seq")],
)
def test_a_field_that_may_be_left_out_may_be_null(topic: str, field: str) -> None:
    """Proves: null says of a field with `?` what its absence says."""
    absent = {key: value for key, value in GOOD[topic].items() if key != field}
    read = codec.decode(topic, orjson.dumps({**absent, field: None}))
    assert read == codec.decode(topic, orjson.dumps(absent))


@pytest.mark.parametrize(
    ("topic", "field"),
    [(topic, field) for topic, fields in GOOD.items() for field in fields if field != "action"],
)
def test_a_missing_field_is_named(topic: str, field: str) -> None:
    """Proves: each field that is listed without `?` is required."""
    fields = {key: value for key, value in GOOD[topic].items() if key != field}
    assert refused(topic, fields) == field


@pytest.mark.parametrize("year", ["0001", "0999", "1969", "10000"])
@pytest.mark.parametrize("offset", ["Z", "+05:00", "-05:00"])
def test_a_year_that_cannot_be_is_refused(year: str, offset: str) -> None:
    """Proves: a time that a database could not give back is never taken; one of a clock that was
    never set is."""
    when = f"{year}-06-01T00:00:00{offset}"
    assert refused(SESSIONS, {**GOOD[SESSIONS], "ended_at": when}) == "ended_at"
    unset = {**GOOD[SESSIONS], "ended_at": "1970-01-01T00:00:00Z"}
    record = codec.decode(SESSIONS, orjson.dumps(unset))
    assert isinstance(record, SessionRecord)
    assert codec.decode(SESSIONS, codec.encode(record, record.ended_at, "m-1"))


@pytest.mark.parametrize(
    ("topic", "field"), [(topic, field) for topic, fields in GOOD.items() for field in fields]
)
@pytest.mark.parametrize("value", [[], {}, 5.5, "5", True, -1, "", "a b", "x" * 1001])
def test_a_wrong_type_is_named(topic: str, field: str, value: object) -> None:
    """Proves: nothing is converted: what is not of its type and form is refused by its name."""
    form = type(GOOD[topic][field])
    fine = (
        (form is float and value == 5.5)
        or (form is bool and value is True)
        or (field in ("kwh", "up_s", "until_up_s") and value == 5.5)
        or (field == "reason" and isinstance(value, str) and len(value) < 1000)
        or (value == "5" and field.endswith("_id"))
    )
    fields = {**GOOD[topic], field: value}
    if fine:
        codec.decode(topic, orjson.dumps(fields))
    else:
        assert refused(topic, fields).split(".")[0] == field


@pytest.mark.parametrize(
    ("topic", "field", "value"),
    [
        (TELEMETRY, "kwh", 0.0611111),
        (TELEMETRY, "euros", 0.00001),
        (SESSIONS, "euros", 0.001),
        (SESSIONS, "ended_at", "2026-01-31T12:00:00"),
        (SESSIONS, "ended_at", "yesterday"),
        (SESSIONS, "outcome", "ACTIVE"),
        (STATUS, "state", "ON"),
        (STATUS, "seq", 1.0),
        (STATUS, "cp_id", "x" * 33),
        (STATUS, "cp_id", ".hidden"),
        (STATUS, "cp_id", "CP-001\n"),
        (COMMANDS, "cmd", "EXPLODE"),
        (TELEMETRY, "ts", "2026-01-31 12:00"),
    ],
)
def test_a_value_outside_its_form_is_named(topic: str, field: str, value: object) -> None:
    """Proves: decimals, times without an offset, unknown values, bad ids, null where not said."""
    assert refused(topic, {**GOOD[topic], field: value}) == field


def test_a_nested_field_is_named_with_its_path() -> None:
    """Proves: what is wrong inside `seen` or `payload` is named from outside."""
    seen = {**GOOD[REQUESTS]["seen"], "epoch": "1"}
    assert refused(REQUESTS, {**GOOD[REQUESTS], "seen": seen}) == "seen.epoch"
    payload = {**GOOD[COMMANDS]["payload"], "until_up_s": -1}
    assert refused(COMMANDS, {**GOOD[COMMANDS], "payload": payload}) == "payload.until_up_s"


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[]", b"null", b"{", b'{"kw":1e999}', b"5"])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    """Proves: any bytes at all give one error and no other exception."""
    for topic in GOOD:
        with pytest.raises(codec.BadMessage):
            codec.decode(topic, raw)


def test_a_message_comes_back_as_it_was_sent() -> None:
    """Proves: what is encoded is decoded to the same, with its stamp."""
    when = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    telemetry = Telemetry("CP-001", "b", "s", "d", 22.0, 0.061111, 0.0183)
    raw = codec.encode(telemetry, when, "m-1")
    assert orjson.loads(raw)["ts"] == "2026-01-31T12:00:00.123456Z"
    read = codec.decode(TELEMETRY, raw)
    assert read.ts == when
    assert read.message_id == "m-1"
    start = StartSupply("s", "r", "d", "b", 5.0)
    raw = codec.encode(Command("CP-001", "c-1", start), when, "m-2")
    assert orjson.loads(raw)["cmd"] == "START_SUPPLY"
    command = codec.decode(COMMANDS, raw)
    assert isinstance(command, Command)
    assert command.payload == start
    raw = codec.encode(Beacon("c-1", 1, 2.0), when, "m-3")
    assert set(orjson.loads(raw)) == {"central_id", "epoch", "up_s", "ts", "message_id"}


def test_a_message_that_is_json_already_is_stamped_alike() -> None:
    """Proves: fields that lack only the stamp and the last brace become what `encode` makes."""
    message = Telemetry("CP-001", "b", "s", "d", 22.0, 0.061111, 0.0183)
    when = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    opened = orjson.dumps(codec.to_fields(message)).removesuffix(b"}")
    whole = codec.encode(message, when, "message-1")
    assert orjson.loads(codec.close(opened, when, "message-1")) == orjson.loads(whole)


def test_progress_is_told_from_all_else() -> None:
    """Proves: an update that is IN_PROGRESS gives its request, session and kWh; another status, a
    missing or wrong field, and bytes that are no object give nothing."""
    progress = {"status": "IN_PROGRESS", "request_id": "r", "session_id": "s", "kwh": 0.5}
    assert codec.peek_progress(orjson.dumps(progress)) == ("r", "s", 0.5)
    for change in ({"status": "COMPLETED"}, {"session_id": None}, {"kwh": "0.5"}):
        assert codec.peek_progress(orjson.dumps({**progress, **change})) is None
    for raw in (b"", b"{", b"[]", b"7"):
        assert codec.peek_progress(raw) is None


def test_a_whole_second_has_its_digits_too() -> None:
    """Proves: each time that is sent has one form, whatever its second is."""
    whole = datetime(2026, 1, 31, 12, tzinfo=UTC)
    record = codec.decode(SESSIONS, orjson.dumps({**GOOD[SESSIONS], "ended_at": whole}))
    sent = orjson.loads(codec.encode(record, whole, "m-1"))
    assert sent["ts"] == sent["ended_at"] == "2026-01-31T12:00:00.000000Z"


@pytest.mark.parametrize(
    "token", [7, True, ["evd_monitor_secret"], {"token": "evd_monitor_secret"}, "secret" * 200]
)
def test_a_token_of_a_wrong_type_is_not_shown(token: object) -> None:
    """Proves: an answer, a log or a dead letter that names the field shows nothing of its value."""
    fields = {"type": "REGISTER", "cp_id": "CP-001", "seq": 1, "engine_status": "OK"}
    fields |= {"ko_cause": None, "instance_id": "i", "kw_rate": None, "euro_rate": None}
    with pytest.raises(codec.BadMessage) as caught:
        codec.structure_monitor({**fields, "token": token})
    assert caught.value.field == "token"
    assert "secret" not in str(caught.value)
    # A wrong field beside it shows it no more.
    with pytest.raises(codec.BadMessage) as caught:
        codec.structure_monitor({**fields, "token": "evd_monitor_secret", "kw_rate": "x"})
    assert caught.value.field == "kw_rate"
    assert "secret" not in str(caught.value)
    message = codec.structure_monitor({**fields, "token": "evd_monitor_secret"})
    assert isinstance(message, Register)
    assert message.token == "evd_monitor_secret"
    assert "secret" not in repr(message)


def test_control_messages_are_told_by_their_type() -> None:
    """Proves: `type` chooses the class, and what goes with a boot is required with it."""
    fields = {
        "type": "HEARTBEAT",
        "cp_id": "CP-001",
        "seq": 1,
        "engine_status": "OK",
        "ko_cause": None,
    }
    assert isinstance(codec.structure_monitor(fields), Heartbeat)
    boot = {"boot_id": "b", "report": 1, "up_s": 1.5, "engine_state": "ACTIVATED"}
    message = codec.structure_monitor({**fields, **boot})
    assert isinstance(message, Heartbeat)
    assert message.engine_state is CpState.ACTIVATED
    register = {**fields, "type": "REGISTER", "instance_id": "i", "kw_rate": None}
    for wrong, field in (
        ({**fields, "type": "SHOUT"}, "type"),
        ({**fields, "type": None}, "type"),
        ({**fields, "seq": -1}, "seq"),
        ({**fields, "engine_status": "KO"}, "ko_cause"),
        ({**fields, "boot_id": "b"}, "report"),
        (register, "euro_rate"),
    ):
        with pytest.raises(codec.BadMessage) as caught:
            codec.structure_monitor(wrong)
        assert caught.value.field == field
    good = codec.structure_monitor({**register, "euro_rate": None})
    assert isinstance(good, Register)
