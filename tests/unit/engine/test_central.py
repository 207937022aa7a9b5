"""Whom an engine obeys, and how a record gets to it: buffered, sent again, confirmed."""

from evd.core.engine.events import ConfirmationsRead, RecordsGone, SaveConfirmed, SaveObeyed
from evd.core.engine.ledger import IN_FLIGHT_MAX
from evd.core.wire.messages import CpState, CpStatus, Outcome, ResumeCp, StopCp
from tests.unit.engine.rig import CENTRAL, Rig, messages, notes, records, sent_again


def charged(rig: Rig, *session_ids: str) -> Rig:
    """These sessions have run, one after the other."""
    for session_id in session_ids:
        rig.start(session_id)
        assert rig.report.session_id == session_id
        rig.wait(10)
    return rig


def test_the_first_central_that_is_heard_is_obeyed() -> None:
    """Proves: a new engine obeys whom it hears first, durably, and carries that first command
    out."""
    rig = Rig()
    rig.tick()
    rig.start()
    assert rig.disk.central_id == CENTRAL
    assert (rig.state, rig.report.session_id) == (CpState.SUPPLYING, "s1")
    other = Rig()
    other.beacon()
    assert other.disk.central_id == CENTRAL


def test_another_centrals_words_are_ignored_wholly() -> None:
    """Proves: a second Central can neither start, stop, confirm nor be taken for the first."""
    rig = charged(Rig().ready(), "s0")
    rig.start()
    rig.wait(1)
    for payload in (StopCp("x"), ResumeCp()):
        assert rig.command(payload, central_id="central-2") == []
    assert rig.do(ConfirmationsRead("central-2", ("s0",))) == []
    rig.central_up = False
    for _ in range(5):
        rig.wait(1)
        assert rig.beacon("central-2") == []
    assert rig.report.unconfirmed == 1
    assert rig.shows(CpState.SUPPLYING)
    assert rig.disk.central_id == CENTRAL


def test_a_ping_that_names_another_central_unconfirms_everything() -> None:
    """Proves: an engine whose Central lost its database sends it all that it keeps, once that it
    obeys the new one is on disk."""
    rig = charged(Rig().ready(), "s1", "s2")
    rig.recorded("s1")
    rig.recorded("s2")
    assert rig.report.unconfirmed == 0
    assert rig.ping(CENTRAL) == []
    effects = rig.ping("central-2")
    assert isinstance(effects[0], SaveObeyed)
    assert sent_again(effects) == ["s1", "s2"]
    assert (rig.report.central_id, rig.report.unconfirmed) == ("central-2", 2)
    assert rig.disk.confirmed == set()
    assert rig.recorded("s1") == []
    rig.do(ConfirmationsRead("central-2", ("s1", "s2", "unknown")))
    assert rig.report.unconfirmed == 0


def test_a_confirmed_record_is_kept_and_not_sent_again() -> None:
    """Proves: a confirmation is saved, reported, and ends the repeating, not the keeping."""
    rig = charged(Rig().ready(), "s1")
    effects = rig.recorded()
    assert SaveConfirmed(("s1",)) in effects
    assert messages(effects, CpStatus)[-1].unconfirmed == 0
    assert rig.recorded() == []
    assert sent_again(rig.wait(65)) == []
    assert "s1" in rig.disk.records


def test_what_was_lost_with_the_brokers_data_is_sent_again_at_once() -> None:
    """Proves: whether the record or its confirmation was lost with the broker, the bill does not
    wait for the next regular round; and it is said again once for each loss."""
    rig = charged(Rig().ready(), "s1")
    rig.logs_lost_count = 1
    assert sent_again(rig.tick()) == ["s1"]
    assert sent_again(rig.wait(5)) == []


def test_an_unconfirmed_record_is_sent_again_within_the_retry_interval() -> None:
    """Proves: a record that got lost on its way comes again, also while all else is well."""
    rig = Rig(retry_interval_s=7.0).ready()
    charged(rig, "s1")
    assert sent_again(rig.wait(7)) == ["s1"]
    assert sent_again(rig.wait(7)) == ["s1"]


def test_records_are_sent_when_central_is_heard_again() -> None:
    """Proves: what ended while Central was away is logged as buffered, and sent at its first
    beacon; and again at a beacon of a new start of it."""
    rig = Rig().ready()
    rig.start("s1")
    rig.central_up = False
    effects = rig.wait(12)
    said = [line for line in notes(effects) if "Central" in line]
    assert said == [
        "INFO Charging session continues: Central is unavailable",
        "WARNING Central unavailable, buffering session",
    ]
    assert "INFO Session s1 buffered (1/100)" in notes(effects)
    assert sent_again(rig.beacon()) == ["s1"]
    assert sent_again(rig.beacon()) == []
    assert sent_again(rig.beacon(epoch=2)) == ["s1"]
    assert "INFO Session s1 flushed" in notes(rig.recorded("s1"))


def test_a_session_that_central_missed_by_a_moment_is_logged_as_buffered_too() -> None:
    """Proves: one that ended just before Central's silence was noticed is told once, like all."""
    rig = Rig().ready()
    rig.start("s1")
    rig.wait(9.5)
    rig.central_up = False
    told = notes(rig.wait(20))
    assert told.count("INFO Session s1 buffered (1/100)") == 1


def test_a_session_that_central_confirms_is_never_called_buffered() -> None:
    """Proves: the log does not cry wolf."""
    rig = charged(Rig().ready(), "s1")
    rig.recorded("s1")
    rig.central_up = False
    assert not any("buffer" in line for line in notes(rig.wait(20)))


def test_a_crashed_session_is_sent_when_central_is_heard() -> None:
    """Proves: whatever was buffered before a restart is sent after it, without waiting for the
    retry interval."""
    rig = charged(Rig().ready(), "s1")
    rig.start("s2")
    rig.wait(3)
    rig.boot()
    assert rig.report.unconfirmed == 2
    rig.tick()
    assert sent_again(rig.beacon()) == ["s1", "s2"]


def test_many_records_are_sent_in_bounded_batches() -> None:
    """Proves: an engine with thousands of records asks no more of Central at a time than it can
    confirm, leaves none out, and starts where it stopped."""
    rig = Rig(session_seconds=1.0, session_buffer_size=1000).ready()
    session_ids = [f"s{number}" for number in range(250)]
    for session_id in session_ids:
        rig.start(session_id)
        rig.wait(1)
        rig.recorded(session_id)
    sent = sent_again(rig.ping("central-2"))
    assert sent == session_ids[:IN_FLIGHT_MAX]
    assert sent_again(rig.beacon("central-2")) == session_ids[100:200]
    confirmed = ConfirmationsRead("central-2", tuple(session_ids[100:170]))
    assert sent_again(rig.do(confirmed)) == [*session_ids[200:250], *session_ids[:20]]
    for _ in range(10):
        waiting = tuple(sent_again(rig.wait(30)))
        rig.do(ConfirmationsRead("central-2", waiting))
    assert rig.report.unconfirmed == 0


def test_a_full_buffer_stops_and_resumes_by_itself() -> None:
    """Proves: at the bound nothing is dropped: the charging point is out of service with that
    reason, refuses, and is back when records are confirmed.  Refusals don't count."""
    rig = Rig(session_buffer_size=2).ready()
    rig.stop("never-1")
    rig.stop("never-2")
    charged(rig, "s1", "s2")
    assert (rig.state, rig.report.unconfirmed) == (CpState.STOPPED, 2)
    assert "buffer is full" in rig.report.reason
    (record,) = records(rig.start("s3"))
    assert (record.outcome, record.kwh) == (Outcome.FAILED, 0)
    assert "buffer is full" in record.reason
    assert rig.report.unconfirmed == 2
    assert "buffer is full" in (rig.engine.health(rig.now) or "")
    rig.recorded("s1")
    assert rig.shows(CpState.ACTIVATED)
    assert set(rig.disk.records) == {"s1", "s2"}


def test_operator_and_buffer_stop_independently() -> None:
    """Proves: neither reason to be stopped takes the other back."""
    rig = Rig(session_buffer_size=1).ready()
    charged(rig, "s1")
    rig.command(StopCp("repairs"))
    assert (rig.state, rig.report.reason) == (CpState.STOPPED, "repairs")
    rig.command(ResumeCp())
    assert rig.shows(CpState.STOPPED)
    assert "buffer is full" in rig.report.reason
    rig.command(StopCp("repairs"))
    rig.recorded("s1")
    assert (rig.state, rig.report.reason) == (CpState.STOPPED, "repairs")
    rig.command(ResumeCp())
    assert rig.shows(CpState.ACTIVATED)


def test_records_that_are_gone_are_forgotten_aloud() -> None:
    """Proves: a record that can't be read any more is said to be lost if Central did not have it,
    and is not asked for again."""
    rig = charged(Rig().ready(), "s1", "s2")
    rig.recorded("s1")
    told = notes(rig.do(RecordsGone(("s1", "s2"))))
    assert len([line for line in told if line.startswith("ERROR") and "s2" in line]) == 1
    assert not any("s1" in line for line in told)
    assert rig.report.unconfirmed == 0
    assert sent_again(rig.wait(60)) == []


def test_it_is_disconnected_until_it_knows_its_place() -> None:
    """Proves: an engine that could not be told to stop does not offer itself."""
    rig = Rig()
    rig.connected = False
    rig.wait(5)
    assert rig.shows(CpState.DISCONNECTED)
    assert rig.engine.health(rig.now)
    rig.connected = True
    rig.tick()
    assert rig.shows(CpState.ACTIVATED)
    assert rig.engine.health(rig.now) is None


def test_a_lost_broker_disconnects_only_who_is_idle() -> None:
    """Proves: after 3 s without a broker an idle engine is DISCONNECTED, and one that supplies
    goes on to the end."""
    rig = Rig().ready()
    rig.connected = False
    rig.wait(3)
    assert rig.shows(CpState.ACTIVATED)
    rig.wait(0.5)
    assert rig.shows(CpState.DISCONNECTED)
    rig.connected = True
    rig.tick()
    rig.start()
    rig.connected = False
    rig.wait(8)
    assert rig.shows(CpState.SUPPLYING)
    effects = rig.wait(4)
    assert records(effects)[0].outcome is Outcome.COMPLETED
    assert rig.shows(CpState.DISCONNECTED)


def test_a_command_that_is_read_proves_the_place() -> None:
    """Proves: a START is not refused for a connection that the next tick would have shown."""
    rig = Rig()
    rig.beacon()
    assert rig.shows(CpState.DISCONNECTED)
    rig.start()
    assert rig.shows(CpState.SUPPLYING)


def test_an_own_stall_is_no_silence_of_others() -> None:
    """Proves: after a SIGSTOP of the engine neither Central nor the broker is held for away."""
    rig = Rig().ready()
    rig.start()
    rig.wait(9.9)
    rig.connected = False
    rig.central_up = False
    rig.tick()
    rig.now_s += 60
    told = notes(rig.wait(2))
    assert not any("unavailable" in line for line in told)
    assert rig.shows(CpState.ACTIVATED)
    rig.wait(3)
    assert rig.shows(CpState.DISCONNECTED)
