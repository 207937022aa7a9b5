"""The events of the status feed: rows that were stored go in, news comes out."""

from datetime import UTC, datetime
from typing import Any

import attrs

from evd.core.central.feed_events import FeedEvents
from evd.core.central.overview import EventKind
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    Image,
    Meta,
    OperatorEvent,
    OperatorEventType,
    Request,
    Row,
    Session,
    SessionStatus,
    ShownState,
    Want,
)
from evd.core.effects import Now
from evd.core.wire.messages import RequestStatus

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = Now(1000.0, NOON)
EMPTY = Image(Meta("central-1", 1))
BEGUN = Session("session-1", "req-1", "CP-001", "driver-a", NOON)
ENDED = attrs.evolve(
    BEGUN,
    status=SessionStatus.COMPLETED,
    end_time=NOON,
    energy_mwh=61_111,
    confirmed=True,
    cost_cents=2,
    settled=True,
)


def told(feed_events: FeedEvents, *rows: Row) -> list[tuple[str, str | None, str]]:
    """The kind, the charging point and the text of each event that these rows are."""
    found = feed_events.take(rows, NOW)
    assert all(event.ts == NOON for event in found)
    return [(event.kind.value, event.cp_id, event.text) for event in found]


def snapshot(breaker: BreakerState) -> HealthSnapshot:
    """A look at CP-001, whose breaker stands so."""
    return HealthSnapshot("CP-001", ShownState.ON, None, False, "", breaker, NOON)


def request(status: RequestStatus, **fields: Any) -> Request:
    """A request of driver-a at CP-001."""
    row = Request("req-1", "driver-a", "CP-001", None, status, "it is taken", NOON, NOON)
    return attrs.evolve(row, **fields)


def test_each_fault_event_is_told_with_its_reason() -> None:
    """Proves: what the history of faults has is told as it is stored, under the same kind."""
    rows = [FaultEvent("CP-001", kind, "why", NOON) for kind in EventType]
    found = told(FeedEvents(EMPTY), *rows)
    assert [kind for kind, _, _ in found] == [kind.value for kind in EventType]
    assert found[0] == ("FAULT", "CP-001", "CP-001: why")


def test_a_session_begins_and_ends_once() -> None:
    """Proves: of all the rows that a session is stored as, two are news: the one that its engine
    confirmed, and the one that ends it; an estimate's later record is none, nor is a record of long
    ago."""
    feed_events = FeedEvents(EMPTY)
    running = attrs.evolve(BEGUN, confirmed=True)
    stopping = attrs.evolve(running, want=Want.STOP)
    found = feed_events.take([BEGUN, running, stopping, ENDED, ENDED], NOW)
    assert [event.kind for event in found] == [
        EventKind.SESSION_STARTED,
        EventKind.SESSION_ENDED,
    ]
    text = "CP-001: the session of driver-a ended COMPLETED (0.061 kWh, 0.02 euros)"
    assert found[1].text == text
    ids = {(event.session_id, event.request_id, event.driver_id) for event in found}
    assert ids == {("session-1", "req-1", "driver-a")}
    assert told(feed_events, attrs.evolve(ENDED, session_id="session-old")) == []


def test_a_session_from_before_a_restart_ends_as_any_other() -> None:
    """Proves: a session that was open at Central's start is not begun again, and its end is told
    with no money where none is known."""
    running = attrs.evolve(BEGUN, confirmed=True)
    feed_events = FeedEvents(attrs.evolve(EMPTY, sessions=[running]))
    estimate = attrs.evolve(
        ENDED, status=SessionStatus.FAILED, cost_cents=None, reason="estimated: gone"
    )
    assert told(feed_events, running) == []
    text = "CP-001: the session of driver-a ended FAILED: estimated: gone (0.061 kWh)"
    assert told(feed_events, estimate) == [("SESSION_ENDED", "CP-001", text)]


def test_a_request_is_told_of_only_where_it_got_no_session() -> None:
    """Proves: a denied request and one that failed before it began are told, with no charging point
    where none was chosen; one whose session failed is not told twice."""
    feed_events = FeedEvents(EMPTY)
    denied = request(RequestStatus.DENIED)
    assert told(feed_events, denied) == [
        ("REFUSED", "CP-001", "CP-001: driver-a was refused: it is taken")
    ]
    anywhere = request(RequestStatus.FAILED, cp_id=None)
    assert told(feed_events, anywhere) == [
        ("REFUSED", None, "driver-a got no session: it is taken")
    ]
    named = request(RequestStatus.DENIED, reason="CP-001 is not available")
    (_, _, text) = told(feed_events, named)[0]
    assert text == "driver-a was refused: CP-001 is not available"
    assert told(feed_events, request(RequestStatus.FAILED, session_id="session-1")) == []
    assert told(feed_events, request(RequestStatus.ACCEPTED)) == []


def test_a_session_that_never_began_has_no_begin() -> None:
    """Proves: a session is told to begin when its engine says so, as its timeline has it; of one
    that never began there is the end alone, and one whose end is the first that is heard of it has
    both."""
    late = attrs.evolve(
        BEGUN, status=SessionStatus.FAILED, end_time=NOON, reason="it came too late"
    )
    text = "CP-001: the session of driver-a never began: it came too late"
    assert told(FeedEvents(EMPTY), BEGUN, late) == [("SESSION_ENDED", "CP-001", text)]
    kinds = [kind for kind, _, _ in told(FeedEvents(EMPTY), BEGUN, ENDED)]
    assert kinds == ["SESSION_STARTED", "SESSION_ENDED"]


def test_what_the_operator_did_is_told() -> None:
    """Proves: a stop, a resume and a shutdown are events of their own kinds; the row of the
    charging point, which changes with them, is none."""
    rows = [OperatorEvent("CP-001", did, NOON) for did in OperatorEventType]
    point = ChargingPoint("CP-001", stopped=True, stop_reason="stopped by the operator")
    assert told(FeedEvents(EMPTY), point, *rows) == [
        ("STOPPED", "CP-001", "CP-001: stopped by the operator"),
        ("RESUMED", "CP-001", "CP-001: resumed by the operator"),
        ("SHUTDOWN", "CP-001", "CP-001: shut down by the operator"),
    ]


def test_a_breaker_is_told_as_it_stands_and_not_as_its_row_was_written() -> None:
    """Proves: each step of a breaker is one event, and the row of its charging point, which does
    not know that time has half opened it, is none."""
    feed_events = FeedEvents(EMPTY)
    row = ChargingPoint("CP-001", breaker=BreakerState.OPEN)
    found = told(feed_events, snapshot(BreakerState.OPEN), row, snapshot(BreakerState.OPEN))
    assert found == [("BREAKER", "CP-001", "CP-001: circuit breaker CLOSED -> OPEN")]
    assert len(told(feed_events, snapshot(BreakerState.HALF_OPEN), row)) == 1
    assert len(told(feed_events, snapshot(BreakerState.CLOSED), row)) == 1
    reopened = FeedEvents(attrs.evolve(EMPTY, charging_points=[row]))
    assert told(reopened, snapshot(BreakerState.OPEN)) == []
