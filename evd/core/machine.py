"""The contract of the four cores: events in, effects out, and the time handed in.

- Effects are values, returned in the order in which they must happen.
- All saves of one list are one commit.  Nothing that stands behind a save is said before the save
  is durable.
- A list with a save in it has an outcome: `Saved` or `SaveFailed` is the next event.  After
  `SaveFailed` the shell has said nothing of what stood behind the save.
- A core reads no clock and draws no random number, so that a seed replays it exactly.
"""

from typing import Protocol, TypeVar

import attrs

from evd.core.effects import Now

EventT = TypeVar("EventT", contravariant=True)
EffectT = TypeVar("EffectT")


@attrs.frozen(slots=True)
class Saved:
    """The saves of the newest list of effects are durable."""


@attrs.frozen(slots=True)
class SaveFailed:
    """The saves of the newest list are not durable, or nobody can tell; `reason` in words."""

    reason: str


class Machine(Protocol[EventT, EffectT]):
    """One core, from its start to the end of its process."""

    def start(self, now: Now) -> list[EffectT]:
        """Return the first effects; called once, before all events."""

    def handle(self, event: EventT, now: Now) -> list[EffectT]:
        """Return what must be done about `event`; `now` never goes back."""

    @property
    def wake_at_s(self) -> float:
        """The monotonic time at which the core wants its next tick, if nothing happens before."""
