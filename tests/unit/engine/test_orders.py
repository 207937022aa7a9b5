"""The Central that an engine obeys, and how it carries out its orders."""

import pytest

from evd.core.effects import Note
from evd.core.engine.events import ConfirmationsRead, Effect, Exit, SaveObeyed, SaveRun, StopAsked
from evd.core.engine.orders import REFUSALS_MAX, UNCONFIRM_BURST
from evd.core.engine.pingers import Pingers
from evd.core.wire.fields import FieldError
from evd.core.wire.messages import CpState, CpStatus, Outcome, ResumeCp, Shutdown, StopCp
from tests.unit.engine.rig import CENTRAL, Rig, messages, notes, records, sent_again


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
    rig = Rig().ready().charged("s0")
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
    rig = Rig().ready().charged("s1", "s2")
    rig.recorded("s1")
    rig.recorded("s2")
    assert rig.report.unconfirmed == 0
    assert rig.ping(CENTRAL) == []
    effects = rig.renamed("central-2")
    assert isinstance(effects[0], SaveObeyed)
    assert sent_again(effects) == ["s1", "s2"]
    assert (rig.report.central_id, rig.report.unconfirmed) == ("central-2", 2)
    assert rig.disk.confirmed == set()
    assert rig.recorded("s1") == []
    rig.do(ConfirmationsRead("central-2", ("s1", "s2", "unknown")))
    assert rig.report.unconfirmed == 0


def refused(rig: Rig, effects: list[Effect], why: str) -> bool:
    """Whether exactly one record was said, of a session that never began, for this reason."""
    (record,) = records(effects)
    assert record.outcome is Outcome.FAILED
    assert record.started_at is None
    assert (record.kwh, record.euros, record.fault) == (0, 0, False)
    assert record.boot_id == rig.boot_id
    return why in record.reason


def test_a_repeated_start_is_answered_by_a_report() -> None:
    """Proves: a START whose confirmation was lost is confirmed again, and begins nothing twice."""
    rig = Rig().charging(1)
    effects = rig.start()
    (report,) = messages(effects, CpStatus)
    assert (report.state, report.session_id) == (CpState.SUPPLYING, "s1")
    assert len([save for save in rig.disk.saves if isinstance(save, SaveRun)]) == 1


def test_a_start_of_a_session_that_is_kept_is_answered_by_its_record() -> None:
    """Proves: no session is begun again once there is a record of it, confirmed or not, whatever
    boot is named."""
    rig = Rig().charging(10)
    assert sent_again(rig.start()) == ["s1"]
    rig.recorded()
    assert sent_again(rig.start(boot_id="boot-9")) == ["s1"]
    assert sent_again(rig.stop(boot_id="boot-9")) == ["s1"]
    assert rig.shows(CpState.ACTIVATED)


def test_a_start_for_another_boot_is_ignored() -> None:
    """Proves: what was meant for another life, or a twin, is neither begun nor answered."""
    rig = Rig().ready()
    assert rig.start(boot_id="boot-0") == []
    assert rig.stop(boot_id="boot-0") == []
    assert rig.shows(CpState.ACTIVATED)


def test_a_start_is_good_until_its_uptime() -> None:
    """Proves: a START that lay somewhere is refused, to the moment."""
    rig = Rig().ready()
    rig.wait(3)
    assert refused(rig, rig.start("late", until_up_s=2.999), "too late")
    rig.start("just", until_up_s=rig.up_s)
    assert rig.report.session_id == "just"


def test_a_refused_session_never_begins() -> None:
    """Proves: a refusal is for good, and is repeated with the same fields."""
    rig = Rig().charging()
    (first,) = records(rig.start("s2"))
    assert "busy" in first.reason
    rig.wait(10)
    (again,) = records(rig.start("s2"))
    assert again == first
    assert rig.shows(CpState.ACTIVATED)
    assert "s2" not in rig.disk.records


def test_refusals_are_remembered_up_to_a_bound() -> None:
    """Proves: orders without end don't take memory without end."""
    rig = Rig().ready()
    for number in range(REFUSALS_MAX + 1):
        rig.stop(f"s{number}")
    (again,) = records(rig.stop(f"s{REFUSALS_MAX}"))
    assert again.reason == "session never began: enough"
    assert len(rig.engine._orders._refused) == REFUSALS_MAX


def test_orders_without_end_flood_no_log() -> None:
    """Proves: the lines of refusals share one bound, and those of being stopped and resumed."""
    rig = Rig().ready()
    for effects, about in (
        (rig.stop("unknown"), "Refused sessions"),
        (rig.command(StopCp("works")), "State"),
        (rig.command(ResumeCp()), "State"),
    ):
        assert {note.about for note in effects if isinstance(note, Note)} == {about}
    assert all(not note.about for note in rig.start() if isinstance(note, Note))


@pytest.mark.parametrize("bill", [True, False])
def test_a_stop_ends_the_session_as_completed(bill: bool) -> None:
    """Proves: a STOP gives its reason to the record, and says whether it is a bill."""
    rig = Rig().charging(4)
    (record,) = records(rig.stop(bill=bill))
    assert (record.outcome, record.reason, record.bill) == (Outcome.COMPLETED, "enough", bill)
    assert record.kwh == 0.04
    assert rig.shows(CpState.ACTIVATED)


@pytest.mark.parametrize("bill", [True, False])
def test_a_stop_of_an_unknown_session_is_answered_with_a_record(bill: bool) -> None:
    """Proves: a STOP for this boot ends in a record, and its session can't begin afterwards."""
    rig = Rig().ready()
    effects = rig.stop("lost", bill=bill)
    assert refused(rig, effects, "never began")
    assert records(effects)[0].bill is bill
    assert refused(rig, rig.start("lost"), "never began")
    assert rig.shows(CpState.ACTIVATED)


def test_a_running_session_is_stopped_whatever_boot_is_named() -> None:
    """Proves: a session that runs is answered by its end."""
    rig = Rig().charging()
    (record,) = records(rig.stop(boot_id="boot-0"))
    assert record.session_id == "s1"


def test_the_operators_stop_ends_the_session_first() -> None:
    """Proves: STOP_CP bills what was delivered, then takes the charging point out of service, is
    idempotent, and RESUME_CP puts it back."""
    rig = Rig().charging(2)
    effects = rig.command(StopCp("repairs"))
    (record,) = records(effects)
    assert (record.outcome, record.reason, record.bill) == (Outcome.COMPLETED, "repairs", True)
    assert [each.state for each in messages(effects, CpStatus)] == [CpState.STOPPED]
    assert rig.report.reason == "repairs"
    assert rig.command(StopCp("repairs")) == []
    assert refused(rig, rig.start("s2"), "repairs")
    rig.command(ResumeCp())
    assert rig.shows(CpState.ACTIVATED)
    rig.start("s3")
    assert rig.report.session_id == "s3"


def test_sigterm_ends_the_session_and_then_the_engine() -> None:
    """Proves: an engine that is told to stop saves and says its session as failed, but not by its
    own failure, shows that it is no longer there to be used, and ends."""
    rig = Rig().charging(2)
    effects = rig.do(StopAsked())
    (record,) = records(effects)
    assert (record.outcome, record.reason) == (Outcome.FAILED, "engine stopped")
    assert (record.fault, record.bill, record.kwh) == (False, True, 0.02)
    assert rig.disk.records["s1"] == record
    assert rig.shows(CpState.STOPPED)
    assert [each.leaving for each in messages(effects, CpStatus)] == [True]
    assert effects[-1] == Exit()
    assert [effect for effect in rig.wait(3) if isinstance(effect, Exit)] == []
    rig.boot()
    assert rig.disk.run is None


def test_shutdown_is_for_one_boot() -> None:
    """Proves: SHUTDOWN does what SIGTERM does, but a SHUTDOWN that came late ends no later boot."""
    rig = Rig().ready()
    assert rig.command(Shutdown("boot-0")) == []
    rig.command(Shutdown("boot-1"))
    assert rig.exited
    *before, last = [report.leaving for report in messages(rig.effects, CpStatus)]
    assert (set(before), last) == ({None}, True)


def test_words_of_others_never_make_a_message_too_long() -> None:
    """Proves: the longest reason that a command may have still gives a record and a report."""
    rig = Rig().ready()
    rig.command(StopCp("x" * 1000))
    assert refused(rig, rig.start(), "stopped")
    rig.wait(2)
    assert rig.report.reason == "x" * 1000


def test_an_old_order_of_the_operator_is_not_carried_out() -> None:
    """Proves: a STOP_CP or RESUME_CP of another boot, no longer good, or good for too long changes
    nothing; a fresh one does."""
    rig = Rig().ready()
    rig.start()
    rig.wait(2)
    for boot_id, until_up_s in (("boot-0", rig.up_s + 5), ("boot-1", 0.5), ("boot-1", 1e6)):
        assert rig.command(StopCp("old", boot_id=boot_id, until_up_s=until_up_s)) == []
        assert rig.shows(CpState.SUPPLYING)
    rig.command(StopCp("repairs", boot_id="boot-1", until_up_s=rig.up_s + 5))
    assert (rig.shows(CpState.STOPPED), rig.report.reason) == (True, "repairs")
    for boot_id, until_up_s in (("boot-0", rig.up_s + 5), ("boot-1", 0.5), ("boot-1", 1e6)):
        assert rig.command(ResumeCp(boot_id=boot_id, until_up_s=until_up_s)) == []
        assert rig.shows(CpState.STOPPED)
    rig.command(ResumeCp(boot_id="boot-1", until_up_s=rig.up_s + 5))
    assert rig.shows(CpState.ACTIVATED)
    assert rig.engine.undated_count == 0


def test_an_order_of_the_release_before_is_obeyed_and_counted() -> None:
    """Proves: a Central that is not updated yet can still stop and resume; one that names half of
    what makes an order fresh is bad."""
    rig = Rig().ready()
    rig.command(StopCp("repairs"))
    assert rig.shows(CpState.STOPPED)
    rig.command(ResumeCp())
    assert (rig.shows(CpState.ACTIVATED), rig.engine.undated_count) == (True, 2)
    with pytest.raises(FieldError, match="until_up_s is missing"):
        StopCp("repairs", boot_id="boot-1")
    with pytest.raises(FieldError, match="boot_id is missing"):
        ResumeCp(until_up_s=5.0)


def test_a_ping_alone_turns_no_engine_away() -> None:
    """Proves: a Central that nobody has heard, named by a connection that has just come, is not
    obeyed, however often; nothing is sent again, and the log names who said it, once."""
    rig = Rig().ready().charged("s1")
    rig.recorded("s1")
    effects: list[Effect] = []
    for count in range(20):
        effects += rig.ping(f"forged-{count % 2}") + rig.wait(1)
    assert not any(isinstance(each, SaveObeyed) for each in effects)
    assert sent_again(effects) == []
    assert [each for each in notes(effects) if "127.0.0.1:5 names Central forged-0" in each] != []
    assert len(notes(effects)) == 1
    rig.start("s2")
    assert rig.shows(CpState.SUPPLYING)


def test_without_a_broker_the_monitors_connection_is_believed() -> None:
    """Proves: with no beacon to be heard, the connection that has long been there is believed when
    it names a Central for the second time."""
    rig = Rig().ready()
    rig.central_up = False
    rig.wait(10)
    assert not any(isinstance(each, SaveObeyed) for each in rig.ping("central-2", is_settled=True))
    assert SaveObeyed("central-2") in rig.ping("central-2", is_settled=True)
    assert any("named by a PING of 127.0.0.1:5" in each for each in notes(rig.effects))


def test_what_is_kept_is_unconfirmed_once_in_30_s() -> None:
    """Proves: Centrals that take turns make an engine send what it keeps at most once in 30 s (one
    that is new and heard comes at once), and one that confirmed nothing is left at once."""
    rig = Rig().ready().charged("s1")
    rig.recorded("s1")
    assert sent_again(rig.renamed("central-2")) == ["s1"]
    assert SaveObeyed(CENTRAL) in rig.renamed(CENTRAL)
    rig.recorded("s1")
    rig.wait(90)
    rounds = 0
    for count in range(60):
        effects = rig.renamed(f"central-{count % 2 + 2}") + rig.wait(1)
        rounds += any(isinstance(each, SaveObeyed) for each in effects)
        rig.do(ConfirmationsRead(rig.engine_central, ("s1",)))
    assert 2 <= rounds <= 3


def test_new_centrals_that_follow_one_another_are_each_obeyed() -> None:
    """Proves: some restores within a minute cost no waiting, since an engine that obeys nobody
    serves nobody; and a flood of new Centrals has its bound."""
    rig = Rig().ready().charged("s1")
    rounds = []
    for count in range(2 * UNCONFIRM_BURST):
        rig.do(ConfirmationsRead(rig.engine_central, ("s1",)))
        rounds += sent_again(rig.renamed(f"central-new-{count}"))
        rig.wait(2)
    assert rounds == ["s1"] * UNCONFIRM_BURST


def test_the_oldest_connection_that_pings_is_the_monitors() -> None:
    """Proves: only the connection that has PINGed longest, for 5 s and without a gap, counts as
    the monitor's; when it is over, the next has its own time to serve."""
    pingers = Pingers()
    seen = [(at, name, pingers.on_ping(name, at)) for at in range(9) for name in ("old", "new")]
    assert {name for _, name, settled in seen if settled} == {"old"}
    assert min(at for at, _, settled in seen if settled) == 5
    pingers.forget("old")
    assert pingers.on_ping("new", 9.0)
    assert not pingers.on_ping("new", 19.1)
