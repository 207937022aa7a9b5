"""Central's database: how sessions, charging points and the network went over time."""

from datetime import timedelta

import attrs

from evd.adapters.store import Retention, Store
from tests.adapters.store.rows import (
    NOON,
    a_charging_point,
    a_curve,
    a_minute,
    a_session,
    a_snapshot,
    a_stop,
    an_ended_session,
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
