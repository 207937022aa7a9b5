"""The driver's decisions: events in, effects out."""

import attrs

from evd.core.driver.core import NO_COORDINATOR
from evd.core.driver.disk import FINALS_MAX, REQUESTS_MAX
from evd.core.driver.events import (
    AskWanted,
    CancelWanted,
    Obstacle,
    Refuse,
    Save,
    StopAsked,
    StopWanted,
    Tell,
    Ticked,
)
from evd.core.effects import Level, Note, Send
from evd.core.machine import SaveFailed
from evd.core.wire.messages import (
    REQUESTS,
    Action,
    Beacon,
    DriverRequest,
    RequestStatus,
    Seen,
)
from tests.unit.driver.scene import (
    ALICE,
    SESSION,
    WALL,
    Scene,
    accepted,
    actions,
    asking,
    completed,
    progress,
    sent,
    told,
    update,
)


def test_nothing_is_sent_before_a_beacon_was_heard() -> None:
    """Proves: a driver that has heard no beacon sends nothing, and the first one lets it ask."""
    scene = Scene()
    effects = scene.tell(AskWanted("req-a", "CP-001", "car-1"))
    assert not sent(effects + scene.tick(5.0))
    [send] = [e for e in scene.beacon(up_s=3.5) if isinstance(e, Send)]
    assert (send.topic, send.key) == (REQUESTS, "CP-001")
    assert send.message == DriverRequest(
        "req-a", ALICE, "CP-001", seen=Seen("central-1", 1, 3.5), vehicle_id="car-1"
    )


def test_a_request_is_saved_before_it_is_sent() -> None:
    """Proves: saves before sends, so that a crash between them loses a message and no request."""
    scene = Scene()
    scene.beacon()
    effects = scene.tell(AskWanted("req-a", "CP-001", None))
    kinds = [type(effect) for effect in effects]
    assert kinds[0] is Save
    assert kinds.index(Save) < kinds.index(Send)
    assert [r.request_id for r in scene.disk.requests] == ["req-a"]


def test_any_cp_is_asked_for_under_the_drivers_own_key() -> None:
    """Proves: a START for any charging point has the driver's id as its key."""
    scene = Scene()
    scene.beacon()
    effects = scene.tell(AskWanted("req-a", None, None))
    assert [e.key for e in effects if isinstance(e, Send)] == [ALICE]
    assert sent(effects)[0].cp_id is None


def test_repeated_each_second_until_answered_then_every_three() -> None:
    """Proves: asked until answered, with the newest beacon each time, also after the answer."""
    scene = Scene()
    scene.beacon(1.0)
    scene.tell(AskWanted("req-a", "CP-001", None))
    scene.beacon(2.0)
    repeats = sent(scene.tick(4.0))
    assert len(repeats) == 4
    assert {message.seen for message in repeats} == {Seen("central-1", 1, 2.0)}
    scene.tell(accepted("req-a"))
    assert len(sent(scene.tick(12.0))) == 4
    scene.tell(completed("req-a"))
    assert not sent(scene.tick(12.0))


def test_an_accepted_request_is_never_given_up() -> None:
    """Proves: after ACCEPTED the driver waits for Central however long, also after a restart."""
    scene = asking()
    scene.tell(accepted("req-a"))
    assert not told(scene.tick(100.0))
    scene.restart()
    scene.beacon(epoch=2)
    effects = scene.tick(100.0)
    assert not told(effects)
    assert set(actions(effects)) == {Action.START}


def test_without_any_answer_it_fails_and_is_cancelled_until_that_is_heard() -> None:
    """Proves: FAILED `no coordinator` after the time-out, saved first, then CANCEL every 3 s."""
    scene = asking()
    scene.tick(9.5)
    effects = scene.tick(0.5)
    assert [type(e) for e in effects if not isinstance(e, Note)] == [Save, Tell, Send]
    tell = next(e for e in effects if isinstance(e, Tell))
    assert (tell.update.status, tell.update.reason) == (RequestStatus.FAILED, NO_COORDINATOR)
    assert actions(effects) == [Action.CANCEL]
    assert actions(scene.tick(9.0)) == [Action.CANCEL] * 3
    scene.restart()
    scene.beacon(epoch=2)
    assert actions(scene.tick(8.75)) == [Action.CANCEL] * 2
    assert not told(scene.tell(update("req-a", RequestStatus.FAILED, "cancelled")))
    assert not sent(scene.tick(9.0))
    assert scene.disk.requests == ()


def test_no_coordinator_is_told_without_any_beacon_too() -> None:
    """Proves: a request asked while Central is away ends in bounded time."""
    scene = Scene()
    scene.tell(AskWanted("req-a", "CP-001", None))
    effects = scene.tick(10.0)
    assert told(effects) == [("req-a", RequestStatus.FAILED)]
    assert not sent(effects)
    assert actions(scene.beacon()) == [Action.CANCEL]


def test_updates_of_a_given_up_request_tell_nothing_more() -> None:
    """Proves: one final status, also when Central accepts or even completes what was given up."""
    scene = asking()
    scene.tick(10.0)
    assert not told(scene.tell(accepted("req-a")))
    assert not told(scene.tell(progress("req-a", 0.01)))
    effects = scene.tell(completed("req-a"))
    assert not told(effects)
    assert [e.level for e in effects if isinstance(e, Note)] == [Level.WARNING]
    assert not told(scene.tell(completed("req-a")))


def test_a_final_status_is_told_once() -> None:
    """Proves: a repeated final status prints nothing, also after a restart."""
    scene = asking()
    assert told(scene.tell(completed("req-a"))) == [("req-a", RequestStatus.COMPLETED)]
    assert not told(scene.tell(completed("req-a")))
    scene.tick()
    effects = scene.restart() + scene.tick(1.0)
    assert not told(effects + scene.tell(completed("req-a")))


def test_a_final_status_not_yet_told_at_a_crash_is_told_again() -> None:
    """Proves: a crash between the save and the telling costs no final status."""
    scene = asking()
    scene.tell(completed("req-a"))
    assert told(scene.restart()) == [("req-a", RequestStatus.COMPLETED)]
    scene.tick()
    assert not told(scene.restart() + scene.tick(2.0))


def test_a_clean_stop_tells_nothing_twice() -> None:
    """Proves: a driver that is stopped right after a final status does not repeat it later."""
    scene = asking()
    scene.tell(completed("req-a"))
    assert [type(effect) for effect in scene.tell(StopAsked())] == [Save]
    assert not told(scene.restart() + scene.tick(2.0))


def test_progress_is_told_as_it_changes_and_repeated_answers_are_not() -> None:
    """Proves: one line for each news; an answer to a repeated START, or an old reading, is none."""
    scene = asking()
    trouble = update("req-a", RequestStatus.IN_PROGRESS, "CP-001 is disconnected")
    incoming = [
        (accepted("req-a"), True),
        (progress("req-a", 0.0), True),
        (accepted("req-a"), False),
        (progress("req-a", 0.02), True),
        (attrs.evolve(progress("req-a", 0.02), ts=WALL, message_id="m-2"), False),
        (progress("req-a", 0.01), False),
        (trouble, True),
        (trouble, False),
        (progress("req-a", 0.03), True),
    ]
    for message, is_news in incoming:
        assert bool(told(scene.tell(message))) is is_news, message


def test_a_pending_request_is_no_news() -> None:
    """Proves: Central's own first status is not told to the driver, and ends no waiting."""
    scene = asking()
    assert scene.tell(update("req-a", RequestStatus.PENDING)) == []
    assert told(scene.tick(10.0)) == [("req-a", RequestStatus.FAILED)]


def test_stop_is_asked_until_the_end_and_start_no_longer() -> None:
    """Proves: STOP every 3 s until the final status, also after a restart; no START beside it."""
    scene = asking(None)
    scene.tell(accepted("req-a"))
    [stop] = [e for e in scene.tell(StopWanted(SESSION)) if isinstance(e, Send)]
    assert (stop.key, actions([stop])) == (ALICE, [Action.STOP])
    assert actions(scene.tick(6.0)) == [Action.STOP] * 2
    scene.restart()
    scene.beacon(epoch=2)
    assert set(actions(scene.tick(6.0))) == {Action.STOP}
    assert told(scene.tell(completed("req-a"))) == [("req-a", RequestStatus.COMPLETED)]
    assert not sent(scene.tick(6.0))


def test_a_cancel_before_any_answer_waits_for_central_but_not_for_ever() -> None:
    """Proves: CANCEL in place of START; Central's final status is told, or `no coordinator`."""
    scene = Scene()
    scene.beacon()
    for request_id in ("req-a", "req-b"):
        scene.tell(AskWanted(request_id, "CP-001", None))
        assert Action.CANCEL in actions(scene.tell(CancelWanted(request_id)))
        assert not sent(scene.tell(CancelWanted(request_id)))
    failed = update("req-a", RequestStatus.FAILED, "cancelled")
    assert told(scene.tell(failed)) == [("req-a", RequestStatus.FAILED)]
    effects = scene.tick(10.0)
    assert told(effects) == [("req-b", RequestStatus.FAILED)]
    assert set(actions(effects)) == {Action.CANCEL}


def test_cancelling_what_charges_stops_it() -> None:
    """Proves: after ACCEPTED the driver's cancel is a STOP, which is billed."""
    scene = asking()
    scene.tell(accepted("req-a"))
    assert actions(scene.tell(CancelWanted("req-a"))) == [Action.STOP]


def test_wishes_about_what_is_unknown_or_over_are_refused() -> None:
    """Proves: a refusal says whether nobody knows the id or it has ended, and changes nothing."""
    scene = asking()
    scene.tell(completed("req-a"))
    scene.tick()
    for wish, obstacle in (
        (CancelWanted("req-x"), Obstacle.UNKNOWN),
        (StopWanted("session-x"), Obstacle.UNKNOWN),
        (CancelWanted("req-a"), Obstacle.OVER),
        (StopWanted(SESSION), Obstacle.OVER),
    ):
        [refusal] = scene.tell(wish)
        assert isinstance(refusal, Refuse)
        assert refusal.obstacle is obstacle


def test_a_second_request_is_asked_too_and_has_its_own_end() -> None:
    """Proves: it is Central that denies a second request; each has one final status."""
    scene = asking()
    scene.tell(accepted("req-a"))
    assert [m.request_id for m in sent(scene.tell(AskWanted("req-b", "CP-002", None)))] == ["req-b"]
    denied = update("req-b", RequestStatus.DENIED, "driver-alice charges with req-a already")
    assert told(scene.tell(denied)) == [("req-b", RequestStatus.DENIED)]
    assert [r.request_id for r in scene.disk.requests] == ["req-a"]


def test_open_requests_are_bounded_and_the_oldest_stay() -> None:
    """Proves: at the bound a further request is refused, and the file waits."""
    scene = Scene()
    for number in range(REQUESTS_MAX):
        scene.tell(AskWanted(f"req-{number}", "CP-001", None))
    [refusal] = scene.tell(AskWanted("req-more", "CP-001", None))
    assert isinstance(refusal, Refuse)
    assert refusal.obstacle is Obstacle.FULL
    scene.tick(20.0)
    assert len(scene.disk.requests) == REQUESTS_MAX
    assert len(scene.disk.finals) <= FINALS_MAX


def test_a_stop_of_this_process_is_nobodys_silence() -> None:
    """Proves: after its own loop stood still the driver's time-out begins anew."""
    scene = Scene()
    scene.beacon()
    scene.tick()
    scene.tell(AskWanted("req-a", "CP-001", None))
    scene.tick(8.0)
    scene.mono_s += 60.0
    assert not told(scene.tick(9.75))
    assert told(scene.tick(0.75)) == [("req-a", RequestStatus.FAILED)]


def test_the_newest_beacon_is_echoed() -> None:
    """Proves: an older beacon of the same start, delivered late, is not echoed; a new start is."""
    scene = Scene()
    scene.beacon(5.0)
    scene.tell(AskWanted("req-a", None, None))
    scene.beacon(4.0)
    assert {message.seen for message in sent(scene.tick(2.0))} == {Seen("central-1", 1, 5.0)}
    scene.beacon(0.5, epoch=2)
    assert {message.seen for message in sent(scene.tick(2.0))} == {Seen("central-1", 2, 0.5)}


def test_new_epochs_without_end_flood_no_log() -> None:
    """Proves: the lines about Centrals that are heard share one bound."""
    scene = Scene()
    for number in range(3):
        (note,) = scene.tell(Beacon(f"central-{number}", number, 1.0))
        assert isinstance(note, Note)
        assert note.about == "Central"


def test_a_failed_save_takes_the_step_back() -> None:
    """Proves: what could not be saved was never said, and is decided again when it can be."""
    scene = Scene("CP-001\n")
    scene.beacon()
    before = scene.disk
    scene.mono_s += 0.25
    assert isinstance(scene.driver.handle(Ticked("req-a"), scene.now)[0], Save)
    assert scene.driver.handle(SaveFailed("disk full"), scene.now) == []
    assert scene.disk == before
    effects = scene.tell(Ticked("req-b"))
    assert isinstance(effects[0], Save)
    assert [m.request_id for m in sent(effects)] == ["req-b"]
    scene.driver.handle(completed("req-b"), scene.now)
    scene.driver.handle(SaveFailed("disk full"), scene.now)
    assert told(scene.tell(completed("req-b"))) == [("req-b", RequestStatus.COMPLETED)]


def test_a_save_that_failed_and_was_done_all_the_same_revives_nothing() -> None:
    """Proves: a request that was refused because it could not be saved is not begun later."""
    scene = Scene()
    scene.beacon()
    save = scene.tell(AskWanted("req-refused", "CP-001", None))[0]
    assert isinstance(save, Save)
    scene.driver.handle(SaveFailed("disk full"), scene.now)
    assert scene.disk.requests
    scene.tick()
    assert not scene.disk.requests
    scene.restart()
    scene.beacon()
    assert not sent(scene.tick(5.0))


def test_what_others_asked_for_this_driver_is_told_and_can_be_stopped() -> None:
    """Proves: a request made elsewhere for this driver is shown, ended by it, and told once."""
    scene = Scene()
    scene.beacon()
    assert told(scene.tell(accepted("req-x"))) == [("req-x", RequestStatus.ACCEPTED)]
    assert not told(scene.tell(accepted("req-x")))
    assert not sent(scene.tick(10.0))
    scene.tell(progress("req-x", 0.02))
    current = scene.current()
    assert current is not None
    assert (current.session_id, current.kwh) == (SESSION, 0.02)
    assert actions(scene.tell(StopWanted(SESSION))) == [Action.STOP]
    assert told(scene.tell(completed("req-x"))) == [("req-x", RequestStatus.COMPLETED)]
    assert scene.current() is None
    assert not told(scene.tell(completed("req-x")))


def test_what_others_asked_is_forgotten_when_nothing_is_heard_of_it() -> None:
    """Proves: a session whose end was never heard is not shown for ever."""
    scene = Scene()
    scene.tell(accepted("req-x"))
    scene.tick(50.0)
    assert scene.current() is not None
    scene.tick(15.0)
    assert scene.current() is None


def test_the_current_session_is_known_after_a_restart() -> None:
    """Proves: the session's id, place and start are kept; its meter comes with the next reading."""
    scene = asking(None)
    assert scene.current() is None
    scene.tell(attrs.evolve(accepted("req-a"), ts=WALL))
    scene.restart()
    current = scene.current()
    assert current is not None
    assert (current.session_id, current.cp_id, current.kwh) == (SESSION, "CP-001", None)
    assert current.started_at == WALL


def test_a_beacon_with_an_uptime_too_high_silences_no_other() -> None:
    """Proves: after one forged beacon a driver echoes Central's own again within seconds; one that
    only came late changes nothing."""
    scene = Scene()
    scene.beacon(2.0**53)
    scene.tell(AskWanted("req-a", "CP-001", None))
    for up_s in (5.0, 6.0, 7.0, 8.0):
        scene.tick(1.0)
        scene.beacon(up_s)
    scene.beacon(7.5)
    assert sent(scene.tick(1.0))[-1].seen == Seen("central-1", 1, 8.0)
