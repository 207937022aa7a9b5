"""Central's database: how sessions, charging points and the network went over time."""

import attrs

from evd.adapters.store import Store
from tests.adapters.store.rows import a_curve, a_session, an_ended_session


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
