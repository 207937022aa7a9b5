"""Since when a charging point is shown as it is, and the power that is written down."""

from datetime import datetime, timedelta

from evd.core.central.rows import HealthSnapshot, NetworkSnapshot, ShownState
from evd.core.wire.control import KoCause
from evd.core.wire.messages import CpState
from tests.unit.central.network import Network, begun, ready, saved


def since(network: Network, cp_id: str = "CP-001") -> tuple[str, datetime | None]:
    """The state that is shown and since when."""
    view = network.view(cp_id)
    return view.state.value, view.state_since


def test_the_time_of_each_change_is_shown_and_stored() -> None:
    """Proves: each change of the shown state has its time, also in the row; what changes nothing
    that is shown leaves it."""
    network = ready()
    registered = network.now.wall - timedelta(seconds=3.25)
    assert since(network) == ("ON", registered)
    network.run(60)
    network.register(connection=99)
    assert since(network) == ("ON", registered)
    network.engine_gone(cause=KoCause.TIMEOUT)
    broken = network.now.wall
    network.run(2, beat=False)
    assert since(network) == ("BROKEN", broken)
    assert network.point().state_since == broken
    network.leave()
    assert since(network) == ("DISCONNECTED", network.now.wall)
    network.run(5)
    network.register()
    assert since(network) == ("ON", network.now.wall)
    assert network.point().state_since == network.now.wall


def test_a_restart_of_central_is_no_change_of_a_charging_point() -> None:
    """Proves: who comes back as it was has stood so since before the restart, and is shown without
    a time while it is on its way; who does not come back is DISCONNECTED since then."""
    network = ready("CP-001", "CP-002")
    on = network.point().state_since
    network.run(60)
    network.restart()
    assert since(network) == ("DISCONNECTED", None)
    network.register()
    assert since(network) == ("ON", on)
    network.run(2)
    assert since(network, "CP-002") == ("DISCONNECTED", None)
    network.run(2)
    state, when = since(network, "CP-002")
    assert state == "DISCONNECTED"
    assert when is not None and timedelta() < network.now.wall - when < timedelta(seconds=2)
    network.restart()
    assert since(network, "CP-002") == ("DISCONNECTED", when)


def test_while_it_flaps_the_time_is_still_true() -> None:
    """Proves: a change that is only counted has its time all the same."""
    network = ready()
    for _ in range(40):
        network.leave()
        network.run(0.5)
        network.register()
        network.run(0.25)
    changed = network.now.wall - timedelta(seconds=0.25)
    assert since(network) == ("ON", changed)
    network.run(12)
    assert since(network) == ("ON", changed)
    assert network.point().state_since == changed


def test_power_is_written_down_where_it_begins_and_ends() -> None:
    """Proves: a snapshot has the power of that moment, 0 where nothing is supplied, null where it
    is not known; while the power only moves nothing more is written."""
    network, session = begun()
    network.run(1)
    network.effects.clear()
    network.meter(session, 0.006111)
    network.run(0.25)
    for kw in (21.0, 20.0, 19.5):
        network.run(1)
        network.meter(session, 0.01, kw=kw)
    network.run(0.25)
    (began,) = saved(network.effects, HealthSnapshot)
    assert (began.engine_state, began.kw) == (CpState.SUPPLYING, 22.0)
    every_minute = []
    for _ in range(60):
        network.supplying(session)
        every_minute += saved(network.run(1), HealthSnapshot)
    assert [row.kw for row in every_minute] == [19.5]
    network.status()
    network.record(session)
    (ended,) = saved(network.run(1), HealthSnapshot)
    assert (ended.engine_state, ended.kw) == (CpState.ACTIVATED, 0.0)


def test_many_that_register_together_are_not_written_down_together_ever_after() -> None:
    """Proves: each charging point is written down once a minute, and of hundreds that came in one
    moment only some in any second: the commit of all would hold up the heartbeats."""
    cp_ids = [f"CP-{number:03d}" for number in range(1, 301)]
    network = Network()
    for cp_id in cp_ids:
        network.register(cp_id)
    network.run(1)
    minutes = [[saved(network.run(1), HealthSnapshot) for _ in range(60)] for _ in range(2)]
    for minute in minutes[1:]:
        assert sorted(row.cp_id for second in minute for row in second) == cp_ids
    assert max(len(second) for minute in minutes for second in minute) <= 30


def test_power_that_nobody_hears_of_is_not_known() -> None:
    """Proves: an engine that is out of sight while it supplies is neither at its last power nor at
    0, and one that was never heard is not at 0."""
    network, session = begun()
    network.meter(session, 0.006111)
    network.leave()
    rows = saved(network.run(5), HealthSnapshot)
    assert [(row.state, row.kw) for row in rows] == [
        (ShownState.DISCONNECTED, 22.0),
        (ShownState.DISCONNECTED, None),
    ]
    network.restart()
    rows = saved(network.run(5), HealthSnapshot)
    assert [(row.state, row.kw) for row in rows] == [(ShownState.DISCONNECTED, None)]


def test_each_minute_of_the_network_is_written_down() -> None:
    """Proves: each minute has one row, with the mean power of the minute and not that of its last
    moment, and how the charging points stand."""
    network, session = begun("CP-001", "CP-002", "CP-003")
    network.leave("CP-003")
    rows = []
    for second in range(180):
        if second < 90:
            network.supplying(session)
            network.meter(session, 0.001)
        elif second == 90:
            network.status()
            network.record(session)
        rows += saved(network.run(1), NetworkSnapshot)
    assert [row.kw > 0 for row in rows] == [True, True, False]
    assert rows[0].kw == 22.0
    assert 8.0 < rows[1].kw < 14.0
    assert [row.charging_count for row in rows] == [1, 0, 0]
    assert {(row.on_count, row.broken_count, row.disconnected_count) for row in rows} == {(2, 0, 1)}


def test_a_minute_begins_after_the_way_back() -> None:
    """Proves: a minute in which monitors were on their way back to Central is none; where they stay
    away, all are DISCONNECTED in the next."""
    network = ready()
    network.run(50)
    network.restart()
    assert not saved(network.run(60), NetworkSnapshot)
    (row,) = saved(network.run(10), NetworkSnapshot)
    assert (row.on_count, row.disconnected_count, row.kw) == (0, 1, 0.0)
