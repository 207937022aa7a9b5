"""The records that an engine keeps: buffered, sent again, confirmed."""

from evd.core.engine.events import ConfirmationsRead, RecordsGone, SaveConfirmed
from evd.core.engine.ledger import IN_FLIGHT_MAX
from evd.core.wire.messages import CpState, CpStatus
from tests.unit.engine.rig import Rig, messages, notes, records, sent_again


def test_a_confirmed_record_is_kept_and_not_sent_again() -> None:
    """Proves: a confirmation is saved, reported, and ends the repeating, not the keeping."""
    rig = Rig().ready().charged("s1")
    effects = rig.recorded()
    assert SaveConfirmed(("s1",)) in effects
    assert messages(effects, CpStatus)[-1].unconfirmed == 0
    assert rig.recorded() == []
    assert sent_again(rig.wait(65)) == []
    assert "s1" in rig.disk.records


def test_what_was_lost_with_the_brokers_data_is_sent_again_at_once() -> None:
    """Proves: whether the record or its confirmation was lost with the broker, the bill does not
    wait for the next regular round; and it is said again once for each loss."""
    rig = Rig().ready().charged("s1")
    rig.logs_lost_count = 1
    assert sent_again(rig.tick()) == ["s1"]
    assert sent_again(rig.wait(5)) == []


def test_an_unconfirmed_record_is_sent_again_within_the_retry_interval() -> None:
    """Proves: a record that got lost on its way comes again, also while all else is well."""
    rig = Rig(retry_interval_s=7.0).ready()
    rig.charged("s1")
    assert sent_again(rig.wait(7)) == ["s1"]
    assert sent_again(rig.wait(7)) == ["s1"]


def test_records_are_sent_when_central_is_heard_again() -> None:
    """Proves: what ended while Central was away is logged as buffered, and sent at its first
    beacon; and again at a beacon of a new start of it."""
    rig = Rig().charging()
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
    rig = Rig().charging(9.5)
    rig.central_up = False
    told = notes(rig.wait(20))
    assert told.count("INFO Session s1 buffered (1/100)") == 1


def test_a_session_that_central_confirms_is_never_called_buffered() -> None:
    """Proves: the log does not cry wolf."""
    rig = Rig().ready().charged("s1")
    rig.recorded("s1")
    rig.central_up = False
    assert not any("buffer" in line for line in notes(rig.wait(20)))


def test_a_crashed_session_is_sent_when_central_is_heard() -> None:
    """Proves: whatever was buffered before a restart is sent after it, without waiting for the
    retry interval."""
    rig = Rig().ready().charged("s1")
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
    sent = sent_again(rig.renamed("central-2"))
    assert sent == session_ids[:IN_FLIGHT_MAX]
    assert sent_again(rig.beacon("central-2")) == session_ids[100:200]
    few = ConfirmationsRead("central-2", tuple(session_ids[100:120]))
    assert sent_again(rig.do(few)) == []
    more = ConfirmationsRead("central-2", tuple(session_ids[120:170]))
    assert sent_again(rig.do(more)) == [*session_ids[200:250], *session_ids[:20]]
    for _ in range(10):
        waiting = tuple(sent_again(rig.wait(30)))
        rig.do(ConfirmationsRead("central-2", waiting))
    assert rig.report.unconfirmed == 0


def test_records_that_are_gone_are_forgotten_aloud() -> None:
    """Proves: a record that can't be read any more is said to be lost if Central did not have it,
    and is not asked for again."""
    rig = Rig().ready().charged("s1", "s2")
    rig.recorded("s1")
    told = notes(rig.do(RecordsGone(("s1", "s2"))))
    assert len([line for line in told if line.startswith("ERROR") and "s2" in line]) == 1
    assert not any("s1" in line for line in told)
    assert rig.report.unconfirmed == 0
    rig.central_up = False
    effects = rig.wait(60)
    assert sent_again(effects) == []
    assert not any("buffered" in line for line in notes(effects))


def test_of_a_record_that_cannot_be_read_nothing_is_said() -> None:
    """Proves: a session whose record can't be read is named and counted once, does not count as
    buffered, and is neither begun again nor answered as one that never began: Central closes it as
    an estimate."""
    rig = Rig().ready().charged("s1")
    for _ in range(2):
        said = rig.do(RecordsGone(("s1",), unreadable=True))
    assert notes(said) == []
    assert sum("s1: its record can't be read" in each for each in notes(rig.effects)) == 1
    assert (rig.engine.unreadable_count, rig.engine.unconfirmed_count) == (1, 0)
    for said in (rig.stop("s1"), rig.start("s1"), rig.wait(60)):
        assert records(said) == []
        assert sent_again(said) == []
    assert rig.state is CpState.ACTIVATED
