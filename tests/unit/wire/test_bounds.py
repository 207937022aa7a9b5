"""The bounds of a field are the same wherever it enters: flag, frame or topic."""

from typing import Any

import orjson
import pytest

from evd.config import engine_config
from evd.core.wire import codec, units
from evd.core.wire.fields import AMOUNT_MAX, EURO_RATE_MAX, KW_MAX, SESSION_S_MAX
from evd.flags import ConfigError
from tests.unit.wire.test_codec import GOOD

REGISTER = {
    "type": "REGISTER",
    "cp_id": "CP-001",
    "seq": 1,
    "engine_status": "OK",
    "ko_cause": None,
    "instance_id": "i-1",
    "kw_rate": 22.0,
    "euro_rate": 0.3,
    "location": "Alameda 5",
}
PONG = {
    "type": "PONG",
    "seq": 1,
    "cp_id": "CP-001",
    "state": "ACTIVATED",
    "session_id": None,
    "kw_rate": 22.0,
    "euro_rate": 0.3,
    "location": "Alameda 5",
    "boot_id": "b-1",
    "up_s": 1.0,
    "report": 1,
}
OUTSIDE: list[tuple[str, Any]] = [
    *(("kw_rate", value) for value in (0, 0.0001, 10_000.5, 1e308)),
    *(("euro_rate", value) for value in (1_000.01, 1e308)),
    *(
        ("location", value)
        for value in ("", "x" * 201, "a\nb", "a\x1b[2Jb", "a\u202eb", "a\u2066b")
    ),
]
INSIDE = [
    *(("kw_rate", value) for value in (0.001, 10_000)),
    *(("euro_rate", value) for value in (0, 1_000.0)),
    *(("location", value) for value in ("x" * 200, "Plaça d'Espanya 3, 🚗", "東京")),
]


def flag_refuses(field: str, value: object) -> bool:
    """Whether evd-engine refuses it."""
    text = value if isinstance(value, str) else f"{value}"
    try:
        engine_config(["--cp-id", "CP-001", f"--{field.replace('_', '-')}={text}"], {})
    except ConfigError as error:
        assert field.replace("_", "-") in str(error)
        return True
    return False


def frame_refuses(fields: dict[str, Any], field: str, value: object) -> bool:
    """Whether the reader of a frame refuses it, by its name."""
    raw = {**fields, field: value}
    try:
        codec.structure_monitor(raw) if fields is REGISTER else codec.decode_health(
            orjson.dumps(raw)
        )
    except codec.BadMessage as error:
        assert error.field == field
        return True
    return False


@pytest.mark.parametrize(("field", "value"), OUTSIDE)
def test_outside_its_bound_it_is_refused_everywhere(field: str, value: object) -> None:
    """Proves: a rate or a place that the flag refuses is refused in REGISTER and PONG, by name."""
    assert flag_refuses(field, value)
    assert frame_refuses(REGISTER, field, value)
    assert frame_refuses(PONG, field, value)


@pytest.mark.parametrize(("field", "value"), INSIDE)
def test_within_its_bound_it_is_taken_everywhere(field: str, value: object) -> None:
    """Proves: what the flag takes can be said in REGISTER and PONG."""
    assert not flag_refuses(field, value)
    assert not frame_refuses(REGISTER, field, value)
    assert not frame_refuses(PONG, field, value)


@pytest.mark.parametrize("kw", [1e308, -1.0, 2e9])
def test_a_power_that_cannot_be_is_no_telemetry(kw: float) -> None:
    """Proves: a power of 309 digits reaches no page by a topic either."""
    for topic in ("cp.telemetry", "driver.updates"):
        fields = {**GOOD[topic], "status": "IN_PROGRESS", "kw": kw}
        with pytest.raises(codec.BadMessage, match=r"^kw "):
            codec.decode(topic, orjson.dumps(fields))


def test_a_sentence_steers_no_terminal() -> None:
    """Proves: control and bidi characters of a reason are shown as their escapes, and the message
    that carries it, a bill for one, is taken."""
    reason = "disk\x1b[2J\nfailed \u202egnihton"
    record = codec.decode("cp.sessions", orjson.dumps({**GOOD["cp.sessions"], "reason": reason}))
    shown = "disk\\x1b[2J\\nfailed \\u202egnihton"
    assert record.reason == shown  # type: ignore[attr-defined]
    bye = codec.structure_monitor({"type": "BYE", "cp_id": "CP-001", "seq": 1, "reason": reason})
    assert bye.reason == shown  # type: ignore[attr-defined]
    with pytest.raises(codec.BadMessage, match=r"^reason "):
        codec.decode("cp.sessions", orjson.dumps({**GOOD["cp.sessions"], "reason": "x" * 1001}))
    long = codec.decode(
        "cp.sessions", orjson.dumps({**GOOD["cp.sessions"], "reason": "\x1b" * 999})
    )
    assert len(long.reason) <= 1000  # type: ignore[attr-defined]


def test_no_flags_make_a_record_that_cannot_be_said() -> None:
    """Proves: the dearest session that flags allow, and three days of a stopped process on top,
    is an amount that a record takes; a longer session is refused as a flag."""
    energy_mwh = units.energy_mwh(KW_MAX, SESSION_S_MAX + 3 * 86_400)
    assert energy_mwh < AMOUNT_MAX * units.MWH_PER_KWH
    assert units.bill_cents(energy_mwh, EURO_RATE_MAX) < AMOUNT_MAX * units.CENTS_PER_EURO
    assert flag_refuses("session_seconds", SESSION_S_MAX + 1)
    assert not flag_refuses("session_seconds", SESSION_S_MAX)
