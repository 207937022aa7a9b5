"""The limits of what Central believes: no message by one id where it carries several, no reading
that can't be, no report from before a session was confirmed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest

from evd.core.central.doubts import doubt_of_record
from evd.core.central.events import (
    ChargeAsked,
    Effect,
    JudgementAsked,
    PutAside,
    Refusal,
    TelemetryRefused,
)
from evd.core.central.ledger import session_id_for
from evd.core.central.rows import ChargingPoint, Request, Session, SessionStatus
from evd.core.wire.messages import (
    Action,
    CpState,
    Outcome,
    RequestStatus,
    SessionRecord,
    SessionRecorded,
    StopSupply,
)
from tests.unit.central.network import START, Network, begun, commands, notes, ready, saved, updates

NEVER = {"started_at": None, "kwh": 0.0, "euros": 0.0, "outcome": Outcome.FAILED, "reason": "x"}
LIES: Sequence[dict[str, Any]] = (
    {"request_id": "req-9"},
    {"driver_id": "driver-eve"},
    {"request_id": "req-9", "driver_id": "driver-eve"},
    {"session_id": session_id_for("req-9")},
    {"cp_id": "CP-404"},
    {"cp_id": "CP-002"},
)


def put_aside(effects: Sequence[Effect]) -> list[str]:
    """The errors of the messages that are put aside."""
    return [effect.error for effect in effects if isinstance(effect, PutAside)]


@pytest.mark.parametrize("never", [{}, NEVER])
@pytest.mark.parametrize("lie", LIES)
def test_a_record_whose_ids_contradict_settles_nothing(
    lie: dict[str, Any], never: dict[str, Any]
) -> None:
    """Proves: a record of a running session is taken only with its row's request and driver, and
    of another charging point not while the row's own says that it runs it: else it is put aside,
    confirmed to nobody, and the true one is billed."""
    network, session = begun("CP-001", "CP-002")
    effects = network.record(session, **never, **lie)
    assert len(put_aside(effects)) == 1
    assert not saved(effects, Session)
    assert not saved(effects, Request)
    assert not commands(effects, SessionRecorded)
    assert not updates(effects)
    network.record(session)
    assert (network.session().driver_id, network.session().cost_cents) == ("driver-alice", 2)


def test_a_record_of_nobody_we_know_needs_ids_that_follow() -> None:
    """Proves: a lost database takes a record whose session is its request's, and no other; nor one
    in the name of another driver than the request's."""
    network = ready()
    known = Session(session_id_for("old-1"), "old-1", "CP-001", "driver-bob", START)
    assert put_aside(network.record(attrs.evolve(known, session_id=session_id_for("req-1"))))
    network.ask("old-1", "CP-404")
    assert put_aside(network.record(known))
    other = ready()
    assert not put_aside(other.record(known))
    assert other.session("old-1").cost_cents == 2


def test_another_charging_point_can_say_only_that_it_delivered() -> None:
    """Proves: what a registered charging point delivered for a session of another is billed once
    that one does not say that it runs it; that it knows nothing of it ends nothing."""
    network, session = begun("CP-001", "CP-002")
    network.status()
    network.record(session, cp_id="CP-002", **NEVER)
    assert network.session().status is SessionStatus.ACTIVE
    effects = network.record(session, cp_id="CP-002")
    assert commands(effects, SessionRecorded)
    assert (network.session().cost_cents, network.session().cp_id) == (2, "CP-001")


def test_nobody_says_that_what_runs_never_began() -> None:
    """Proves: a record without a start ends no session that its charging point reports to run; its
    engine has only to report otherwise, as one that has lost its disk does."""
    network, session = begun()
    network.supplying(session)
    effects = network.record(session, **NEVER)
    assert not saved(effects, Session) and not updates(effects)
    assert network.session().status is SessionStatus.ACTIVE
    network.engine_back(boot_id="boot-2")
    network.record(session, boot_id="boot-2", **NEVER)
    assert network.session().status is SessionStatus.FAILED


@pytest.mark.parametrize("lie", [{"driver_id": "driver-eve"}, {"cp_id": "CP-002"}])
def test_telemetry_whose_ids_contradict_is_put_aside(lie: dict[str, Any]) -> None:
    """Proves: a reading in the name of another driver or charging point moves no meter."""
    network, session = begun("CP-001", "CP-002")
    effects = network.meter(session, 0.01, **lie)
    assert put_aside(effects)
    assert not updates(effects)
    assert network.session().energy_mwh == 0


@pytest.mark.parametrize(
    "lie",
    [
        {"request_id": "req-9"},
        {"driver_id": "driver-eve"},
        {"session_id": session_id_for("req-9")},
        {"session_id": session_id_for("req-9"), "request_id": "req-8"},
    ],
)
def test_a_report_whose_ids_contradict_is_put_aside(lie: dict[str, Any]) -> None:
    """Proves: a report that names another's request or driver with a session changes nothing."""
    network, session = begun()
    ids = {"session_id": session.session_id, "request_id": "req-1", "driver_id": "driver-alice"}
    effects = network.status(state=CpState.SUPPLYING, **{**ids, **lie})
    assert put_aside(effects)
    assert not saved(effects, Session)
    assert network.core.view("CP-001", network.now).engine_state is CpState.SUPPLYING


def test_another_charging_point_keeps_no_session_alive() -> None:
    """Proves: a session is heard of by its own charging point alone: one that is lost ends as an
    estimate whatever another claims to run."""
    network = ready("CP-001", "CP-002", session_lost_after_s=30.0)
    network.ask()
    session = network.session()
    network.supplying(session)
    network.leave()
    for _ in range(16):
        network.run(2)
        network.supplying(session, "CP-002")
    assert network.session().estimated


@pytest.mark.parametrize("action", [Action.STOP, Action.CANCEL, Action.START])
def test_nobody_speaks_of_anothers_request(action: Action) -> None:
    """Proves: a driver can neither end nor take over another's request, running or waiting."""
    network, _ = begun()
    effects = network.ask(driver_id="driver-eve", action=action)
    assert put_aside(effects)
    assert not saved(effects, Session)
    waiting = Network()
    waiting.register(engine_state=CpState.DISCONNECTED)
    waiting.ask()
    assert (Request, "req-1") not in waiting.rows
    assert put_aside(waiting.ask(driver_id="driver-eve", action=action))
    call = ChargeAsked(1, "req-1", "driver-eve", "CP-001")
    assert waiting.refusal(call) is Refusal.CONFLICT
    waiting.status()
    waiting.run(3.25)
    assert waiting.request().driver_id == "driver-alice"


@pytest.mark.parametrize(
    "reading",
    [
        {"kwh": 4294967.295},
        {"kwh": 4294967.295, "euros": 1288490.0},
        {"kwh": 0.24, "euros": 5.0},
        {"kwh": 0.24, "kw": 25.3},
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_reading_that_cant_be_is_ignored(reading: dict[str, Any], restarted: bool) -> None:
    """Proves: an estimate, and its driver, get the newest reading that can be: one that can't is
    counted and ignored, also by a Central that has just started."""
    network, session = begun()
    network.run(40)
    network.meter(session, 0.24)
    if restarted:
        network.restart()
        network.register()
    garbage = attrs.evolve(session)
    effects = network.meter(garbage, **{"euros": 0.072, **reading})
    again = network.meter(garbage, **{"euros": 0.072, **reading})
    assert [e for e in effects if isinstance(e, TelemetryRefused)] == [TelemetryRefused("CP-001")]
    assert (len(notes(effects)), len(notes(again))) == (1, 0)
    assert not updates(effects)
    for _ in range(32):
        network.engine_gone()
        network.run(1, beat=False)
    row = network.session()
    assert (row.estimated, row.energy_mwh) == (True, 240_000)
    assert network.request().kwh == 0.24


def test_a_reading_that_falls_is_taken() -> None:
    """Proves: the newest reading counts, also where it is lower than one before, in the row of an
    estimate too."""
    network, session = begun()
    network.run(40)
    network.meter(session, 0.24)
    (update,) = updates(network.meter(session, 0.1))
    assert update.kwh == 0.1
    for _ in range(32):
        network.engine_gone()
        network.run(1, beat=False)
    assert (network.session().estimated, network.session().energy_mwh) == (True, 100_000)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"kwh": 1000.0, "euros": 300.0}, "1000 kWh are more than 22 kW give in 40 s"),
        ({"kwh": 0.2, "euros": 0.5}, "0.5 euros are not the price of 0.2 kWh at 0.3 euros"),
        ({"ended_at": START - timedelta(seconds=1)}, "it ended before it started"),
        # Its own times prove nothing where Central was there.
        (
            {"kwh": 20.0, "euros": 6.0, "started_at": START - timedelta(hours=1)},
            "20 kWh are more than 22 kW give in 40 s",
        ),
    ],
)
def test_a_record_that_cant_be_waits_for_the_operator(record: dict[str, Any], why: str) -> None:
    """Proves: a suspect record is stored with its energy and no bill, its driver told so, its
    engine confirmed; a second record changes nothing."""
    network, session = begun()
    network.run(40)
    effects = network.record(session, **record)
    (update,) = updates(effects)
    assert (update.status, update.euros) == (RequestStatus.COMPLETED, None)
    assert (update.kwh, update.reason) == (record.get("kwh", 0.061111), f"suspect: {why}")
    row = network.session()
    assert (row.suspect, row.cost_cents, row.status) == (True, None, SessionStatus.COMPLETED)
    assert row.reason == f"suspect: {why}"
    assert commands(effects, SessionRecorded)
    again = network.record(session)
    assert commands(again, SessionRecorded)
    assert not saved(again, Session)


@pytest.mark.parametrize(("accept", "cents", "word"), [(True, 30000, "acc"), (False, 0, "voided")])
def test_the_operator_judges_a_suspect_session_once(accept: bool, cents: int, word: str) -> None:
    """Proves: accept bills as recorded, void at 0, once and for good, over a restart too; neither
    is for a session that is unknown or not suspect."""
    network, session = begun()
    session_id = session.session_id
    assert network.refusal(JudgementAsked(1, "session-x", accept)) is Refusal.UNKNOWN
    assert network.refusal(JudgementAsked(1, session_id, accept)) is Refusal.CONFLICT
    network.record(session, kwh=1000.0, euros=300.0)
    network.restart()
    assert network.refusal(JudgementAsked(1, session_id, accept)) is None
    row = network.session()
    assert (row.cost_cents, row.settled, row.suspect) == (cents, True, False)
    assert row.reason.startswith(word)
    for other in (True, False):
        assert network.refusal(JudgementAsked(1, session_id, other)) is Refusal.CONFLICT
    network.register()
    assert not saved(network.record(session), Session)


@pytest.mark.parametrize(
    ("row", "kwh", "euros", "is_doubted"),
    [
        # 22 kW give 0.22 kWh in 36 s, and 0.1 kWh more is not judged.
        (ChargingPoint("CP-001", 22.0, 0.3), 0.32, 0.1, False),
        (ChargingPoint("CP-001", 22.0, 0.3), 0.321, 0.1, True),
        # 3,600 kW give 36 kWh, and a tenth more is not judged.
        (ChargingPoint("CP-001", 3600.0, 0.3), 39.6, 11.88, False),
        (ChargingPoint("CP-001", 3600.0, 0.3), 39.7, 11.91, True),
        (ChargingPoint("CP-001", 3600.0, 0.3), 30.0, 9.09, False),
        (ChargingPoint("CP-001", 3600.0, 0.3), 30.0, 9.1, True),
        (ChargingPoint("CP-001", None, 0.3), 1000.0, 300.0, False),
        (ChargingPoint("CP-001", 1e308, 1e308), 0.0, 0.0, False),
        (None, 1000.0, 5.0, False),
    ],
)
def test_the_bounds_of_what_can_be(
    row: ChargingPoint | None, kwh: float, euros: float, is_doubted: bool
) -> None:
    """Proves: 10 % and 0.1 kWh of energy, 1 % and 2 cents of the price; what is not known is not
    judged, and no rate is too large to judge by."""
    ids = ("session-1", "req-1", "CP-001", "driver-alice", "boot-1")
    end = START + timedelta(seconds=36)
    record = SessionRecord(*ids, START, end, kwh, euros, Outcome.COMPLETED, "", False, True)
    assert bool(doubt_of_record(record, row, None)) is is_doubted
    assert bool(doubt_of_record(record, row, 36.0)) is is_doubted


def test_a_station_without_a_clock_is_billed() -> None:
    """Proves: times are records and refuse nothing: a session of 1970 is billed, and its row has
    Central's own start."""
    network, session = begun()
    network.run(40)
    then = START.replace(year=1970)
    network.record(session, started_at=then, ended_at=then + timedelta(seconds=10))
    assert (network.session().cost_cents, network.session().suspect) == (2, False)
    assert network.session().start_time == session.start_time


def test_what_an_engine_put_aside_ends_as_an_estimate() -> None:
    """Proves: a session that its engine can't read any more ends with the last telemetry, as an
    estimate without a bill, as soon as the engine says that it does not know it."""
    network, session = begun()
    network.run(40)
    network.meter(session, 0.2)
    network.engine_back(boot_id="boot-2")
    network.status()
    assert commands(network.run(1.25), StopSupply)
    network.record(session, **NEVER, boot_id="boot-2")
    row = network.session()
    assert (row.estimated, row.energy_mwh, row.cost_cents) == (True, 200_000, None)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_report_from_before_is_not_the_end_of_a_session(restarted: bool) -> None:
    """Proves: only a report of after the one that confirmed a session says that it is over, also
    for a Central that has just started; a newer one, or another boot, does."""
    network = ready()
    network.ask()
    session = network.session()
    before = network.seqs["CP-001"]
    network.seqs["CP-001"] = before + 1
    network.meter(session, 0.001)
    network.seqs["CP-001"] = before
    if restarted:
        network.restart()
        network.register()
    assert not commands(network.run(3), StopSupply)
    network.status(seq=before + 1)
    assert not commands(network.run(3), StopSupply)
    network.seqs["CP-001"] = before + 1
    network.status()
    assert commands(network.run(1.25), StopSupply)
