"""The energy that each car really took, by which all records are judged."""

import attrs

from evd.core.engine.events import Run
from evd.core.wire.messages import Outcome, SessionRecord
from evd.core.wire.units import energy_mwh
from tests.sim.parts_engine import EnginePart


@attrs.define(eq=False)
class Charge:
    """A car that really took current.

    `metered_s`: when its last reading was saved.  `awake_s`: the last moment at which its engine
    could save one.  `is_recorded`: its end was saved too.  `is_excused`: the disk was not well.
    """

    run: Run
    engine: EnginePart
    began_s: float
    late: bool
    ended_s: float | None = None
    metered_s: float = 0.0
    awake_s: float = 0.0
    is_recorded: bool = False
    is_excused: bool = False
    wiped: bool = False

    @property
    def cp_id(self) -> str:
        """Where it charged."""
        return self.engine.cp_id

    def most_mwh(self, now_s: float | None = None) -> int:
        """The energy that it took; up to `now_s` where it has not ended."""
        until_s = self.ended_s or now_s or self.began_s
        return energy_mwh(self.run.kw_rate, until_s - self.began_s)

    def least_mwh(self) -> int:
        """The energy that its engine's disk shows."""
        until_s = self.metered_s if not self.is_recorded else self.ended_s or self.began_s
        return energy_mwh(self.run.kw_rate, until_s - self.began_s)

    @property
    def gap_s(self) -> float:
        """Seconds without a saved reading before it was cut off."""
        return 0.0 if self.is_recorded else self.awake_s - self.metered_s


def is_cut_short(record: SessionRecord, session_s: float) -> bool:
    """Return whether a session of `session_s` ended before that and nobody wanted it: no reason is
    given."""
    if record.outcome is not Outcome.COMPLETED or record.reason or record.started_at is None:
        return False
    return (record.ended_at - record.started_at).total_seconds() < session_s - 0.1
