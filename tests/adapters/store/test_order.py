"""The order of lists and figures is that of the times, in whatever order the rows came."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from evd.adapters.store import Page, SessionFilter, Store, UnknownRow
from evd.adapters.store.export import PAGE_ROWS
from evd.core.central.rows import EventType, FaultEvent
from tests.adapters.store.rows import (
    NOON,
    a_charging_point,
    a_fault,
    a_session,
    a_snapshot,
    an_ended_session,
)

# Seconds after noon, in the order in which the rows come; two have the same.
ARRIVALS = (5, 1, 9, 3, 3, -86_400, 7)


async def test_late_records_stand_where_they_began(store: Store) -> None:
    """Proves: sessions are newest first by their start and then by their id, also those that came
    after a restore, and pages joined by `before` are the whole list, with any filter."""
    rows = [
        attrs.evolve(an_ended_session(n), start_time=NOON + timedelta(seconds=s))
        for n, s in enumerate(ARRIVALS)
    ]
    for row in rows:
        await store.commit([row])
    expected = sorted(rows, key=lambda row: (row.start_time, row.session_id), reverse=True)
    assert await store.sessions() == expected
    for cp_id, driver_id in ((None, None), ("CP-001", None), (None, "driver-alice")):
        pages: list[object] = []
        before = None
        while page := await store.sessions(cp_id, driver_id, limit=2, before=before):
            pages += page
            before = page[-1].session_id
        assert pages == expected


async def test_an_export_is_exact_while_rows_are_added(store: Store) -> None:
    """Proves: an export has each session once and in the order of the list, while others begin
    between its pages, by a clock that was set back too; it takes filters and a limit."""
    rows = [a_session(n, f"CP-{n % 2}") for n in range(2 * PAGE_ROWS + 3)]
    await store.commit(rows)
    expected = await store.sessions(limit=len(rows))
    pages = store.all_sessions(SessionFilter(), list)
    seen = list(await anext(pages))
    assert len(seen) == PAGE_ROWS
    await store.commit([a_session(100_000), attrs.evolve(a_session(100_001), start_time=NOON)])
    late = attrs.evolve(a_session(100_002), start_time=seen[-1].start_time)
    await store.commit([late])
    async for page in pages:
        seen += page
    ids = [row.session_id for row in seen]
    assert len(set(ids)) == len(ids)
    stored_before = {row.session_id for row in rows}
    assert [row for row in seen if row.session_id in stored_before] == expected
    which = SessionFilter("CP-1", before=expected[0].session_id, until=expected[0].start_time)
    for limit in (1, PAGE_ROWS, PAGE_ROWS + 1):
        found = [row async for page in store.all_sessions(which, list, limit) for row in page]
        assert found == [row for row in expected[1:] if row.cp_id == "CP-1"][:limit]
    with pytest.raises(UnknownRow):
        await anext(store.all_sessions(SessionFilter(before="nobody"), list))


async def test_a_record_brings_the_row_to_its_own_place(store: Store) -> None:
    """Proves: a session whose start is known better later is listed by that start."""
    await store.commit([a_session(1), a_session(2)])
    early = attrs.evolve(an_ended_session(2), start_time=NOON - timedelta(days=30))
    await store.commit([early])
    assert [row.session_id for row in await store.sessions()] == ["session-1", "session-2"]
    assert await store.sessions(before="session-1") == [early]


async def test_sessions_of_a_span(store: Store) -> None:
    """Proves: `since` and `until` take the sessions that began from the one to before the other,
    together with every other filter."""
    rows = [a_session(n, f"CP-{n % 2}") for n in range(6)]
    await store.commit(rows)
    since, until = NOON + timedelta(seconds=1), NOON + timedelta(seconds=5)
    assert await store.sessions(since=since, until=until) == rows[4:0:-1]
    assert await store.sessions(since=since) == rows[5:0:-1]
    assert await store.sessions("CP-0", since=since, until=until) == [rows[4], rows[2]]
    page = await store.sessions(since=since, until=until, before="session-3", limit=1)
    assert page == [rows[2]]


async def test_histories_have_the_order_of_their_times(store: Store) -> None:
    """Proves: a fault or a snapshot of yesterday that is written today is no newest one."""
    for number, seconds in enumerate(ARRIVALS):
        when = NOON + timedelta(seconds=seconds)
        await store.commit(
            [
                attrs.evolve(a_fault(number), timestamp=when),
                attrs.evolve(a_snapshot(number), timestamp=when),
            ]
        )
    for cp_id in (None, "CP-001"):
        faults = await store.faults(cp_id)
        history = await store.health_history(cp_id)
        assert [row.reason[-1] for row in faults.values()] == ["2", "6", "0", "4", "3", "1", "5"]
        assert [row.fault_reason[-1] for row in history.values()] == [
            "2",
            "6",
            "0",
            "4",
            "3",
            "1",
            "5",
        ]


@pytest.mark.parametrize("cp_id", [None, "CP-001"])
async def test_pages_of_a_history_are_exact_while_it_grows(store: Store, cp_id: str | None) -> None:
    """Proves: pages joined by `before` show each row of the history once, and no row twice, while
    rows are added whose times are later, earlier or those of others; an unknown `before` raises."""
    numbers = itertools.count()

    async def add(*seconds: int) -> None:
        for each in seconds:
            when, number = NOON + timedelta(seconds=each), next(numbers)
            rows = a_fault(number), a_snapshot(number), a_fault(number, cp_id="CP-002")
            await store.commit([attrs.evolve(row, timestamp=when) for row in rows])

    async def pages(ask: Callable[..., Awaitable[dict[int, Any]]]) -> list[int]:
        seen: list[int] = []
        while page := await ask(cp_id, Page(2, seen[-1] if seen else None)):
            seen += page
            # The clock of this Central was set, forward and back, between two pages.
            await add(*(ARRIVALS if len(seen) < 20 else ()))
        with pytest.raises(UnknownRow):
            await ask(cp_id, Page(2, 10_000))
        return seen

    await add(*ARRIVALS)
    for ask in (store.faults, store.health_history):
        before = set(await ask(cp_id, Page(1000)))
        seen = await pages(ask)
        assert len(seen) == len(set(seen))
        assert before <= set(seen)
        newest = list(await ask(cp_id, Page(1000)))
        assert seen == [each for each in newest if each in set(seen)]


async def test_histories_of_a_span(store: Store) -> None:
    """Proves: `since` and `until` take what was from the one to before the other."""
    for number in range(6):
        await store.commit([a_fault(number, cp_id=f"CP-{number % 2}"), a_snapshot(number)])
    since, until = NOON + timedelta(seconds=1), NOON + timedelta(seconds=5)
    faults = await store.faults(page=Page(since=since, until=until))
    assert [row.reason[-1] for row in faults.values()] == ["4", "3", "2", "1"]
    assert list(faults) == sorted(faults, reverse=True)
    faults = await store.faults("CP-1", Page(100, next(iter(faults)), since, until))
    assert [row.reason[-1] for row in faults.values()] == ["3", "1"]
    history = await store.health_history(page=Page(since=until))
    assert [row.fault_reason[-1] for row in history.values()] == ["5"]


async def test_figures_go_by_the_times(store: Store) -> None:
    """Proves: outages that were written down late are counted when they were, and what stood at
    the beginning of the span is told by the times too."""
    hour = timedelta(hours=1)

    def event(hours: int, kind: EventType) -> FaultEvent:
        return FaultEvent("CP-001", kind, "", NOON + hours * hour)

    late = [
        event(20, EventType.RECOVERY),
        event(18, EventType.FAULT),
        event(4, EventType.RECOVERY),
        # It was down when the span began, though the row of its recovery came first.
        event(-2, EventType.FAULT),
        event(-3, EventType.RECOVERY),
    ]
    await store.commit([a_charging_point(), *late])
    for cp_id in (None, "CP-001"):
        [found] = await store.fault_statistics(cp_id, 1, NOON + 24 * hour)
        assert (found.faults, found.recoveries) == (1, 2)
        assert found.uptime == pytest.approx(18 / 24)
        assert found.mttr_s == pytest.approx(3 * 3600)
