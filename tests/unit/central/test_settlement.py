"""How sessions end: what a record may change, and what it says of its charging point."""

from datetime import timedelta

from evd.core.central.ledger import session_id_for
from evd.core.central.rows import BreakerState, Session, SessionStatus
from evd.core.effects import Note
from evd.core.wire.control import KoCause
from evd.core.wire.messages import (
    Action,
    CpState,
    Outcome,
    RequestStatus,
    SessionRecorded,
    StopSupply,
)
from tests.unit.central.network import START, asked, begun, commands, ready


def unknown(number: int) -> Session:
    """A session that this database never heard of."""
    request_id = f"old-{number}"
    return Session(session_id_for(request_id), request_id, "CP-001", f"driver-{number}", START)


def test_a_stop_keeps_the_meter_that_was_stored() -> None:
    """Proves: the last telemetry stays in the row whatever else changes in it, so that a session
    whose engine never comes back ends as an estimate with that reading, after a restart too."""
    network, session = begun()
    network.run(600)
    network.meter(session, 3.0)
    network.ask(action=Action.STOP, seen=None)
    assert network.session().energy_mwh == 3_000_000
    network.restart()
    network.register()
    for _ in range(32):
        network.engine_gone()
        network.run(1, beat=False)
    assert network.session().estimated
    assert network.session().energy_mwh == 3_000_000


def test_old_records_say_nothing_of_a_charging_point_today() -> None:
    """Proves: the failures among the records that fill a lost database again open no breaker."""
    network = ready()
    for number in range(6):
        network.record(unknown(number), outcome=Outcome.FAILED, reason="x", fault=True)
    network.heartbeat()
    assert network.view().breaker is BreakerState.CLOSED
    assert network.view().available


def test_a_settled_session_keeps_its_driver_no_longer() -> None:
    """Proves: an engine that dies between its record and its next report leaves its driver free."""
    network, session = begun("CP-001", "CP-002")
    network.record(session)
    network.engine_gone()
    network.run(2)
    network.ask("req-2", "CP-002")
    assert network.request("req-2").status is RequestStatus.ACCEPTED


def test_a_session_that_another_charging_point_runs_is_stopped_there() -> None:
    """Proves: a stray is told to the one that runs it, not to the one of its row."""
    network, session = begun("CP-001", "CP-002")
    network.record(session)
    network.status()
    network.supplying(session, "CP-002")
    sent = [e for e in network.run(1.5) if commands([e], StopSupply)]
    assert sent
    assert {e.message.cp_id for e in sent} == {"CP-002"}  # type: ignore[union-attr]


def test_a_record_from_elsewhere_settles_and_says_so() -> None:
    """Proves: what another charging point delivered for a session is billed once; the row keeps
    its charging point, and names the other."""
    network, session = begun("CP-001", "CP-002")
    network.status()
    effects = network.record(session, cp_id="CP-002", kwh=0.03, euros=0.01)
    row = network.session()
    assert (row.cp_id, row.cost_cents, row.reason) == ("CP-001", 1, "delivered by CP-002")
    assert commands(effects, SessionRecorded) == [SessionRecorded(session.session_id)]


def test_other_records_of_one_session_flood_no_log() -> None:
    """Proves: the lines about the records of one charging point share one bound."""
    network, session = begun()
    network.record(session, kwh=0.01)
    for kwh in (0.02, 0.03):
        (note,) = (each for each in network.record(session, kwh=kwh) if isinstance(each, Note))
        assert note.about == "CP CP-001"


def test_the_longest_reason_still_fits() -> None:
    """Proves: a record whose reason is as long as one may be ends its session like any other."""
    network, session = begun()
    network.cancel()
    network.record(
        session, bill=False, reason="x" * 1000, outcome=Outcome.FAILED, ended_at=START + MINUTE
    )
    network.supplying(session)
    assert commands(network.run(1.5), StopSupply)
    assert network.session().status is SessionStatus.FAILED


def test_a_cancelled_session_that_never_began_costs_nothing() -> None:
    """Proves: a stray costs 0, also where nothing of it was delivered."""
    network = asked()
    session = network.session()
    network.cancel()
    network.record(session, started_at=None, kwh=0.0, euros=0.0, outcome=Outcome.FAILED, reason="x")
    row = network.session()
    assert (row.billable, row.estimated, row.cost_cents) == (False, False, 0)


def test_a_cancelled_session_is_stray_whatever_its_engine_says() -> None:
    """Proves: a stray is known by its field from its CANCEL on, costs nothing, and its reason says
    once that it is one, also where its engine repeats the reason of its STOP."""
    for said, shown in (
        ("", "its request had ended"),
        ("x", "x"),
        (None, "cancelled by its driver"),
    ):
        network, _ = begun()
        network.cancel()
        running = network.session()
        assert (running.stray, running.reason) == (True, "stray: cancelled by its driver")
        reason = running.reason if said is None else said
        network.record(running, bill=False, reason=reason)
        row = network.session()
        assert (row.stray, row.billable, row.cost_cents) == (True, False, 0)
        assert row.reason == f"stray: {shown}"


def test_a_record_without_a_bill_is_a_stray_in_a_lost_database() -> None:
    """Proves: what a Central before a loss had stopped unbilled stays unbilled after it."""
    network = ready()
    network.record(unknown(1), bill=False, reason="stray: cancelled by its driver")
    row = network.rows[Session, unknown(1).session_id]
    assert (row.stray, row.billable, row.cost_cents) == (True, False, 0)
    assert row.reason == "stray: cancelled by its driver"


def test_a_word_in_a_reason_makes_no_stray() -> None:
    """Proves: a sentence of an engine is shown, and decides nothing."""
    network, session = begun()
    network.record(session, reason="stray voltage")
    row = network.session()
    assert (row.stray, row.cost_cents, row.reason) == (False, 2, "stray voltage")


def test_a_stray_that_nobody_hears_of_is_an_estimate_that_says_so() -> None:
    """Proves: a stray stays one when Central closes it without a record."""
    network, _ = begun(session_lost_after_s=60.0)
    network.cancel()
    network.leave()
    network.run(62)
    row = network.session()
    assert (row.estimated, row.stray) == (True, True)
    assert row.reason == "stray: nothing was heard of it for 60 s"


def test_a_stray_is_stopped_also_while_its_monitor_is_away() -> None:
    """Proves: an engine whose reports come through is told what to end, monitor or not."""
    network, session = begun()
    network.leave()
    network.cancel()
    network.record(session, bill=False, outcome=Outcome.FAILED, reason="x")
    network.supplying(session)
    assert commands(network.run(1.5), StopSupply)


def test_an_engine_that_hangs_is_told_nothing() -> None:
    """Proves: commands are repeated to an engine that is heard, not into a queue that nobody
    reads."""
    network, session = begun()
    network.record(session)
    network.supplying(session)
    network.engine_gone(cause=KoCause.TIMEOUT)
    network.run(4, beat=False)
    assert not commands(network.run(2, beat=False), StopSupply)
    network.status(state=CpState.SUPPLYING, session_id=session.session_id)
    assert commands(network.run(1.5, beat=False), StopSupply)


MINUTE = timedelta(minutes=1)
