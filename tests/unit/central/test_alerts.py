"""Alerts: rows and readings go in, the troubles that stand come out."""

from datetime import UTC, datetime, timedelta

import attrs

from evd.core.central.alerts import ALERTS_MAX, Alerts
from evd.core.central.overview import AlertKind
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    HealthSnapshot,
    Removal,
    ShownState,
)
from evd.core.effects import Now

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(seconds: float) -> Now:
    """The moment so many seconds after noon."""
    return Now(1000.0 + seconds, NOON + timedelta(seconds=seconds))


def snapshot(
    state: ShownState,
    cp_id: str = "CP-001",
    breaker: BreakerState = BreakerState.CLOSED,
    why: str = "",
) -> HealthSnapshot:
    """A look at a charging point."""
    return HealthSnapshot(cp_id, state, None, state is ShownState.BROKEN, why, breaker, NOON)


def kinds(alerts: Alerts, seconds: float) -> list[str]:
    """The kinds of the alerts that stand then."""
    return [alert.kind.value for alert in alerts.standing(at(seconds))[0]]


def test_a_state_becomes_an_alert_after_a_minute_and_keeps_its_beginning() -> None:
    """Proves: BROKEN needs nobody for 60 s, then stands with the time at which it began, however
    often it was looked at, and is gone when it is over."""
    alerts = Alerts()
    alerts.take([snapshot(ShownState.BROKEN, why="it hangs")], at(5))
    alerts.take([snapshot(ShownState.BROKEN, why="it is gone")], at(50))
    assert kinds(alerts, 64.9) == []
    ((alert,), left_out) = alerts.standing(at(65))
    assert (alert.kind, alert.cp_id, left_out) == (AlertKind.BROKEN, "CP-001", 0)
    assert alert.text == "CP-001 is BROKEN: it is gone."
    assert alert.since == NOON + timedelta(seconds=5)
    assert alert.advice
    alerts.take([snapshot(ShownState.ON)], at(70))
    assert kinds(alerts, 200) == []


def test_a_trouble_that_outlives_central_keeps_its_beginning() -> None:
    """Proves: a charging point that was away before Central's start is told since then; one that
    came down after it, since its own fall; both after a minute."""
    alerts, before = Alerts(), NOON - timedelta(hours=3)
    away = ChargingPoint("CP-001", connected=False, state_since=before)
    alerts.begin([away, attrs.evolve(away, cp_id="CP-002", connected=True)])
    for cp_id in ("CP-001", "CP-002"):
        alerts.take([snapshot(ShownState.DISCONNECTED, cp_id)], at(5))
    assert kinds(alerts, 64.9) == []
    since = {alert.cp_id: alert.since for alert in alerts.standing(at(65))[0]}
    assert since == {"CP-001": before, "CP-002": NOON + timedelta(seconds=5)}


def test_a_state_that_follows_another_begins_anew() -> None:
    """Proves: DISCONNECTED after BROKEN is an alert of its own, 60 s after its own beginning."""
    alerts = Alerts()
    alerts.take([snapshot(ShownState.BROKEN)], at(0))
    alerts.take([snapshot(ShownState.DISCONNECTED)], at(100))
    assert kinds(alerts, 159) == []
    assert kinds(alerts, 160) == ["disconnected"]


def test_the_most_urgent_alert_comes_first_then_the_oldest() -> None:
    """Proves: what stops the whole network stands above one charging point's trouble."""
    alerts = Alerts()
    alerts.on_unconfirmed("CP-004", 2, at(0))
    alerts.take([snapshot(ShownState.DISCONNECTED, "CP-003")], at(1))
    alerts.take([snapshot(ShownState.DISCONNECTED, "CP-002")], at(2))
    alerts.take([snapshot(ShownState.ON, "CP-001", BreakerState.OPEN)], at(3))
    alerts.on_network(AlertKind.MONITORS_FULL, "all places are taken", at(4))
    alerts.on_network(AlertKind.HOLDING_BACK, "it was restored", at(4))
    alerts.on_network(AlertKind.BROKER, "Kafka does not answer", at(5))
    alerts.on_network(AlertKind.DATABASE, "the disk is full", at(6))
    found = alerts.standing(at(100))[0]
    assert [(alert.kind.value, alert.cp_id) for alert in found] == [
        ("database", None),
        ("broker", None),
        ("holding_back", None),
        ("monitors_full", None),
        ("breaker", "CP-001"),
        ("disconnected", "CP-003"),
        ("disconnected", "CP-002"),
        ("unconfirmed", "CP-004"),
    ]
    assert found[0].text == "Central decides nothing: the disk is full."


def test_a_breaker_is_an_alert_at_once_and_only_while_it_is_open() -> None:
    """Proves: an open breaker, which keeps drivers away, is told at once; a half open one not."""
    alerts = Alerts()
    alerts.take([snapshot(ShownState.ON, breaker=BreakerState.OPEN)], at(0))
    assert kinds(alerts, 0) == ["breaker"]
    alerts.take([snapshot(ShownState.ON, breaker=BreakerState.HALF_OPEN)], at(60))
    assert kinds(alerts, 60) == []


def test_records_are_an_alert_while_their_number_is_not_nought() -> None:
    """Proves: an unknown number changes nothing, and 0 ends the alert."""
    alerts = Alerts()
    alerts.on_unconfirmed("CP-001", 1, at(0))
    alerts.on_unconfirmed("CP-001", None, at(10))
    alerts.on_unconfirmed("CP-001", 3, at(20))
    ((alert,), _) = alerts.standing(at(60))
    assert "3" in alert.text
    alerts.on_unconfirmed("CP-001", 0, at(61))
    assert kinds(alerts, 61) == []


def test_a_removed_charging_point_has_no_alert() -> None:
    """Proves: the alerts of a charging point end with it."""
    alerts = Alerts()
    alerts.take([snapshot(ShownState.DISCONNECTED)], at(0))
    alerts.on_unconfirmed("CP-001", 1, at(0))
    alerts.take([Removal("CP-001")], at(1))
    assert kinds(alerts, 100) == []


def test_a_disaster_is_bounded_and_counted() -> None:
    """Proves: where everything is down the list has its bound, the most urgent in it, and tells how
    many it leaves out."""
    alerts = Alerts()
    lost = [snapshot(ShownState.DISCONNECTED, f"CP-{n:03}") for n in range(3 * ALERTS_MAX)]
    alerts.take(lost, at(0))
    alerts.on_network(AlertKind.BROKER, "Kafka does not answer", at(90))
    found, left_out = alerts.standing(at(100))
    assert len(found) == ALERTS_MAX
    assert left_out == 2 * ALERTS_MAX + 1
    assert found[0].kind is AlertKind.BROKER


def test_what_has_not_changed_is_not_worked_out_anew() -> None:
    """Proves: between two changes every look gets the very same answer, also while a trouble waits
    to be due, and the one that is due then is not missed."""
    alerts = Alerts()
    alerts.take([snapshot(ShownState.BROKEN, "CP-1"), snapshot(ShownState.ON, "CP-2")], at(0))
    alerts.take([snapshot(ShownState.BROKEN, "CP-2")], at(30))
    first = alerts.standing(at(70))
    alerts.on_network(AlertKind.BROKER, None, at(71))
    alerts.take([snapshot(ShownState.BROKEN, "CP-1"), snapshot(ShownState.ON, "CP-3")], at(72))
    assert alerts.standing(at(73)) is first
    assert kinds(alerts, 90) == ["broken", "broken"]
    alerts.take([snapshot(ShownState.ON, "CP-1")], at(91))
    assert kinds(alerts, 91) == ["broken"]
