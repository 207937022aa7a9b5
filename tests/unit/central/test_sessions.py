"""Sessions: commanded until they agree, ended by a record or a bound, billed once."""

import pytest

from evd.core.central.events import Ticked
from evd.core.central.rows import BreakerState, Session, SessionStatus
from evd.core.wire.control import KoCause
from evd.core.wire.messages import (
    CpState,
    Outcome,
    RequestStatus,
    SessionRecorded,
    StartSupply,
    StopSupply,
)
from tests.unit.central.network import asked, begun, commands, ready, saved, updates


def test_a_start_is_repeated_each_second_for_five_then_stopped() -> None:
    """Proves: START each second until the time-out, then STOP each second until the record."""
    network = asked()
    effects = network.run(5)
    assert len(commands(effects, StartSupply)) == 5
    effects = network.run(3)
    assert len(commands(effects, StopSupply)) >= 3
    assert network.session().status is SessionStatus.ACTIVE
    never = network.record(
        network.session(),
        started_at=None,
        kwh=0.0,
        euros=0.0,
        outcome=Outcome.FAILED,
        reason="late",
    )
    (update,) = updates(never)
    assert (update.status, update.reason, update.kwh) == (RequestStatus.FAILED, "late", None)
    assert network.session().status is SessionStatus.FAILED
    assert not network.session().estimated


def test_a_confirmed_session_is_left_alone_and_its_driver_sees_it() -> None:
    """Proves: telemetry becomes IN_PROGRESS with kW, kWh and euros."""
    network, session = begun()
    assert network.request().status is RequestStatus.IN_PROGRESS
    (update,) = updates(network.meter(session, 0.006111))
    assert (update.status, update.kw, update.kwh) == (RequestStatus.IN_PROGRESS, 22.0, 0.006111)
    effects = network.run(2.5, beat=False)
    assert not commands(effects, StartSupply)
    assert not commands(effects, StopSupply)


def test_a_record_settles_once_and_is_confirmed_each_time() -> None:
    """Proves: at-least-once delivery gives one bill, and SESSION_RECORDED as often as asked."""
    network, session = begun()
    effects = network.record(session)
    (update,) = updates(effects)
    assert (update.status, update.kwh, update.euros) == (RequestStatus.COMPLETED, 0.061111, 0.02)
    assert len(commands(effects, SessionRecorded)) == 1
    again = network.record(session, kwh=9.0, euros=99.0)
    assert not updates(again)
    assert not saved(again, Session)
    assert len(commands(again, SessionRecorded)) == 1
    assert network.session().cost_cents == 2


def test_a_record_of_an_unknown_request_is_stored_and_nobody_is_told() -> None:
    """Proves: no session is lost with Central's database, and no driver hears of a stranger's."""
    network, session = begun()
    network.rows.clear()
    other = ready()
    effects = other.record(session)
    assert not updates(effects)
    assert len(commands(effects, SessionRecorded)) == 1
    assert other.session().cost_cents == 2
    (update,) = updates(other.ask())
    assert update.status is RequestStatus.COMPLETED


def test_an_engine_gone_for_thirty_seconds_ends_its_session_as_an_estimate() -> None:
    """Proves: 30 s of a refusing port close the session, with the last telemetry and no bill; a
    record that comes later settles it, once, and gives no second final status."""
    network, session = begun()
    network.meter(session, 0.03)
    effects = network.engine_gone()
    (told,) = updates(effects)
    assert (told.status, told.kw) == (RequestStatus.IN_PROGRESS, None)
    assert "bill" in told.reason
    for _ in range(31):
        network.clock_s += 1
        network.engine_gone()
        effects = network.tell(Ticked(True))
        if updates(effects):
            break
    (final,) = updates(effects)
    assert (final.status, final.kwh, final.euros) == (RequestStatus.FAILED, 0.03, None)
    row = network.session()
    assert (row.estimated, row.energy_mwh, row.cost_cents) == (True, 30_000, None)
    late = network.record(session, outcome=Outcome.FAILED, reason="engine restarted", fault=True)
    assert not updates(late)
    assert (network.session().estimated, network.session().cost_cents) == (False, 2)


def test_the_driver_of_an_estimated_session_charges_elsewhere() -> None:
    """Proves: once Central has closed a session whose engine is gone, that engine's last report
    holds its driver up no longer."""
    network, _ = begun("CP-001", "CP-002", engine_gone_after_s=5.0)
    for _ in range(7):
        network.engine_gone()
        network.heartbeat("CP-002")
        network.run(1, beat=False)
    assert network.session().estimated
    network.ask("req-2", "CP-002")
    assert network.request("req-2").status is RequestStatus.ACCEPTED


@pytest.mark.parametrize(
    ("boot_id", "cause"),
    [("boot-of-somebody-else", KoCause.REFUSED), ("boot-CP-001-1", KoCause.TIMEOUT)],
)
def test_an_engine_that_may_still_charge_keeps_its_session(boot_id: str, cause: KoCause) -> None:
    """Proves: `refused` counts only for the boot that this monitor has had a PONG from, and an
    engine that does not answer may still charge: only 15 minutes end that."""
    network, _ = begun()
    network.boots["CP-001"] = boot_id
    for _ in range(60):
        network.clock_s += 1
        network.engine_gone(cause=cause)
        network.tell(Ticked(True))
    assert network.session().status is SessionStatus.ACTIVE


def test_a_session_that_nobody_hears_of_ends_at_the_bound() -> None:
    """Proves: after session-lost-after without any report the driver is free again."""
    network, _ = begun(session_lost_after_s=60.0)
    network.leave()
    network.run(59)
    assert network.session().status is SessionStatus.ACTIVE
    network.run(3)
    assert network.session().estimated


@pytest.mark.parametrize("away", ["broker", "stall"])
def test_centrals_own_absence_counts_towards_no_bound(away: str) -> None:
    """Proves: silence while Central was cut off, or stood still, proves nothing."""
    network, _ = begun(session_lost_after_s=60.0)
    network.leave()
    network.run(50)
    if away == "broker":
        network.run(30, broker_up=False)
    else:
        network.clock_s += 30
    network.run(50)
    assert network.session().status is SessionStatus.ACTIVE
    network.run(12)
    assert network.session().estimated


def test_an_engine_that_says_the_session_is_over_is_asked_for_the_record() -> None:
    """Proves: a record that was lost on the way is asked for each second, once nobody has spoken
    of the session for some seconds: one forged report stops no car that still meters."""
    network, _ = begun()
    network.status(state=CpState.ACTIVATED)
    assert not commands(network.run(2.5), StopSupply)
    effects = network.run(3)
    assert len(commands(effects, StopSupply)) >= 2


def test_a_session_that_is_metered_is_not_judged_by_an_older_report() -> None:
    """Proves: a report that is late behind the telemetry of its session does not end it."""
    network = asked()
    network.leave()
    for _ in range(3):
        network.meter(network.session(), 0.001)
        assert not commands(network.run(1), StopSupply)
    network.status()
    assert commands(network.run(4.5), StopSupply)


def test_a_new_boot_that_never_began_is_asked_at_once() -> None:
    """Proves: a START for a boot that is gone is not repeated to the next one."""
    network = asked()
    network.engine_back(boot_id="boot-2")
    effects = network.run(1.25)
    assert not commands(effects, StartSupply)
    (stop, *_) = commands(effects, StopSupply)
    assert stop.boot_id == "boot-2"


def test_a_running_session_that_is_unknown_is_taken_in() -> None:
    """Proves: a car that charges after the database was lost gets a row, and its bill."""
    _, session = begun()
    network = ready()
    network.supplying(session)
    assert network.session().status is SessionStatus.ACTIVE
    assert network.request().status is RequestStatus.IN_PROGRESS
    (update,) = updates(network.record(session))
    assert update.status is RequestStatus.COMPLETED


def test_a_running_session_whose_request_has_ended_is_stopped_unbilled() -> None:
    """Proves: no car charges for a request that its driver was told has failed."""
    _, session = begun()
    network = ready()
    network.cancel()
    effects = network.supplying(session) + network.run(1.25)
    (stop, *_) = commands(effects, StopSupply)
    assert stop.bill is False
    row = network.rows[Session, session.session_id]
    assert (row.stray, row.reason) == (True, "stray: its request had ended")


def test_five_failed_starts_in_a_row_open_the_breaker() -> None:
    """Proves: 5 STARTs not confirmed while reports came through take the charging point out."""
    network = ready()
    for number in range(5):
        request_id = f"req-{number}"
        network.ask(request_id)
        for _ in range(6):
            network.run(1)
            network.status()
        network.record(network.session(request_id), started_at=None, kwh=0.0, euros=0.0)
        network.status()
    assert network.point().breaker is BreakerState.OPEN
    (update,) = updates(network.ask("req-9"))
    assert "circuit breaker" in update.reason


def test_a_lost_broker_opens_no_breaker() -> None:
    """Proves: a START that failed while the engine's reports did not come through counts not."""
    network = ready()
    for number in range(6):
        request_id = f"req-{number}"
        network.run(4)
        network.ask(request_id)
        network.run(7)
        network.record(network.session(request_id), started_at=None, kwh=0.0, euros=0.0)
        network.heartbeat()
    assert network.point().breaker is BreakerState.CLOSED


@pytest.mark.parametrize(("boot_id", "failures"), [("", 1), ("boot-2", 0)])
def test_the_reports_of_a_boot_that_is_gone_prove_no_failure(boot_id: str, failures: int) -> None:
    """Proves: a START is its charging point's failure only if that very boot's reports came
    through Kafka; those of the boot before say nothing of it."""
    network = ready(start_timeout_s=1.0)
    network.status()
    network.engine_back(boot_id=boot_id)
    network.ask()
    network.run(2.5)
    assert network.point().breaker_failures == failures


@pytest.mark.parametrize(("later", "is_over"), [(-1, False), (0, False), (1, True)])
def test_only_a_report_from_after_a_session_was_confirmed_ends_it(
    later: int, is_over: bool
) -> None:
    """Proves: a Central that begins anew takes no word from before a session for its end."""
    network, session = begun()
    seq = session.confirmed_seq
    assert seq is not None
    network.restart()
    network.seqs[session.cp_id] = seq + later
    network.register()
    assert bool(commands(network.run(6), StopSupply)) is is_over
