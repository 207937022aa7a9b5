"""The totals of the sessions that ended on this day in UTC, kept in memory."""

from collections.abc import Iterable
from datetime import date, timedelta

from evd.core.central.overview import DayTotals, Ended, EndedOfDay
from evd.core.central.rows import Row, Session, SessionStatus
from evd.core.effects import Now
from evd.core.wire.units import euros_from_cents, kwh_from_mwh

# Sessions of a day that a record or the operator may still change; beyond them the oldest stays
# as it is until Central's next start.
UNSETTLED_MAX = 10_000


class Today:
    """The totals of today, by the ends of sessions as they are stored."""

    def __init__(self, day: date, stored: EndedOfDay) -> None:
        """Begin with what was `stored` of `day`."""
        self._day = day
        # An engine's clock may be ahead: tomorrow's are counted for tomorrow.
        self._totals = {day: stored.total}
        self._unsettled = dict(stored.unsettled)

    def take(self, rows: Iterable[Row], now: Now) -> None:
        """Count the sessions among rows that were just stored."""
        self._turn(now)
        for row in rows:
            if isinstance(row, Session) and row.status is not SessionStatus.ACTIVE:
                self._count(row)

    def at(self, now: Now) -> DayTotals:
        """Return the totals of the day that it is now."""
        self._turn(now)
        total = self._totals.get(self._day, Ended())
        kwh, euros = kwh_from_mwh(total.energy_mwh), euros_from_cents(total.cost_cents)
        return DayTotals(self._day, total.sessions, kwh, euros)

    def _turn(self, now: Now) -> None:
        if now.wall.date() > self._day:
            self._day = now.wall.date()
            self._totals = {day: t for day, t in self._totals.items() if day >= self._day}

    def _count(self, row: Session) -> None:
        before = self._unsettled.pop(row.session_id, None)
        if row.end_time is None or not self._day <= row.end_time.date() <= self._tomorrow:
            return
        day = row.end_time.date()
        ended = Ended(1, row.energy_mwh, row.cost_cents or 0)
        total = self._totals.get(day, Ended()).plus(ended)
        self._totals[day] = total if before is None else total.plus(before, -1)
        if not row.settled:
            self._unsettled[row.session_id] = ended
            if len(self._unsettled) > UNSETTLED_MAX:
                del self._unsettled[next(iter(self._unsettled))]

    @property
    def _tomorrow(self) -> date:
        return self._day + timedelta(days=1)
