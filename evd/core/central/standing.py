"""The state that was last shown for a charging point, and since when."""

from datetime import datetime

import attrs

from evd.core.central.rows import ChargingPoint, ShownState
from evd.core.effects import Now
from evd.core.wire.control import EngineStatus


def shown_state(connected: bool, engine_status: EngineStatus | None) -> ShownState:
    """Return the state of a charging point by its monitor's connection and that one's verdict."""
    if not connected:
        return ShownState.DISCONNECTED
    return ShownState.ON if engine_status is EngineStatus.OK else ShownState.BROKEN


@attrs.define(slots=True)
class Standing:
    """A state and the time at which it came.  `since` None: nobody wrote that down.

    Central's own restart changes nothing: a charging point that is back as it was has stood so.
    """

    state: ShownState
    since: datetime | None

    @classmethod
    def of_row(cls, row: ChargingPoint) -> "Standing":
        """Return how it was shown when its row was written."""
        return cls(shown_state(row.connected, row.engine_status), row.state_since)

    def turn(self, shown: ShownState, now: Now) -> None:
        """It is shown so from now on, if it was not before."""
        if shown is not self.state:
            self.state, self.since = shown, now.wall

    def since_of(self, shown: ShownState) -> datetime | None:
        """Return since when it is shown so; None while it only waits for its monitor to be back."""
        return self.since if shown is self.state else None
