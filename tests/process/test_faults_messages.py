"""Messages that are no messages, that come twice, or far too late; bytes that are no frames."""

import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from evd.core.central.ledger import session_id_for
from evd.core.wire import framing
from evd.core.wire.messages import (
    COMMANDS,
    DEAD_LETTERS,
    SESSIONS,
    STATUS,
    TELEMETRY,
    TOPICS,
    UPDATES,
)
from tests.network import checker
from tests.network.scenes import CP_ID, DRIVER_ID, SESSION_S, Scene, scene
from tests.network.tap import Echo, Tap
from tests.network.waiting import never_for, wait_until, wait_until_none

pytestmark = [pytest.mark.slow, pytest.mark.faults]

POISON = (
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"null",
    b"true",
    b"17",
    b'"text"',
    b"[]",
    b"{}",
    b"{",
    b"[" * 10_000,
    b'{"cp_id": NaN}',
    b'{"cp_id": "CP-001"}',
    b'{"cp_id": "../../etc/passwd", "driver_id": "<script>"}',
    b"x" * 200_000,
)
# Each stands in for a field that is right.
WRONG_VALUES: Sequence[object] = ([], {"a": {"b": None}}, -1.5, "\u0000")
KEYS = {UPDATES: DRIVER_ID}
RAW_FRAMES = (b"GET / HTTP/1.1\r\n\r\n", b"\x02{}\x03\x00", b"\x02" * 5000, b"\x1b\x1b\x02\x03")


def wrong_shapes(message: bytes) -> Iterator[bytes]:
    """The message with one field after the other wrong, and with one after the other left out."""
    fields = orjson.loads(message)
    for number, name in enumerate(fields):
        wrong = WRONG_VALUES[number % 2]
        yield orjson.dumps(fields | {name: wrong})
        if name not in ("ts", "message_id"):
            yield orjson.dumps(fields | {name: WRONG_VALUES[2 + number % 2]})


def assert_each_told_once(here: Scene) -> None:
    """Each of the driver's requests has one final line."""
    told = checker.read_told(here.driver.printed())
    assert {len(lines) for lines in told.values()} == {1}


def test_poison_in_every_topic_is_put_aside_and_the_next_message_taken(tmp_path: Path) -> None:
    """Proves: bytes that are no message, and good messages with one field wrong, in every topic
    and in mid-session, end nobody and change nothing; each lies in the dead letters and is counted,
    and the session beside them is billed."""
    with scene(
        tmp_path,
        *(CP_ID, CP_ID),
        driver_flags=("--request-interval", "1"),
        engine_flags=("--session-seconds", "8"),
        at="idle",
    ) as here:
        with here.only():
            tap = Tap(here.network.bootstrap)
            wait_until(lambda: here.network.cp(CP_ID).get("telemetry"), 15.0)
            said: dict[str, set[bytes]] = {}
            for topic in TOPICS:
                said[topic] = {*POISON, *wrong_shapes(tap.values(topic)[0])}
                tap.put(topic, KEYS.get(topic, CP_ID), None, *said[topic])
            assert here.network.cp(CP_ID)["telemetry"]
            assert [final.status for final in here.wait_finals(2)] == ["COMPLETED"] * 2
            here.charge_again()
            for topic, poison in said.items():
                wait_until_none(lambda t=topic, p=poison: p - put_aside(tap, t), 10.0, topic)  # type: ignore[misc]
            assert here.network.metric('evd_dead_letters_total{topic="cp.sessions"}') > 0
            checker.check(here.network)
        assert_each_told_once(here)


def put_aside(tap: Tap, topic: str) -> set[bytes]:
    """The dead letters that came from `topic`."""
    letters = tap.read(DEAD_LETTERS)
    return {each.value or b"" for each in letters if each.headers["topic"] == topic.encode()}


def test_a_liar_and_a_broken_meter_move_no_money(tmp_path: Path) -> None:
    """Proves: messages whose ids contradict lie in the dead letters, a reading that can't be is
    counted, and the session beside them is billed; a record that can't be waits for the operator,
    who bills it once."""
    with scene(tmp_path, engine_flags=("--session-seconds", "6"), at="in mid-session") as here:
        tap = Tap(here.network.bootstrap)
        wait_until(lambda: here.network.cp(CP_ID).get("telemetry"), 15.0)
        reading = orjson.loads(tap.values(TELEMETRY)[-1])
        report = orjson.loads(tap.values(STATUS)[-1])
        stranger = {"request_id": "req-lie", "driver_id": "driver-eve"}
        record = (
            reading | stranger | {"ended_at": reading["ts"], "started_at": None, "fault": False}
        )
        record |= {"outcome": "COMPLETED", "reason": "", "bill": True, "euros": 0.0}
        lies = {
            SESSIONS: [record, record | {"started_at": reading["ts"]}],
            TELEMETRY: [reading | {"driver_id": "driver-eve"}],
            STATUS: [report | stranger | {"seq": report["seq"] + 1}],
        }
        for topic, said in lies.items():
            tap.put(topic, CP_ID, *map(orjson.dumps, said))
        tap.put(TELEMETRY, CP_ID, orjson.dumps(reading | {"kwh": 4294967.295}))
        for topic, said in lies.items():
            left = set(map(orjson.dumps, said))
            wait_until_none(lambda t=topic, p=left: p - put_aside(tap, t), 10.0, topic)  # type: ignore[misc]
        here.wait_final("COMPLETED")
        assert here.network.metric(f'evd_telemetry_refused_total{{cp_id="{CP_ID}"}}') == 1
        here.finish()
        suspect = orjson.loads(tap.values(SESSIONS)[-1]) | {"kwh": 1000.0, "euros": 300.0}
        suspect |= {"request_id": "req-old", "session_id": session_id_for("req-old")}
        tap.put(SESSIONS, CP_ID, orjson.dumps(suspect))
        path = f"/sessions/{suspect['session_id']}"
        wait_until(lambda: here.network.sessions()[0]["suspect"], 10.0)
        assert here.network.sessions()[0]["total_cost"] is None
        statuses = [
            here.network.http.post(f"{path}/{verb}").status_code for verb in ("accept", "void")
        ]
        assert statuses == [202, 409]
        assert here.network.sessions()[0]["total_cost"] == 300.0


def test_bytes_that_are_no_frames_end_no_connection_but_their_own(tmp_path: Path) -> None:
    """Proves: whatever a stranger sends to Central's port or to an engine's, monitor and engine
    stay as they are, and the session is billed."""
    with scene(tmp_path, at="in mid-session") as here:
        health_port = int(here.point.monitor.flag("--cp-e-port"))
        for port in (here.network.control_port, health_port):
            for sent in (*RAW_FRAMES, *(framing.encode(each) for each in POISON[1:-1])):
                with socket.create_connection(("127.0.0.1", port), 5.0) as stranger:
                    stranger.sendall(sent * 20)
        here.wait_final("COMPLETED")
        assert here.network.faults(CP_ID) == []
        here.finish()


@pytest.mark.parametrize("delay_s", [0.0, 7.0])
def test_every_message_said_again_is_carried_out_once(tmp_path: Path, delay_s: float) -> None:
    """Proves: with everything on Kafka said twice, at once or when it is long past its time, each
    request has one session, one bill and one final line, and no car starts a second time."""
    flags = ("--request-interval", "1")
    with scene(tmp_path, CP_ID, CP_ID, CP_ID, driver_flags=flags) as here:
        with Echo(here.network.bootstrap, delay_s) as echo:
            here.reach("idle")
            finals = here.wait_finals(3, within_s=40.0)
            assert [final.status for final in finals] == ["COMPLETED"] * 3
            never_for(lambda: here.network.cp(CP_ID)["telemetry"], delay_s + 2.0)
            assert echo.count > 50
            assert here.network.faults(CP_ID) == []
            facts = here.finish()
        assert len(facts.sessions) == 4
        assert_each_told_once(here)


def test_a_request_that_lay_in_the_broker_for_too_long_begins_nothing(tmp_path: Path) -> None:
    """Proves: a request and its START that come through when their driver has long been told that
    it failed start no car; Central stores FAILED too."""
    flags = ("--request-timeout", "3", "--request-interval", "2")
    with scene(tmp_path, CP_ID, CP_ID, driver_flags=flags, at="idle") as here:
        here.parts["broker"].freeze()
        frozen_s = time.monotonic()
        second = here.wait_finals(2, within_s=10.0)[1]
        assert (second.status, second.text) == ("FAILED", "no coordinator")
        time.sleep(max(0.0, frozen_s + 9.0 - time.monotonic()))
        here.parts["broker"].thaw()
        never_for(lambda: here.network.cp(CP_ID)["telemetry"], 6.0)
        facts = checker.check(here.network)
        assert len(facts.sessions) == 1
        here.charge_again()


def test_a_session_whose_commands_are_late_is_told_how_it_ended(tmp_path: Path) -> None:
    """Proves: with the broker held up at the moment of a START the car starts in time or not at
    all; either way there is one row, one final status, and the charging point is free."""
    with scene(tmp_path, at="at a START") as here:
        here.parts["broker"].freeze()
        time.sleep(SESSION_S + 4.0)
        here.parts["broker"].thaw()
        (final,) = here.wait_finals(1)
        assert final.status in ("COMPLETED", "FAILED")
        here.charge_again()
        (row, _) = checker.check(here.network).sessions
        assert (final.status == "COMPLETED") == (row["total_kwh"] > 0)


def test_a_flood_for_others_costs_an_engine_nothing(tmp_path: Path) -> None:
    """Proves: thousands of commands for charging points that share its partition, or for none,
    hold no session up."""
    with scene(tmp_path) as here:
        tap = Tap(here.network.bootstrap)
        here.reach("in mid-session")
        other = orjson.dumps(orjson.loads(tap.values(COMMANDS)[0]) | {"cp_id": "CP-999"})
        tap.put(COMMANDS, CP_ID, *[other] * 5_000)
        here.wait_final("COMPLETED")
        here.finish()
