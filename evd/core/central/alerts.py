"""Alerts: the troubles that need a person, each with since when it stands and what to do.

The states of charging points come from the health snapshots that are stored, so an alert has the
time of its trouble also where nobody watched then.
"""

import heapq
import math
from collections.abc import Iterable
from datetime import datetime

import attrs

from evd.core.central.overview import Alert, AlertKind
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    HealthSnapshot,
    Removal,
    Row,
    ShownState,
)
from evd.core.central.standing import Standing
from evd.core.effects import Now

ALERTS_MAX = 50
# A trouble that mends itself within so long needs nobody.
_DUE_S = {
    AlertKind.HOLDING_BACK: 10.0,
    AlertKind.BROKEN: 60.0,
    AlertKind.DISCONNECTED: 60.0,
    AlertKind.UNCONFIRMED: 60.0,
}
_URGENCY = {kind: number for number, kind in enumerate(AlertKind)}
_TEXTS = {
    AlertKind.DATABASE: "Central decides nothing: {why}.",
    AlertKind.BROKER: "Kafka is away: {why}.",
    AlertKind.HOLDING_BACK: "Central begins no session: {why}.",
    AlertKind.MONITORS_FULL: "Central turns monitors away: {why}.",
    AlertKind.BREAKER: "The circuit breaker of {cp_id} is open: its sessions failed repeatedly.",
    AlertKind.BROKEN: "{cp_id} is BROKEN: {why}.",
    AlertKind.DISCONNECTED: "{cp_id} is DISCONNECTED: its monitor is not connected.",
    AlertKind.UNCONFIRMED: "{cp_id} keeps records of sessions that Central has not stored: {why}.",
}
_ADVICE = {
    AlertKind.DATABASE: "See to the database and its disk. Central then goes on by itself.",
    AlertKind.BROKER: "See that the broker runs and that Central reaches it.",
    AlertKind.HOLDING_BACK: "See that monitors run and reach Central. After a restore, end the"
    " wait with: evd central accept.",
    AlertKind.MONITORS_FULL: "Raise --monitors-max and the limit of open files, or end what holds"
    " connections and is no monitor.",
    AlertKind.BREAKER: "See its faults and its last sessions. It gets another try after a minute.",
    AlertKind.BROKEN: "See the log of its engine, and start it again.",
    AlertKind.DISCONNECTED: "See that its host runs, and that its monitor reaches Central.",
    AlertKind.UNCONFIRMED: "See that its engine reaches Kafka. The records are kept until then.",
}


@attrs.frozen(slots=True)
class _Trouble:
    since_s: float
    since: datetime
    why: str


class Alerts:
    """The troubles that stand now; those of the network as a whole have no cp_id."""

    def __init__(self) -> None:
        self._troubles: dict[tuple[AlertKind, str], _Trouble] = {}
        self._stood: dict[str, Standing] = {}
        # It holds until a trouble changes or another one is due: of ten thousand it is not
        # worked out anew at each look.
        self._standing: tuple[list[Alert], int] | None = None
        self._next_due_s = math.inf

    def begin(self, points: Iterable[ChargingPoint]) -> None:
        """Take in the rows of a start: what stands as it was then has stood so since then."""
        self._stood = {row.cp_id: Standing.of_row(row) for row in points}

    def take(self, rows: Iterable[Row], now: Now) -> None:
        """Take in rows that were just stored."""
        for row in rows:
            if isinstance(row, HealthSnapshot):
                broken, away = row.state is ShownState.BROKEN, row.state is ShownState.DISCONNECTED
                opened = row.circuit_breaker_state is BreakerState.OPEN
                stood = self._stood.pop(row.cp_id, None)
                since = stood.since_of(row.state) if stood is not None else None
                why = row.fault_reason if broken else None
                self._set(AlertKind.BROKEN, row.cp_id, why, now, since)
                self._set(AlertKind.DISCONNECTED, row.cp_id, "" if away else None, now, since)
                self._set(AlertKind.BREAKER, row.cp_id, "" if opened else None, now)
            elif isinstance(row, Removal):
                for kind in AlertKind:
                    self._set(kind, row.cp_id, None, now)

    def on_unconfirmed(self, cp_id: str, count: int | None, now: Now) -> None:
        """Take in how many records a charging point's engine keeps; None: not known."""
        if count is not None:
            self._set(AlertKind.UNCONFIRMED, cp_id, str(count) if count else None, now)

    def on_network(self, kind: AlertKind, why: str | None, now: Now) -> None:
        """Take in a trouble of the whole network; None: there is none of this kind."""
        self._set(kind, "", why, now)

    def _set(
        self,
        kind: AlertKind,
        cp_id: str,
        why: str | None,
        now: Now,
        since: datetime | None = None,
    ) -> None:
        key = kind, cp_id
        before = self._troubles.get(key)
        if (before.why if before is not None else None) != why:
            self._standing = None
        if why is None:
            self._troubles.pop(key, None)
        elif before is None:
            self._troubles[key] = _Trouble(now.mono_s, since or now.wall, why)
        elif before.why != why:
            self._troubles[key] = attrs.evolve(before, why=why)

    def standing(self, now: Now) -> tuple[list[Alert], int]:
        """Return the most urgent alerts, of each kind the oldest first, and how many others."""
        if self._standing is None or now.mono_s >= self._next_due_s:
            due = self._due(now.mono_s)
            urgent = heapq.nsmallest(ALERTS_MAX, due, self._rank)
            self._standing = [self._alert(*key) for key in urgent], len(due) - len(urgent)
        return self._standing

    def _due(self, now_s: float) -> list[tuple[AlertKind, str]]:
        """The troubles that are due, in any order; notes when the next one is."""
        due = []
        self._next_due_s = math.inf
        for key, trouble in self._troubles.items():
            due_s = trouble.since_s + _DUE_S.get(key[0], 0.0)
            if due_s <= now_s:
                due.append(key)
            else:
                self._next_due_s = min(self._next_due_s, due_s)
        return due

    def _rank(self, key: tuple[AlertKind, str]) -> tuple[int, float, str]:
        return _URGENCY[key[0]], self._troubles[key].since_s, key[1]

    def _alert(self, kind: AlertKind, cp_id: str) -> Alert:
        trouble = self._troubles[kind, cp_id]
        text = _TEXTS[kind].format(cp_id=cp_id, why=trouble.why.rstrip("."))
        return Alert(kind, cp_id or None, text, _ADVICE[kind], trouble.since)
