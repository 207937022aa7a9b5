"""Central's database: what is stored, found and kept, the same in SQLite and in PostgreSQL."""

from datetime import timedelta
from pathlib import Path

import attrs
import pytest
import trio

from evd.adapters.store import Page, Retention, Store, StoreFailed, UnknownRow, open_store
from evd.core.central.overview import Ended, EndedOfDay
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    EventType,
    Meta,
    Reading,
    Removal,
    Request,
    Row,
    SessionStatus,
)
from evd.core.wire.control import EngineStatus
from evd.core.wire.messages import RequestStatus
from tests.adapters.store.rows import (
    NOON,
    a_charging_point,
    a_fault,
    a_request,
    a_session,
    a_snapshot,
    an_ended_session,
    stored_session,
)


async def test_rows_come_back_as_they_were(db_url: str, tmp_path: Path) -> None:
    """Proves: a restart finds every field of every row, to the microsecond and the last mWh."""
    point = ChargingPoint(
        "CP-001",
        22.0,
        0.3,
        "Straße 1, ☂",
        True,
        "by the operator",
        BreakerState.HALF_OPEN,
        4,
        1,
        True,
        EngineStatus.KO,
        "boot-1",
        NOON,
    )
    request = attrs.evolve(a_request(1), cp_id=None, session_id=None, kwh=4.1, euros=1.23)
    session = attrs.evolve(a_session(1), reason="a reason", confirmed=True)
    ended = attrs.evolve(an_ended_session(2), billable=False, stray=True, confirmed_seq=7)
    estimated = attrs.evolve(an_ended_session(3, cents=None), suspect=True, recorded_cents=5)
    rows: list[Row] = [point, request, session, ended, estimated, a_fault(1), a_snapshot(1)]
    async with open_store(db_url, tmp_path) as store:
        await store.commit(rows)
    async with open_store(db_url, tmp_path) as store:
        image = await store.load()
        assert image.charging_points == [point]
        assert image.requests == [request]
        assert image.sessions == [session]
        assert await stored_session(store, "session-2") == ended
        assert await stored_session(store, "session-3") == estimated
        assert await store.request("req-1") == request
        assert list((await store.faults()).values()) == [a_fault(1)]
        assert list((await store.health_history()).values()) == [a_snapshot(1)]


async def test_a_start_loads_what_is_open(store: Store) -> None:
    """Proves: what has ended is not carried into memory at a start."""
    await store.commit([a_request(n, status) for n, status in enumerate(RequestStatus)])
    await store.commit([a_session(1), an_ended_session(2), a_session(3)])
    image = await store.load()
    assert {request.status for request in image.requests} == {
        RequestStatus.PENDING,
        RequestStatus.ACCEPTED,
        RequestStatus.IN_PROGRESS,
    }
    assert [session.session_id for session in image.sessions] == ["session-1", "session-3"]


async def test_a_settled_session_stays_as_it_is(store: Store) -> None:
    """Proves: no message changes a bill, whatever Central is told to store."""
    await store.commit([an_ended_session(1, cents=None)])
    await store.commit([an_ended_session(1, cents=123)])
    await store.commit([attrs.evolve(an_ended_session(1, cents=999), reason="again")])
    await store.commit([Reading("session-1", 9)])
    assert await stored_session(store, "session-1") == an_ended_session(1, cents=123)


async def test_a_reading_changes_a_running_session_only(store: Store) -> None:
    """Proves: a late meter does not change a session that has ended, nor make one."""
    await store.commit([a_session(1), an_ended_session(2, cents=None)])
    await store.commit([Reading("session-1", 10), Reading("session-2", 10), Reading("x", 10)])
    assert await stored_session(store, "session-1") == attrs.evolve(a_session(1), energy_mwh=10)
    assert await stored_session(store, "session-2") == an_ended_session(2, cents=None)
    assert await stored_session(store, "x") is None


async def test_within_a_batch_the_last_row_counts(store: Store) -> None:
    """Proves: a batch has the outcome of its rows one by one."""
    later = attrs.evolve(a_session(1), energy_mwh=70)
    await store.commit(
        [
            a_session(1),
            Reading("session-1", 60),
            later,
            a_session(2),
            Reading("session-2", 80),
            a_charging_point("CP-001"),
            Removal("CP-001"),
            Removal("CP-002"),
            a_charging_point("CP-002"),
            a_request(1),
            a_request(1, RequestStatus.FAILED),
        ]
    )
    image = await store.load()
    assert list(image.sessions) == [later, attrs.evolve(a_session(2), energy_mwh=80)]
    assert list(image.charging_points) == [a_charging_point("CP-002")]
    assert await store.request("req-1") == a_request(1, RequestStatus.FAILED)


async def test_sessions_are_paged_exactly(store: Store) -> None:
    """Proves: pages joined by `before` are the whole list, newest first, while it grows."""
    for number in range(25):
        await store.commit([a_session(number, cp_id=f"CP-{number % 2}")])
    # An end does not move a session to another place.
    await store.commit([an_ended_session(3, cp_id="CP-1")])
    seen: list[str] = []
    before = None
    while page := await store.sessions(limit=10, before=before):
        seen += [session.session_id for session in page]
        before = seen[-1]
        await store.commit([a_session(100 + len(seen))])
    assert seen == [f"session-{number}" for number in reversed(range(25))]
    with pytest.raises(UnknownRow):
        await store.sessions(before="session-unknown")


async def test_sessions_by_their_fields(store: Store) -> None:
    """Proves: each filter alone and all together let through what fits and nothing else."""
    rows = [
        a_session(1, "CP-1", "bob"),
        a_session(2, "CP-2", "bob"),
        a_session(3, "CP-1", "alice"),
        attrs.evolve(an_ended_session(4, "CP-1"), driver_id="bob"),
    ]
    await store.commit(rows)

    async def numbers(**wanted: object) -> list[str]:
        found = await store.sessions(**wanted)  # type: ignore[arg-type]
        return [session.session_id.removeprefix("session-") for session in found]

    assert await numbers() == ["4", "3", "2", "1"]
    assert await numbers(cp_id="CP-1") == ["4", "3", "1"]
    assert await numbers(driver_id="bob") == ["4", "2", "1"]
    assert await numbers(status=SessionStatus.COMPLETED) == ["4"]
    assert await numbers(cp_id="CP-1", driver_id="bob", status=SessionStatus.ACTIVE) == ["1"]
    assert await numbers(cp_id="CP-1", before="session-4", limit=1) == ["3"]
    assert await numbers(cp_id="nobody") == []


async def test_many_are_looked_up_at_once(store: Store) -> None:
    """Proves: every id that is stored is found, and none that is not, however many are asked."""
    await store.commit([row for n in range(700) for row in (a_request(n), a_session(n))])
    asked = range(500, 1200)
    requests, sessions = await store.lookup(
        [f"req-{n}" for n in asked], [f"session-{n}" for n in asked]
    )
    assert {request.request_id for request in requests} == {f"req-{n}" for n in range(500, 700)}
    assert len(requests) == len(sessions) == 200
    assert await store.lookup([], []) == ([], [])


async def test_histories_are_newest_first(store: Store) -> None:
    """Proves: the lists of faults and health begin with the newest, of one or of all."""
    for number in range(6):
        cp_id = f"CP-{number % 2}"
        await store.commit([a_fault(number, cp_id=cp_id), a_snapshot(number, cp_id)])
    assert [event.reason for event in (await store.faults(page=Page(3))).values()] == [
        "reason 5",
        "reason 4",
        "reason 3",
    ]
    assert [event.reason for event in (await store.faults("CP-0", Page(2))).values()] == [
        "reason 4",
        "reason 2",
    ]
    assert [s.fault_reason for s in (await store.health_history("CP-1", Page(2))).values()] == [
        "reason 5",
        "reason 3",
    ]


async def test_fault_statistics_know_what_was_before(store: Store) -> None:
    """Proves: the figures count the span alone, and know how each point stood when it began."""
    day = timedelta(days=1)
    old = attrs.evolve(a_fault(0, cp_id="CP-1"), timestamp=NOON - 3 * day)
    back = attrs.evolve(a_fault(0, EventType.RECOVERY, "CP-1"), timestamp=NOON - day)
    await store.commit([a_charging_point("CP-1"), a_charging_point("CP-2"), old, back])
    await store.commit([attrs.evolve(a_snapshot(0, "CP-2"), timestamp=NOON - day / 2)])
    first, second = await store.fault_statistics(None, 2, NOON)
    assert (first.cp_id, first.faults, first.recoveries) == ("CP-1", 0, 1)
    assert (first.mtbf_s, first.mttr_s, first.uptime) == (None, day.total_seconds(), 0.5)
    assert (second.cp_id, second.faults, second.uptime) == ("CP-2", 0, 1.0)
    assert await store.fault_statistics("CP-1", 2, NOON) == [first]
    assert await store.fault_statistics("CP-3", 2, NOON) == []


async def test_what_was_removed_is_not_down_for_ever(store: Store) -> None:
    """Proves: a charging point that was taken off the list has no part in the figures of all; of
    itself they say how it was while it was there, and nothing of the time since."""
    minute = timedelta(minutes=1)
    gone = a_fault(600, EventType.DISCONNECTED, "CP-1")
    snapshots = [a_snapshot(60 * n, "CP-1") for n in range(13)]
    await store.commit([a_charging_point("CP-1"), a_charging_point("CP-2"), gone, *snapshots])
    await store.commit([a_snapshot(0, "CP-2"), Removal("CP-1")])
    later = NOON + 60 * minute
    (other,) = await store.fault_statistics(None, 1, later)
    assert (other.cp_id, other.uptime) == ("CP-2", 1.0)
    (figures,) = await store.fault_statistics("CP-1", 1, later)
    assert (figures.disconnections, figures.mtbf_s, figures.mttr_s) == (1, 600.0, None)
    assert figures.uptime == pytest.approx(10 / 12)
    # Off the list before the span began.
    (unobserved,) = await store.fault_statistics("CP-1", 1, later + timedelta(days=2))
    assert (unobserved.disconnections, unobserved.mtbf_s, unobserved.uptime) == (0, None, None)


async def test_what_is_left_of_a_removed_one_may_be_its_events_alone(store: Store) -> None:
    """Proves: events without a snapshot around them are no time in which it was down."""
    await store.commit([a_fault(1, EventType.DISCONNECTED, "CP-1")])
    assert await store.fault_statistics(None, 1, NOON + timedelta(hours=1)) == []
    assert await store.fault_statistics("CP-1", 1, NOON + timedelta(hours=1)) == []


async def test_old_history_goes_and_bills_stay(store: Store) -> None:
    """Proves: what is kept of faults and health is bounded by age and by number; bills are not."""
    old = [
        attrs.evolve(a_fault(n), timestamp=NOON - timedelta(days=91, seconds=n)) for n in range(600)
    ]
    await store.commit([*old, *(a_fault(n) for n in range(20)), an_ended_session(1)])
    await store.commit([a_snapshot(n) for n in range(30)])
    assert await store.prune(NOON + timedelta(minutes=1)) == 600
    assert await store.prune(NOON, Retention(rows_max=15)) == 5 + 15
    assert [event.reason for event in (await store.faults()).values()][-1] == "reason 5"
    assert len(await store.health_history()) == 15
    assert await stored_session(store, "session-1") is not None


async def test_one_point_pushes_nothing_of_the_others_out(store: Store) -> None:
    """Proves: a charging point that flaps loses its own old history, the others lose none; the
    oldest go by their times, also of one that is off the list."""
    await store.commit([a_fault(0, cp_id="CP-001"), a_snapshot(0, "CP-003"), a_charging_point()])
    flapping = [row for n in range(1300) for row in (a_fault(n, cp_id="CP-002"), a_snapshot(n))]
    await store.commit(flapping[::-1])
    assert await store.prune(NOON, Retention(rows_max=100)) == 2 * 1200
    assert [row.reason for row in (await store.faults("CP-001")).values()] == ["reason 0"]
    assert [row.fault_reason for row in (await store.health_history("CP-003")).values()] == [
        "reason 0"
    ]
    kept = [row.reason for row in (await store.faults("CP-002", Page(1000))).values()]
    assert kept == [f"reason {n}" for n in range(1299, 1199, -1)]


async def test_requests_that_became_nothing_go(store: Store) -> None:
    """Proves: a request without a session is kept for 90 days and up to the bound; one that is
    open, or that became a session, is kept for ever."""

    def a_denied(number: int, days: float, status: RequestStatus = RequestStatus.DENIED) -> Request:
        when = NOON - timedelta(days=days, seconds=-number)
        return attrs.evolve(
            a_request(number, status), session_id=None, created_at=when, updated_at=when
        )

    kept = [
        attrs.evolve(a_request(1, RequestStatus.COMPLETED), updated_at=NOON - timedelta(days=900)),
        attrs.evolve(a_request(2, RequestStatus.FAILED), updated_at=NOON - timedelta(days=900)),
        a_denied(3, 900, RequestStatus.PENDING),
    ]
    old = [a_denied(n, 91, RequestStatus(("DENIED", "FAILED")[n % 2])) for n in range(10, 710)]
    new = [a_denied(n, 89) for n in range(1000, 1020)]
    await store.commit([*kept, *old, *new])
    assert await store.prune(NOON) == 700
    assert await store.prune(NOON, Retention(requests_max=5)) == 15

    requests, _ = await store.lookup([row.request_id for row in (*kept, *old, *new)], [])
    assert sorted(requests, key=lambda row: row.request_id) == sorted(
        (*kept, *new[15:]), key=lambda row: row.request_id
    )


async def test_pruning_lets_commits_through(store: Store) -> None:
    """Proves: clearing much history does not hold up what has to be stored meanwhile."""
    await store.commit([a_fault(n) for n in range(20_000)])
    commits = 0
    pruned: list[int] = []
    async with trio.open_nursery() as nursery:

        async def prune() -> None:
            pruned.append(await store.prune(NOON + timedelta(days=365)))

        nursery.start_soon(prune)
        while not pruned:
            await store.commit([a_session(commits)])
            commits += 1
    assert pruned == [20_000]
    # 40 steps, after each of which the commit that waited has its turn.
    assert commits >= 20


async def test_the_epoch_rises_and_the_identity_stays(db_url: str, tmp_path: Path) -> None:
    """Proves: each start is told from the one before, by a number that outlives the process."""
    async with open_store(db_url, tmp_path) as store:
        first = await store.begin_epoch()
        await store.commit([attrs.evolve(first, recovering=frozenset({"CP-1"}))])
    async with open_store(db_url, tmp_path) as store:
        second = await store.begin_epoch()
        assert second == Meta(first.central_id, first.epoch + 1, frozenset({"CP-1"}))
        assert (await store.load()).meta == second


async def test_a_new_identity_waits_for_every_known_point(store: Store) -> None:
    """Proves: after an operator's restore no charging point that is known is forgotten."""
    before = store.meta
    await store.commit([a_charging_point("CP-1"), a_charging_point("CP-2")])
    after = await store.renew_identity()
    assert after.central_id != before.central_id
    assert after.recovering == {"CP-1", "CP-2"}


async def test_every_text_can_be_stored(store: Store) -> None:
    """Proves: no sentence that comes from outside can keep Central from storing."""
    await store.commit([attrs.evolve(a_fault(1), reason="a\0b\ud800c ☂'\"%s?:x")])
    [event] = (await store.faults()).values()
    assert event.reason == "a\ufffdb\ufffdc ☂'\"%s?:x"


async def test_a_closed_store_says_so(db_url: str, tmp_path: Path) -> None:
    """Proves: who still holds the store of an earlier life cannot write into the present one."""
    async with open_store(db_url, tmp_path) as store:
        pass
    async with open_store(db_url, tmp_path) as present:
        for ask in (store.begin_epoch, store.load, lambda: store.commit([a_session(1)])):
            with pytest.raises(StoreFailed, match="closed"):
                await ask()
        await present.begin_epoch()


async def test_the_sessions_of_a_day_add_up(store: Store) -> None:
    """Proves: the day's totals are those of the sessions that ended in it, by UTC, and each that
    may still change is named; one that runs, or ended on another day, is not among them."""
    day, after = NOON.date(), timedelta(days=1)
    midnight = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
    settled = an_ended_session(1)
    rows = [
        settled,
        attrs.evolve(an_ended_session(2), end_time=midnight),
        an_ended_session(3, cents=None),
        attrs.evolve(an_ended_session(4), end_time=midnight + after),
        attrs.evolve(an_ended_session(5), end_time=midnight - timedelta(microseconds=1)),
        # Began on the day before.
        attrs.evolve(an_ended_session(6), start_time=NOON - after / 2 - timedelta(hours=1)),
        a_session(7),
    ]
    await store.commit(rows)
    energy, cents = settled.energy_mwh, settled.cost_cents or 0
    unsettled = Ended(1, energy, 0)
    expected = EndedOfDay(Ended(4, 4 * energy, 3 * cents), {"session-3": unsettled})
    assert await store.ended_of_day(day) == expected
    assert (await store.ended_of_day(day + after)).total == Ended(1, energy, cents)
    assert await store.ended_of_day(day + 9 * after) == EndedOfDay()
