"""The values of the status feed besides the charging points: events, alerts, the whole network."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum

import attrs


class EventKind(StrEnum):
    """The kinds of what happens, in the feed and in a timeline, which has no BREAKER.

    The first four are those of fault events, the next three those of the operator's.  REFUSED: a
    request that became no session, or somebody who had no right token for a charging point.
    """

    FAULT = "FAULT"
    RECOVERY = "RECOVERY"
    DISCONNECTED = "DISCONNECTED"
    RECONNECTED = "RECONNECTED"
    STOPPED = "STOPPED"
    RESUMED = "RESUMED"
    SHUTDOWN = "SHUTDOWN"
    SESSION_STARTED = "SESSION_STARTED"
    SESSION_ENDED = "SESSION_ENDED"
    REFUSED = "REFUSED"
    BREAKER = "BREAKER"


@attrs.frozen(slots=True)
class FeedEvent:
    """One thing that happened; `cp_id` is None for a request that got no charging point."""

    kind: EventKind
    cp_id: str | None
    text: str
    ts: datetime
    session_id: str | None = None
    request_id: str | None = None
    driver_id: str | None = None


class AlertKind(StrEnum):
    """The kinds of trouble that need a person, the most urgent first."""

    DATABASE = "database"
    BROKER = "broker"
    HOLDING_BACK = "holding_back"
    MONITORS_FULL = "monitors_full"
    BREAKER = "breaker"
    BROKEN = "broken"
    DISCONNECTED = "disconnected"
    UNCONFIRMED = "unconfirmed"


@attrs.frozen(slots=True)
class Alert:
    """A trouble that stands; `text` and `advice` are sentences, `cp_id` None: of the network."""

    kind: AlertKind
    cp_id: str | None
    text: str
    advice: str
    since: datetime


@attrs.frozen(slots=True)
class DayTotals:
    """The sessions that ended on a day in UTC."""

    date: date
    sessions: int = 0
    kwh: float = 0.0
    euros: float = 0.0


@attrs.frozen(slots=True)
class Ended:
    """Whole mWh and cents of so many sessions."""

    sessions: int = 0
    energy_mwh: int = 0
    cost_cents: int = 0

    def plus(self, other: "Ended", sign: int = 1) -> "Ended":
        """Return the sum, or with `sign` -1 the difference."""
        return Ended(
            self.sessions + sign * other.sessions,
            self.energy_mwh + sign * other.energy_mwh,
            self.cost_cents + sign * other.cost_cents,
        )


@attrs.frozen(slots=True)
class EndedOfDay:
    """The sessions of one day as they are stored: the sum of all, and each that is not settled."""

    total: Ended = Ended()
    unsettled: Mapping[str, Ended] = attrs.field(factory=dict)


@attrs.frozen(slots=True)
class Network:
    """The network as a whole.

    `error`: why Central can't serve requests; None while it can.  `holding_back`: why it begins no
    session; None while it does.  `kw`: all that is supplied now.  `alerts` are the most urgent
    ones, `alerts_left_out` is the number of the others.
    """

    service: str
    error: str | None
    central_id: str
    holding_back: str | None
    kw: float
    states: Mapping[str, int]
    today: DayTotals
    alerts: Sequence[Alert]
    alerts_left_out: int
