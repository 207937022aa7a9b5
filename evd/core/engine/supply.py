"""The running session: when its meter is due, when it is over, and when its meter is lost."""

import math

import attrs

from evd.core.engine.events import Run, SaveMeter
from evd.core.engine.session import SESSION_OVER, Ending, metered
from evd.core.wire.messages import Outcome

METER_UNSAVED_S = 5.0
METER_RETRY_S = 1.0
METER_FAILED = Ending(
    Outcome.FAILED, f"meter could not be saved for {METER_UNSAVED_S:.0f} s", fault=True
)

# Of an interval: a tick that comes so much too early is the one that was meant.
_EARLY = 1e-6


@attrs.define
class Supply:
    """`run` has the newest reading that was saved.  Times in monotonic seconds."""

    run: Run
    _begun_s: float
    _interval_s: float
    _session_s: float
    _meter_at_s: float = attrs.field(init=False)
    _unsaved_since_s: float | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._meter_at_s = self._begun_s + self._interval_s

    @property
    def wake_at_s(self) -> float:
        """When something is due."""
        return min(self._meter_at_s, self._begun_s + self._session_s)

    def read(self, now_s: float) -> Run:
        """The run with its reading of now."""
        return metered(self.run, now_s - self._begun_s)

    def due(self, now_s: float) -> Ending | SaveMeter | None:
        """What is due now: the end of the session, or its next reading."""
        unsaved_since_s = self._unsaved_since_s
        if unsaved_since_s is not None and now_s - unsaved_since_s > METER_UNSAVED_S:
            return METER_FAILED
        lasted_s = now_s - self._begun_s
        if lasted_s >= self._session_s:
            return SESSION_OVER
        if now_s < self._meter_at_s:
            return None
        count = math.floor(lasted_s / self._interval_s + _EARLY) + 1
        self._meter_at_s = self._begun_s + count * self._interval_s
        if unsaved_since_s is None:
            self._unsaved_since_s = now_s
        read = self.read(now_s)
        return SaveMeter(read.session_id, read.energy_mwh, read.metered_s)

    def saved(self, reading: SaveMeter) -> None:
        """The reading is on disk."""
        self._unsaved_since_s = None
        self.run = attrs.evolve(
            self.run, energy_mwh=reading.energy_mwh, metered_s=reading.metered_s
        )

    def failed(self, now_s: float) -> None:
        """A reading could not be saved: the next one soon."""
        self._meter_at_s = now_s + min(METER_RETRY_S, self._interval_s)

    def excuse(self, now_s: float) -> None:
        """This process itself was away: it did not try meanwhile."""
        if self._unsaved_since_s is not None:
            self._unsaved_since_s = now_s
