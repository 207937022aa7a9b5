"""Central's database: how sessions, charging points and the network went over time."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import process_time

import attrs
import pytest

from evd.adapters.store import Retention, Store, UnknownRow, open_store
from evd.adapters.store.history_queries import TimelineEntry
from evd.adapters.store.page import SessionFilter
from evd.core.central.power import PowerPoint
from evd.core.central.rows import EventType, OperatorEventType, Request, Row
from evd.core.wire.messages import RequestStatus
from tests.adapters.store.rows import (
    NOON,
    a_charging_point,
    a_curve,
    a_fault,
    a_minute,
    a_request,
    a_session,
    a_snapshot,
    a_stop,
    an_ended_session,
    stored_session,
)

DAY = timedelta(days=1)


async def test_a_curve_is_written_once(store: Store) -> None:
    """Proves: a session is found with its course, each number as it was; the first course that is
    written stays."""
    assert await store.session("session-1") is None
    await store.commit([a_session(1)])
    assert await store.session("session-1") == (a_session(1), None)
    await store.commit([an_ended_session(1), a_curve(1), a_curve(2)])
    assert await store.session("session-1") == (an_ended_session(1), a_curve(1))
    await store.commit([a_curve(1, kw=7.4), attrs.evolve(a_curve(1), points=())])
    assert await store.session("session-1") == (an_ended_session(1), a_curve(1))


async def test_a_point_s_standing_and_power_come_back(store: Store) -> None:
    """Proves: since when a charging point stands as it does, and what it supplied, outlive a
    restart."""
    point = attrs.evolve(a_charging_point(), state_since=NOON)
    known, unknown = attrs.evolve(a_snapshot(2), kw=7.4), a_snapshot(1)
    await store.commit([point, unknown, known])
    assert list((await store.load()).charging_points) == [point]
    assert list((await store.health_history()).values()) == [known, unknown]


async def test_the_network_s_minutes_are_kept_for_a_month(store: Store) -> None:
    """Proves: old minutes of the network go, and no younger ones."""
    await store.commit([a_minute(-n) for n in range(0, 40 * 24 * 60, 60)])
    assert await store.prune(NOON) == 40 * 24 - (30 * 24 + 1)
    assert await store.prune(NOON) == 0


async def test_the_operator_s_events_are_bounded(store: Store) -> None:
    """Proves: who stops and resumes a charging point without end fills no disk, and pushes nothing
    of another one out."""
    many = [a_stop(n, "CP-002") for n in range(50)]
    await store.commit([a_stop(0), *many, attrs.evolve(a_stop(0), timestamp=NOON - 91 * DAY)])
    assert await store.prune(NOON) == 1
    assert await store.prune(NOON, Retention(rows_max=20)) == 30


async def test_states_of_many_points(store: Store) -> None:
    """Proves: each charging point has its states in the order of the question, from how it stood
    before on; one that was removed is not known after that, and one that never was, never."""
    await store.commit([a_charging_point("CP-1"), a_charging_point("CP-2")])
    await store.commit([a_fault(-60, cp_id="CP-1"), a_fault(60, EventType.RECOVERY, "CP-1")])
    await store.commit([a_snapshot(30, "CP-2"), a_snapshot(10, "CP-3"), a_snapshot(90, "CP-3")])
    hour = NOON + timedelta(hours=1)
    found = await store.states(["CP-3", "CP-2", "CP-1", "CP-4"], NOON, hour)

    def of(cp_id: str) -> list[tuple[str | None, float]]:
        (states,) = [each for each in found if each.cp_id == cp_id]
        return [(span.state, (span.until - NOON).total_seconds()) for span in states.spans]

    assert [each.cp_id for each in found] == ["CP-3", "CP-2", "CP-1", "CP-4"]
    assert of("CP-1") == [("BROKEN", 60.0), ("ON", 3600.0)]
    assert of("CP-2") == [(None, 30.0), ("ON", 3600.0)]
    assert of("CP-3") == [(None, 10.0), ("ON", 90.0), (None, 3600.0)]
    assert of("CP-4") == [(None, 3600.0)]


async def test_states_while_central_was_away(store: Store) -> None:
    """Proves: how charging points stood while no Central ran is not known."""
    await store.commit([a_charging_point(), a_snapshot(-7_200)])
    await store.commit([a_minute(n) for n in (*range(-60, -30), *range(-10, 1))])
    (found,) = await store.states(["CP-001"], NOON - DAY / 24, NOON)
    minute = timedelta(minutes=1)
    assert [(span.state, (span.until - NOON) / minute) for span in found.spans] == [
        ("ON", -31.0),
        (None, -11.0),
        ("ON", 0.0),
    ]
    (found,) = await store.states(["CP-001"], NOON - 20 * minute, NOON - 5 * minute)
    assert [span.state for span in found.spans] == [None, "ON"]


async def test_states_of_one_that_flapped(store: Store) -> None:
    """Proves: of a charging point with more changes than are looked at, the time before them is
    not known, and all else is."""
    kinds = (EventType.FAULT, EventType.RECOVERY)
    await store.commit([a_charging_point(), a_snapshot(-60)])
    await store.commit([a_fault(n, kinds[n % 2]) for n in range(1_100)])
    (found,) = await store.states(["CP-001"], NOON - DAY, NOON + DAY)
    assert len(found.spans) == 1_001
    assert (found.spans[0].state, found.spans[0].until) == (None, NOON + timedelta(seconds=100))
    assert found.spans[-1].state == "ON"


async def test_the_course_of_power(store: Store) -> None:
    """Proves: the power of one charging point and of the network come in the order of their times,
    of the span alone, without what was not known."""
    await store.commit([a_minute(n, kw=float(n)) for n in (3, 1, 2, 0)])
    await store.commit([attrs.evolve(a_snapshot(n), kw=kw) for n, kw in ((2, 7.4), (1, 0.0))])
    await store.commit([a_snapshot(3), attrs.evolve(a_snapshot(4, "CP-002"), kw=50.0)])
    minute = timedelta(minutes=1)
    assert await store.power(None, NOON + minute, NOON + 3 * minute) == [
        PowerPoint(NOON + minute, 1.0),
        PowerPoint(NOON + 2 * minute, 2.0),
    ]
    second = timedelta(seconds=1)
    assert await store.power("CP-001", NOON, NOON + DAY) == [
        PowerPoint(NOON + second, 0.0),
        PowerPoint(NOON + 2 * second, 7.4),
    ]


def a_refusal(number: int, status: RequestStatus = RequestStatus.DENIED) -> Request:
    """A request that got no session, `number` seconds after noon."""
    when = NOON + timedelta(seconds=number)
    row = attrs.evolve(a_request(number, status), session_id=None, updated_at=when)
    return attrs.evolve(row, request_id=f"no-{number}", reason="it is stopped by the operator")


STORY: list[Row] = [
    attrs.evolve(an_ended_session(1), confirmed=True, reason="stopped by its driver"),
    a_fault(20),
    a_fault(21, EventType.RECOVERY),
    a_stop(30),
    a_refusal(31),
    a_refusal(32, RequestStatus.FAILED),
    a_stop(33, event_type=OperatorEventType.RESUMED),
    attrs.evolve(a_session(34), confirmed=True),
    # It never began, and none of the others are about CP-001.
    attrs.evolve(an_ended_session(40, cents=None), energy_mwh=0, reason="late"),
    a_session(41),
    a_fault(42, cp_id="CP-002"),
    a_stop(42, cp_id="CP-002"),
    a_session(42, cp_id="CP-002"),
    attrs.evolve(a_refusal(43), cp_id=None),
    a_request(44),
]


async def test_a_point_s_story(store: Store) -> None:
    """Proves: faults, sessions, refused requests and the operator's stops are one list, the newest
    first, each with the ids, the reason and the bill that belong to it."""
    await store.commit(STORY)
    entries = [each.entry for each in await store.timeline("CP-001")]
    assert [(entry.kind.value, (entry.ts - NOON).seconds) for entry in entries] == [
        ("SESSION_ENDED", 50),
        ("SESSION_STARTED", 34),
        ("RESUMED", 33),
        ("REFUSED", 32),
        ("REFUSED", 31),
        ("STOPPED", 30),
        ("RECOVERY", 21),
        ("FAULT", 20),
        ("SESSION_ENDED", 11),
        ("SESSION_STARTED", 1),
    ]
    never, begun, _, failed, denied, *_, ended, _ = entries
    assert never.text == "the session of driver-alice never began: late"
    assert (begun.session_id, begun.driver_id, begun.kwh) == ("session-34", "driver-alice", None)
    assert (ended.session_id, ended.request_id, ended.kwh, ended.euros) == (
        "session-1",
        "req-1",
        4.100001,
        1.23,
    )
    assert ended.text == "the session of driver-alice ended COMPLETED: stopped by its driver"
    assert (denied.request_id, denied.text) == (
        "no-31",
        "driver-alice was refused: it is stopped by the operator",
    )
    assert failed.text.startswith("driver-alice got no session: ")


async def test_the_story_of_all(store: Store) -> None:
    """Proves: the network's story has what its charging points' have and the refused requests for
    any of them, each with its charging point; pages of it go on where the one before ended."""
    await store.commit(STORY)
    whole = await store.timeline()
    told = {(each.entry.kind.value, each.entry.cp_id) for each in whole}
    assert told >= {("REFUSED", None), ("REFUSED", "CP-001"), ("STOPPED", "CP-002")}
    (anywhere,) = [each.entry for each in whole if each.entry.cp_id is None]
    assert anywhere.text == "driver-alice was refused: it is stopped by the operator"
    parts = [await store.timeline(cp_id) for cp_id in ("CP-001", "CP-002")]
    assert sorted(each.id for each in whole) == sorted(
        ["1769860843123456d-no-43", *(each.id for part in parts for each in part)]
    )
    first = await store.timeline(limit=5)
    assert first + await store.timeline(limit=100, before=first[-1].id) == whole


async def test_a_row_without_its_time_ends_no_list(tmp_path: Path) -> None:
    """Proves: a row whose time can't be read, and which the database takes for the newest, stands
    in no list, and pages of one row go on behind it to the last one; it is found by its id, and
    named."""
    path = tmp_path / "central.db"
    async with open_store(f"sqlite:///{path}", tmp_path) as store:
        rows = [attrs.evolve(an_ended_session(n), confirmed=True) for n in range(6)]
        await store.commit([*rows, *(a_fault(n) for n in range(6))])
    with closing(sqlite3.connect(path)) as connection, connection:
        broken = "session_id IN ('session-2', 'session-4')"
        connection.execute(f"UPDATE charging_sessions SET start_time = 'x' WHERE {broken}")
        connection.execute(f"UPDATE charging_sessions SET end_time = 'x' WHERE {broken}")
        connection.execute("UPDATE fault_events SET timestamp = 'x' WHERE id IN (2, 4)")
    async with open_store(f"sqlite:///{path}", tmp_path) as store:
        listed: list[str] = []
        while page := await store.sessions(limit=1, before=listed[-1] if listed else None):
            listed += [row.session_id for row in page]
        assert listed == ["session-5", "session-3", "session-1", "session-0"]
        story: list[TimelineEntry] = []
        while part := await store.timeline("CP-001", 1, story[-1].id if story else None):
            story += part
        assert len(story) == 4 + 4 + 4
        exported = [len(rows) async for rows in store.all_sessions(SessionFilter(), list)]
        assert sum(exported) == 4
        assert await stored_session(store, "session-2") is not None
        assert {"session session-2", "session session-4"} <= set(store.unreadable)


async def test_a_story_by_pages(store: Store) -> None:
    """Proves: pages of any length are the whole story while rows are added, also where many stand
    at one moment; a span cuts it at both ends."""
    at_once: list[Row] = [
        row
        for n in range(6)
        for row in (
            attrs.evolve(a_fault(100), reason=f"{n}"),
            a_stop(100),
            attrs.evolve(a_refusal(n), updated_at=NOON + timedelta(seconds=100)),
            attrs.evolve(an_ended_session(90), session_id=f"once-{n}", confirmed=True),
            attrs.evolve(a_session(100), session_id=f"twice-{n}", confirmed=True),
        )
    ]
    await store.commit([*STORY, *at_once])
    assert len(await store.timeline("CP-001", limit=1000)) == 10 + 6 * 6
    newest = 200
    for limit in (1, 2, 7, 45):
        whole = await store.timeline("CP-001", limit=1000)
        assert len({each.id for each in whole}) == len(whole)
        seen: list[TimelineEntry] = []
        before = None
        while page := await store.timeline("CP-001", limit, before):
            assert len(page) <= limit
            seen += page
            before = page[-1].id
            newest += 1
            await store.commit([a_fault(newest), a_stop(newest)])
        assert seen == whole
    second = timedelta(seconds=1)
    cut = await store.timeline("CP-001", 1000, None, NOON + 20 * second, NOON + 33 * second)
    assert [each.entry.kind.value for each in cut] == [
        "REFUSED",
        "REFUSED",
        "STOPPED",
        "RECOVERY",
        "FAULT",
    ]
    assert await store.timeline("CP-001", 2, cut[1].id, None, NOON + 32 * second) == cut[2:4]
    assert await store.timeline("CP-001", 2, cut[1].id, NOON + 31 * second) == []


@pytest.mark.parametrize(
    "before", ["", "x", "5", "1b-x", "1b--1", "1f-1", f"1b-{2**63}", "9" * 18 + "a-x", "1b-1\n"]
)
async def test_an_id_that_no_entry_has(tmp_path: Path, before: str) -> None:
    """Proves: a text that can be no entry's id is refused, and the database is not asked."""
    async with open_store(f"sqlite:///{tmp_path / 'central.db'}", tmp_path) as store:
        with pytest.raises(UnknownRow):
            await store.timeline("CP-001", before=before)


async def test_a_page_of_a_hundred_points_is_quick(tmp_path: Path) -> None:
    """Proves: the states of a hundred charging points over a day with its history, and the power of
    the network over a month, are there before anybody waits for them."""
    cp_ids = [f"CP-{number}" for number in range(100)]
    kinds = (EventType.FAULT, EventType.RECOVERY)
    async with open_store(f"sqlite:///{tmp_path / 'central.db'}", tmp_path) as store:
        for cp_id in cp_ids:
            events = [a_fault(-1700 * n, kinds[n % 2], cp_id) for n in range(50)]
            count = 1_440 if cp_id == "CP-1" else 9
            snapshots = [attrs.evolve(a_snapshot(-60 * n, cp_id), kw=7.4) for n in range(count)]
            await store.commit([a_charging_point(cp_id), *events, *snapshots])
        await store.commit([a_minute(-n, kw=22.0) for n in range(43_200)])
        for ask, bound_s in (
            (lambda: store.states(cp_ids, NOON - DAY, NOON), 0.1),
            (lambda: store.power("CP-1", NOON - DAY, NOON), 0.1),
            (lambda: store.power(None, NOON - 30 * DAY, NOON), 0.5),
            (lambda: store.timeline("CP-1"), 0.1),
        ):
            took_s = []
            for _ in range(3):
                # Others may have the processor meanwhile.
                begun_s = process_time()
                assert await ask()
                took_s.append(process_time() - begun_s)
            assert min(took_s) < bound_s
