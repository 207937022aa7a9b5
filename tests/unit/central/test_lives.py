"""The life of a request and of a session: the drawing, the table and the code say the same."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from evd.core.central import ledger, lives
from evd.core.central.events import ChargeAsked, JudgementAsked
from evd.core.central.ledger import Ledger, session_id_for
from evd.core.central.lives import REQUEST_LIFE, SESSION_LIFE, NoSuchStep, RequestStep, SessionStep
from evd.core.central.rows import Image, Meta, Request, Session, SessionStatus
from evd.core.wire.messages import Action, CpState, Outcome, RequestStatus
from tests.unit.central.network import CENTRAL_ID, START, Network, ready

ARROW = re.compile(r"^ {4}(\S.*?) +--([a-z ]+)--> +([A-Z_]+)$", re.MULTILINE)
NONE = "(none)"
# A part of a scenario: it brings req-1 into a state, or one step on.
Way = Callable[[Network], object]


def drawn(section: str) -> dict[tuple[str, str], str]:
    """The arrows of a part of the drawing, one for each state in front of an arrow."""
    return {
        (before, step): after
        for states, step, after in ARROW.findall(section)
        for before in states.split()
    }


def named(life: Mapping[Any, str]) -> dict[tuple[str, str], str]:
    """A table in the words of the drawing."""
    return {(str(at or NONE), str(step)): str(to) for (at, step), to in life.items()}


def test_the_drawing_is_the_table() -> None:
    """Proves: whoever reads the drawing knows every step that is possible, and no other."""
    requests, sessions = (lives.__doc__ or "").split("A session.")
    assert drawn(requests) == named(REQUEST_LIFE)
    assert drawn(sessions) == named(SESSION_LIFE)


def unknown() -> Session:
    """The session of req-1, as an engine knows it."""
    return Session(session_id_for("req-1"), "req-1", "CP-001", "driver-alice", START)


def nothing(network: Network) -> None:
    """req-1 is not known."""


def pending(network: Network) -> None:
    """req-1 waits for an engine that finds its place."""
    network.status(state=CpState.DISCONNECTED)
    network.call(ChargeAsked(1, "req-1", "driver-alice", "CP-001"))
    assert network.request().status is RequestStatus.PENDING


def running(network: Network) -> None:
    """The session of req-1 runs."""
    network.ask()
    network.supplying(network.session())


def stopping(network: Network) -> None:
    """The session of req-1 was stopped before it was confirmed."""
    network.ask()
    network.ask(action=Action.STOP)


def estimated(network: Network) -> None:
    """The session of req-1 was closed without a record."""
    running(network)
    network.leave()
    network.run(65)


def suspected(network: Network) -> None:
    """A record of the session says what can't be."""
    network.record(unknown(), kwh=1000.0, euros=300.0)


def never_began(network: Network) -> None:
    """The engine, which is another by now, knows nothing of the session."""
    network.engine_back(boot_id="boot-2")
    network.record(unknown(), started_at=None, kwh=0.0, euros=0.0, outcome=Outcome.FAILED)


# req-1 has a session that has not been confirmed.
accepted: Way = Network.ask
OPEN: tuple[Way, ...] = (nothing, pending, accepted, running)
ENDS: tuple[Way, ...] = (
    lambda network: network.cancel(),
    lambda network: network.record(unknown()),
    lambda network: network.record(unknown(), outcome=Outcome.FAILED, reason="x"),
)
ACTIVE: tuple[Way, ...] = (accepted, running, stopping)
SCENARIOS: tuple[tuple[Way, ...], ...] = (
    *((way, end) for way in OPEN for end in ENDS),
    *((way, never_began) for way in ACTIVE),
    *((way, suspected) for way in (nothing, *ACTIVE, estimated)),
    (
        suspected,
        lambda network: network.call(JudgementAsked(1, network.session().session_id, True)),
    ),
    (lambda network: network.ask(cp_id="CP-404"),),
    (lambda network: network.call(ChargeAsked(1, "req-1", "driver-alice", "CP-404")),),
    (lambda network: network.call(ChargeAsked(1, "req-1", "driver-alice", "CP-001")),),
    (lambda network: network.supplying(unknown()),),
    (pending, lambda network: network.supplying(unknown())),
    (lambda network: network.cancel(), lambda network: network.supplying(unknown())),
    (running, lambda network: network.ask(action=Action.STOP)),
    (stopping, lambda network: network.supplying(network.session())),
    (stopping, lambda network: network.cancel()),
    (stopping, lambda network: network.record(unknown())),
    (stopping, lambda network: network.leave(), lambda network: network.run(65)),
    (estimated, lambda network: network.record(unknown())),
)


def test_the_code_takes_every_step_of_the_table_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Proves: each step that is drawn happens; one that is not drawn raises, here and anywhere."""
    seen: dict[str, set[tuple[object, object]]] = {"requests": set(), "sessions": set()}

    def check(life: object, before: object, step: object, after: object) -> None:
        kind = "requests" if isinstance(step, RequestStep) else "sessions"
        seen[kind].add((before, step))
        lives.check_step(life, before, step, after)  # type: ignore[type-var,arg-type]

    monkeypatch.setattr(ledger, "check_step", check)
    for ways in SCENARIOS:
        network = ready("CP-001", "CP-002", session_lost_after_s=60.0)
        for way in ways:
            way(network)
    # A session that is not confirmed outlives its START, unless that is waited for longer.
    network = ready(session_lost_after_s=60.0, start_timeout_s=120.0)
    network.ask()
    network.run(65)
    # The row of a session may be unreadable, and that of its request not.
    for status in (RequestStatus.ACCEPTED, RequestStatus.IN_PROGRESS):
        row = Request("req-1", "driver-alice", "CP-001", None, status, "", START, START)
        image = Image(Meta(CENTRAL_ID, 2), requests=(row,))
        ready(image=image).supplying(unknown())
    assert seen["requests"] == set(REQUEST_LIFE)
    assert seen["sessions"] == set(SESSION_LIFE)


def test_a_step_that_is_not_drawn_raises_and_changes_nothing() -> None:
    """Proves: no bug turns a final status, or a bill, into another one."""
    paid = Session("s-1", "r-1", "CP-001", "d-1", START, status=SessionStatus.COMPLETED)
    failed = Request("r-1", "d-1", "CP-001", "s-1", RequestStatus.FAILED, "", START, START)
    book = Ledger([failed], [paid])
    completed = Request("r-1", "d-1", "CP-001", "s-1", RequestStatus.COMPLETED, "", START, START)
    with pytest.raises(NoSuchStep, match="FAILED --completed--> COMPLETED"):
        book.save_request(completed, RequestStep.COMPLETED)
    again = Session("s-1", "r-1", "CP-001", "d-1", START)
    with pytest.raises(NoSuchStep, match="UNSETTLED --begun--> STARTING"):
        book.save_session(again, SessionStep.BEGUN)
    assert (book.requests["r-1"], book.sessions["s-1"]) == (failed, paid)
