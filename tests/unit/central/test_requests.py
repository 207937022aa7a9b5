"""Requests: decided once, on fresh beacons only, and answered the same ever after."""

import attrs
import pytest

from evd.core.central.events import ChargeAsked, Refusal, RequestEndAsked, Save, SessionStopAsked
from evd.core.central.ledger import session_id_for
from evd.core.central.rows import Image, Meta, Request, SessionStatus
from evd.core.effects import Send
from evd.core.wire.messages import (
    Action,
    CpState,
    DriverRequest,
    Outcome,
    RequestStatus,
    Seen,
    StartSupply,
    StopSupply,
)
from tests.unit.central.network import Network, asked, begun, commands, denial, ready, updates


def test_a_request_is_stored_answered_and_begun_in_this_order() -> None:
    """Proves: everything is stored before anything is said, and one request has one session."""
    network = ready()
    effects = network.ask()
    kinds = [type(effect) for effect in effects if isinstance(effect, Save | Send)]
    assert kinds == [Save, Save, Send, Send]
    (update,) = updates(effects)
    assert (update.status, update.cp_id) == (RequestStatus.ACCEPTED, "CP-001")
    (start,) = commands(effects, StartSupply)
    assert start.session_id == session_id_for("req-1") == update.session_id
    assert start.boot_id == network.boots["CP-001"]
    assert network.session().status is SessionStatus.ACTIVE


def test_the_lease_of_a_start_is_the_engines_last_uptime_and_five_seconds() -> None:
    """Proves: a START names the uptime until which it is good, by that engine's own clock."""
    network = ready()
    network.heartbeat()
    up_s = network.up_s
    network.clock_s += 0.5
    (start,) = commands(network.ask(), StartSupply)
    assert start.until_up_s == pytest.approx(up_s + 5.0)


def test_a_repeated_request_gets_the_stored_answer_and_no_second_start() -> None:
    """Proves: asked again, Central answers again, and carries nothing out a second time."""
    network = asked()
    effects = network.ask()
    assert [update.status for update in updates(effects)] == [RequestStatus.ACCEPTED]
    assert not commands(effects, StartSupply)


def test_an_old_final_answer_is_repeated_from_the_database() -> None:
    """Proves: the answer that was once given is given again after any restart."""
    network = ready()
    network.ask(cp_id="CP-404")
    network.restart()
    network.register()
    assert "CP-404" in denial(network.ask(cp_id="CP-404"))


@pytest.mark.parametrize(
    "seen",
    [
        Seen("central-2", 2, 3.0),
        Seen("central-1", 1, 3.0),
        Seen("central-1", 2, 0.0),
        Seen("central-1", 2, 5000.0),
    ],
    ids=["another Central", "an earlier start", "too old", "from the future"],
)
def test_a_start_without_a_fresh_beacon_is_left(seen: Seen) -> None:
    """Proves: what lay in a queue for 5 s, or was meant for another Central, is never begun."""
    network = ready()
    network.run(3)
    assert not updates(network.ask(seen=seen))
    assert (Request, "req-1") not in network.rows
    assert [u.status for u in updates(network.ask())] == [RequestStatus.ACCEPTED]


def test_a_cancel_read_together_with_its_start_wins() -> None:
    """Proves: a request is decided only when all that was read with it has been handed in."""
    network = ready()
    effects = network.tell(
        DriverRequest("req-1", "driver-alice", "CP-001", seen=network.seen()),
        DriverRequest("req-1", "driver-alice", "CP-001", Action.CANCEL),
    )
    assert [u.status for u in updates(effects)] == [RequestStatus.FAILED]
    assert not commands(effects, StartSupply)


def test_a_cancel_of_an_unknown_request_is_stored_as_its_end() -> None:
    """Proves: a START that arrives after its CANCEL finds it FAILED, and no car starts."""
    network = ready()
    (update,) = updates(network.cancel())
    assert (update.status, update.reason) == (RequestStatus.FAILED, "cancelled")
    effects = network.ask()
    assert [u.status for u in updates(effects)] == [RequestStatus.FAILED]
    assert not commands(effects, StartSupply)


def test_a_cancelled_session_is_stray_and_not_billed() -> None:
    """Proves: what began although its driver had given up is stopped and costs nothing."""
    network, _ = begun()
    effects = network.cancel()
    assert [u.status for u in updates(effects)] == [RequestStatus.FAILED]
    (stop,) = commands(effects, StopSupply)
    assert stop.bill is False
    effects = network.record(network.session(), bill=False)
    session = network.session()
    assert (session.billable, session.cost_cents) == (False, 0)
    assert session.reason.startswith("stray")
    assert not updates(effects)
    assert network.request().status is RequestStatus.FAILED


def test_a_driver_and_a_charging_point_have_one_session() -> None:
    """Proves: a driver with an open request is DENIED another, and told which it is; an occupied
    charging point is not given to a second driver."""
    network = asked("CP-001", "CP-002")
    assert "req-1" in denial(network.ask("req-2", "CP-002"))
    assert "occupied" in denial(network.ask("req-3", driver_id="driver-bob"))


def test_a_request_of_another_driver_is_not_answered() -> None:
    """Proves: nobody can ask about, or end, another driver's request."""
    network = asked()
    assert not updates(network.ask(driver_id="driver-bob"))
    assert not updates(network.cancel(driver_id="driver-bob"))
    assert network.request().status is RequestStatus.ACCEPTED


def test_any_is_the_cheapest_then_the_strongest_then_the_longest_idle() -> None:
    """Proves: who takes any charging point gets the best one that is free."""
    network = Network()
    for cp_id, kw_rate, euro_rate in (
        ("CP-001", 22.0, 0.40),
        ("CP-002", 22.0, 0.30),
        ("CP-003", 50.0, 0.30),
        ("CP-004", 50.0, 0.30),
    ):
        network.register(cp_id, kw_rate=kw_rate, euro_rate=euro_rate)
        network.status(cp_id)
    network.run(3.25)
    chosen = []
    for number in range(4):
        (update, *_) = updates(network.ask(f"req-{number}", None, f"driver-{number}"))
        chosen.append(update.cp_id)
    assert chosen == ["CP-003", "CP-004", "CP-002", "CP-001"]
    assert denial(network.ask("req-9", None, "driver-9"))


def test_a_request_waits_for_its_monitor_after_centrals_start() -> None:
    """Proves: just after a start a request is decided when its monitor is back, or after 3 s with
    the reason."""
    network = ready()
    network.restart()
    network.register("CP-002")
    assert not updates(network.ask())
    network.run(2)
    assert "monitor" in denial(network.run(1.5))
    network.restart()
    assert not updates(network.ask("req-2"))
    network.register("CP-001")
    assert [u.status for u in updates(network.ask("req-2"))] == [RequestStatus.ACCEPTED]


def test_a_new_database_decides_any_only_after_the_grace() -> None:
    """Proves: a Central that knows no charging point yet does not take the first for all."""
    network = Network(Image(Meta("central-1", 1)))
    network.register()
    network.status()
    assert not updates(network.ask(cp_id=None))
    network.run(3.25)
    assert [u.status for u in updates(network.ask(cp_id=None))] == [RequestStatus.ACCEPTED]


@pytest.mark.parametrize("action", [Action.START, Action.STOP])
def test_an_empty_database_knows_nothing_before_the_grace(action: Action) -> None:
    """Proves: a Central that knows no charging point says of no request that there is none, at a
    later start neither: those who know of it may be on their way."""
    network = Network(Image(Meta("central-2", 2)))
    network.ask(cp_id=None, action=action)
    network.run(2.0)
    assert (Request, "req-1") not in network.rows


@pytest.mark.parametrize("action", [Action.START, Action.STOP])
def test_a_lost_database_denies_nothing_that_runs(action: Action) -> None:
    """Proves: a request whose session an engine runs waits for that engine's whole report, is
    taken in, and its bill is the engine's; its driver is never told that it failed."""
    network = Network(Image(Meta("central-2", 1)))
    network.register("CP-002")
    network.ask(action=action, seen=network.seen() if action is Action.START else None)
    session_id = session_id_for("req-1")
    network.register(engine_state=CpState.SUPPLYING, session_id=session_id, report=1)
    assert not updates(network.run(1, beat=False))
    network.status(
        seq=2,
        state=CpState.SUPPLYING,
        session_id=session_id,
        request_id="req-1",
        driver_id="driver-alice",
    )
    network.run(1, beat=False)
    assert network.request().status is RequestStatus.IN_PROGRESS
    network.record(network.session())
    assert network.request().status is RequestStatus.COMPLETED
    assert network.session().cost_cents == 2


def claimed(cp_id: str | None = None) -> Network:
    """A Central whose database was lost: an engine that no monitor has seen yet says that it runs
    the session of req-1, whose driver asks again when the grace is over."""
    network = Network(Image(Meta("central-2", 1)))
    network.register("CP-002")
    _say(network, session_id_for("req-1"))
    network.run(4.0)
    _say(network, session_id_for("req-1"))
    assert not updates(network.ask(cp_id=cp_id))
    return network


def _say(network: Network, session_id: str | None) -> None:
    network.status(
        boot_id="boot-CP-001-1",
        state=CpState.SUPPLYING if session_id else CpState.ACTIVATED,
        session_id=session_id,
        request_id="req-1" if session_id else None,
        driver_id="driver-alice" if session_id else None,
    )


@pytest.mark.parametrize("cp_id", [None, "CP-001"])
def test_what_no_monitor_vouches_for_yet_may_run_all_the_same(cp_id: str | None) -> None:
    """Proves: after a loss of the database a request is neither denied nor begun elsewhere while
    an engine says that it runs it, though its monitor is away or looks at a wrong port; when that
    is right again the session is taken in."""
    network = claimed(cp_id)
    assert not updates(network.run(4.0))
    network.register(engine_state=CpState.SUPPLYING, session_id=session_id_for("req-1"), report=2)
    _say(network, session_id_for("req-1"))
    network.run(1.0, beat=False)
    assert network.request().status is RequestStatus.IN_PROGRESS
    assert network.session().cp_id == "CP-001"


def test_a_boot_that_runs_it_no_more_holds_nothing_back() -> None:
    """Proves: the request is decided once that engine says that it is free."""
    network = claimed()
    _say(network, None)
    (update,) = updates(network.ask(cp_id=None))
    assert (update.status, update.cp_id) == (RequestStatus.ACCEPTED, "CP-002")


def test_what_was_claimed_long_ago_holds_nothing_back() -> None:
    """Proves: an engine that is heard no more holds a request back for as long as a session may be
    unheard, and no longer."""
    network = claimed()
    network.run(network.settings.session_lost_after_s)
    assert [each.status for each in updates(network.ask(cp_id=None))] == [RequestStatus.ACCEPTED]


def test_claims_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: boots that nobody has seen take no memory without end; the oldest is let go of."""
    monkeypatch.setattr("evd.core.central.claims.CLAIMS_MAX", 2)
    network = Network(Image(Meta("central-2", 1)))
    for number in range(3):
        network.status(boot_id=f"boot-{number}", session_id=session_id_for(f"req-{number}"))
    assert network.core._state.claims.since(0.0) == {
        session_id_for("req-1"),
        session_id_for("req-2"),
    }


def test_what_memory_let_go_of_is_not_carried_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: the answer of a request is the stored one also when so many others came since that
    memory holds it no longer, or lets go of it with the very batch that repeats it."""
    monkeypatch.setattr("evd.core.central.ledger.ENDED_MAX", 1)
    network = ready("CP-001", "CP-002")
    network.ask("req-long", None)
    session = network.session("req-long")
    for number in range(3):
        network.ask(f"req-{number}", "CP-404", "driver-bob")
    network.record(session)
    network.ask("req-3", "CP-404", "driver-bob")
    seen = network.seen()
    effects = network.tell(
        DriverRequest("req-new", "driver-bob", "CP-404", seen=seen),
        DriverRequest("req-long", "driver-alice", None, seen=seen),
    )
    assert not commands(effects, StartSupply)
    assert [u.status for u in updates(effects) if u.request_id == "req-long"] == ["COMPLETED"]


def test_a_stray_that_memory_let_go_of_is_not_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: a session that ended long ago is known by the database, and is stopped unbilled."""
    monkeypatch.setattr("evd.core.central.ledger.ENDED_MAX", 1)
    network = asked()
    session = network.session()
    network.cancel()
    network.record(session, bill=False, outcome=Outcome.FAILED, reason="x")
    network.supplying(session)
    for number in range(4):
        network.ask(f"req-{number + 2}", "CP-404", f"driver-{number}")
        network.record(attrs.evolve(session, session_id=f"s-{number}", request_id=f"r-{number}"))
    (stop, *_) = commands(network.run(1.5), StopSupply)
    assert not stop.bill
    assert network.session().status is SessionStatus.FAILED
    assert network.request().status is RequestStatus.FAILED


def test_a_silent_central_says_nothing() -> None:
    """Proves: a Central that no monitor has registered with sends nothing to Kafka."""
    network = Network()
    effects = network.run(5) + network.ask() + network.cancel("req-2")
    assert not [effect for effect in effects if isinstance(effect, Send)]


def test_a_call_is_stored_before_it_is_answered_and_repeats_by_id() -> None:
    """Proves: a caller's request is accepted once stored, the same again by its id, and refused
    to another driver."""
    network = ready()
    asked = ChargeAsked(1, "req-1", "driver-web", None)
    assert network.call(asked) is None
    assert network.request().status is RequestStatus.ACCEPTED
    assert network.call(asked) is None
    other = network.call(ChargeAsked(2, "req-1", "driver-bob", None))
    assert other is not None
    assert (other.refusal, other.field) == (Refusal.CONFLICT, "request_id")


def test_a_call_is_refused_while_central_holds_back() -> None:
    """Proves: before a monitor has registered and in the grace a caller is told to come again."""
    network = Network()
    asked = ChargeAsked(1, "req-1", "driver-web", None)
    assert network.refusal(asked) is Refusal.UNAVAILABLE
    network.register()
    assert network.refusal(asked) is Refusal.UNAVAILABLE
    network.run(3.25)
    assert network.call(asked) is None


def test_an_undecided_http_request_fails_with_centrals_restart() -> None:
    """Proves: a request by HTTP that nobody will repeat does not stay open for ever."""
    network = ready()
    network.tell(ChargeAsked(1, "req-1", "driver-web", "CP-001"))
    network.rows[Request, "req-1"] = attrs.evolve(
        network.request(), status=RequestStatus.PENDING, session_id=None
    )
    network.restart()
    assert network.request().status is RequestStatus.FAILED


def test_an_end_cancels_what_has_not_begun_and_stops_what_has() -> None:
    """Proves: the end of a request is accepted, refused for an unknown one, and bills what was
    charged."""
    network = ready()
    assert network.refusal(RequestEndAsked(1, "req-1")) is Refusal.UNKNOWN
    network.ask()
    network.supplying(network.session())
    assert network.call(RequestEndAsked(2, "req-1")) is None
    assert network.session().billable
    (update,) = updates(network.record(network.session()))
    assert (update.status, update.euros) == (RequestStatus.COMPLETED, 0.02)
    network.status()
    network.ask("req-2")
    assert network.call(RequestEndAsked(3, "req-2")) is None
    assert network.request("req-2").status is RequestStatus.FAILED


def test_an_end_of_a_request_that_has_ended_is_refused() -> None:
    """Proves: nobody is told that something is being ended which is over, whether it was charged,
    DENIED or cancelled; and a call that is repeated changes and tells nothing."""
    network, _ = begun("CP-001", "CP-002")
    network.record(network.session())
    network.ask("req-2", "CP-404", "driver-bob")
    network.ask("req-3", "CP-002", "driver-carol")
    assert network.call(RequestEndAsked(1, "req-3")) is None
    for number in (1, 2, 3):
        before = network.request(f"req-{number}")
        effects = network.tell(RequestEndAsked(2, before.request_id))
        refused = network.call(RequestEndAsked(2, before.request_id))
        assert refused is not None
        assert (refused.refusal, refused.field) == (Refusal.CONFLICT, "request_id")
        assert not updates(effects)
        assert network.request(before.request_id) == before


def test_a_session_is_stopped_by_the_operator_once() -> None:
    """Proves: a session's stop is accepted; for an unknown or an ended one it is refused."""
    network = ready()
    assert network.refusal(SessionStopAsked(1, "session-x")) is Refusal.UNKNOWN
    network.ask()
    session_id = network.session().session_id
    assert network.call(SessionStopAsked(2, session_id)) is None
    network.record(network.session())
    assert network.refusal(SessionStopAsked(3, session_id)) is Refusal.CONFLICT


def test_a_stop_by_the_driver_is_billed() -> None:
    """Proves: a driver that has had enough gets COMPLETED with the totals."""
    network, _ = begun()
    effects = network.ask(action=Action.STOP)
    (stop,) = commands(effects, StopSupply)
    assert stop.bill is True
    (update,) = updates(network.record(network.session(), reason="stopped by its driver"))
    assert (update.status, update.kwh) == (RequestStatus.COMPLETED, 0.061111)


def test_a_stop_of_an_unknown_request_ends_failed() -> None:
    """Proves: whoever asks for the end of what nobody knows gets a final status too."""
    network = ready()
    (update,) = updates(network.ask(action=Action.STOP))
    assert update.status is RequestStatus.FAILED


def test_an_engine_that_is_not_free_is_not_available() -> None:
    """Proves: the engine's own state counts, and the reason says it."""
    network = ready()
    network.status(state=CpState.FAULT, reason="its disk fails")
    assert "its disk fails" in denial(network.ask())


def test_a_request_waits_for_an_engine_that_finds_its_place_again() -> None:
    """Proves: after the broker's death a driver is not DENIED the charging point that will be there
    in a moment; nor is one who lets Central choose, nor the first request of a new network, whose
    engine starts with Central."""
    new = Network()
    new.register(engine_state=CpState.DISCONNECTED)
    for network, cp_id in ((new, "CP-001"), (ready(), "CP-001"), (ready(), None)):
        if network is not new:
            network.status(state=CpState.DISCONNECTED)
        assert not updates(network.ask(cp_id=cp_id))
        assert [u.status for u in updates(network.status())] == [RequestStatus.ACCEPTED]


def test_an_engine_that_does_not_find_its_place_is_not_waited_for() -> None:
    """Proves: the wait ends after 3 s with the reason, though its driver goes on repeating; who
    has a session already does not wait at all."""
    network = ready("CP-001", "CP-002")
    network.ask("req-2", "CP-002")
    network.status(state=CpState.DISCONNECTED)
    assert [u.status for u in updates(network.ask())] == [RequestStatus.DENIED]
    assert not updates(network.ask("req-3", driver_id="driver-bob"))
    network.run(2.75)
    assert not updates(network.ask("req-3", driver_id="driver-bob"))
    (update,) = [u for u in updates(network.run(0.5)) if u.request_id == "req-3"]
    assert update.status is RequestStatus.DENIED
    assert "DISCONNECTED" in update.reason
