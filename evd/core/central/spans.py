"""The states of a charging point over a span of time, worked out from its fault events.

As in `statistics`, times are what was written down, and no time passes backwards.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeAlias

import attrs

from evd.core.central.rows import EventType, ShownState
from evd.core.central.statistics import Condition, Opening

# A fault event's time and kind.
Change: TypeAlias = tuple[datetime, EventType]
# Its begin and its end.
Gap: TypeAlias = tuple[datetime, datetime]
MINUTE = timedelta(minutes=1)
# A Central that runs may be late with a minute, but not by so much.
MISSED = timedelta(minutes=3)


@attrs.frozen(slots=True)
class StateSpan:
    """A time in which a charging point was shown in one state; None: it is not known in which."""

    state: ShownState | None
    since: datetime
    until: datetime


@attrs.frozen(slots=True)
class CpStates:
    """The states of one charging point, one after the other, without gaps."""

    cp_id: str
    spans: list[StateSpan]


def unobserved(minutes: Iterable[datetime], until: datetime) -> list[Gap]:
    """The times after the first of these minutes in which no Central ran.

    They come in their order, each named by its end.  Before the first one nobody wrote them down.
    """
    return [
        (end, min(after - MINUTE, until))
        for end, after in pairwise((*minutes, until + MINUTE))
        if after - end > MISSED
    ]


def states_of(
    opening: Opening,
    changes: Iterable[Change],
    since: datetime,
    until: datetime,
    gaps: Sequence[Gap] = (),
) -> CpStates:
    """The states from `since` to `until`; `changes` and `gaps` come in the order of their times.

    In a gap nobody looked: how a charging point stood then is not known.
    """
    walk = _Walk(since, until, gaps)
    condition = Condition(opening.faulty, opening.disconnected)
    known_since = opening.known_since
    for when, event_type in changes:
        if known_since is None or when < known_since:
            known_since = when
        walk.pass_to(known_since, None)
        walk.pass_to(when, condition.shown)
        condition.take(event_type)
    walk.pass_to(until if known_since is None else known_since, None)
    walk.pass_to(opening.known_until or until, condition.shown)
    walk.pass_to(until, None)
    return CpStates(opening.cp_id, walk.spans)


class _Walk:
    """The way through a span of time so far."""

    def __init__(self, since: datetime, until: datetime, gaps: Sequence[Gap]) -> None:
        self.spans: list[StateSpan] = []
        self._at, self._until, self._gaps = since, until, gaps

    def pass_to(self, when: datetime, state: ShownState | None) -> None:
        """Go on to `when`, if that is ahead, in this state; through gaps in none."""
        for since, until in self._gaps:
            if since < when and until > self._at:
                self._step(since, state)
                self._step(min(until, when), None)
        self._step(when, state)

    def _step(self, when: datetime, state: ShownState | None) -> None:
        at = min(when, self._until)
        if at <= self._at:
            return
        before = self.spans[-1] if self.spans else None
        if before is not None and before.state is state:
            self.spans[-1] = attrs.evolve(before, until=at)
        else:
            self.spans.append(StateSpan(state, self._at, at))
        self._at = at
