"""What an engine counts, as plain numbers: a library of metrics is loaded only where one asks."""

import attrs

from evd.core.engine.events import Save, SaveRecord
from evd.core.wire.messages import BEACONS, COMMANDS, Outcome

READ_TOPICS = (BEACONS, COMMANDS)


@attrs.define
class Counts:
    """Each only rises, from 0.  `energy_wh` is that of the sessions that ended."""

    sessions: dict[Outcome, int] = attrs.field(factory=lambda: dict.fromkeys(Outcome, 0))
    dead_letters: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(READ_TOPICS, 0))
    energy_wh: float = 0.0
    disk_failures: int = 0
    bad_frames: int = 0

    def dead_letter(self, topic: str) -> None:
        """A bad message was put aside."""
        self.dead_letters[topic] += 1

    def saved(self, effect: Save) -> None:
        """A save succeeded."""
        if isinstance(effect, SaveRecord):
            self.sessions[effect.record.outcome] += 1
            self.energy_wh += effect.record.kwh * 1000
