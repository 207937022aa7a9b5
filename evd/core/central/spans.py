"""The states of a charging point over a span of time, worked out from its fault events.

As in `statistics`, times are what was written down, and no time passes backwards.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

import attrs

from evd.core.central.rows import EventType, ShownState
from evd.core.central.statistics import Condition, Opening

# A fault event's time and kind.
Change: TypeAlias = tuple[datetime, EventType]


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


def states_of(
    opening: Opening, changes: Iterable[Change], since: datetime, until: datetime
) -> CpStates:
    """The states from `since` to `until`; `changes` come in the order of their times."""
    walk = _Walk(since, until)
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

    def __init__(self, since: datetime, until: datetime) -> None:
        self.spans: list[StateSpan] = []
        self._at, self._until = since, until

    def pass_to(self, when: datetime, state: ShownState | None) -> None:
        """Go on to `when`, if that is ahead, in this state."""
        at = min(when, self._until)
        if at <= self._at:
            return
        before = self.spans[-1] if self.spans else None
        if before is not None and before.state is state:
            self.spans[-1] = attrs.evolve(before, until=at)
        else:
            self.spans.append(StateSpan(state, self._at, at))
        self._at = at
